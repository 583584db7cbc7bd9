"""A Python server interleaved at every await: the reference server's application, its mutants, and a stand-in."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.explore.asgi import STRATEGIES, AsgiRun, replay, search_interleavings, smallest_race
from harness.explore.asgi_app import BadAppError, load_app
from harness.model import Rules
from harness.scenario import Scenario
from harness.scenario.loader import load_text
from reference_server.mutants import races
from tests.explore.places import stolen_lock

TOKENS = {"shared": "a" * 40, "stranger": "b" * 40}
FAITHFUL = "reference_server.asgi:make_app:"

TWO_LOCKERS = """\
format: 1
scenario: two
summary: Two lock, and a third only looks.
level: must
requires: [LOCK-3]
given:
  containers: {c1: Queued}
  tokens: {A: shared, B: shared, C: shared}
sessions:
  A: [{id: a_lock, lock: c1, expect: [granted, refused]}]
  B: [{id: b_lock, lock: c1, expect: [granted, refused]}]
  C: [{id: c_look, get: c1, expect: granted}]
schedule:
  race: {runs: 10}
"""


@pytest.fixture(autouse=True)
def _tokens(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LOCKRACE_TOKEN", TOKENS["shared"])
    monkeypatch.setenv("LOCKRACE_TOKEN2", TOKENS["stranger"])
    return


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutants whose race is as narrow as it would be in the wild: nobody waits for company."""

    async def wait(self: Any, uuid: str) -> None:
        return None

    monkeypatch.setattr(races.Company, "wait", wait)


def two_lockers() -> Scenario:
    (scenario,) = load_text(TWO_LOCKERS, Path("two.race.yaml"))
    return scenario


def run_of(spec: str, scenario: Scenario | None = None) -> AsgiRun:
    return AsgiRun(scenario or two_lockers(), load_app(spec), TOKENS, "must")


@pytest.mark.parametrize("strategy", [None, *STRATEGIES])
def test_the_faithful_server_is_never_accused(strategy: str | None) -> None:
    found = search_interleavings(run_of(FAITHFUL), strategy, seed=4, runs=40)
    assert not found.broken
    assert found.runs == 40 or found.exhausted
    assert sum(found.rows.values()) == found.runs


def test_what_is_turned_away_is_asked_again() -> None:
    looks = ", ".join(f"{{id: c_look_{number}, get: c1, expect: granted}}" for number in range(6))  # ten calls and more
    text = TWO_LOCKERS.replace("{id: c_look, get: c1, expect: granted}", looks)
    (scenario,) = load_text(text, Path("two.race.yaml"))
    rows = {}
    for name in ("", "turns_away"):
        found = search_interleavings(run_of(f"{FAITHFUL}{name}", scenario), "random", seed=4, runs=40)
        assert not found.broken
        assert found.runs == 40
        rows[name] = set(found.rows)
    assert rows["turns_away"] == rows[""]


def test_bounded_exhaustive_search_comes_to_its_end() -> None:
    found = search_interleavings(run_of(FAITHFUL), "exhaustive", runs=2_000)
    assert found.exhausted
    assert found.runs > 40
    assert len(found.rows) >= 2  # A first, and B first


@pytest.mark.parametrize("strategy", [None, "random", "exhaustive"])
def test_a_double_grant_is_found_shrunk_and_replayed(alone: None, strategy: str | None) -> None:
    run = run_of(FAITHFUL + "check_before_lock")
    found = search_interleavings(run, strategy, seed=1, runs=2_000)
    assert found.broken.get("single_winner") == "LOCK-3"
    assert found.replayed == 3
    assert found.deviations <= 3
    assert "a_lock is granted" in found.interleaving
    assert "b_lock is granted" in found.interleaving
    fresh = run_of(FAITHFUL + "check_before_lock")
    assert {tuple(replay(fresh, found.replay)) for _ in range(100)} == {tuple(found.broken)}
    assert replay(run_of(FAITHFUL), found.replay) == {}


def test_the_smallest_race_of_it_has_two_dispatchers_and_two_requests(alone: None) -> None:
    spec = FAITHFUL + "check_before_lock"
    found = search_interleavings(run_of(spec), seed=1)
    shrunk = asyncio.run(smallest_race(two_lockers(), found, lambda one: run_of(spec, one), Rules("must"), 1))
    steps = [step.id for session in shrunk.scenario.sessions for step in session.steps]
    assert sorted(steps) == ["a_lock", "b_lock"]
    assert shrunk.scenario.schedule.kind == "race"
    assert shrunk.replayed == 3
    assert not search_interleavings(run_of(FAITHFUL, shrunk.scenario), runs=50).broken


def test_a_violation_of_one_order_is_found_too() -> None:
    found = search_interleavings(run_of(FAITHFUL + "keep_auth", stolen_lock(known=True)), seed=2, runs=500)
    assert "UNLOCK-3" in found.broken.values()
    assert "a_lock is granted" in found.interleaving
    assert "explore/asgi" not in found.interleaving  # where the harness awaits is of no use to a reader


def test_the_known_race_is_no_violation() -> None:
    found = search_interleavings(run_of(FAITHFUL, stolen_lock(known=True)), "exhaustive", runs=300)
    assert not found.broken
    assert ("200", "200", "200", "200", "200") in found.rows


def stuck_app() -> Any:
    """An application that waits for ever on its second lock."""
    faithful = load_app(FAITHFUL)()
    locks = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].endswith("/lock"):
            locks.append(scope)
            if len(locks) == 2:
                await asyncio.Event().wait()
        await faithful(scope, receive, send)

    return app


def raising_app() -> Any:
    """An application without lifespan that raises on every lock."""
    faithful = load_app(FAITHFUL)()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await faithful.start()
            raise RuntimeError("no lifespan here")
        if scope["path"].endswith("/lock"):
            raise ValueError("boom")
        await faithful(scope, receive, send)

    return app


def test_a_server_that_stands_still_breaks_live_1() -> None:
    found = search_interleavings(AsgiRun(two_lockers(), stuck_app, TOKENS, "must"), runs=20)
    assert found.broken == {"no_deadlock": "LIVE-1"}


def test_an_exception_is_a_server_error() -> None:
    found = search_interleavings(AsgiRun(two_lockers(), raising_app, TOKENS, "must"), runs=20)
    assert "no_server_error" in found.broken


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("reference_server.asgi", "names no application"),
        ("no.such.module:app", "No module named 'no'"),
        ("reference_server.asgi:nothing", "has no attribute 'nothing'"),
        ("harness.explore.asgi:STRATEGIES", "cannot be called"),
    ],
)
def test_what_names_no_application_is_told(spec: str, message: str) -> None:
    with pytest.raises(BadAppError, match=message):
        load_app(spec)


def test_a_text_that_describes_no_run_is_an_error() -> None:
    with pytest.raises(ValueError, match="token"):
        replay(run_of(FAITHFUL), "nonsense")
