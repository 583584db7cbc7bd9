"""Measures the explorer: states a second on the model, orders saved by independence, runs of an asgi server to a bug.

    python bench/explore.py

Seconds are of this process's own CPU time, so that company on the machine does not count.
"""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.explore.asgi import STRATEGIES, AsgiRun, search_interleavings
from harness.explore.asgi_app import load_app
from harness.explore.counterexample import programs_text
from harness.explore.programs import (
    API_OF_9898,
    EVERYTHING,
    RUN_AUTH_INVARIANTS,
    Local,
    Protocol,
    World,
    after_move,
    moves,
)
from harness.explore.search import any_program, fixed_programs, search
from harness.explore.sessions import search_sessions
from harness.explore.tables import Choice
from harness.explore.traces import traces
from harness.model import Container, Rules
from harness.plan import count_orders
from harness.scenario import Scenario
from harness.scenario.loader import load_text

TOKENS = {"shared": "a" * 40, "stranger": "b" * 40}
RUN_AUTH = Protocol(Rules("run_auth"))
PROGRAM = ("lock", "auth", "unlock", "lock", "auth", "unlock")
SEEDS = 10
MOST_RUNS = 300


def main() -> None:
    """Print every figure."""
    os.environ |= {"LOCKRACE_TOKEN": TOKENS["shared"], "LOCKRACE_TOKEN2": TOKENS["stranger"]}
    first_violation()
    proof()
    states_a_second()
    without_hashing()
    orders_saved()
    runs_a_second()
    runs_to_a_bug()


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What the work gives, and its CPU seconds."""
    begun = time.process_time()
    return work(), time.process_time() - begun


def first_violation() -> None:
    found, took = timed(lambda: search(Protocol(Rules("must")), any_program(API_OF_9898, None), 2, ("both_hold",)))
    print(f"stolen_lock in today's contract: {len(found.steps)} requests, {found.states} states, {took:.3f} s")


def proof() -> None:
    for requests in (6, None):
        found, took = timed(lambda: search(RUN_AUTH, any_program(EVERYTHING, requests), 3, RUN_AUTH_INVARIANTS))  # noqa: B023
        assert found.complete
        print(
            f"run_auth safe, 3 dispatchers x {requests or 'any number of'} steps: {found.states:,} states, {took:.2f} s"
        )


def states_a_second() -> None:
    for dispatchers, requests in ((2, 12), (3, 6), (4, 3)):
        for told, choice in (
            ("any program", any_program(API_OF_9898, requests)),
            ("one program", fixed_programs((PROGRAM * 2,) * dispatchers)),
        ):
            for apart in (True, False):
                if dispatchers == 4 and told == "one program" and apart:
                    continue  # five million states
                chosen = choice._replace(interchangeable=not apart)
                found, took = timed(lambda: search(RUN_AUTH, chosen, dispatchers, RUN_AUTH_INVARIANTS))  # noqa: B023
                kind = "all told apart" if apart else "who is who not told apart"
                print(
                    f"N={dispatchers}, {told}, {kind}: {found.states:,} states in {took:.2f} s, "
                    f"{found.states / took:,.0f} states and {found.moves / took:,.0f} moves a second"
                )


def without_hashing() -> None:
    """Every order of 2 x 3 calls followed to its end, and the distinct worlds among them."""
    choice = any_program(("lock", "auth", "unlock"), 3)
    ways, seen = 0, set()
    stack = [World(Container(), (Local(0), Local(0)))]
    while stack:
        world = stack.pop()
        ways += 1
        seen.add(world)
        stack.extend(following(world, choice))
    found = search(RUN_AUTH, choice._replace(interchangeable=False), 2, ())
    assert found.states == len(seen)
    print(f"2 x 3 without hashing: {ways:,} prefixes of orders, {len(seen):,} distinct states; with: {found.states:,}")


def following(world: World, choice: Choice) -> list[World]:
    return [
        after_move(world, index, move)
        for index, local in enumerate(world.locals)
        for name in choice.of(index, local)
        for move in moves(RUN_AUTH, world.container, local, name)
    ]


def scenario_of(*programs: tuple[str, ...]) -> Scenario:
    (scenario,) = load_text(programs_text(programs, "must"), Path("bench.race.yaml"))
    return scenario


def orders_saved() -> None:
    watching = ("lock", "auth", "get", "unlock", "get", "auth")
    for told, scenario in (
        ("2 x 6 lock,auth,unlock twice", scenario_of(PROGRAM, PROGRAM)),
        ("2 x 6 with reads", scenario_of(watching, watching)),
        ("3 x 3 lock,auth,unlock", scenario_of(PROGRAM[:3], PROGRAM[:3], PROGRAM[:3])),
    ):
        classes, took = timed(lambda: sum(1 for _ in traces(scenario).every()))  # noqa: B023
        states = asyncio.run(search_sessions(scenario, Rules("must")))
        print(
            f"{told}: {count_orders(scenario):,} orders in {classes:,} classes ({took:.2f} s to list); "
            f"on the model {states.states:,} states, {states.ends} distinct ends"
        )


def runs_a_second() -> None:
    run = AsgiRun(
        scenario_of(("lock", "auth"), ("unlock", "lock", "auth")),
        load_app("reference_server.asgi:make_app:"),
        TOKENS,
        "must",
    )
    found, took = timed(lambda: search_interleavings(run, seed=1, runs=2_000))
    print(f"asgi, reference server, 2 dispatchers and 5 requests: {found.runs / took:,.0f} runs a second")


def runs_to_a_bug() -> None:
    """Runs until an awaiting mutant is found; its race made as narrow as in the wild: nobody waits for company."""
    from reference_server.mutants import races  # noqa: PLC0415

    async def alone(_self: Any, _uuid: str) -> None:
        return None

    races.Company.wait = alone  # type: ignore[method-assign]
    scenarios = {"check_before_lock": ("lock", "must"), "update_stale": ("Locked", "arvados")}
    for mutant, (call, level) in scenarios.items():
        scenario = scenario_of((call, "auth"), (call, "auth"), ("get",))
        for strategy in (None, *STRATEGIES):
            needed = sorted(_runs_needed(mutant, scenario, level, strategy, seed) for seed in range(SEEDS))
            missed = sum(one > MOST_RUNS for one in needed)
            print(
                f"{mutant}, {strategy or 'all by turns'}: median {needed[SEEDS // 2]} runs, at most {needed[-1]}"
                + (f", {missed} of {SEEDS} seeds missed it" if missed else "")
            )


def _runs_needed(mutant: str, scenario: Scenario, level: Any, strategy: str | None, seed: int) -> int:
    run = AsgiRun(scenario, load_app(f"reference_server.asgi:make_app:{mutant}"), TOKENS, level)
    found = search_interleavings(run, strategy, seed=seed, runs=MOST_RUNS, shrinks=False)
    return found.runs if "single_winner" in found.broken else MOST_RUNS + 1


if __name__ == "__main__":
    main()
