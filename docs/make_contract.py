"""`python docs/make_contract.py`: the table of transitions in docs/contract.md, from those that are played."""

from pathlib import Path
from typing import Any

import yaml

from harness.contract import STATES

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/contract.md"
_TABLES = ROOT / "scenarios/conformance"
_BEGIN, _END = "<!-- transitions:begin -->\n", "<!-- transitions:end -->\n"
_CALLS = ("lock", "unlock", "auth", *(f"update to {state}" for state in STATES))
_TOKENS = ("shared", "stranger")

Cells = dict[tuple[str, str, str], str]
"""What is answered, by call, token and state."""


def page() -> str:
    """The page with its table as it must be."""
    before, _, rest = PAGE.read_text("utf-8").partition(_BEGIN)
    return before + _BEGIN + transitions() + _END + rest.partition(_END)[2]


def transitions() -> str:
    """Every call of both tokens in every state: the answers of level must, then where arvados leaves fewer of them."""
    must, arvados = _cells("transition_table"), _cells("transition_table_arvados")
    lines = ["| call | token | " + " | ".join(STATES) + " |", "|---|---|" + "---|" * len(STATES)]
    for call in _CALLS:
        for token in _TOKENS:
            places = [(call, token, state) for state in STATES]
            told = [f"{must[at]}; *arvados*: {arvados[at]}" if at in arvados else must[at] for at in places]
            lines.append(f"| {call} | {token} | " + " | ".join(told) + " |")
    return "\n".join(lines) + "\n"


def _cells(name: str) -> Cells:
    document = yaml.safe_load((_TABLES / f"{name}.race.yaml").read_text("utf-8"))
    return {
        (_call(row["call"]), row["by"], row["given"]): _answers(row)
        for row in document["cases"]
        if isinstance(row["given"], str)  # what depends on more than the state is no row of this table
    }


def _call(call: Any) -> str:
    return call if isinstance(call, str) else f"update to {call['update']['state']}"


def _answers(row: dict[str, Any]) -> str:
    outcomes = row["expect"] if isinstance(row["expect"], list) else [row["expect"]]
    then = row["then"]["granted"] if isinstance(row["then"], dict) else row["then"]
    told = [f"granted → {then}" if one == "granted" and then != row["given"] else one for one in outcomes]
    return ", ".join(told[:-1]) + " or " + told[-1] if len(told) > 1 else told[0]


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
