"""Drive one plan against an open target: every run in turn, every operation on disk before anything is judged."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.contract import Level
from harness.drive.conductor import Ensemble
from harness.drive.line import TargetLost
from harness.drive.provision import tidy_up
from harness.drive.secrets import Vault
from harness.drive.target import OpenTarget
from harness.history import Header, HistoryWriter
from harness.plan import Plan, replay_text

_TIDY_LIMIT_S = 5.0


@dataclass(frozen=True)
class DriveOptions:
    """How a plan is driven; all of it is written into the history's header."""

    level: Level = "must"
    seed: int = 0
    max_dispatch_attempts: int | None = None
    keep: bool = False  # leave the run's containers as they are
    budget_s: float | None = None  # stop starting new runs after so long
    settings: dict[str, Any] | None = None


@dataclass
class Driven:
    """What driving came to; the history itself is at `path`."""

    path: Path
    runs: int = 0
    lost: str | None = None  # the target went away in the middle


async def drive(
    plan: Plan,
    target: OpenTarget,
    options: DriveOptions,
    path: Path,
    after_run: Callable[[int], None] = lambda _: None,
) -> Driven:
    """Play every run of a plan; the history is complete on disk when this returns, however it ends."""
    vault = Vault()
    for name, secret in target.endpoint.secrets.items():
        vault.keep(secret, f"{name} token")
    ensemble = Ensemble(plan.scenario, target, vault)
    driven = Driven(path)
    keep = options.keep or target.endpoint.disposable
    ends_ns = None if options.budget_s is None else time.monotonic_ns() + int(options.budget_s * 1e9)
    with HistoryWriter(path, _header(plan, target, options)) as writer:
        for run, order in enumerate(plan.orders):
            if ends_ns is not None and run > 0 and time.monotonic_ns() > ends_ns:
                break
            stage = ensemble.stage(run)
            try:
                await ensemble.play(stage, order, keep=keep)
            except TargetLost as lost:
                driven.lost = str(lost)
                break
            except asyncio.CancelledError:
                if not keep:
                    await asyncio.wait_for(tidy_up(stage, target.line), _TIDY_LIMIT_S)
                raise
            finally:
                for operation in stage.operations:
                    writer.add(operation)
            driven.runs += 1
            after_run(run)
    return driven


def _header(plan: Plan, target: OpenTarget, options: DriveOptions) -> Header:
    scenario = plan.scenario
    return Header(
        scenario=scenario.name,
        text=scenario.text,
        path=str(scenario.path),
        target=target.name,
        level=options.level,
        max_dispatch_attempts=options.max_dispatch_attempts,
        seed=options.seed,
        tokens={name: caller.uuid for name, caller in target.callers.items()},
        settings=options.settings or {},
        replays=_replays(plan),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        version=version("lockrace"),
    )


def _replays(plan: Plan) -> list[str]:
    texts = [replay_text(plan.scenario, order) for order in plan.orders] or [replay_text(plan.scenario, None)]
    return texts[:1] if len(set(texts)) == 1 else texts
