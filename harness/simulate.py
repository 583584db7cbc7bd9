"""The population in order: let it work through a queue, then judge the history that it left on disk."""

import asyncio
import shlex
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from harness.check.population import Tally, judge_population
from harness.drive.line import TargetLost
from harness.drive.population import NAME, Populated, PopulateOptions, Population, populate
from harness.drive.population.choice import written
from harness.drive.target import Target, TargetRefused, connected
from harness.history import read_history
from harness.report.result import RunResult, ScenarioResult
from harness.report.summary import OTHER_WORDS
from harness.run import RunOptions, judged, not_exercised
from harness.scenario import blank

DEFAULT_BUDGET_S = 300.0


LEAST_PATIENCE_S = 10.0
IN_LINE_BEFORE_A_SECOND_IS_OVER = 20.0


def patience_s(population: Population) -> float:
    """How long a dispatcher waits for an answer where nobody said otherwise.

    All dispatchers ask at the same time. What a crowd gives up too early is a fault of its own making: the slowest of
    1,000 waited 10 s for a server that answered 800 calls a second, the median 0.14 s.
    """
    return max(LEAST_PATIENCE_S, population.dispatchers / IN_LINE_BEFORE_A_SECOND_IS_OVER)


class Watcher(Protocol):
    """Who wants to see the population while it works."""

    def at(self, ended: int, created: int, operations: int) -> None:
        """So many of its containers have ended, after so many operations."""

    def judging(self, populated: Populated) -> None:
        """It has come to its end; its history is judged next."""

    def judged(self, populated: Populated, tally: Tally) -> None:
        """What it came to."""


async def simulate(population: Population, target: Target, options: RunOptions, watcher: Watcher) -> RunResult:
    """Drive and judge one population against one target; Ctrl-C ends it early."""
    result = RunResult(
        target=target.name,
        level=options.level,
        seed=population.seed,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        settings=options.settings,
        out=options.out,
    )
    began = time.monotonic()
    path = options.out / "histories" / f"{NAME}.jsonl"
    try:
        async with connected(target, options.timeout_s) as opened:
            populated = await populate(population, opened, _how(population, target, options), path, watcher)
        watcher.judging(populated)
        one, tally = _judge(population, populated, options, path)
        result.results.append(one)
        watcher.judged(populated, tally)
        result.unreachable = populated.lost
    except (TargetRefused, TargetLost) as error:
        result.unreachable = str(error)
    except asyncio.CancelledError:
        result.interrupted = True
    result.seconds = time.monotonic() - began
    result.not_exercised = not_exercised(result)
    return result


def _how(population: Population, target: Target, options: RunOptions) -> PopulateOptions:
    return PopulateOptions(
        level=options.level,
        timeout_s=options.timeout_s,
        budget_s=DEFAULT_BUDGET_S if options.budget_s is None else options.budget_s,
        max_dispatch_attempts=options.max_dispatch_attempts,
        keep=options.keep,
        settings=options.settings,
        replay=command(population, target.name, options),
    )


def _judge(
    population: Population, populated: Populated, options: RunOptions, path: Path
) -> tuple[ScenarioResult, Tally]:
    began = time.monotonic()
    history = read_history(path)
    verdict, tally = judge_population(history)
    if populated.out_of_time and populated.ended < populated.created:
        verdict.inconclusive.insert(0, f"time was up after {populated.seconds:.0f} s; give more with --budget")
    if populated.short is not None:
        verdict.inconclusive.insert(0, populated.short)
    if populated.lost is not None:
        verdict.inconclusive.insert(0, populated.lost)
    summary = f"{population.dispatchers} dispatchers work through a queue of {tally.containers} containers"
    one = judged(blank(NAME, summary, options.level, path), history, verdict, path, known=options.known)
    one.seconds = populated.seconds + time.monotonic() - began
    return one, tally


def command(population: Population, target: str, options: RunOptions) -> str:
    """The command that asks a population for the same behaviour again; the interleaving will be another one."""
    words = ["lockrace", "simulate", *written(population), "--target", target]
    if options.level != "must":
        words += ["--level", options.level]
    for option, name in OTHER_WORDS.items():
        if options.settings.get(name, "api") != "api":
            words += [option, str(options.settings[name])]
    return shlex.join(words)
