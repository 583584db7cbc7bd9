"""Updates: transitions of the state, protected fields, priority and progress."""

from typing import Any

from harness.contract import FINAL_STATES, STATES, TRANSITIONS, State
from harness.model.locks import (
    ended,
    forbidden,
    granted,
    holds,
    lock_by_update,
    refused,
    stale,
    unlock_by_update,
)
from harness.model.nouns import Call, Container, Result, Rules, Symbol

_PROTECTED = {"locked_by_uuid": "locked_by", "auth_uuid": "auth"}
_CONTAINER_WRITES = {"progress", "output", "exit_code"}  # what a running container reports of itself


def update(rules: Rules, container: Container, call: Call, fresh: Symbol) -> tuple[Result, ...]:
    """STATE-1 to STATE-4, and what run_auth demands of an update before anything else."""
    results = _update(rules, container, call, fresh)
    late = stale(rules, container, call) and rules.keeps("checked_on_update")
    starts = dict(call.attributes).get("state") == "Running"
    if late or (starts and call.run_auth is None and rules.keeps("needed_to_start")):
        # Two requirements meet where the change is impossible anyway: either answer is right.
        impossible = results[0].outcome == "refused"
        unchanged = () if late or container.state != "Running" else results  # the same state again changes nothing
        return (forbidden(container), *unchanged, *((refused(container),) if impossible else ()))
    return results


def _update(rules: Rules, container: Container, call: Call, fresh: Symbol) -> tuple[Result, ...]:
    wanted = dict(call.attributes)
    if "uuid" in wanted or any(
        name in wanted and wanted[name] != getattr(container, field) for name, field in _PROTECTED.items()
    ):
        return (refused(container), forbidden(container))
    if "priority" in wanted and not is_priority(wanted["priority"]):
        return (refused(container),)
    results: tuple[Result, ...] = (granted(rules, container),)
    if "state" in wanted:
        results = _change_state(rules, container, wanted.pop("state"), call, fresh)
    if not wanted or _reports(container, call, wanted):
        return results
    return _with_fields(container, results, wanted)


def is_priority(value: Any) -> bool:
    """Whether a value can be a priority: an integer of at least 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _reports(container: Container, call: Call, wanted: dict[str, Any]) -> bool:
    """STATE-3: while Running, the container auth may write how it goes."""
    return container.state == "Running" and call.caller is None and wanted.keys() <= _CONTAINER_WRITES


def _with_fields(container: Container, results: tuple[Result, ...], wanted: dict[str, Any]) -> tuple[Result, ...]:
    """The same with fields beside the state, which the contract leaves open: set, refused or forbidden."""
    changed = tuple(_set_priority(result, wanted.get("priority", container.priority)) for result in results)
    rejected = (refused(container), forbidden(container))
    ordered = (*rejected, *changed) if container.state in FINAL_STATES else (*changed, *rejected)
    return tuple(dict.fromkeys(ordered))


def _set_priority(result: Result, priority: int) -> Result:
    if result.container is None or result.shown is None:  # not granted: nothing was set
        return result
    return Result(
        result.outcome, result.container._replace(priority=priority), result.shown._replace(priority=priority)
    )


def _change_state(rules: Rules, container: Container, state: Any, call: Call, fresh: Symbol) -> tuple[Result, ...]:
    others = () if holds(rules, container, call) else (forbidden(container),)
    if state == container.state:
        return (granted(rules, container), refused(container), *others)
    if state not in STATES or state not in TRANSITIONS[container.state]:
        return (refused(container), *others)
    if state == "Locked":
        return lock_by_update(rules, container, call, fresh)
    if state == "Queued":
        return unlock_by_update(rules, container, call)
    return _move(rules, container, state, call)


def _move(rules: Rules, container: Container, state: State, call: Call) -> tuple[Result, ...]:
    """STATE-3: to Running, which keeps holder and auth, or to Complete or Cancelled, which clear them."""
    after = container if state == "Running" else ended(container)
    done = granted(rules, after._replace(state=state))
    bare = container.run_auth is not None and call.run_auth is None and call.caller == container.locked_by
    if state == "Cancelled" and bare:
        return (done,) if rules.keeps("bare_cancel_works") else (forbidden(container),)
    if holds(rules, container, call):
        return (done,)
    if container.state == "Queued" and call.caller is not None:
        return (done,)
    if call.caller is None:
        completes = container.state == "Running" and state == "Complete"
        return (done,) if completes else (forbidden(container), refused(container), done)
    return (done, refused(container), forbidden(container))
