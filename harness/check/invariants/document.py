"""The invariants as a page: `python -m harness.check.invariants.document > docs/invariants.md`."""

import math
import sys
from collections.abc import Sequence
from textwrap import dedent

from harness.check.invariants.registry import INVARIANTS, POPULATION_INVARIANTS, Property
from harness.check.invariants.sample import read_sample
from harness.check.invariants.samples import SAMPLES
from harness.history import Operation

_HEAD = """\
# Invariants

What every history of a correct server shows, whatever the scenario; the last one, what the history of a population
shows. Each is judged at its level and above; how many observations it judged stands in every report, and one that
judged none is *not exercised*, never green. Where one operation breaks several, the one that stands first here is named
first.

Below each, the smallest history that breaks it: a lane for each process, a bar from invocation to answer, and under it
the same line by line. A bar that runs off to the right was never answered.

This page is made from the registry: `python -m harness.check.invariants.document > docs/invariants.md`.
"""


def as_markdown() -> str:
    """The whole page."""
    every = [*INVARIANTS.values(), *POPULATION_INVARIANTS.values()]
    return "\n".join([_HEAD, *map(_section, every)])


def smallest_bad_timeline(invariant: Property) -> str:
    """The smallest history that breaks an invariant: drawn, then its operations a line each."""
    sample = SAMPLES[invariant.name]
    lines = [" ".join(line.split()) for line in dedent(sample.bad).strip().splitlines()]
    drawn = picture(read_sample(sample.bad, invariant.level, sample.limit).operations)
    return "\n".join([drawn, "", *lines])


def picture(operations: Sequence[Operation]) -> str:
    """A lane for each process, a bar for each operation, as plain text."""
    lengths = [(one.return_ns - one.invoke_ns if one.return_ns is not None else 1, one) for one in operations]
    scale = max(math.ceil((len(one.op) + 4) / max(1, length)) for length, one in lengths)
    lanes: dict[str, list[Operation]] = {}
    for one in operations:
        lanes.setdefault(one.process, []).append(one)
    margin = max(len(name) for name in lanes) + 2
    width = margin + scale * max(one.invoke_ns + length for length, one in lengths) + 4
    return "\n".join(_lane(name, drawn, margin, scale, width) for name, drawn in lanes.items())


def _lane(name: str, operations: Sequence[Operation], margin: int, scale: int, width: int) -> str:
    cells = list(name.ljust(width))
    for one in operations:
        start = margin + one.invoke_ns * scale
        end = width if one.return_ns is None else margin + one.return_ns * scale
        bar = one.op.center(end - start - 1, "-")
        cells[start:end] = f"|{bar[: end - start - 1]}"
        if one.return_ns is not None:
            cells[end : end + 1] = "|"
    return "".join(cells).rstrip()


def _section(invariant: Property) -> str:
    below = f", below it the known race `{invariant.below}`" if invariant.below else ""
    where = ", judged on the history of `lockrace simulate`" if invariant.name in POPULATION_INVARIANTS else ""
    return "\n".join(
        [
            f"## {invariant.name}",
            "",
            f"{', '.join(invariant.requirements)}; level `{invariant.level}`{below}{where}.",
            "",
            invariant.explain,
            "",
            "```",
            smallest_bad_timeline(invariant),
            "```",
            "",
        ]
    )


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
