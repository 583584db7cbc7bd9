"""What `lockrace simulate` does: from options to a population, its judged history and the exit code."""

import asyncio
import random
import sys
from dataclasses import replace
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from harness.check.population import Tally
from harness.cli.options import TargetChoice, make_target
from harness.cli.running import interruptible, seconds, settings_of, target_choice
from harness.drive.crew import HarnessFault
from harness.drive.population import Populated, Population, parse_faults, parse_mix
from harness.report.decision import exit_code
from harness.report.result import RunResult
from harness.report.terminal import failure_report, look_for, summary, write
from harness.run import RunOptions
from harness.simulate import patience_s, simulate


class Screen:
    """Shows on a terminal how far a population has come; elsewhere only what it came to."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Bar | None = None
        self._task = None
        if sys.stdout.isatty() and not quiet:
            look = look_for(sys.stdout)
            self._bar = Bar(
                SpinnerColumn(),
                BarColumn(30),
                MofNCompleteColumn(),
                TextColumn("containers ended, {task.fields[operations]} operations"),
                TimeElapsedColumn(),
                console=Console(file=sys.stdout, no_color=not look.colour),
                transient=True,
            )
            self._task = self._bar.add_task("", total=None, operations=0)
            self._bar.start()

    def at(self, ended: int, created: int, operations: int) -> None:
        """Move the bar."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=ended, total=created, operations=operations)

    def judging(self, populated: Populated) -> None:
        """The bar is done; judging takes a moment."""
        self.close()
        if not self._quiet:
            rate = populated.operations / max(populated.seconds, 0.001)
            say = f"{populated.operations} operations in {populated.seconds:.1f} s ({rate:.0f} a second), judging them"
            write(sys.stdout, say + "\n")

    def judged(self, populated: Populated, tally: Tally) -> None:
        """What it came to, in a few lines."""
        if not self._quiet:
            write(sys.stdout, "\n".join(lines_of(populated, tally)) + "\n")

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def lines_of(populated: Populated, tally: Tally) -> list[str]:
    """What a population came to, for readers."""
    ended = f"{tally.completed} complete, {tally.cancelled} cancelled, {len(tally.unfinished)} not ended"
    runs = f"{tally.run_once} were run once, {tally.run_twice} by two or more"
    lines = [f"{tally.containers} containers: {ended}; {runs}"]
    if tally.faults:
        lines.append("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(tally.faults.items())))
    if populated.unsent:
        lines.append(f"{populated.unsent} calls found nobody to take them")
    if tally.races:
        races = ", ".join(f"{name} {count}" for name, count in sorted(tally.races.items()))
        lines.append(f"known races, by containers that met them: {races}")
    return lines


def run_simulation(chosen: dict[str, Any]) -> int:
    """Run what the options of `lockrace simulate` choose; prints, and returns the exit code."""
    if chosen["max_rps"] is not None:
        raise click.UsageError(
            "--max-rps: a population asks as often as its dispatchers like, which is what it is for; on a site that "
            "others use, `lockrace run --max-rps N` is the one to try"
        )
    population = population_of(chosen)
    choice = _target_choice(chosen, population)
    target = make_target(choice)
    options = RunOptions(
        level=chosen["level"],
        seed=population.seed,
        budget_s=seconds(chosen["budget"]),
        timeout_s=_timeout_s(chosen["timeout_s"], population),
        known=chosen["known"],
        max_dispatch_attempts=chosen["max_dispatch_attempts"],
        keep=chosen["keep"],
        out=chosen["out"],
        settings=settings_of(chosen) | {"seed": population.seed},
    )
    screen = Screen(chosen["quiet"])
    try:
        result = asyncio.run(interruptible(simulate(population, target, options, screen)))
    except HarnessFault as fault:
        result = RunResult(target.name, options.level, population.seed, "", fault=str(fault), out=options.out)
    finally:
        screen.close()
    look = look_for(sys.stdout)
    if any(one.verdict.violations for one in result.results):
        write(sys.stdout, "\n" + failure_report(result, look))
    write(sys.stdout, "\n" + summary(result, look))
    return exit_code(result)


def population_of(chosen: dict[str, Any]) -> Population:
    """The population that the options ask for; click.BadParameter says what is wrong with one."""
    seed = chosen["seed"] if chosen["seed"] is not None else random.SystemRandom().randrange(1_000_000)
    return Population(
        dispatchers=chosen["dispatchers"],
        containers=chosen["containers"],
        processes=chosen["processes"],
        mix=_parsed(parse_mix, chosen["policy"], "--policy"),
        faults=_parsed(parse_faults, chosen["faults"], "--faults"),
        operations=chosen["operations"],
        seed=seed,
    )


def _timeout_s(chosen_s: float, population: Population) -> float:
    """How long an answer is waited for: as chosen; where nothing was, longer in a crowd, which stands in line."""
    source = click.get_current_context().get_parameter_source("timeout_s")
    return patience_s(population) if source is click.core.ParameterSource.DEFAULT else chosen_s


def _parsed(parse: Any, text: str, option: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _target_choice(chosen: dict[str, Any], population: Population) -> TargetChoice:
    """What to aim at; the reference server that is started takes two options more."""
    choice = target_choice(chosen)
    if choice.start is None and (choice.target == "model" or choice.target.startswith("asgi:")):
        raise click.UsageError(
            f"--target {choice.target}: a population works over HTTP; serve it and give its URL. `lockrace run` and "
            "`lockrace explore` take it as it is"
        )
    is_reference = choice.start is None and not choice.target.startswith(("http://", "https://"))
    given = [(f"--{name}", str(chosen[name])) for name in ("database", "workers") if chosen[name] is not None]
    arguments = [word for pair in given for word in pair]
    if arguments and not is_reference:
        raise click.UsageError("--database and --workers are for the reference server that is started, not for yours")
    if population.faults.restart and choice.start is None and not is_reference:
        raise click.UsageError("restart: only a server that the harness starts can be restarted; see --start")
    if population.faults.restart and chosen["database"] in {"embedded-postgres", "memory:"}:
        raise click.UsageError(f"restart: the database {chosen['database']} does not outlive its server")
    return replace(choice, server_options=tuple(arguments))
