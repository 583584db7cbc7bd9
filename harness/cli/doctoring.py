"""What `lockrace doctor` looks at, one line each; the first thing that fails ends it, since the rest stands on it."""

import asyncio
import os
import platform
import sys
import time
from importlib.metadata import version
from typing import Any

import click

from harness.cli.options import make_target
from harness.cli.running import pace_of, target_choice
from harness.drive.crew import HarnessFault
from harness.drive.line import TargetLost
from harness.drive.pace import Pace
from harness.drive.provision import provision, tidy_up
from harness.drive.secrets import Vault
from harness.drive.stage import Stage
from harness.drive.target import OpenTarget, Target, TargetRefused
from harness.report.decision import CONFORMS, FAULT, UNREACHABLE
from harness.run import RunOptions, opened_target
from harness.scenario import load, shipped

_FEW_CORES = 2


def examine(chosen: dict[str, Any]) -> int:
    """Look at machine and target; the exit code says whether a run could start."""
    _say(True, f"lockrace {version('lockrace')}, Python {platform.python_version()}, {sys.platform}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    hint = "" if cores >= _FEW_CORES else "; races need two to collide, expect few overlaps"
    _say(cores >= _FEW_CORES, f"{cores} cores{hint}")
    resolution_ns = time.get_clock_info("monotonic").resolution * 1e9
    _say(resolution_ns <= 1000, f"the monotonic clock counts in steps of {resolution_ns:.0f} ns")
    target = make_target(target_choice(chosen))
    options = RunOptions(level=chosen["level"], timeout_s=chosen["timeout_s"])
    try:
        return asyncio.run(_visit(target, options, pace_of(chosen)))
    except (TargetRefused, TargetLost) as error:
        _say(False, str(error))
        return UNREACHABLE
    except HarnessFault as fault:
        _say(False, str(fault))
        return FAULT


async def _visit(target: Target, options: RunOptions, pace: Pace | None) -> int:
    began = time.monotonic()
    async with opened_target(target, options, pace) as opened:
        _say(True, f"{opened.name} answers at {opened.endpoint.url} ({time.monotonic() - began:.1f} s)")
        for name, caller in opened.callers.items():
            _say(True, f"the {name} token is accepted: {caller.uuid}")
        if "stranger" not in opened.callers:
            _say(False, "no second token: scenarios with a stranger will be left out (--token2, LOCKRACE_TOKEN2)")
        return await _make_a_container(opened)


async def _make_a_container(opened: OpenTarget) -> int:
    """Provision as a run would, and tidy up."""
    (path,) = shipped().rglob("stolen_lock.race.yaml")
    secrets = {name: caller.secret for name, caller in opened.callers.items()}
    stage = Stage(0, load(path)[0], Vault(), secrets, opened.callers["shared"].uuid[:5])
    made = await provision(stage, opened.line, opened.endpoint.supply)
    last = stage.operations[-1]
    why = stage.short or f"{last.outcome} ({last.status}) {'; '.join(last.errors or [])}"
    told = "" if made else f": {why}"
    _say(made, f"{'made' if made else 'could not make'} a container{told}")
    await tidy_up(stage, opened.line)
    if not made and opened.endpoint.supply is None:
        click.echo("    a run makes a fresh container for every order; the shared token must be allowed to")
    return CONFORMS if made else UNREACHABLE


def _say(good: bool, text: str) -> None:
    click.echo(f"{'✓' if good else '✗'} {text}")
