"""Scenarios and histories in a few words, for tests of what a scenario wants."""

from pathlib import Path
from textwrap import dedent, indent
from typing import Any

from harness.check import Verdict, check
from harness.history import Header, History, Operation, Shown
from harness.scenario import Scenario, load_text

TOKENS = {"shared": "uuid-of-shared", "stranger": "uuid-of-stranger"}

STOLEN = """\
    known_race:
      id: stolen_lock
      breaks: [both_hold]
      only_when: A.token == B.token
      because: the server cannot tell A from B
"""


def scenario(outcome: str, schedule: str = "order: [a_lock, b_lock, a_auth, b_auth]", more: str = "") -> Scenario:
    """A scenario of two dispatchers that lock c1 and read its auth, with the clauses given."""
    text = f"""\
format: 1
scenario: two
summary: Two dispatchers.
level: must
requires: [LOCK-1, LOCK-3, AUTH-1, UNLOCK-3]
given:
  containers: {{c1: Queued}}
  tokens: {{A: shared, B: shared}}
sessions:
  A:
    - {{id: a_lock, lock: c1, expect: granted}}
    - {{id: a_auth, auth: c1, save: token}}
  B:
    - {{id: b_lock, lock: c1}}
    - {{id: b_auth, auth: c1, save: token}}
schedule:
  {schedule}
outcome:
{indent(dedent(outcome), "  ")}
{dedent(more)}
"""
    return load_text(text, Path("two.race.yaml"))[0]


def step(name: str, moment: int, outcome: str = "granted", run: int = 0, **more: Any) -> Operation:
    """One step "a_lock" as an operation that takes one tick, or as long as `ticks` says."""
    session, _, op = name.partition("_")
    kind = {"granted": "ok", "indeterminate": "info"}.get(outcome, "fail")
    shown = {key: more.pop(key) for key in list(more) if key in Shown.__struct_fields__ and key != "secret"}
    if op == "auth" and "secret" in more:
        shown["secret"] = more.pop("secret")
        more.setdefault("saved_as", "token")
    ticks = more.pop("ticks", 1)
    return Operation(
        op=more.pop("op", op),
        process=more.pop("process", f"{session.upper()}#1"),
        invoke_ns=moment,
        return_ns=None if kind == "info" else moment + ticks,
        type=kind,  # type: ignore[arg-type]
        outcome=outcome,  # type: ignore[arg-type]
        run=run,
        step=None if "phase" in more else name,
        token=more.pop("token", "shared"),
        container=more.pop("container", "c1"),
        uuid=more.pop("uuid", f"uuid-of-c1-in-{run}"),
        value=Shown(**shown) if shown else None,
        **more,
    )


def use(secret: str, moment: int, outcome: str = "granted", run: int = 0, phase: Any = "probe") -> Operation:
    """A look at a token at the end of a run."""
    kind = {"granted": "ok", "indeterminate": "info"}.get(outcome, "fail")
    return Operation(
        op="use",
        process="probe#1",
        invoke_ns=moment,
        return_ns=None if kind == "info" else moment + 1,
        type=kind,  # type: ignore[arg-type]
        outcome=outcome,  # type: ignore[arg-type]
        run=run,
        phase=phase,
        secret=secret,
    )


def look(state: str, moment: int, run: int = 0, outcome: str = "granted") -> Operation:
    """A look at the container at the end of a run."""
    return step("probe_get", moment, outcome, run, phase="probe", state=state)


def judged(one: Scenario, *operations: Operation) -> Verdict:
    """The verdict on these operations, without what the invariants say of them."""
    verdict = check(History(Header(tokens=TOKENS), list(operations)), one)
    verdict.violations = [found for found in verdict.violations if found.source != "invariant"]
    return verdict
