"""Random small histories: runs of the model with one thing changed, and soups of arbitrary intervals and answers.

Everything is drawn from a `random.Random`, so that hypothesis can drive and shrink it and the benchmark can repeat it.
"""

from random import Random
from typing import Any, NamedTuple

from msgspec import UNSET, structs

from harness.contract import STATES, Level
from harness.history import Header, Operation, Shown
from harness.model import Call, Container, Result, Rules, permitted
from tests.check.linear.oracle import orders_exist

TOKENS = {"shared": "T1", "stranger": "T2"}


class Sample(NamedTuple):
    """A history and how it was made: correct, moved (one endpoint), twisted (one answer) or soup."""

    operations: list[Operation]
    header: Header
    made: str


def sample(rng: Random, most: int = 8, level: Level | None = None) -> Sample:
    """One history of at most `most` operations; below run_auth unless a level is asked for."""
    header = Header(level=level or _level(rng), max_dispatch_attempts=rng.choice([None, None, None, 2]), tokens=TOKENS)
    made = rng.choice(["correct", "moved", "moved", "moved", "twisted", "soup"])
    crowded = rng.random() < 0.5
    if made == "soup":
        return Sample(_soup(rng, most, crowded), header, made)
    operations = _tight(rng) if made == "correct" and rng.random() < 0.2 else _run(rng, header, most, crowded)
    if made == "moved":
        moved = [_moved(rng, operations) for _ in range(8)]
        operations = next((one for one in moved if not orders_exist(one, header)), moved[0])
    elif made == "twisted":
        operations = _twisted(rng, operations)
    return Sample(operations, header, made)


def without_priority(one: Sample) -> Sample:
    """The same history, of whose creation nothing is told but that it was granted."""
    bare = [structs.replace(o, sent=None, value=None) if o.op == "create" else o for o in one.operations]
    return one._replace(operations=bare)


def _level(rng: Random) -> Level:
    return "must" if rng.random() < 0.5 else "arvados"


def _run(rng: Random, header: Header, most: int, crowded: bool) -> list[Operation]:
    """A run of the model with overlapping clients: correct whatever was drawn."""
    rules = Rules(header.level, header.max_dispatch_attempts)
    priority = 0 if rng.random() < 0.05 else 1
    reach = 40 if crowded else 12
    container: Container | None = None
    operations = []
    lean = rng.random() < 0.6  # mostly lock, unlock and reads
    for turn in range(rng.randint(3, most)):
        moment = 10 * turn + 10
        call = Call("create", TOKENS["shared"], (("priority", priority),)) if turn == 0 else _call(rng, container, lean)
        if rules.run_auth:
            call = call._replace(run_auth=_run_auth(rng, container, operations))
        results = permitted(rules, container, call, f"auth{turn}")
        result = results[0] if rng.random() < 0.8 else rng.choice(results)
        begin = moment - (0 if turn == 0 else rng.randint(0, min(reach, moment - 11)))
        end = moment if turn == 0 else moment + rng.randint(0, reach)
        lost = turn > 0 and rng.random() < 0.15
        if not (lost and rng.random() < 0.5):
            container = result.container
        operations.append(_operation(rng, call, result, (begin, None if lost else end), turn))
    return operations


def _call(rng: Random, container: Container | None, lean: bool) -> Call:
    caller = TOKENS["stranger"] if rng.random() < 0.15 else TOKENS["shared"]
    assert container is not None
    likely = {"Queued": "lock", "Locked": "unlock"}.get(container.state, "get")
    op = rng.choice([likely, likely, "lock", "unlock", "get", "auth", *([] if lean else ["update", "update"])])
    if op != "update":
        return Call(op, caller)
    sent: dict[str, Any] = {"state": rng.choice(STATES)}
    if rng.random() < 0.1:
        sent = {"priority": rng.choice([0, 1, 2])}
    return Call(op, caller, tuple(sent.items()))


def _run_auth(rng: Random, container: Container | None, operations: list[Operation]) -> str | None:
    """What a caller presents: often the current lock's, if its answer showed it, sometimes an older one's."""
    told = [one.value.run_auth for one in operations if one.value is not None and isinstance(one.value.run_auth, str)]
    current = None if container is None else container.run_auth
    if not told or rng.random() < 0.3:
        return None
    return current if current in told and rng.random() < 0.7 else rng.choice(told)


def _operation(rng: Random, call: Call, result: Result, span: tuple[int, int | None], turn: int) -> Operation:
    begin, end = span
    value = None
    if end is not None and result.outcome == "granted" and result.shown is not None:
        value = _shown(rng, call.op, result.shown)
    return Operation(
        op=call.op,
        process=f"P{turn}",
        invoke_ns=begin,
        return_ns=end,
        type="info" if end is None else "ok" if result.outcome == "granted" else "fail",
        outcome="indeterminate" if end is None else result.outcome,
        uuid="u",
        token=next(name for name, uuid in TOKENS.items() if uuid == call.caller),
        sent=dict(call.attributes) or None,
        value=value,
        run_auth=call.run_auth,
        status=200 if call.op == "create" else None,  # by a request: not before it was invoked
    )


def _shown(rng: Random, op: str, shown: Container) -> Shown | None:
    if op == "auth":
        return Shown(auth_uuid=shown.auth)
    fields = {
        "state": shown.state,
        "priority": shown.priority,
        "locked_by_uuid": shown.locked_by,
        "auth_uuid": shown.auth,
        "lock_count": shown.lock_count,
    }
    if shown.run_auth is not None:
        fields["run_auth"] = shown.run_auth
    if rng.random() < 0.6:
        fields.pop("lock_count")
    if rng.random() < 0.4:
        fields = {name: value for name, value in fields.items() if rng.random() < 0.5}
    return Shown(**fields) if fields else None


def _tight(rng: Random) -> list[Operation]:
    """Two locks in a row, each read while it lasts, with ends that touch: correct, and as close to wrong as can be."""
    made = [_operation(rng, Call("create", "T1", (("priority", 1),)), Result("granted", Container(), None), (0, 1), 0)]
    moment = 2
    for auth in ("auth1", "auth2"):
        locked = Shown(state="Locked", auth_uuid=auth)
        end = moment + rng.randint(0, 1)
        for op, value, last in (("lock", locked, end), ("get", locked, end), ("unlock", None, moment + 1)):
            begin = moment if op == "lock" else moment + rng.randint(0, 1)
            shown = (begin, max(begin, last) + rng.randint(0, 1))
            one = _operation(rng, Call(op, "T1"), Result("granted", Container(), None), shown, len(made))
            made.append(structs.replace(one, value=value))
            moment = max(moment, begin)
        moment += rng.randint(0, 1)
    return made


def _moved(rng: Random, operations: list[Operation]) -> list[Operation]:
    """The same with one endpoint moved into its interval's inside, or two operations' order in time undone."""
    place = rng.randrange(len(operations))
    one = operations[place]
    end = one.return_ns if one.return_ns is not None else one.invoke_ns + 40
    far = rng.choice([end, 10 * rng.randint(1, len(operations) + 3)])
    if one.return_ns is not None and rng.random() < 0.5:
        changed = structs.replace(one, return_ns=rng.randint(one.invoke_ns, end))
        if rng.random() < 0.6:
            changed = structs.replace(one, return_ns=one.invoke_ns)
    elif one.return_ns is None:
        changed = structs.replace(one, invoke_ns=max(one.invoke_ns, far))
    else:
        changed = structs.replace(one, invoke_ns=end)
        if rng.random() < 0.5 and far > one.invoke_ns:
            changed = structs.replace(one, invoke_ns=far, return_ns=max(far, end))
    return [*operations[:place], changed, *operations[place + 1 :]]


def _twisted(rng: Random, operations: list[Operation]) -> list[Operation]:
    """The same with one answer changed."""
    place = rng.randrange(len(operations))
    one = operations[place]
    if one.run_auth is not None and rng.random() < 0.5:
        changed = structs.replace(one, run_auth=rng.choice([None, "auth1", "auth2", "auth3"]))
    elif one.type == "fail":
        changed = structs.replace(one, outcome="refused" if one.outcome == "forbidden" else "forbidden")
    elif one.value is not None:
        name, values = rng.choice(
            [
                ("state", STATES),
                ("auth_uuid", ["auth1", "auth2", "auth3", "auth4", None]),
                ("lock_count", [0, 1, 2, 3]),
                ("locked_by_uuid", [*TOKENS.values(), None]),
            ]
        )
        changed = structs.replace(one, value=structs.replace(one.value, **{name: rng.choice(values)}))
    elif one.type == "ok" and one.op in {"lock", "unlock"}:
        changed = structs.replace(one, type="fail", outcome="refused", value=None)
    else:
        return operations
    return [*operations[:place], changed, *operations[place + 1 :]]


def _soup(rng: Random, most: int, crowded: bool) -> list[Operation]:
    """Locks, unlocks and reads with arbitrary answers and intervals."""
    made = [_operation(rng, Call("create", "T1", (("priority", 1),)), Result("granted", Container(), None), (0, 1), 0)]
    for turn in range(1, rng.randint(3, most)):
        begin = rng.randint(2, 30 if crowded else 80)
        end = begin + rng.randint(0, 30)
        op = rng.choice(["lock", "lock", "unlock", "unlock", "get", "auth"])
        lost = rng.random() < 0.15 and op in {"lock", "unlock"}
        outcome = "granted" if op == "get" else rng.choice(["granted", "granted", "refused"])
        if op == "auth" and outcome == "refused":
            outcome = "forbidden"
        value: Shown | None = None
        auth = rng.choice(["auth1", "auth2"]) if rng.random() < (0.3 if op == "lock" else 0.7) else UNSET
        if outcome == "granted" and op == "lock":
            value = Shown(state="Locked", auth_uuid=auth)
        elif outcome == "granted" and op == "auth":
            value = Shown(auth_uuid=auth)
        elif op == "get":
            value = Shown(state="Locked", auth_uuid=auth) if rng.random() < 0.6 else Shown(state="Queued")
        made.append(
            Operation(
                op=op,
                process=f"P{turn}",
                invoke_ns=begin,
                return_ns=None if lost else end,
                type="info" if lost else "ok" if outcome == "granted" else "fail",
                outcome="indeterminate" if lost else outcome,
                uuid="u",
                token="shared",
                value=None if lost else value,
            )
        )
    return made
