"""Orders of a scenario's steps, each class of orders that only swap independent neighbours visited once.

    a_get, b_get, a_lock      b_get, a_get, a_lock      one class: two reads do not see each other

Sleep sets (Godefroid): once an order that begins with `a_get` was followed, an order that begins with something that
does not touch `a_get` need not take it next. Independence is decided by the scenario's text alone, never by how a
server answered, because the server may be wrong: two steps are independent when neither can see what the other does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from harness.scenario import Scenario, Step
from harness.scenario.precedence import chains, predecessors

_READS = frozenset({"get", "auth", "use", "list"})


@dataclass(frozen=True)
class Traces:
    """What a search over orders needs to know of a scenario's steps."""

    chains: tuple[tuple[str, ...], ...]
    before: dict[str, frozenset[str]] = field(repr=False)
    independent: dict[str, frozenset[str]] = field(repr=False)  # step -> the steps that it may swap with

    def every(self) -> Iterator[tuple[str, ...]]:
        """One order of each class, the first session first."""
        start = (0,) * len(self.chains)
        stack: list[tuple[tuple[str, ...], tuple[int, ...], frozenset[str]]] = [((), start, frozenset())]
        length = sum(len(chain) for chain in self.chains)
        while stack:
            taken, position, asleep = stack.pop()
            if len(taken) == length:
                yield taken
                continue
            following = []
            sleeping = set(asleep)
            for chain in self.open(position):
                step = self.chains[chain][position[chain]]
                if step in asleep:
                    continue
                after = (*position[:chain], position[chain] + 1, *position[chain + 1 :])
                following.append(((*taken, step), after, self.independent[step] & sleeping))
                sleeping.add(step)
            stack.extend(reversed(following))

    def open(self, position: Sequence[int]) -> list[int]:
        """The chains that can take their next step at a position."""
        done = {step for chain, at in zip(self.chains, position, strict=True) for step in chain[:at]}
        return [
            index
            for index, chain in enumerate(self.chains)
            if position[index] < len(chain) and self.before[chain[position[index]]] <= done
        ]

    def normal_form(self, order: Sequence[str]) -> tuple[str, ...]:
        """The same for all orders of one class: always the first step that nothing left over must precede."""
        left = list(order)
        form = []
        while left:
            free = [
                step for index, step in enumerate(left) if all(one in self.independent[step] for one in left[:index])
            ]
            step = min(free)
            form.append(step)
            left.remove(step)
        return tuple(form)


def traces(scenario: Scenario) -> Traces:
    """The steps of a scenario with what may swap with what."""
    all_chains = chains(scenario)
    before = predecessors(scenario)
    steps = scenario.steps()
    independent: dict[str, frozenset[str]] = {}
    for chain in all_chains:
        for one in chain:
            others = (other for rest in all_chains if rest is not chain for other in rest)
            independent[one] = frozenset(
                other
                for other in others
                if one not in before[other] and other not in before[one] and _independent(steps[one], steps[other])
            )
    return Traces(all_chains, before, independent)


def _independent(one: Step, other: Step) -> bool:
    """Whether two steps of different sessions cannot see each other."""
    if _looks_at(one, other) or _looks_at(other, one):
        return False
    if "crash" in {one.verb, other.verb}:  # a dispatcher forgets: nobody else can tell
        return {
            one.argument if one.verb == "crash" else "self",
            other.argument if other.verb == "crash" else "self",
        } == {"self"}
    if {one.verb, other.verb} & {"pause", "restart"} or _is_held(one) or _is_held(other):
        return False
    if one.verb in _READS and other.verb in _READS:
        return True
    return _is_of_one(one) and _is_of_one(other) and one.container != other.container


def _is_held(step: Step) -> bool:
    """Whether a step takes effect, or is answered, only later."""
    return step.fault is not None and step.fault.hold is not None


def _is_of_one(step: Step) -> bool:
    """Whether a step is about one container that the scenario's text names."""
    return step.container is not None and "[" not in step.container and step.credential is None


def _looks_at(step: Step, other: Step) -> bool:
    """Whether a step waits for, asks about or uses what another one does."""
    if step.when is not None and other.id in step.when.text:
        return True
    if step.when is not None and any(word in step.when.text for word in ("believes", "live", "state", "holders")):
        return True
    saved = str(step.argument if step.verb == "use" else step.credential or "")
    return bool(other.save) and saved.endswith(f".{other.save}")
