"""Whether a history is linearizable: for each container, one order of its operations that the model accepts.

docs/algorithm.md gives the algorithms, why they are right and what they cost.
"""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from harness.check.linear.request import Translator, reads_of_listing
from harness.check.linear.search import DEFAULT_BOUND, search
from harness.check.linear.spec import Spec, starts_of
from harness.check.linear.timed import NEVER, Timed
from harness.check.minimise import explain
from harness.check.verdict import Counterexample, Linearizability
from harness.history import Header, Operation
from harness.model import Rules


@dataclass(frozen=True)
class ContainerResult:
    """The verdict on one container; `operations` were judged, `reason` says why a verdict is unknown."""

    run: int
    container: str  # its name in the scenario, else its uuid
    verdict: Linearizability
    operations: int
    counterexample: Counterexample | None = None
    reason: str = ""


@dataclass(frozen=True)
class LinearResult:
    """The verdict on a history, and on each of its containers in order of appearance."""

    verdict: Linearizability
    containers: tuple[ContainerResult, ...]

    @property
    def operations(self) -> int:
        """How many operations were judged."""
        return sum(container.operations for container in self.containers)


def linearize(operations: Iterable[Operation], header: Header, bound: int = DEFAULT_BOUND) -> LinearResult:
    """Judge a whole history at the level of its header. Pure; indices count the operations as they come.

    `operations` may be a stream: each is looked at once, and only what its container needs is kept. `bound` limits
    the general search, in steps of the model per container. Where it is reached the verdict is `unknown`.
    """
    with _no_collection():
        histories = _by_container(operations, header)
        spec = Spec(Rules(header.level, header.max_dispatch_attempts), header.tokens.values())
        containers = tuple(_judge(spec, history, bound) for history in histories)
    return LinearResult(_worst(result.verdict for result in containers), containers)


@dataclass
class _History:
    """One container's part of a history."""

    run: int
    name: str
    timed: list[Timed]


def _by_container(operations: Iterable[Operation], header: Header) -> list[_History]:
    translator = Translator(header)
    found: dict[object, _History] = {}
    for index, operation in enumerate(operations):
        translator.learn(operation)
        if operation.op == "list":
            for uuid, read in reads_of_listing(operation):
                if uuid in found:
                    found[uuid].timed.append(Timed(operation.invoke_ns, operation.return_ns or NEVER, index, read))
            continue
        request = translator.request(operation)
        if request is None:
            continue
        key = operation.uuid or (operation.run, operation.container)
        if key == (operation.run, None):
            continue
        history = found.get(key)
        if history is None:
            name = operation.container or operation.uuid or ""
            history = found[key] = _History(operation.run, name, [])
        end = NEVER if operation.return_ns is None else operation.return_ns
        history.timed.append(Timed(operation.invoke_ns, end, index, request, end == NEVER))
    return list(found.values())


def _judge(spec: Spec, history: _History, bound: int) -> ContainerResult:
    found = search(spec, history.timed, starts_of(spec.rules, history.timed), bound)
    counterexample = None
    if found.verdict == "violated":
        counterexample = explain(spec, history.timed, found.stuck, bound)
    reason = f"{history.name}: no answer within {bound} steps of the model" if found.verdict == "unknown" else ""
    return ContainerResult(history.run, history.name, found.verdict, len(history.timed), counterexample, reason)


def _worst(verdicts: Iterable[Linearizability]) -> Linearizability:
    found = set(verdicts)
    if "violated" in found:
        return "violated"
    return "unknown" if "unknown" in found else "linearizable"


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the cyclic garbage collector, which would walk a million operations again and again and free nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
