"""`lockrace report`: reports of recorded histories, and the conformance matrix of several runs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import KNOWN_CHOICES

if TYPE_CHECKING:
    from harness.report.decision import Known


@click.command("report", short_help="Reports of histories, or the matrix of several runs.")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "markdown", "junit", "json", "github"]),
    default="html",
    show_default=True,
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write; - for standard output.")
@click.option("--name", "names", multiple=True, metavar="NAME", help="Of a matrix: what to call each server, in order.")
@click.option("--known", type=KNOWN_CHOICES, default="any", show_default=True, help="What known races must be.")
def command(files: tuple[Path, ...], form: str, out: Path | None, names: tuple[str, ...], known: "Known") -> int:
    """Judge histories (.jsonl) and report on them, or lay the results.json of several runs side by side.

    Without --out the HTML goes to report.html or matrix.html, everything else to standard output.

        lockrace report lockrace-out/histories/*.jsonl

        lockrace report old/results.json new/results.json --format markdown --name old --name new
    """
    from harness.cli.reports import report  # noqa: PLC0415

    return report(files, form, out, names, known)
