"""From an order that violates to the smallest one: fewest dispatchers, fewest faults, fewest requests.

A candidate is the scenario with something taken out, read again by the strict reader, so that what is handed back is a
scenario file. It counts when the target still violates the same thing, and when the model does not: otherwise it would
accuse a server that keeps the contract.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from harness.contract import REQUIREMENTS, covers
from harness.explore.cut import Document, document_of, named, smaller
from harness.explore.document import scenario_text
from harness.explore.player import Broken
from harness.plan import Order
from harness.scenario import Scenario
from harness.scenario.diagnostics import ScenarioError
from harness.scenario.loader import load_text

REPLAYS = 3
"""How often a smallest order must violate again before it is reported as one that does."""

_SHOWN_PATH = Path("explored.race.yaml")

Try = Callable[[Scenario], Awaitable[Broken]]
"""Plays a scenario as its own schedule says, and tells what it violates."""


@dataclass
class Shrunk:
    """The smallest scenario found."""

    text: str
    scenario: Scenario
    broken: Broken
    replayed: int = 0  # of REPLAYS replays so many violated again
    tried: int = 0  # candidates


class CannotShrinkError(Exception):
    """Not even the scenario cut down to its one order violates when it is read again; the text says what was tried."""


async def shrink(
    scenario: Scenario, order: Order | None, broken: Broken, on_target: Try, on_model: Try | None, *, most: int = 400
) -> Shrunk:
    """Take out clauses, sessions, faults and steps, as long as the target still violates one of `broken`.

    `order` is None for a race. `on_model` is None where the model itself is what violates. Raises CannotShrinkError.
    """
    document = document_of(scenario, order, set(broken))
    best = await _violates(document, broken, on_target, on_model)
    if best is None:
        raise CannotShrinkError(f"{scenario.name} did not violate {', '.join(sorted(broken))} again in the same order")
    tried, going = 0, True
    while going and tried < most:
        going = False
        for candidate in smaller(document):
            tried += 1
            fits = await _violates(candidate, broken, on_target, on_model)
            if fits is not None:
                document, best, going = candidate, fits, True
                break
            if tried >= most:
                break
    return await _replayed(_renamed(document, scenario, best), on_target, tried)


async def _violates(document: Document, broken: Broken, on_target: Try, on_model: Try | None) -> Shrunk | None:
    """The document as a scenario, when the target violates it and the model does not."""
    text = scenario_text(document)
    try:
        (scenario,) = load_text(text, _SHOWN_PATH)
    except (ScenarioError, ValueError):
        return None
    if on_model is not None and await on_model(scenario):
        return None
    still = {name: requirement for name, requirement in (await on_target(scenario)).items() if name in broken}
    return Shrunk(text, scenario, still) if still else None


def _renamed(document: Document, scenario: Scenario, best: Shrunk) -> Shrunk:
    """The smallest document, named after what it violates."""
    names = ", ".join(sorted(best.broken))
    requires = sorted({one for one in best.broken.values() if covers(scenario.level, REQUIREMENTS[one].level)})
    name = f"found_{min(best.broken)}"
    text = scenario_text(
        named(document, name, f"Found by lockrace explore in {scenario.name}; violates {names}.", requires)
    )
    (final,) = load_text(text, _SHOWN_PATH)
    return Shrunk(text, final, best.broken)


async def _replayed(best: Shrunk, on_target: Try, tried: int) -> Shrunk:
    best.tried = tried
    for _ in range(REPLAYS):
        best.replayed += bool((await on_target(best.scenario)).keys() & best.broken.keys())
    return best
