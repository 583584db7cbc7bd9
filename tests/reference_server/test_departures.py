"""Mutants and variants: the list is complete, each really departs, and each departure is the one that it says.

Whether the harness kills the mutants and spares the variants is measured elsewhere; here one long script of calls is
run on the faithful server and on each departure, and what comes out must differ.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from typing import Any

import httpx
import pytest

from reference_server.departures import Departure
from reference_server.mutants import MUTANTS, answers, races, tokens
from reference_server.places import Places
from reference_server.variants import VARIANTS
from tests.limits import LIMIT_S
from tests.reference_server.support import ADMIN, STRANGER, Caller, filters, serving

ALONE = [one for one in MUTANTS.values() if not one.needs.get("crowd") and one.name != "acknowledged_before_commit"]
CROWDED = [one for one in MUTANTS.values() if one.needs.get("crowd")]
ELSEWHERE = ("mutex_per_process", "read_committed", "lock_order")  # these three have tests of their own
SEEN_IN_A_CROWD = [one for one in CROWDED if one.name not in ELSEWHERE]
SEEN_IN_ANSWERS = [one for one in VARIANTS.values() if one.name != "slow"]  # only the clock tells that one
REQUIREMENTS = (
    *(f"LOCK-{n}" for n in range(1, 7)),
    *(f"UNLOCK-{n}" for n in range(1, 7)),
    *(f"AUTH-{n}" for n in range(1, 7)),
    *(f"STATE-{n}" for n in range(1, 5)),
    *(f"RUN-{n}" for n in range(1, 5)),
    *("GET-1", "LIST-1", "ERR-1", "ERR-2", "DUR-1", "LIVE-1"),
)


class Script:
    """Sends calls and keeps what was answered, with everything that differs from run to run made equal."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.names: dict[str, str] = {}
        self.lines: list[str] = []

    def plain(self, text: str) -> str:
        text = re.sub(r'"(etag|error_token|\w+_at)":("[^"]*")', r'"\1":""', text)
        text = re.sub(r"req-[0-9a-f]{20}", "req", text)
        pattern = r"zzzzz-\w{5}-\w{15}|\b[0-9a-f]{50}\b"
        return re.sub(pattern, lambda found: self.names.setdefault(found[0], f"name{len(self.names)}"), text)

    async def __call__(self, method: str, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        caller = self.caller.as_token(token) if token is not None else self.caller
        answer = await caller(method, path, **options)
        headers = {name: answer.headers.get(name) for name in ("connection", "content-length", "content-type")}
        headers["content-length"] = "some" if headers["content-length"] else None
        self.lines.append(self.plain(f"{method} {path}: {answer.status_code} {answer.text} {headers}"))
        return answer


async def secret_of(call: Script, path: str) -> tuple[str, str]:
    auth = (await call("GET", f"{path}/auth")).json()
    return auth.get("api_token", "none"), f"v2/{auth.get('uuid')}/{auth.get('api_token')}"


async def lives(call: Script) -> None:
    """One container through its states, with every call that must be refused on the way."""
    path = "containers/" + await call.caller.create()
    zero = "containers/" + await call.caller.create(priority=0)
    other = "containers/" + await call.caller.create()
    await call.caller.create()
    await call("POST", f"{zero}/lock")
    await call("POST", f"{other}/lock")
    other_secret, _ = await secret_of(call, other)
    await call("POST", f"{path}/unlock")
    old: list[str] = []
    for _ in range(2):
        await call("POST", f"{path}/lock")
        await call("GET", path)
        old += await secret_of(call, path)
        for token in old:
            await call("GET", "api_client_authorizations/current", token)
        for _ in range(3):
            await call("POST", f"{path}/lock")
        await call("GET", path)
        await call("GET", f"{path}/auth", STRANGER)
        await call("POST", f"{path}/unlock", STRANGER)
        await call("GET", path)
        await call("PUT", path, STRANGER, json={"state": "Queued"})
        await call("GET", "containers", params=filters(["uuid", "=", path.partition("/")[2]]))
        await call("PUT", path, json={"state": "Locked"})
        await call("PUT", path, json={"locked_by_uuid": "zzzzz-gj3su-000000000000000"})
        await call("POST", f"{path}/unlock")
        await call("GET", path)
        await call("GET", "containers", params=filters(["uuid", "=", path.partition("/")[2]]))
        await call("GET", "api_client_authorizations/current", other_secret)
        for token in old:
            await call("GET", "api_client_authorizations/current", token)
            await call("POST", f"{path}/lock", token)
    await call("PUT", path, json={"state": "Locked"})
    old += await secret_of(call, path)
    await call("PUT", path, json={"state": "Queued"})
    for token in old:
        await call("GET", "api_client_authorizations/current", token)
    await call("POST", f"{path}/lock")
    await call("PUT", path, json={"state": "Running"})
    await call("GET", path)
    last, _ = await secret_of(call, path)
    await call("GET", "api_client_authorizations/current", last)
    await call("POST", f"{path}/lock")
    await call("POST", f"{path}/unlock")
    await call("PUT", path, json={"state": "Queued"})
    await call("PUT", path, STRANGER, json={"state": "Complete"})
    await call("PUT", path, json={"state": "Complete"})
    await call("GET", path)
    await call("GET", "api_client_authorizations/current", last)
    for state in ("Cancelled", "Queued"):
        await call("PUT", path, json={"state": state})
    await call("GET", "containers/nothing", "nobody")
    await call("GET", "containers", params={"select": '["command"]'})  # of four all the same: they have no order


async def ten_attempts(call: Script) -> None:
    path = "containers/" + await call.caller.create()
    for _ in range(10):
        await call("POST", f"{path}/lock")
        await call("POST", f"{path}/unlock")
    await call("GET", path)


async def two_connections(call: Script, second: Script) -> None:
    """Lock through one connection, unlock through another: what a dispatcher does after a crash."""
    path = "containers/" + await call.caller.create()
    await call("POST", f"{path}/lock")
    await second("POST", f"{path}/unlock")


async def with_run_auth(call: Script) -> None:
    path = "containers/" + await call.caller.create()
    old = (await call("POST", f"{path}/lock")).json().get("run_auth", "")
    await call("POST", f"{path}/unlock")
    await call("POST", f"{path}/lock")
    late = {"X-Run-Auth": old}
    for headers in (late, {}):
        await call("GET", f"{path}/auth", headers=headers)
        await call("PUT", path, headers=headers, json={"state": "Running"})
    await call("PUT", path, headers=late, json={"priority": 3})
    await call("POST", f"{path}/unlock", headers=late)


async def transcript(departure: Departure | None, *, has_run_auth: bool) -> list[str]:
    places = departure.apply(Places()) if departure else Places()
    async with serving("memory:", places, with_run_auth=has_run_auth) as caller:
        call = Script(caller)
        if has_run_auth:
            await with_run_auth(call)
            return call.lines
        await lives(call)
        await ten_attempts(call)
        transport = httpx.ASGITransport(app=caller.client._transport.app, client=("127.0.0.2", 1))  # type: ignore[attr-defined]
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            second = Script(Caller(client, caller.token))
            await two_connections(call, second)
        return call.lines + second.lines


@pytest.fixture(autouse=True)
def what_departs_for_a_while_departs_for_ever(monkeypatch):
    for module, name in ((answers, "CACHED_S"), (tokens, "CACHED_S"), (tokens, "LATE_S"), (races, "COMPANY_S")):
        monkeypatch.setattr(module, name, LIMIT_S)


@pytest.fixture(scope="module")
def faithful() -> dict[bool, list[str]]:
    return {has: asyncio.run(transcript(None, has_run_auth=has)) for has in (False, True)}


def test_the_script_comes_out_the_same_every_time(faithful, run):
    for has_run_auth, lines in faithful.items():
        assert run(transcript(None, has_run_auth=has_run_auth)) == lines


@pytest.mark.parametrize("departure", [*ALONE, *SEEN_IN_ANSWERS], ids=lambda one: one.name)
def test_a_departure_departs(departure, faithful, run):
    has_run_auth = departure.level == "run_auth"
    assert run(transcript(departure, has_run_auth=has_run_auth)) != faithful[has_run_auth]


async def crowd(caller: Caller, verb: str, tokens: int) -> list[int]:
    """Statuses of two calls at once."""
    uuid = await caller.create()
    if verb == "unlock":
        await caller("POST", f"containers/{uuid}/lock")
    callers = [caller, caller.as_token(ADMIN) if tokens == 2 else caller]

    async def one(who: Caller) -> httpx.Response:
        if verb == "update":
            return await who("PUT", f"containers/{uuid}", json={"state": "Locked"})
        return await who("POST", f"containers/{uuid}/{verb}")

    answers = await asyncio.gather(*(one(who) for who in callers))
    holders = {answer.json().get("auth_uuid") for answer in answers if answer.status_code == 200}
    return [len(holders), *sorted(answer.status_code for answer in answers)]


@pytest.mark.parametrize("departure", SEEN_IN_A_CROWD, ids=lambda one: one.name)
def test_a_departure_that_needs_a_crowd_shows_in_one(departure, run, monkeypatch):
    verb = {"update_stale": "update", "update_unguarded": "update", "unlock_twice": "unlock"}.get(
        departure.name, "lock"
    )

    async def scenario(places: Places) -> list[int]:
        async with serving("memory:", places) as caller:
            return await crowd(caller, verb, int(departure.needs.get("tokens", 1)))

    assert run(scenario(departure.apply(Places()))) != run(scenario(Places()))


def test_on_postgresql_the_weaker_isolation_grants_two(run, postgres_url):
    async def scenario() -> int:
        async with serving(postgres_url, MUTANTS["read_committed"].apply(Places())) as caller:
            for _ in range(1000):  # the first few show it, unless the database serves one after the other
                if (holders := (await crowd(caller, "lock", 1))[0]) != 1:
                    break
            return holders

    assert run(scenario()) == 2


def test_with_mutexes_in_the_wrong_order_lock_and_unlock_wait_for_ever(run):
    async def scenario() -> None:
        async with serving("memory:", MUTANTS["lock_order"].apply(Places())) as caller:
            path = "containers/" + await caller.create()
            await caller("POST", f"{path}/lock")
            both = [asyncio.create_task(caller("POST", f"{path}/{verb}")) for verb in ("lock", "unlock")]
            await asyncio.sleep(0.1)  # both have slept with their first mutex in hand
            for _ in range(1000):
                await asyncio.sleep(0)
            assert [task.done() for task in both] == [False, False]
            assert (await caller("GET", path)).json()["state"] == "Locked"
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    run(scenario())


def test_every_requirement_is_broken_by_some_mutant():
    broken = {requirement for one in MUTANTS.values() for requirement in one.requirements}
    assert broken == set(REQUIREMENTS)


def test_enough_of_both_and_no_name_twice():
    assert len(MUTANTS) >= 30
    assert len(VARIANTS) >= 8
    assert not set(MUTANTS) & set(VARIANTS)


def test_the_list_says_of_each_what_a_reader_and_a_program_need():
    def listed(*arguments: str) -> str:
        command = [sys.executable, "-m", "reference_server", "--list", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout

    catalogue = json.loads(listed("--format", "json"))
    text = listed()
    assert [entry["name"] for entry in catalogue["mutants"]] == list(MUTANTS)
    assert [entry["name"] for entry in catalogue["variants"]] == list(VARIANTS)
    for entry in catalogue["mutants"]:
        assert entry["breaks"]
        assert entry["invariant"]
        assert entry["level"] in ("must", "arvados", "run_auth")
        assert entry["summary"] in text
    for entry in catalogue["variants"]:
        assert entry["leaves_open"]
        assert entry["summary"] in text


def test_a_reader_who_has_seen_enough_of_the_list_is_no_fault():
    gone, unread = os.pipe()
    os.close(gone)
    with os.fdopen(unread, "wb") as closed:
        command = [sys.executable, "-m", "reference_server", "--list"]
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, check=False, timeout=LIMIT_S)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("seconds", [0.0, 0.001])
def test_busy_wait_lets_others_run(seconds, run):
    async def scenario() -> list[str]:
        order: list[str] = []

        async def other() -> None:
            order.append("other")

        task = asyncio.create_task(other())
        await races.busy_wait(seconds)
        order.append("waited")
        await task
        return order

    assert run(scenario()) == ["other", "waited"]
