"""The bytes that the Go dispatchers send, each form of them, and bytes that no client should send."""

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest

from tests.limits import LIMIT_S
from tests.reference_server.support import CONTAINER, SHARED, Server

FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server("--database", str(tmp_path_factory.mktemp("clients") / "containers.sqlite"))
    yield server
    server.end()


class Wire:
    """One connection that sends bytes as they are and reads whole answers."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=LIMIT_S)
        self.file = self.socket.makefile("rb")

    def send(self, head: str, body: str = "") -> None:
        self.socket.sendall(head.replace("\n", "\r\n").encode() + b"\r\n" + body.encode())

    def read(self) -> tuple[int, Any]:
        line = self.file.readline()
        if not line:
            return 0, None
        headers = {}
        while (header := self.file.readline().strip()) != b"":
            name, _, value = header.decode().partition(": ")
            headers[name.lower()] = value
        body = self.file.read(int(headers["content-length"]))
        return int(line.split()[1]), json.loads(body) if body else None

    def call(self, method: str, path: str, headers: str = "", body: str = "", scheme: str = "OAuth2") -> Any:
        length = f"Content-Length: {len(body)}\n" if body or "Transfer" not in headers else ""
        auth = f"Authorization: {scheme} {SHARED}\n"
        self.send(f"{method} /arvados/v1/{path} HTTP/1.1\nHost: x\n{auth}{length}{headers}", body)
        return self.read()

    def create(self, **attributes: Any) -> str:
        body = json.dumps({"container": CONTAINER | attributes})
        status, record = self.call("POST", "containers", "Content-Type: application/json\n", body)
        assert status == 200, record
        return str(record["uuid"])

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    wire = Wire(server.url)
    yield wire
    wire.close()


def test_2016_lock_and_unlock_with_an_empty_form(wire):
    uuid = wire.create()
    for verb, state in (("lock", "Locked"), ("unlock", "Queued")):
        status, record = wire.call("POST", f"containers/{uuid}/{verb}", f"Content-Type: {FORM}\n")
        assert (status, record["state"]) == (200, state)


def test_today_lock_with_an_empty_chunked_body(wire):
    uuid = wire.create()
    headers = f"Transfer-Encoding: chunked\nContent-Type: {FORM}\n"
    wire.send(f"POST /arvados/v1/containers/{uuid}/lock HTTP/1.1\nHost: x\nAuthorization: Bearer {SHARED}\n{headers}")
    wire.socket.sendall(b"0\r\n\r\n")
    status, record = wire.read()
    assert (status, record["state"]) == (200, "Locked")
    assert wire.call("POST", f"containers/{uuid}/unlock")[0] == 200  # the connection is still good


@pytest.mark.parametrize(
    ("body", "method", "headers"),
    [
        ("container=" + quote('{"state":"Locked"}'), "PUT", f"Content-Type: {FORM}\n"),
        ("container=" + quote('{"state":"Locked"}') + "&select=" + quote('["uuid"]'), "PUT", f"Content-Type: {FORM}\n"),
        ("_method=PUT&container=" + quote('{"state":"Locked"}'), "POST", f"Content-Type: {FORM}\n"),
        ("container[state]=Locked", "PUT", f"Content-Type: {FORM}\n"),
        ('{"container":{"state":"Locked"}}', "PATCH", "Content-Type: application/json; charset=utf-8\n"),
        ('{"container":"{\\"state\\":\\"Locked\\"}"}', "PUT", "Content-Type: application/json\n"),
        ('{"state":"Locked"}', "PUT", "Content-Type: application/json\n"),
        ('{"state":"Locked"}', "POST", "Content-Type: application/json\nX-HTTP-Method-Override: PATCH\n"),
    ],
)
def test_an_update_in_every_form(wire, body, method, headers):
    uuid = wire.create()
    status, record = wire.call(method, f"containers/{uuid}", headers, body)
    assert (status, record["uuid"]) == (200, uuid)
    assert set(record) == {"uuid"} or "select" not in body
    assert wire.call("GET", f"containers/{uuid}")[1]["state"] == "Locked"


def test_a_select_that_leaves_nothing_is_refused_before_anything_changes(wire):
    uuid = wire.create()
    headers = "Content-Type: application/json\n"
    status, _ = wire.call("PUT", f"containers/{uuid}?select=" + quote('["nosuch"]'), headers, '{"state":"Locked"}')
    assert (status, wire.call("GET", f"containers/{uuid}")[1]["state"]) == (422, "Queued")
    before = listing(wire, limit="0")[1]["items_available"]
    created = wire.call("POST", "containers?select=" + quote("[]"), headers, json.dumps({"container": CONTAINER}))
    assert (created[0], listing(wire, limit="0")[1]["items_available"]) == (422, before)


@pytest.mark.parametrize("depth", [90, 101, 330, 900])
def test_what_nests_too_deeply_is_refused(wire, depth):
    deep = json.loads("[" * depth + "]" * depth)
    status, answer = wire.call(
        "POST",
        "containers",
        "Content-Type: application/json\n",
        json.dumps({"container": CONTAINER | {"mounts": {"a": deep}}}),
    )
    assert status == (200 if depth == 90 else 422), answer
    assert depth == 90 or "nested more than 100 deep" in answer["errors"][0]
    assert listing(wire, order='["created_at desc"]')[0] == 200


def test_a_body_that_is_no_unicode_is_refused(wire):
    body = b'{"container":{"priority":3,"\xff":1}}'
    wire.send(
        f"PUT /arvados/v1/containers/{wire.create()} HTTP/1.1\nHost: x\nAuthorization: Bearer {SHARED}\n"
        f"Content-Type: application/json\nContent-Length: {len(body)}\n"
    )
    wire.socket.sendall(body)
    assert wire.read()[0] == 422


def test_a_websocket_is_not_what_the_server_speaks(wire):
    key = "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==\n"
    upgrade = f"Upgrade: websocket\nConnection: Upgrade\n{key}"
    assert wire.call("GET", "containers", upgrade)[0] == 200


def listing(wire: Wire, **parameters: str) -> tuple[int, Any]:
    return wire.call("GET", "containers?" + urlencode(parameters))


def test_what_dispatchers_of_2016_and_2017_poll(wire):
    high, low, zero = wire.create(priority=9), wire.create(priority=2), wire.create(priority=0)
    mine = wire.create(priority=5)
    me = wire.call("GET", "api_client_authorizations/current")[1]["uuid"]
    wire.call("POST", f"containers/{mine}/lock")
    queued = '[["state","=","Queued"],["priority","\\u003e","0"]]'
    status, page = listing(wire, filters=queued, limit="1000", order='["priority desc"]')
    found = [item["uuid"] for item in page["items"] if item["uuid"] in (high, low, zero, mine)]
    assert (status, found) == (200, [high, low])
    held = json.dumps([["locked_by_uuid", "=", me], ["uuid", "not in", [high]]])
    assert mine in [item["uuid"] for item in listing(wire, filters=held, limit="1000", offset="0")[1]["items"]]
    tracked = json.dumps([["uuid", "in", [high, mine]]])
    assert {item["uuid"] for item in listing(wire, filters=tracked)[1]["items"]} == {high, mine}
    none = json.dumps([["uuid", "in", ["this-uuid-does-not-exist"]]])
    assert listing(wire, filters=none)[1]["items"] == []


def test_what_dispatchers_of_today_poll(wire):
    uuids = sorted(wire.create(priority=7) for _ in range(5))
    mine = ["uuid", "in", uuids]
    status, page = listing(wire, filters=json.dumps([mine]), count="exact", limit="0")
    assert (status, page["items"], page["items_available"]) == (200, [], 5)
    last, seen = "", []
    while True:  # pages by uuid, until an empty one
        conditions = json.dumps([mine, ["uuid", "\u003e", last]])
        _, page = listing(wire, filters=conditions, count="none", limit="2", order="uuid", select='["uuid","priority"]')
        assert "items_available" not in page
        if not page["items"]:
            break
        seen += [item["uuid"] for item in page["items"]]
        last = seen[-1]
    assert seen == uuids
    _, page = listing(wire, filters=json.dumps([mine]), count="none", limit="2", offset="4", order="priority desc")
    assert len(page["items"]) == 1


def test_the_fields_that_today_s_queue_selects(wire):
    uuid = wire.create(runtime_constraints={"vcpus": 1, "ram": 1})
    wanted = ["uuid", "state", "priority", "runtime_constraints", "container_image", "scheduling_parameters"]
    conditions = json.dumps([["uuid", "=", uuid]])
    item = listing(wire, filters=conditions, select=json.dumps([*wanted, "created_at"]))[1]["items"][0]
    assert set(item) == {*wanted, "created_at", "kind"}
    assert item["runtime_constraints"] == {"vcpus": 1, "ram": 1}
    assert wire.call("GET", f"containers/{uuid}?select=" + quote('["mounts"]'))[1] == {"mounts": {}}


def test_a_long_list_comes_as_a_post_with_its_parameters_in_the_body(wire):
    uuid = wire.create()
    many = [uuid, *(f"zzzzz-dz642-{number:015}" for number in range(100))]
    body = urlencode({"filters": json.dumps([["uuid", "in", many]]), "count": "none"})
    headers = f"Content-Type: {FORM}\nX-Http-Method-Override: GET\n"
    status, page = wire.call("POST", "containers", headers, body, scheme="Bearer")
    assert (status, [item["uuid"] for item in page["items"]]) == (200, [uuid])


def test_the_request_id_comes_back_and_stands_in_errors(wire):
    status, body = wire.call("POST", "containers/nothing/lock", "X-Request-Id: req-abcdefghij0123456789\n")
    assert status == 404
    assert body["errors"] == ["Path not found (req-abcdefghij0123456789)"]


def test_a_head_has_no_body(wire):
    uuid = wire.create()
    wire.send(
        f"HEAD /arvados/v1/containers/{uuid} HTTP/1.1\nHost: x\nAuthorization: Bearer {SHARED}\nConnection: close\n"
    )
    answer = wire.file.read()
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        ("containers?" + "x" * 40_000, "", "", 414),
        ("containers?" + "&".join(f"a{number}=1" for number in range(300)), "", "", 422),
        ("containers", "Content-Type: application/json\n", "[" * 100_000, 422),
        ("containers", "Content-Type: application/json\n", '{"container": ' + "1" * 5000 + "}", 422),
        ("containers", "Content-Type: application/json\n", '"text"', 422),
        ("containers", f"Content-Type: {FORM}\n", "container=%ff%fe", 422),
        ("containers", "Content-Type: application/json\n", "x" * 1_100_000, 413),
        ("containers/%ff%00/lock", "", "", 422),
        ("containers/..%2f..%2fetc/lock", "", "", 404),
    ],
)
def test_what_is_too_large_or_malformed_is_refused(wire, path, headers, body, status):
    answered, content = wire.call("POST", path, headers, body)
    assert answered == status
    assert content["errors"]


def test_a_header_without_end_is_refused_and_ends_the_connection(wire):
    wire.socket.sendall(b"POST /arvados/v1/containers HTTP/1.1\r\nHost: x\r\n")
    with contextlib.suppress(OSError):  # the server may close before all of it is sent
        for _ in range(300):
            wire.socket.sendall(b"X-More: " + b"x" * 1_000 + b"\r\n")
    try:
        answer = wire.file.read()
    except OSError:
        answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431")


def test_what_is_no_http_is_refused_in_json(wire):
    wire.socket.sendall(b"what\r\n\r\n")
    answer = wire.file.read()
    assert answer.startswith(b"HTTP/1.1 400")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["errors"]
