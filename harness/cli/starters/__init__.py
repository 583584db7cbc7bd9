"""Files that `lockrace init` writes: settings, a first scenario, a CI workflow, a Dockerfile."""

from importlib.resources import files

STARTERS: dict[str, str] = {
    "lockrace.toml": "lockrace.toml",
    "lockrace-ci.yml": ".github/workflows/lockrace.yml",
    "lockrace.Dockerfile": "lockrace.Dockerfile",
}
"""Name in this folder -> where `lockrace init` puts it."""


def starter(name: str) -> str:
    """The text of one of them."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
