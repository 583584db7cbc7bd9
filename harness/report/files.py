"""Reports as files: which kinds there are, what each is called, and the one function that writes."""

import fcntl
import os
from collections.abc import Collection
from pathlib import Path
from typing import IO, Literal, get_args

from harness.report.result import RunResult

Kind = Literal["html", "json", "junit", "markdown"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NAMES: dict[Kind, str] = {
    "html": "report.html",
    "json": "results.json",
    "junit": "junit.xml",
    "markdown": "summary.md",
}


def report_text(kind: Kind, run: RunResult) -> str:
    """The text of one kind of report; only the module that it needs is imported."""
    if kind == "html":
        from harness.report.html import run_page  # noqa: PLC0415

        return run_page(run)
    if kind == "json":
        from harness.report.results_json import results_json  # noqa: PLC0415

        return results_json(run)
    if kind == "junit":
        from harness.report.junit import junit  # noqa: PLC0415

        return junit(run)
    from harness.report.github import job_summary  # noqa: PLC0415

    return job_summary(run)


class OutInUse(Exception):
    """Another run writes into the same folder at this moment; the text says what to do instead."""


def claim(out: Path) -> IO[str]:
    """Keep a folder for one run: hold the file that this returns until the run is over. Raises OutInUse.

    Two runs that write the same histories would judge each other's.
    """
    out.mkdir(parents=True, exist_ok=True)
    held = (out / ".in-use").open("w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise OutInUse(f"another run is writing into {out}: wait for it, or choose another folder (--out)") from None
    return held


def drop_reports(out: Path) -> None:
    """Remove the reports of an earlier run: nobody shall take them for those of the next one.

    A run always leaves results.json; where none of ours is, files of these names are somebody else's.
    """
    try:
        with (out / NAMES["json"]).open("rb") as file:
            is_ours = b'"lockrace-results"' in file.read(200)
    except OSError:
        return
    if is_ours:
        for name in NAMES.values():
            (out / name).unlink(missing_ok=True)


def write_reports(run: RunResult, out: Path, kinds: Collection[Kind] = ("html", "json")) -> dict[Kind, Path]:
    """Write reports of a run into `out`; their paths. Raises OSError where that cannot be done."""
    paths = {kind: out / NAMES[kind] for kind in kinds}
    for kind, path in paths.items():
        write_file(path, report_text(kind, run))
    return paths


def write_file(path: Path, text: str) -> None:
    """Put `text` there as UTF-8, whole or not at all: a reader never meets half a report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_text(text, "utf-8", newline="\n")
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)
