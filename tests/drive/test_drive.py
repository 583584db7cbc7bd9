"""Driving plans against a real reference server: what lands in the history, from whom, and in which order."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from harness.check import check
from harness.drive.drive import Driven, DriveOptions, drive
from harness.drive.line import Exchange, rest_of_listing, trouble_of
from harness.drive.served import ReferenceTarget
from harness.drive.target import OpenTarget, connected
from harness.history import History, Operation, Shown, read_history
from harness.plan import make_plan
from harness.scenario import Fault, Scenario, load_text, shipped
from harness.wire import Answer, Call
from tests.limits import LIMIT_S
from tests.processes import kill_for_good

HEAD = """
format: 1
scenario: tried
summary: a test
level: must
requires: [LOCK-1]
given:
  containers: {c1: Queued}
  tokens: {A: shared}
"""


def scenario(rest: str, head: str = HEAD) -> Scenario:
    return load_text(head.lstrip() + rest, Path("tried.race.yaml"))[0]


def shipped_scenario(name: str) -> Scenario:
    (path,) = shipped().rglob(f"{name}.race.yaml")
    return load_text(path.read_text(), path)[0]


Spoil = Callable[[OpenTarget], Awaitable[Any]]


def played(
    what: Scenario, folder: Path, *server: str, keep: bool = False, spoil: Spoil | None = None
) -> tuple[Driven, History]:
    """Drive a scenario against a fresh reference server; `spoil` may do something to the target first."""

    async def work() -> Driven:
        async with connected(ReferenceTarget(server), timeout_s=LIMIT_S) as target:
            if spoil is not None:
                await spoil(target)
            return await drive(make_plan(what, seed=1), target, DriveOptions(keep=keep), folder / "h.jsonl")

    driven = asyncio.run(work())
    return driven, read_history(driven.path)


def steps(history: History) -> list[Operation]:
    return [operation for operation in history.operations if operation.step is not None]


def test_an_order_finishes_each_request_before_the_next(tmp_path: Path) -> None:
    driven, history = played(shipped_scenario("stolen_lock"), tmp_path)
    done = steps(history)
    assert driven.runs == 1
    assert [one.step for one in done] == ["a_lock", "b_unlock", "b_lock", "a_auth", "b_auth"]
    for before, after in itertools.pairwise(done):
        assert before.return_ns is not None
        assert before.return_ns < after.invoke_ns


def test_dispatchers_are_different_processes(tmp_path: Path) -> None:
    _, history = played(shipped_scenario("stolen_lock"), tmp_path)
    pids = {one.process: one.pid for one in steps(history)}
    assert pids.keys() == {"A#1", "B#1"}
    assert len(set(pids.values())) == 2


def test_an_inner_list_is_released_together(tmp_path: Path) -> None:
    _, history = played(shipped_scenario("two_lockers"), tmp_path)
    one, two = (operation for operation in steps(history) if operation.op == "lock" and operation.run == 0)
    assert one.pid != two.pid
    assert one.release_ns is not None
    assert two.release_ns is not None
    assert {one.outcome, two.outcome} == {"granted", "refused"}


def test_every_run_has_a_container_of_its_own(tmp_path: Path) -> None:
    _, history = played(shipped_scenario("every_interleaving"), tmp_path)
    by_run = {one.run: one.uuid for one in history.operations if one.op == "create"}
    assert len(by_run) == 10
    assert len(set(by_run.values())) == 10


def test_no_secret_reaches_the_history(tmp_path: Path) -> None:
    seen: list[str] = []

    async def remember(target: OpenTarget) -> None:
        seen.extend(target.endpoint.secrets.values())

    driven, history = played(shipped_scenario("stolen_lock"), tmp_path, spoil=remember)
    text = driven.path.read_text()
    assert len(seen) == 3
    assert not any(secret in text for secret in seen)
    auths = [one.value.secret for one in steps(history) if one.op == "auth" and one.value is not None]
    assert len(set(auths)) == 1  # the same hash for the same secret
    assert len(str(auths[0])) == 16


def test_a_crash_is_a_new_process_that_knows_only_its_token(tmp_path: Path) -> None:
    what = scenario(
        """
sessions:
  A:
    - {id: a_lock, lock: c1, expect: granted}
    - {id: a_auth, auth: c1, save: token}
    - {id: a_crash, crash: self}
    - {id: a_find, list: {locked_by: me}, save: found}
    - {id: a_unlock, unlock: "found[0]", expect: granted}
schedule: {order: [a_lock, a_auth, a_crash, a_find, a_unlock]}
outcome: {always: {dead: not live(A.token)}}
"""
    )
    _, history = played(what, tmp_path)
    by_step = {one.step: one for one in steps(history)}
    assert by_step["a_auth"].process == "A#1"
    assert by_step["a_find"].process == "A#2"
    assert by_step["a_find"].pid != by_step["a_auth"].pid
    assert by_step["a_unlock"].outcome == "granted"
    probe = next(one for one in history.operations if one.op == "use")
    assert (probe.phase, probe.token, probe.outcome) == ("probe", "A.token", "unauthenticated")


def test_listings_that_go_out_with_others_are_read_to_their_end(tmp_path: Path) -> None:
    what = scenario(
        """
sessions:
  A:
    - {id: a_list, list: {state: Queued}}
  B:
    - {id: b_list, list: {state: Queued}}
schedule: {order: [[a_list, b_list]]}
outcome: {always: {there: "lists(a_list, c1) and lists(b_list, c5)"}}
""",
        HEAD.replace("c1: Queued", "c1: Queued, c2: Queued, c3: Queued, c4: Queued, c5: Queued").replace(
            "A: shared", "A: shared, B: shared"
        ),
    )
    _, history = played(what, tmp_path, "--variant", "short_pages")
    for run in range(5):
        created = {one.uuid for one in history.operations if one.op == "create" and one.run == run}
        listed = [one for one in steps(history) if one.op == "list" and one.run == run]
        assert [set(one.value.found or []) for one in listed if one.value is not None] == [created, created]


def test_what_was_turned_away_stands_in_the_history_and_changes_no_verdict(tmp_path: Path) -> None:
    what = shipped_scenario("every_interleaving")
    _, history = played(what, tmp_path, "--variant", "turns_away")
    away = [one for one in history.operations if one.sent_again]
    assert {(one.outcome, one.status, one.type) for one in away} == {("limited", 429, "fail")}
    assert {one.phase for one in away} == {"setup", "run", "probe"}
    for one in away:  # the next operation of who was turned away is the same call
        after = next(
            other
            for other in history.operations[history.operations.index(one) + 1 :]
            if (other.process, other.run) == (one.process, one.run)
        )
        assert (after.op, after.step, after.phase, after.sent) == (one.op, one.step, one.phase, one.sent)
        assert after.invoke_ns > (one.return_ns or 0)
    verdict = check(history, what)
    assert (verdict.violations, verdict.inconclusive, verdict.runs_judged) == ([], [], 10)


def test_listings_are_cut_to_the_containers_of_the_run(tmp_path: Path) -> None:
    async def foreign(target: OpenTarget) -> None:
        call = Call(
            op="create",
            token=target.callers["shared"].secret,
            sent={"command": ["true"], "container_image": "x", "output_path": "/o", "priority": 1},
        )
        exchange = await target.line.call(0, call, {})
        assert exchange.answer.outcome == "granted"

    what = scenario(
        """
sessions:
  A:
    - {id: a_list, list: {state: Queued}, save: found}
schedule: {order: [a_list]}
outcome: {always: {there: "lists(a_list, c1)"}}
"""
    )
    _, history = played(what, tmp_path, spoil=foreign)
    (listed,) = steps(history)
    created = {one.uuid for one in history.operations if one.op == "create"}
    assert listed.value is not None
    assert set(listed.value.found or []) == created


def test_what_the_format_can_send_besides_the_two_tokens(tmp_path: Path) -> None:
    what = scenario(
        """
  containers: {c1: Locked, ghost: {uuid: unknown}, odd: {uuid: malformed}}
  tokens: {A: shared, N: none, F: bogus}
sessions:
  A:
    - {id: a_ghost, get: ghost}
    - {id: a_odd, get: odd}
    - {id: a_auth, auth: c1, save: token}
  N:
    - {id: n_get, get: c1}
  F:
    - {id: f_get, get: c1}
schedule: {order: [a_ghost, a_odd, a_auth, n_get, f_get]}
outcome: {always: {alive: live(A.token)}}
""",
        HEAD.partition("  containers")[0],
    )
    _, history = played(what, tmp_path)
    outcomes = {one.step: one.outcome for one in steps(history)}
    assert outcomes == {
        "a_ghost": "missing",
        "a_odd": "missing",
        "a_auth": "granted",
        "n_get": "unauthenticated",
        "f_get": "unauthenticated",
    }


@pytest.mark.parametrize("state", ["Queued", "Locked", "Running", "Complete", "Cancelled"])
def test_containers_are_brought_to_their_given_state(state: str, tmp_path: Path) -> None:
    what = scenario(
        f"""
  containers: {{c1: {state}}}
  tokens: {{A: shared}}
sessions:
  A:
    - {{id: a_get, get: c1}}
schedule: {{order: [a_get]}}
outcome: {{always: {{as_given: state(c1) == "{state}"}}}}
""",
        HEAD.partition("  containers")[0],
    )
    _, history = played(what, tmp_path)
    (seen,) = steps(history)
    assert seen.value is not None
    assert seen.value.state == state


def test_a_target_that_dies_in_the_middle_leaves_a_history_and_no_hang(tmp_path: Path) -> None:
    target = ReferenceTarget()

    async def work() -> Driven:
        async with connected(target, timeout_s=LIMIT_S) as opened:
            plan = make_plan(shipped_scenario("every_interleaving"), seed=1)

            def after_run(run: int) -> None:
                if run == 1:
                    kill_for_good(target._process.pid)

            return await drive(plan, opened, DriveOptions(), tmp_path / "h.jsonl", after_run)

    driven = asyncio.run(work())
    assert driven.lost is not None
    assert driven.runs == 2
    history = read_history(driven.path)
    assert {one.run for one in history.operations} >= {0, 1}
    assert history.operations[-1].problem == "cut off"
    verdict = check(history)
    assert not verdict.violations  # what was cut off proves nothing
    assert verdict.inconclusive


def test_a_restarted_reference_server_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    what = scenario(
        """
sessions:
  A:
    - {id: a_lock, lock: c1, expect: granted}
    - {id: a_get, get: c1}
nemesis:
  - {id: n_restart, restart: server, after: a_lock}
schedule: {order: [a_lock, n_restart, a_get]}
outcome: {always: {kept: a_get.state == "Locked"}}
"""
    )
    _, history = played(what, tmp_path)
    by_step = {one.step: one for one in steps(history)}
    assert by_step["n_restart"].op == "restart"
    assert by_step["a_get"].value is not None
    assert by_step["a_get"].value.state == "Locked"


def test_containers_that_others_would_miss_are_cancelled_at_the_end(tmp_path: Path) -> None:
    async def mind(target: OpenTarget) -> None:
        object.__setattr__(target.endpoint, "disposable", False)

    _, history = played(shipped_scenario("stolen_lock"), tmp_path, spoil=mind)
    last = history.operations[-1]
    assert (last.phase, last.op, last.outcome, last.sent) == ("cleanup", "update", "granted", {"state": "Cancelled"})
    _, kept = played(shipped_scenario("stolen_lock"), tmp_path, keep=True, spoil=mind)
    assert not [one for one in kept.operations if one.phase == "cleanup"]


def test_an_eventually_clause_is_looked_at_again_until_its_time_is_over(tmp_path: Path) -> None:
    what = scenario(
        """
sessions:
  A:
    - {id: a_lock, lock: c1}
schedule: {order: [a_lock]}
outcome: {eventually: {ends: {that: 'state(c1) == "Cancelled"', within: 200ms}}}
"""
    )
    _, history = played(what, tmp_path)
    looks = [one for one in history.operations if one.phase == "probe" and one.op == "get"]
    assert len(looks) >= 2


def test_a_target_that_stalls_is_not_asked_for_ever(tmp_path: Path) -> None:
    async def silence(target: OpenTarget) -> None:
        call = target.line.call

        async def unanswered(desk: int, what: Call, secrets: Any, trouble: Any = None) -> Any:
            exchange = await call(desk, what, secrets, trouble)
            if what.op != "auth":
                return exchange
            answer = structs.replace(
                exchange.answer, outcome="indeterminate", value=None, problem="timeout", secret=None
            )
            return structs.replace(exchange, answer=answer)

        target.line.call = unanswered  # type: ignore[method-assign]

    driven, _ = played(shipped_scenario("every_interleaving"), tmp_path, spoil=silence)
    assert driven.runs < 10


def test_every_fault_of_the_format_is_asked_of_the_proxy() -> None:
    kinds = {
        "lose reply": Fault(lose="reply"),
        "lose request": Fault(lose="request"),
        "hold reply": Fault(hold="reply", until="x"),
        "hold request": Fault(hold="request", until="x"),
        "reset after": Fault(reset=True),
        "half-open": Fault(hang=True),
        "delay": Fault(delay_ms=5),
    }
    assert {kind: trouble.kind for kind, fault in kinds.items() if (trouble := trouble_of(fault))} == {
        kind: kind for kind in kinds
    }


def test_a_listing_too_long_to_be_read_to_its_end_proves_nothing() -> None:
    async def endless(call: Call) -> Exchange:
        after = (call.sent or {}).get("after_uuid", "u00000")
        uuid = f"u{int(after[1:]) + 1:05}"
        answer = Answer(outcome="granted", value=Shown(found=[uuid]), last=uuid)
        return Exchange(answer=answer, invoke_ns=1, return_ns=2, status=200)

    call = Call(op="list", token="t")
    seen = asyncio.run(_whole(call, endless))
    assert seen.answer.outcome == "indeterminate"


async def _whole(call: Call, send: Callable[[Call], Awaitable[Exchange]]) -> Exchange:
    return await rest_of_listing(call, await send(call), send)
