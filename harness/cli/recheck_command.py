"""`lockrace recheck`: judge recorded histories again."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import KNOWN_CHOICES

if TYPE_CHECKING:
    from harness.report.decision import Known


@click.command("recheck", short_help="Judge recorded histories again.")
@click.argument("histories", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--known", type=KNOWN_CHOICES, default="any", show_default=True, help="What known races must be.")
def command(histories: tuple[Path, ...], known: "Known") -> int:
    """Judge histories from their files alone, as the run that recorded them did, or as anyone wrote them."""
    from harness.cli.rechecking import recheck  # noqa: PLC0415

    return recheck(histories, known)
