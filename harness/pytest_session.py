"""The target of one pytest worker: opened for the first scenario, kept for all of them, ended with the session."""

import asyncio
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest

from harness.cli.options import TargetChoice, five_letters, make_target
from harness.cli.wording import profile_at
from harness.contract import Level, covers
from harness.drive.pace import Pace
from harness.drive.target import OpenTarget, TargetRefused
from harness.plan import Plan, make_plan
from harness.pytest_plugin import NotConforming
from harness.report.decision import exit_code
from harness.report.files import claim
from harness.report.result import RunResult, ScenarioResult
from harness.report.summary import reasons
from harness.report.terminal import Look, failure_report
from harness.run import RunOptions, left_out, opened_target, run_one
from harness.scenario import Scenario


class _Unwatched:
    """pytest shows the progress."""

    def started(self, plans: Sequence[Plan]) -> None: ...
    def planned(self, plan: Plan) -> None: ...
    def ran(self, plan: Plan, run: int) -> None: ...
    def finished(self, result: ScenarioResult) -> None: ...


class Bench:
    """An open target and an event loop of its own."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._level: Level = config.getoption("--lockrace-level")
        self._runner = asyncio.Runner()
        self._stack = contextlib.AsyncExitStack()
        self._opened: OpenTarget | None = None
        self._refused: str | None = None
        self._out: Path = self._option("out") / os.environ.get("PYTEST_XDIST_WORKER", "")
        self._claim = claim(self._out)

    def run(self, scenario: Scenario) -> None:
        """Run one instance. Raises NotConforming with the report; skips what the level or the target leaves out."""
        if not covers(self._level, scenario.level):
            pytest.skip(f"it judges level {scenario.level}")
        opened = self._target()
        if reason := left_out(scenario, opened, self._level):
            pytest.skip(reason)
        plan = make_plan(scenario, self._option("seed"), self._option("runs"))
        one, lost = self._runner.run(run_one(plan, opened, self._options(), None, _Unwatched()))
        self._tell(one, opened, lost)

    def close(self) -> None:
        """End the target and its processes."""
        self._claim.close()
        self._runner.run(self._stack.aclose())
        self._runner.close()

    def _target(self) -> OpenTarget:
        if self._refused is not None:
            raise NotConforming(self._refused)
        if self._opened is None:
            try:
                target = make_target(self._choice())
                share = self._share()
                pace = None if share is None else Pace(share)
                entering = self._stack.enter_async_context(opened_target(target, self._options(), pace))
                self._opened = self._runner.run(entering)
            except (TargetRefused, click.ClickException) as refused:
                self._refused = str(refused)
                raise NotConforming(self._refused) from None
        return self._opened

    def _options(self) -> RunOptions:
        return RunOptions(
            level=self._level,
            seed=self._option("seed"),
            timeout_s=self._option("timeout"),
            known=self._option("known"),
            max_dispatch_attempts=self._option("max-dispatch-attempts"),
            cluster=five_letters(self._option("cluster")),
            out=self._out,
            settings={"profile": profile_at(profile).name} if (profile := self._option("profile")) else {},
        )

    def _choice(self) -> TargetChoice:
        return TargetChoice(
            target=self._option("target"),
            level=self._level,
            token=None,
            token2=None,
            token_file=self._option("token-file"),
            insecure=self._option("insecure"),
            start=self._option("start"),
            ready=self._option("ready"),
            max_dispatch_attempts=self._option("max-dispatch-attempts"),
            profile=self._option("profile"),
            provision=self._option("provision"),
            max_rps=self._share(),
            out=self._out,
        )

    def _share(self) -> int | None:
        """This worker's part of the requests a second: all together never send more."""
        wanted, workers = self._option("max-rps"), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
        if wanted is not None and wanted < workers:
            plural = "s" if workers > 1 else ""
            raise click.UsageError(f"--lockrace-max-rps {wanted} is too little for {workers} worker{plural}, one each")
        return None if wanted is None else wanted // workers

    def _tell(self, one: ScenarioResult, opened: OpenTarget, lost: str | None) -> None:
        result = RunResult(opened.name, self._level, self._option("seed"), "", results=[one], unreachable=lost)
        if exit_code(result) == 0:
            return
        if one.verdict.violations:
            raise NotConforming(failure_report(result, Look()))
        why = [lost] if lost else reasons(one)
        raise NotConforming(f"{one.scenario.name}: {one.label}: {'; '.join(why)}\n{one.history_path}")

    def _option(self, name: str) -> Any:
        return self._config.getoption(f"--lockrace-{name}")
