"""A search over the orders of messages, one request at a time, on any target; it goes on where an earlier one stopped.

No state of a server can be looked into or put back, so every order is played whole, with fresh containers. What can
be saved are orders that only swap independent steps: `traces` names one of each class. Their sequence is drawn from
the seed, so that a budget that ends early has looked everywhere a little.
"""

import hashlib
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.explore.player import Broken, Play, Played
from harness.explore.traces import traces
from harness.plan import Order, Orders, count_orders
from harness.scenario import Scenario

LISTED = 100_000
"""Up to so many classes of orders are listed before the first is played: then coverage is known exactly."""

_SAVE_EVERY_S = 2.0
_TRIES_FOR_A_NEW_ONE = 200


@dataclass
class OrderSearch:
    """What a search over orders has seen so far, this call and those that it goes on from."""

    orders: int | None  # that the scenario allows; None: too many to count
    classes: int | None  # of orders that only swap independent steps; None: too many to list
    played: int = 0  # orders, each of another class
    resumed: int = 0  # how many of them an earlier call played
    rows: Counter[tuple[str, ...]] = field(default_factory=Counter)  # outcome -> orders
    known: int = 0  # orders that came out as the known race
    inconclusive: int = 0
    broken: Broken = field(default_factory=dict)
    order: Order | None = None  # the one that broke them
    seconds: float = 0.0  # of this call

    @property
    def complete(self) -> bool:
        """Whether no class was left out."""
        return self.classes is not None and self.played >= self.classes


async def search_orders(
    scenario: Scenario,
    play: Play,
    *,
    seed: int = 0,
    budget_s: float | None = None,
    memory: Path | None = None,
    memory_key: str = "",
    most: int | None = None,
    progress: Callable[[OrderSearch], None] | None = None,
) -> OrderSearch:
    """Play orders until one violates, all were played, or the budget or `most` of them is spent.

    `memory` is a file that a later call with the same scenario, seed and `memory_key` (target, level) goes on from.
    A search that came to its end leaves none: what a server did yesterday says nothing of what it does today.
    """
    started = saved_at = time.monotonic()
    plan, listed = _order_plan(scenario, seed)
    found = OrderSearch(count_orders(scenario), listed)
    key = _key(scenario, seed, memory_key)
    _recall(found, memory, key)
    try:
        for steps in itertools.islice(plan, found.resumed, None):
            found.seconds = time.monotonic() - started
            if _spent(found, budget_s, most):
                break
            order: Order = tuple((step,) for step in steps)
            one = await play(scenario, order)
            if one.broken:
                found.broken, found.order = one.broken, order
                break
            _count(found, one)
            if progress is not None:
                progress(found)
            if time.monotonic() - saved_at > _SAVE_EVERY_S:
                _remember(found, memory, key)
                saved_at = time.monotonic()
    finally:
        found.seconds = time.monotonic() - started
        _remember(found, memory, key)
    return found


def _spent(found: OrderSearch, budget_s: float | None, most: int | None) -> bool:
    played = found.played - found.resumed
    return (budget_s is not None and played > 0 and found.seconds >= budget_s) or (most is not None and played >= most)


def _order_plan(scenario: Scenario, seed: int) -> tuple[Iterator[tuple[str, ...]], int | None]:
    """One order of each class, as they will be played, and how many; the same for the same seed."""
    all_traces = traces(scenario)
    chance = random.Random(f"{seed}:{scenario.name}")
    listed = list(itertools.islice(all_traces.every(), LISTED + 1))
    if len(listed) <= LISTED:
        chance.shuffle(listed)
        return iter(listed), len(listed)
    return _drawn(scenario, chance), None


def _drawn(scenario: Scenario, chance: random.Random) -> Iterator[tuple[str, ...]]:
    """Random orders of classes that were not drawn before; ends when it only meets old ones."""
    all_traces, orders = traces(scenario), Orders(scenario)
    seen: set[tuple[str, ...]] = set()
    while True:
        for _ in range(_TRIES_FOR_A_NEW_ONE):
            order = orders.random(chance)
            form = all_traces.normal_form(order)
            if form not in seen:
                break
        else:
            return
        seen.add(form)
        yield order


def _count(found: OrderSearch, one: Played) -> None:
    found.played += 1
    found.rows[one.row()] += 1
    found.known += any(seen.reproduced for seen in one.verdict.known_races)
    found.inconclusive += one.verdict.runs_judged == 0


def _key(scenario: Scenario, seed: int, more: str) -> str:
    text = json.dumps([scenario.name, scenario.text, seed, more])
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _recall(found: OrderSearch, memory: Path | None, key: str) -> None:
    """Take over what an earlier call saw; a file of another search, or one that cannot be read, is no memory."""
    if memory is None or not memory.exists():
        return
    try:
        kept: dict[str, Any] = json.loads(memory.read_text("utf-8"))
        if kept["key"] != key:
            return
        rows = Counter({tuple(row): int(number) for row, number in kept["rows"]})
        played, known, inconclusive = int(kept["played"]), int(kept["known"]), int(kept["inconclusive"])
    except (OSError, ValueError, TypeError, KeyError):
        return
    if found.classes is not None and played >= found.classes:
        return
    found.rows, found.played, found.resumed = rows, played, played
    found.known, found.inconclusive = known, inconclusive


def _remember(found: OrderSearch, memory: Path | None, key: str) -> None:
    if memory is None:
        return
    if found.complete:
        memory.unlink(missing_ok=True)
        return
    kept = {
        "key": key,
        "played": found.played,
        "known": found.known,
        "inconclusive": found.inconclusive,
        "rows": [[list(row), number] for row, number in found.rows.items()],
    }
    memory.parent.mkdir(parents=True, exist_ok=True)
    fresh = memory.with_suffix(".new")
    fresh.write_text(json.dumps(kept), "utf-8")
    fresh.replace(memory)
