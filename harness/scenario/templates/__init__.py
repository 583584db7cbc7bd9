"""Scenarios to start from: files of this folder, with `my_scenario` for a name."""

from importlib.resources import files

from harness.scenario.diagnostics import near_name

KINDS: dict[str, str] = {
    "order": "one order of steps by two dispatchers",
    "every": "every order that two dispatchers can produce",
    "cases": "a table of calls, answers and states",
    "race": "a crowd of dispatchers that call at the same moment",
    "fault": "a lost reply, a crash, and what the dispatcher does then",
}
"""What `lockrace new --kind` offers, with a line on each."""


def new_scenario(kind: str, name: str) -> str:
    """The text of a new scenario file of one kind, called `name`; it loads as it is.

    Raises ValueError, with the kind that was meant, for a kind that there is not.
    """
    if kind not in KINDS:
        near = near_name(kind, KINDS)
        hint = f'; did you mean "{near}"?' if near else f"; there are {', '.join(KINDS)}"
        raise ValueError(f'no template is called "{kind}"{hint}')
    text = files(__name__).joinpath(f"{kind}.race.yaml").read_text(encoding="utf-8")
    return text.replace("my_scenario", name)
