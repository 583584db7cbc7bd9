"""Faults inside this process: the same scenario with a fault comes to the same on the model and on a Python server."""

import asyncio
from pathlib import Path

import pytest

from harness.explore.asgi import AsgiRun, search_interleavings
from harness.explore.asgi_app import load_app
from harness.explore.counterexample import Done, counterexample_text
from harness.explore.model_line import open_model
from harness.explore.player import player
from harness.explore.sessions import search_sessions
from harness.explore.traces import traces
from harness.model import Rules
from harness.scenario import Scenario
from harness.scenario.loader import load_text

FAULTY = """\
format: 1
scenario: faulty
summary: One lock meets a fault.
level: must
requires: [LOCK-1]
given:
  containers: {{c1: Queued}}
  tokens: {{A: shared, B: shared}}
sessions:
  A:
    - {{id: a_lock, lock: c1, fault: {fault}}}
  B:
    - {{id: b_look, get: c1, after: a_lock, expect: granted}}
    - {{id: b_end, get: c1, expect: granted}}
schedule:
  every: {{limit: 10}}
outcome:
  show: [a_lock.indeterminate, b_look.state, b_end.state]
"""

SEEN = {  # fault -> was the lock's outcome unknown, and the state before and after what a hold waits for
    "{lose: request}": ("yes", "Queued", "Queued"),
    "{lose: reply}": ("yes", "Locked", "Locked"),
    "{reset: connection}": ("yes", "Locked", "Locked"),
    "{hold: request, until: b_look}": ("no", "Queued", "Locked"),
    "{hold: reply, until: b_look}": ("no", "Locked", "Locked"),
}


def faulty(fault: str) -> Scenario:
    (scenario,) = load_text(FAULTY.format(fault=fault), Path("faulty.race.yaml"))
    return scenario


@pytest.mark.parametrize("fault", SEEN)
def test_a_fault_does_on_the_model_what_its_name_says(fault: str) -> None:
    found = asyncio.run(search_sessions(faulty(fault), Rules("must")))
    assert found.complete
    assert not found.broken
    assert set(found.rows) == {SEEN[fault]}


@pytest.mark.parametrize("fault", SEEN)
def test_and_the_same_on_a_python_server(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKRACE_TOKEN", "a" * 40)
    run = AsgiRun(faulty(fault), load_app("reference_server.asgi:make_app:"), {"shared": "a" * 40}, "must")
    found = search_interleavings(run, runs=20)
    assert not found.broken
    assert SEEN[fault] in found.rows


def test_what_is_held_swaps_with_nothing() -> None:
    assert not any(traces(faulty("{hold: reply, until: b_look}")).independent.values())


def test_a_lost_reply_of_the_search_plays_as_a_scenario() -> None:
    order = (Done(0, "lock"), Done(0, "lose:unlock"), Done(1, "lock"), Done(0, "unlock"))
    (scenario,) = load_text(counterexample_text(order, ("late_unlock_harmless",), "must"), Path("late.race.yaml"))
    played = asyncio.run(player(open_model(Rules("must")), "must")(scenario, scenario.schedule.order))
    assert not played.broken
    assert [(one.id, one.reproduced) for one in played.verdict.known_races] == [("late_unlock", 1)]
