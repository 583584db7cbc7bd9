"""The oracle: is there any order at all? Every order is tried, with nothing remembered and nothing clever.

It shares the model with the checker and nothing else: it names each lock by a number, and keeps which auth_uuid each
number stood for, and which run_auth. A number stands for one auth, an auth for one number.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import UNSET, structs

from harness.contract import covers
from harness.history import Header, Operation
from harness.model import Call, Container, Rules, permitted


class _Names(NamedTuple):
    """What the numbers stand for, as far as answers have shown it."""

    auths: dict[int, str]
    run_auths: dict[int, str]


def orders_exist(operations: Sequence[Operation], header: Header) -> bool:
    """Whether some order of the operations of one container, which is created among them, is legal."""
    judged = [one for one in operations if one.outcome not in {"limited", "unauthenticated", "missing"}]
    return _extend(judged, None, _Names({}, {}), header)


def orders_exist_at_some_priority(operations: Sequence[Operation], header: Header) -> bool:
    """The same where the creation tells no priority: it may have been any that was shown, or 0, or another."""
    shown = {one.value.priority for one in operations if one.value is not None and isinstance(one.value.priority, int)}
    return any(
        orders_exist([_created_at(one, priority) for one in operations], header) for priority in sorted({0, 1, *shown})
    )


def _created_at(one: Operation, priority: int) -> Operation:
    return structs.replace(one, sent={"priority": priority}) if one.op == "create" else one


def _extend(left: list[Operation], container: Container | None, names: _Names, header: Header) -> bool:
    if all(one.type == "info" for one in left):
        return True
    for place, one in enumerate(left):
        if any(other.return_ns is not None and other.return_ns < one.invoke_ns for other in left):
            continue
        rest = left[:place] + left[place + 1 :]
        for after, known in _answers(one, container, names, header, fresh=len(left)):
            if _extend(rest, after, known, header):
                return True
    return False


def _answers(
    one: Operation, container: Container | None, names: _Names, header: Header, fresh: int
) -> list[tuple[Container | None, _Names]]:
    if (container is None) != (one.op == "create"):
        return []
    rules = Rules(header.level, header.max_dispatch_attempts)
    sent = tuple(sorted((one.sent or {}).items()))
    current = None if container is None else container.run_auth
    presents: Any = None
    if one.run_auth is not None:
        presents = current if names.run_auths.get(current) == one.run_auth else "another lock's"
    call = Call(one.op, header.tokens[one.token or "shared"], sent, None, presents)
    found = []
    for result in permitted(rules, container, call, fresh):
        if one.type == "info":
            if result.outcome == "granted":
                found.append((result.container, names))
        elif result.outcome == one.outcome:
            known = _agree(one, result.shown, names, header)
            if known is not None:
                found.append((result.container, known))
    return found


def _agree(one: Operation, shown: Container | None, names: _Names, header: Header) -> _Names | None:
    """What the numbers stand for after an answer, None when it shows what it may not."""
    value, auths = one.value, names.auths
    if value is None or shown is None or (not covers(header.level, "arvados") and _is_stale(one)):
        return names
    fields: list[tuple[Any, Any]] = []
    if one.op != "auth":
        fields = [
            (value.state, shown.state),
            (value.locked_by_uuid, shown.locked_by),
        ]
        if shown.state != "Cancelled":  # Arvados then sets the priority to 0
            fields.append((value.priority, shown.priority))
        if covers(header.level, "arvados"):
            fields.append((value.lock_count, shown.lock_count))
    if any(said is not UNSET and said != is_ for said, is_ in fields):
        return None
    if header.level == "run_auth" and one.op != "auth" and isinstance(value.run_auth, str):
        if shown.run_auth is None:
            return None
        names = names._replace(run_auths={**names.run_auths, shown.run_auth: value.run_auth})
    if value.auth_uuid is UNSET:
        return names
    if value.auth_uuid is None or shown.auth is None:
        return names if value.auth_uuid is None and shown.auth is None else None
    if shown.auth in auths:
        return names if auths[shown.auth] == value.auth_uuid else None
    if value.auth_uuid in auths.values():
        return None
    return names._replace(auths={**auths, shown.auth: value.auth_uuid})


def _is_stale(one: Operation) -> bool:
    """Whether a change was answered by a record that cannot be the one after it, which LOCK-5 alone forbids."""
    asked: dict[str, Any] = {"lock": {"state": "Locked"}, "unlock": {}, "update": one.sent or {}}.get(one.op, {})
    assert one.value is not None
    if one.op == "unlock":
        return one.value.state in {"Locked", "Running", "Complete"}
    told = {"state": one.value.state, "priority": one.value.priority}
    if asked.get("state") == "Cancelled":
        told["priority"] = UNSET
    return any(told[name] not in {UNSET, asked[name]} for name in told.keys() & asked.keys())
