"""What `lockrace run` and `lockrace replay` have in common: from options to a reported result and its exit code."""

import asyncio
import contextlib
import os
import random
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from harness.cli.choosing import choose, load_all
from harness.cli.options import TargetChoice, make_target
from harness.cli.wording import profile_at
from harness.drive.pace import Pace
from harness.plan import Plan, make_plan
from harness.report.baseline import BaselineFile, read_baseline
from harness.report.decision import exit_code
from harness.report.files import KINDS, OutInUse, claim, drop_reports, write_reports
from harness.report.progress import Detail, Progress
from harness.report.result import RunResult, ScenarioResult
from harness.report.terminal import failure_report, look_for, summary, write
from harness.run import RunOptions, run
from harness.scenario import ScenarioError

_TIME = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)?")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
NOTHING_SELECTED = 5


class Screen:
    """Shows a run on a terminal while it goes on."""

    def __init__(self, detail: Detail) -> None:
        self._detail = detail
        self._stack = contextlib.ExitStack()
        self._progress: Progress | None = None

    def started(self, plans: Sequence[Plan]) -> None:
        """Open the progress lines."""
        scenarios = [plan.scenario for plan in plans]
        self._progress = self._stack.enter_context(Progress(sys.stdout, scenarios, self._detail))

    def planned(self, plan: Plan) -> None:
        """Say what is being tried now."""
        self._at(plan, 0)

    def ran(self, plan: Plan, run: int) -> None:
        """Say how far it has come."""
        self._at(plan, run + 1)

    def finished(self, result: ScenarioResult) -> None:
        """Hand on what was judged."""
        if self._progress is not None:
            self._progress.finished(result)

    def close(self) -> None:
        """Close the progress lines, and tell what was finished."""
        self._stack.close()

    def _at(self, plan: Plan, runs: int) -> None:
        if self._progress is not None:
            self._progress.at(plan.scenario, runs, plan.runs)


def run_scenarios(chosen: dict[str, Any], begun: float) -> int:
    """Run what the options of `lockrace run` choose; prints, and returns the exit code. Time counts from `begun`."""
    scenarios = load_all(chosen["paths"])
    if chosen["select"]:
        scenarios = choose(scenarios, chosen["select"])
    if not scenarios:
        return NOTHING_SELECTED
    seed = chosen["seed"] if chosen["seed"] is not None else random.SystemRandom().randrange(1_000_000)
    try:
        plans = [make_plan(scenario, seed, chosen["runs"]) for scenario in scenarios]
    except ScenarioError as error:
        click.echo(str(error), err=True)
        return 2
    return report_on(plans, chosen, seed, begun, fresh=True)


def report_on(
    plans: Sequence[Plan], chosen: dict[str, Any], seed: int, begun: float | None = None, *, fresh: bool = False
) -> int:
    """Drive plans with the chosen options and report on standard output; the exit code. `fresh` drops old reports."""
    target = make_target(target_choice(chosen))
    options = RunOptions(
        level=chosen["level"],
        seed=seed,
        budget_s=seconds(chosen.get("budget")),
        begun=begun,
        jobs=chosen.get("jobs", 1),
        timeout_s=chosen["timeout_s"],
        known=chosen.get("known", "any"),
        baseline=baseline_of(chosen.get("baseline")),
        release=chosen.get("release", "auto"),
        max_rps=chosen["max_rps"],
        cluster=chosen["cluster"],
        max_dispatch_attempts=chosen["max_dispatch_attempts"],
        keep=chosen.get("keep", False),
        fail_fast=chosen.get("fail_fast", False),
        out=chosen["out"],
        settings=settings_of(chosen),
    )
    screen = Screen("quiet" if chosen.get("quiet") else "verbose" if chosen.get("verbose") else "normal")
    try:
        with claim(options.out):
            if fresh:
                drop_reports(options.out)
            try:
                result = asyncio.run(interruptible(run(plans, target, options, screen)))
            finally:
                screen.close()
            if result.unreachable is not None and not result.results:
                click.echo(result.unreachable, err=True)
            else:
                tell(result, chosen.get("forms", ()))
            return exit_code(result)
    except OutInUse as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        if error.filename is None:
            raise
        raise click.UsageError(f"--out: {error.filename}: {error.strerror}") from None


def tell(result: RunResult, forms: Sequence[str] = ()) -> None:
    """Write the reports, then say on standard output what they say; the picture is there when something failed."""
    failed = any(one.label == "violation" for one in result.results)
    kinds = [kind for kind in KINDS if kind in forms or kind == "json" or (failed and kind == "html")]
    written = write_reports(result, result.out, kinds) if result.out is not None else {}
    look = look_for(sys.stdout)
    if failed:
        write(sys.stdout, "\n" + failure_report(result, look, written.get("html")))
    write(sys.stdout, "\n" + summary(result, look, written.get("html")))
    if "github" in forms or os.environ.get("GITHUB_ACTIONS") == "true":
        _tell_github(result)


def _tell_github(result: RunResult) -> None:
    """Annotations on the YAML lines, and the job summary where GitHub says that it wants one."""
    from harness.report.github import annotations, job_summary  # noqa: PLC0415

    write(sys.stdout, annotations(result))
    if summary_file := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary_file).open("a", encoding="utf-8") as file:
            file.write(job_summary(result))


def baseline_of(path: Path | None) -> BaselineFile | None:
    """The baseline in a file; a faulty one is told at its places, then exit 2."""
    if path is None:
        return None
    try:
        return read_baseline(path)
    except ScenarioError as error:
        click.echo(str(error), err=True)
        raise click.exceptions.Exit(2) from None


async def interruptible(work: Any) -> RunResult:
    """Treat SIGTERM as Ctrl-C: what was finished is reported."""
    task = asyncio.ensure_future(work)
    with contextlib.suppress(NotImplementedError):
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    result: RunResult = await task
    return result


def target_choice(chosen: dict[str, Any]) -> TargetChoice:
    """The part of the options that says what to aim at."""
    return TargetChoice(
        target=chosen["target"],
        level=chosen["level"],
        token=chosen["token"],
        token2=chosen["token2"],
        token_file=chosen["token_file"],
        insecure=chosen["insecure"],
        start=chosen["start"],
        ready=chosen["ready"],
        max_dispatch_attempts=chosen["max_dispatch_attempts"],
        restart_command=chosen.get("restart_command"),
        max_rps=chosen["max_rps"],
        profile=chosen["profile"],
        provision=chosen["provision"],
        out=chosen.get("out") or Path("lockrace-out"),
    )


def pace_of(chosen: dict[str, Any]) -> Pace | None:
    """The pace that the user chose, if any."""
    return None if chosen["max_rps"] is None else Pace(chosen["max_rps"])


def settings_of(chosen: dict[str, Any]) -> dict[str, Any]:
    """What was chosen, for reports; no secret is among it."""
    kept = {name: value for name, value in chosen.items() if value is not None and name not in {"token", "token2"}}
    if "profile" in kept:
        kept |= {"profile": profile_at(kept["profile"]).name, "profile_file": kept["profile"]}
    return {
        name: str(value)
        if isinstance(value, Path)
        else [str(one) for one in value]
        if isinstance(value, tuple)
        else value
        for name, value in kept.items()
    }


def seconds(text: str | None) -> float | None:
    """ "90s", "5m", "1h" or plain seconds as seconds."""
    if text is None:
        return None
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is no time: want 90s, 5m or 1h", param_hint="--budget")
    return float(found.group(1)) * _SECONDS[found.group(2) or "s"]
