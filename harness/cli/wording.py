"""How a server that says the same in other words is read, and where its fresh containers come from."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from harness.drive.supply import Supply
    from harness.wire import Profile, Wire

_T = TypeVar("_T")


class BadFile(click.ClickException):
    """A file with faults, each told at its place."""

    exit_code = 2

    def show(self, file: object = None) -> None:  # noqa: ARG002 (click's name)
        """The faults, and nothing else."""
        click.echo(self.message, err=True)


@cache
def profile_at(path: Path) -> "Profile":
    """The profile in a file. Raises BadFile."""
    from harness.profile import read_profile  # noqa: PLC0415

    return _read(lambda: read_profile(path))


def wire_of(path: Path | None) -> "Wire":
    """How the API looks: as the profile says, else as Arvados does."""
    from harness.wire import ARVADOS, Wire  # noqa: PLC0415

    return ARVADOS if path is None else Wire(profile_at(path))


def supply_of(written: str) -> "Supply | None":
    """Where fresh containers come from; None for the API itself."""
    from harness.drive.supply import read_supply  # noqa: PLC0415

    try:
        return _read(lambda: read_supply(written))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--provision") from None


def _read(read: Callable[[], _T]) -> _T:
    from harness.scenario import ScenarioError  # noqa: PLC0415

    try:
        return read()
    except ScenarioError as error:
        raise BadFile(str(error)) from None


def refuse_other_words(target: str, profile: Path | None) -> None:
    """Say that a target of our own looks as it does. Raises click.UsageError."""
    if profile is not None:
        raise click.UsageError(f"--profile says how a server of yours looks; {target} looks as Arvados does")


def refuse_supply(target: str, written: str, why: str) -> None:
    """Say that a target makes its containers by the API. Raises click.UsageError."""
    if written != "api":
        raise click.UsageError(f"--provision {written.partition(':')[0]}: {target} {why}")
