"""From operations to the histories of single containers, keeping of each operation only what orders need."""

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET

from harness.check.linear.container import ContainerHistory
from harness.check.linear.request import Request, Translator, reads_of_listing
from harness.check.linear.section import Event, Section
from harness.check.linear.shapes import Shapes
from harness.check.linear.timed import NEVER
from harness.history import Header, Operation

_NOTHING = -1  # constrains nothing
_ASK = -2  # depends on more than the key: the translator has to look at the operation itself

_PLAIN = frozenset({"state", "priority"})
_VALUES = frozenset({str, int})

_Key = tuple[Any, ...]


def collect(  # noqa: C901, PLR0912, PLR0915 (inlined: this loop runs for every operation)
    operations: Iterable[Operation], header: Header
) -> tuple[list[ContainerHistory], Shapes]:
    """Split a history by container, in one pass.

    The first operation of each kind is translated for the model, the next ones of its kind are recognised by a key.
    """
    shapes = Shapes()
    translator = Translator(header)
    known: dict[_Key, int] = {}
    histories: dict[object, ContainerHistory] = {}
    changes = shapes.changes
    counts = header.level != "must"
    latest = -1  # return so far
    is_in_order = True
    listings: list[tuple[int, Operation]] = []
    for number, operation in enumerate(operations):
        end = operation.return_ns
        if end is not None:
            if end < latest:
                is_in_order = False
            latest = end
        value = operation.value
        auth: Any = None
        count: Any = None
        if value is None:
            key: _Key = (operation.op, operation.outcome, operation.type, operation.token, operation.phase)
        else:
            auth = value.auth_uuid
            key = (
                operation.op,
                operation.token,
                operation.phase,
                value.state,
                value.priority,
                value.locked_by_uuid,
                operation.outcome,
                operation.type,
            )
            if auth.__class__ is not str:
                key = (*key, auth)
                auth = None
            if value.secret is not UNSET:
                translator.learn(operation)
            if counts and value.lock_count is not UNSET and operation.op != "auth":
                key = (*key, "counted")
                count = value.lock_count
        try:
            shape = known[key]
        except KeyError:
            shape = known[key] = _shape(operation, translator, shapes, header)
        invoke = operation.invoke_ns
        if shape < 0:
            if operation.op == "create" and operation.status is None:
                invoke = 0  # made by nobody's request: it was there by the return, and perhaps long before
            if shape == _ASK and header.level != "run_auth" and (asked := _asked_for(operation)) is not None:
                key = (*key, asked)
                if key not in known:
                    known[key] = _shape_unless_cut(operation, translator, shapes)
                shape = known[key]
            if shape == _ASK and operation.op == "list":
                listings.append((number, operation))
                continue
            if shape == _ASK:
                shape, auth, count = _numbered(translator.request(operation), shapes)
            if shape == _NOTHING:
                continue
        try:
            history = histories[operation.uuid]
        except KeyError:
            history = _history_of(operation, histories)
        if end is None:
            history.unknown.append((NEVER, invoke, shape, None, None, number))
            continue
        if auth is None:
            event: Event = (end, invoke, shape, None, count, number)
        else:
            try:
                section = history.sections[auth]
            except KeyError:
                section = history.sections[auth] = Section(auth, end)
            if end < section.c0:  # noqa: PLR1730 (a call of min or max costs more than all the rest here)
                section.c0 = end
            if invoke > section.c1:  # noqa: PLR1730
                section.c1 = invoke
            event = (end, invoke, shape, section, count, number)
        history.events.append(event)
        if changes[shape]:
            history.changes.append(event)
    for number, operation in listings:  # now that it is known which containers the history is about
        _add_listing(operation, number, histories, shapes)
    if not is_in_order:
        for history in histories.values():
            history.is_in_order = False
    return list(histories.values()), shapes


def _shape(operation: Operation, translator: Translator, shapes: Shapes, header: Header) -> int:
    """What is remembered for all operations with the key of this one."""
    if operation.op == "list":
        return _ASK if operation.value is not None and operation.phase != "cleanup" else _NOTHING
    by_saved_token = operation.token is not None and "." in operation.token
    if operation.op in {"create", "update"} or by_saved_token or header.level == "run_auth":
        return _ASK
    return _shape_unless_cut(operation, translator, shapes)


def _shape_unless_cut(operation: Operation, translator: Translator, shapes: Shapes) -> int:
    """The shape of an operation, if it takes the auth that the operation shows; a cut one does not."""
    request = translator.request(operation)
    if request is None:
        return _NOTHING
    cut = request.shown_auth is UNSET and operation.value is not None and isinstance(operation.value.auth_uuid, str)
    return _ASK if cut else shapes.number(request)


def _asked_for(operation: Operation) -> tuple[str, object] | None:
    """All of a create or update that is not in its key, if that is one plain value; None when there is more to it."""
    sent = operation.sent
    if not sent or operation.op == "list" or (operation.token is not None and "." in operation.token):
        return None
    if operation.op == "create":
        name, value = "priority", sent.get("priority")
    elif len(sent) == 1:
        ((name, value),) = sent.items()
    else:
        return None
    return (name, value) if name in _PLAIN and value.__class__ in _VALUES else None


def _numbered(request: Request | None, shapes: Shapes) -> tuple[int, str | None, int | None]:
    if request is None:
        return _NOTHING, None, None
    auth = request.shown_auth if isinstance(request.shown_auth, str) else None
    count = None if request.lock_count is UNSET else request.lock_count
    return shapes.number(request), auth, count


def _history_of(operation: Operation, histories: dict[object, ContainerHistory]) -> ContainerHistory:
    """The history that an operation belongs to, begun here; one that names no container belongs to none."""
    uuid = operation.uuid
    if uuid is None and operation.value is not None and isinstance(operation.value.uuid, str):
        uuid = operation.value.uuid
    key = uuid or (operation.run, operation.container)
    history = histories.get(key)
    if history is None:
        history = ContainerHistory(operation.run, operation.container or uuid or "")
        if uuid is not None or operation.container is not None:
            histories[key] = history
    return history


def _add_listing(operation: Operation, number: int, histories: dict[object, ContainerHistory], shapes: Shapes) -> None:
    end = operation.return_ns
    for uuid, read in reads_of_listing(operation):
        history = histories.get(uuid)
        if end is not None and history is not None:
            history.events.append((end, operation.invoke_ns, shapes.number(read), None, None, number))
            history.is_in_order = False
