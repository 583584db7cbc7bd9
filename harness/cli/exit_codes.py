"""What each exit code of `lockrace` means."""

EXIT_CODES: dict[int, str] = {
    0: "The target conforms; known races may have been reproduced.",
    1: "A violation, or a baseline entry that now passes or has expired.",
    2: "Wrong usage, or a scenario or history that cannot be read; nothing was run.",
    3: "Inconclusive, nothing was proved: no overlap, a `sometimes` unseen, a verdict unknown, or the budget spent.",
    4: "The target is unreachable, or refused the tokens.",
    5: "Nothing was selected.",
    70: "A fault of the harness itself: please report it.",
    130: "Interrupted; what was finished is reported.",
}
