# lockrace for machines without Python:
#   docker build -t lockrace -f lockrace.Dockerfile .
#   docker run --rm --network host -v "$PWD:/work" lockrace run --target http://127.0.0.1:8000 --token-file tokens.yaml
FROM python:3.12-slim
RUN pip install --no-cache-dir lockrace
WORKDIR /work
ENTRYPOINT ["lockrace"]
