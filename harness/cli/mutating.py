"""What `lockrace mutants` does: try, tell each as it ends, and complain."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from harness.check.invariants import INVARIANTS
from harness.cli.choosing import load_all
from harness.cli.options import near
from harness.drive.served import reference_catalogue
from harness.mutants import Trial, as_markdown, complaints, departures, try_all


def try_mutants(names: Sequence[str], paths: Sequence[Path], jobs: int, seed: int, *, markdown: bool) -> int:
    """Try the named departures, or all; prints the table and returns the exit code."""
    known = {one.name: one for one in departures(reference_catalogue())}
    for name in names:
        if name not in known:
            raise click.UsageError(f"no mutant or variant {name!r}{near(name, known)}")
    chosen = [known[name] for name in names] if names else list(known.values())
    scenarios = load_all(paths)
    tell = (lambda _: None) if markdown else _tell
    trials = asyncio.run(try_all(chosen, scenarios, jobs, seed, tell))
    if markdown:
        click.echo(as_markdown(trials), nl=False)
    wrong = complaints(trials, [] if names else [one.name for one in INVARIANTS.values()])
    for line in wrong:
        click.echo(line, err=True)
    killed = sum(trial.violation is not None for trial in trials if trial.departure.kind == "mutant")
    mutants = sum(trial.departure.kind == "mutant" for trial in trials)
    accused = sum(trial.violation is not None for trial in trials if trial.departure.kind == "variant")
    click.echo(
        f"{killed} of {mutants} mutants killed, {accused} of {len(trials) - mutants} variants accused", err=markdown
    )
    return 1 if wrong else 0


def _tell(trial: Trial) -> None:
    departure, violation = trial.departure, trial.violation
    if trial.unreachable is not None:
        outcome = f"not tried: {trial.unreachable.splitlines()[0]}"
    elif violation is None:
        outcome = "survived" if departure.kind == "mutant" else "never accused"
    else:
        outcome = (
            f"{'killed' if departure.kind == 'mutant' else 'ACCUSED'} by {violation.name} ({violation.requirement})"
        )
        outcome += f" in {trial.scenario}"
    sign = "✓" if trial.as_wanted else "✗"
    spent = f"{trial.requests:>6} requests {trial.seconds:6.1f} s"
    click.echo(f"{sign} {departure.kind:<8} {departure.name:<28} {outcome:<70} {spent}")
