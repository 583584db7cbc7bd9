"""From operations to the histories of single containers, keeping of each operation only what orders need."""

from collections.abc import Container, Iterable
from typing import Any

from msgspec import UNSET

from harness.check.linear.request import Request, Translator, reads_of_listing
from harness.check.linear.section import Event
from harness.check.linear.shapes import Shapes
from harness.check.linear.timed import NEVER, Timed
from harness.history import Header, Operation

_NOTHING = -1  # constrains nothing
_ASK = -2  # depends on more than the key: the translator has to look at the operation itself

_WITH_ATTRIBUTES = frozenset({"create", "update"})

_Key = tuple[Any, ...]


class ContainerHistory:
    """One container's part of a history; `events` in the order in which they came."""

    __slots__ = ("events", "name", "run")

    def __init__(self, run: int, name: str) -> None:
        self.run = run
        self.name = name  # in the scenario, else its uuid
        self.events: list[Event] = []

    def timed(self, shapes: Shapes, numbers: Container[int] | None = None) -> list[Timed]:
        """The same for the general search, in the same order; only the operations with these numbers, if given."""
        return [
            Timed(invoke, return_, number, shapes.request(shape, auth, count), return_ == NEVER)
            for return_, invoke, shape, auth, count, number in self.events
            if numbers is None or number in numbers
        ]


def collect(  # noqa: C901 (inlined: this loop runs for every operation)
    operations: Iterable[Operation], header: Header
) -> tuple[list[ContainerHistory], Shapes]:
    """Split a history by container, in one pass.

    The first operation of each kind is translated for the model, the next ones of its kind are recognised by a key.
    """
    shapes = Shapes()
    translator = Translator(header)
    known: dict[_Key, int] = {}
    histories: dict[object, ContainerHistory] = {}
    counts = header.level != "must"
    for number, operation in enumerate(operations):
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
        shape = known.get(key)
        if shape is None:
            shape = known[key] = _shape(operation, translator, shapes, header)
        if shape == _ASK and operation.op in _WITH_ATTRIBUTES and header.level != "run_auth":
            shape = _shape_by_attribute(operation, key, known, translator, shapes)
        if shape < 0:
            if shape == _NOTHING:
                continue
            if operation.op == "list":
                _add_listing(operation, number, histories, shapes)
                continue
            shape, auth, count = _numbered(translator.request(operation), shapes)
            if shape == _NOTHING:
                continue
        try:
            events = histories[operation.uuid].events
        except KeyError:
            events = _history_of(operation, histories).events
        end = operation.return_ns
        events.append((NEVER if end is None else end, operation.invoke_ns, shape, auth, count, number))
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


def _shape_by_attribute(
    operation: Operation, key: _Key, known: dict[_Key, int], translator: Translator, shapes: Shapes
) -> int:
    """The shape of a create or update that names one plain attribute: it is remembered by its value, too."""
    attribute = _asked_for(operation)
    if attribute is None:
        return _ASK
    key = (*key, attribute)
    if key not in known:
        known[key] = _shape_unless_cut(operation, translator, shapes)
    return known[key]


def _asked_for(operation: Operation) -> tuple[str, object] | None:
    """The one attribute that a create or update names, or None when there is more to look at."""
    sent = operation.sent
    if not sent or len(sent) != 1 or (operation.token is not None and "." in operation.token):
        return None
    ((name, value),) = sent.items()
    return (name, value) if name in {"state", "priority"} and value.__class__ in {str, int} else None


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
    end = NEVER if operation.return_ns is None else operation.return_ns
    for uuid, read in reads_of_listing(operation):
        if uuid in histories:
            shape = shapes.number(read)
            histories[uuid].events.append((end, operation.invoke_ns, shape, None, None, number))
