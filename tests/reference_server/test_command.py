"""The command: its options, its tokens, its ready line, and how it ends."""

import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from bench.fuzz import findings, fuzz_server
from reference_server import asgi
from reference_server.cli import main
from reference_server.databases import store_of
from reference_server.options import UsageError, read_tokens
from tests.limits import LIMIT_S
from tests.processes import all_gone
from tests.reference_server.support import ADMIN, CONTAINER, SHARED, STRANGER


def use(url: str, token: str, **options: object) -> httpx.Response:
    path = f"{url}/arvados/v1/api_client_authorizations/current"
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(path, headers=headers, trust_env=False, timeout=LIMIT_S, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "shared: one\nstranger: two\nadmin: three\n",
        '{"shared": "one", "token2": "two", "admin": "three"}',
        "# tokens\nLOCKRACE_TOKEN=one\nLOCKRACE_TOKEN2=two\nLOCKRACE_ADMIN_TOKEN=three\n",
        "token: one\ntoken2: two\nadmin: three",
    ],
)
def test_a_token_file_in_every_format(text, tmp_path):
    path = tmp_path / "tokens"
    path.write_text(text)
    tokens = read_tokens(path)
    assert (tokens.shared, tokens.stranger, tokens.admin, tokens.made_up) == ("one", "two", "three", ())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("shared: [1]", "want a text"),
        ("somebody: one", "somebody"),
        ("just words", "names and tokens"),
        ("{", "neither YAML, JSON nor"),
        ("shared: one\nstranger: one", "three different"),
        ("shared: 'a b'", "printable word"),
        ("shared: v2/abc", "SECRET or v2/UUID/SECRET"),
        ("shared: v2//abc", "SECRET or v2/UUID/SECRET"),
        ("x" * 100_000, "larger"),
    ],
)
def test_a_token_file_that_cannot_be_read_says_what_and_where(text, complaint, tmp_path):
    path = tmp_path / "tokens"
    path.write_text(text)
    with pytest.raises(UsageError, match=complaint):
        read_tokens(path)


def test_a_token_file_that_is_not_there():
    with pytest.raises(UsageError, match="No such file"):
        read_tokens(Path("/nonexistent/tokens"))


@pytest.mark.parametrize(
    ("database", "complaint"),
    [
        ("mysql://x", "a database is"),
        ("sqlite:///x.db?synchronous=MAYBE", "nothing else"),
        ("sqlite:///x.db?cache=1", "nothing else"),
        ("sqlite:///x.db?batch=0", "nothing else"),
        ("/nonexistent/folder/x.db", "no such folder"),
    ],
)
def test_a_database_that_cannot_be(database, complaint):
    with pytest.raises(UsageError, match=complaint):
        store_of(database)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--database", "memory:", "--workers", "2"],
        ["--mutant", "nobody"],
        ["--variant", "lock_noop"],
        ["--database", "mysql://x"],
        ["--host", "999.1.1.1"],
        ["--token-file", "/nonexistent"],
    ],
)
def test_wrong_usage_is_one_clear_line_and_exit_code_2(arguments, capsys, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("reference_server: ")


def test_a_port_that_is_taken(capsys, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr("reference_server.serving.PORT_WAIT_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["--port", str(taken.getsockname()[1])]) == 2
    assert "cannot listen" in capsys.readouterr().err


def test_tokens_that_were_made_up_are_printed_and_work(start_server):
    server = start_server(LOCKRACE_TOKEN="", LOCKRACE_TOKEN2="", LOCKRACE_ADMIN_TOKEN="")
    made_up = dict(line.split("=") for line in server.lines[:-1])
    assert list(made_up) == ["LOCKRACE_TOKEN", "LOCKRACE_TOKEN2", "LOCKRACE_ADMIN_TOKEN"]
    answers = [use(server.url, token) for token in made_up.values()]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len({answer.json()["uuid"] for answer in answers}) == 3


def test_a_server_says_when_it_is_ready_and_never_a_secret(start_server):
    server = start_server("--access-log", "--stamp-arrivals")
    assert len(server.lines) == 1
    assert int(httpx.URL(server.url).port or 0) < 32_768
    before_ns = time.monotonic_ns()
    headers = {"Authorization": f"Bearer {SHARED}"}
    with httpx.Client(
        base_url=server.url + "/arvados/v1/", headers=headers, trust_env=False, timeout=LIMIT_S
    ) as client:
        uuid = client.post("containers", json={"container": CONTAINER}).json()["uuid"]
        answer = client.post(f"containers/{uuid}/lock")
        secret = client.get(f"containers/{uuid}/auth").json()["api_token"]
        client.get(f"containers/{secret}?api_token={secret}")
        client.get(f"nothing/{secret}", headers={"Authorization": f"Bearer {secret}"})
    assert before_ns < int(answer.headers["x-arrival-ns"]) < time.monotonic_ns()
    code, log = server.end()
    assert code == 0
    assert f"POST /arvados/v1/containers/{uuid}/lock 200" in log
    assert answer.headers["x-request-id"] in log
    for word in (secret, SHARED, STRANGER, ADMIN):
        assert word not in log


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_is_a_clean_end(start_server, workers):
    server = start_server("--workers", workers)
    assert use(server.url, SHARED).status_code == 200
    server.process.terminate()
    assert server.process.wait(LIMIT_S) == 0


def test_https_with_a_certificate_that_a_client_can_check(start_server):
    server = start_server("--tls")
    authority = server.lines[-1].partition("authority=")[2]
    trusting = ssl.create_default_context(cafile=authority)
    assert use(server.url, SHARED, verify=trusting).status_code == 200
    with pytest.raises(httpx.ConnectError):
        use(server.url, SHARED, verify=ssl.create_default_context())


def test_workers_end_with_a_server_that_is_killed(start_server):
    server = start_server("--workers", "2")
    children = psutil.Process(server.process.pid).children()
    assert len(children) >= 2
    server.process.kill()
    assert all_gone(children)


def test_a_server_ends_when_one_of_its_workers_does(start_server):
    server = start_server("--workers", "2")
    children = psutil.Process(server.process.pid).children()
    worker = next(child for child in children if "spawn_main" in " ".join(child.cmdline()))
    worker.kill()
    assert server.process.wait(LIMIT_S) == 1


def test_a_restart_on_the_same_database_knows_the_same_tokens_and_containers(start_server, tmp_path):
    database = str(tmp_path / "containers.sqlite")
    first = start_server("--database", database)
    headers = {"Authorization": f"Bearer {SHARED}"}
    made = {"container": CONTAINER}
    created = httpx.post(f"{first.url}/arvados/v1/containers", headers=headers, json=made, timeout=LIMIT_S).json()
    me = use(first.url, SHARED).json()["uuid"]
    first.end()
    second = start_server("--database", database)
    assert use(second.url, SHARED).json()["uuid"] == me
    again = httpx.get(f"{second.url}/arvados/v1/containers/{created['uuid']}", headers=headers, timeout=LIMIT_S)
    assert again.json() == created


def test_a_database_that_does_not_open_is_one_line(tmp_path):
    (tmp_path / "not.sqlite").write_text("this is no database, but it is long enough to look like one" * 20)
    command = [sys.executable, "-m", "reference_server", "--database", str(tmp_path / "not.sqlite")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 1
    assert "cannot open the database" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_help_names_every_option(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for option in ("--database", "--workers", "--tls", "--token-file", "--mutant", "--variant", "--run-auth", "--list"):
        assert option in text


def test_the_application_can_be_called_in_process(run):
    async def ask(app) -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://x") as client:
            path = "/arvados/v1/users/current"
            return (await client.get(path, headers={"Authorization": f"Bearer {app.tokens[0].secret}"})).status_code

    assert run(ask(asgi.app)) == 200
    assert run(ask(asgi.make_app("check_before_lock", run_auth=True))) == 200


def test_hostile_calls_are_all_answered_and_none_by_a_5xx(tmp_path):
    seen = fuzz_server(str(tmp_path / "fuzz.sqlite"), requests=600, seed=7)
    assert findings(seen) == []
    assert json.loads(json.dumps(seen)).keys() >= {"200", "401", "404", "422"}
