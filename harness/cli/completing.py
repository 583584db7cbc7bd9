"""What the shell proposes after Tab: scenarios, requirements, mutants; all of it is read only when the shell asks."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, add_completion_class

_HELP_LIMIT_S = 10.0
_BREAKS = frozenset(":=")

Items = list[CompletionItem[str]]


def targets(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """Kinds of targets; after "reference:" the mutants and variants."""
    if incomplete.startswith("reference:"):
        return _starting(incomplete, {f"reference:{name}": told for name, told in _departures().items()})
    kinds = {
        "reference": "a reference server",
        "reference:": "one of its mutants or variants",
        "model": "the contract itself",
        "asgi:": "a Python application in this process",
        "http://": "a server by its URL",
        "https://": "a server by its URL",
    }
    return _starting(incomplete, kinds)


def terms(context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """Names and tags of scenarios, and requirements, for the last of a comma list."""
    from harness.contract import REQUIREMENTS  # noqa: PLC0415

    before, comma, last = incomplete.rpartition(",")
    scenarios = _scenarios(context.params.get("paths") or context.args)  # click has not sorted out what is unfinished
    found = {one.family: one.summary for one in scenarios}
    if "[" in last:
        found |= {one.name: one.summary for one in scenarios}
    found |= {tag: "a tag" for one in scenarios for tag in one.tags}
    found |= {name: one.text for name, one in REQUIREMENTS.items()}
    return _starting(incomplete, {f"{before}{comma}{name}": told for name, told in found.items()})


def scenarios_or_files(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """Shipped scenarios; where none begins so, files."""
    found = _starting(incomplete, {one.family: one.summary for one in _scenarios(None)})
    return [CompletionItem(incomplete, type="file"), *found]


def replay_texts(context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """Scenarios, then the order that the file gives."""
    from harness.plan import replay_text  # noqa: PLC0415

    scenarios = _scenarios(context.params.get("paths"))
    found = {one.name: one.summary for one in scenarios}
    if ":" in incomplete:
        found = {replay_text(one, one.schedule.order): "" for one in scenarios if one.schedule.order}
    return _starting(incomplete, found)


def explained(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """Every name that `lockrace explain` knows."""
    from harness.cli.explaining import names  # noqa: PLC0415

    return _starting(incomplete, dict.fromkeys((one for some in names().values() for one in some), ""))


def kinds_of_scenario(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """What `lockrace new --kind` offers."""
    from harness.scenario.templates import KINDS  # noqa: PLC0415

    return _starting(incomplete, KINDS)


def departures(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """Mutants and variants of the reference server."""
    return _starting(incomplete, _departures())


def values_of_the_server(context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """The value of an option of `lockrace serve`."""
    given = context.params.get("arguments") or ("",)
    match given[-1]:
        case "--mutant" | "--variant" as option:
            return _starting(incomplete, _departures(f"{option[2:]}s"))
        case "--database" | "--token-file":
            return [CompletionItem(incomplete, type="file")]
    return []


def options_of_the_server(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """The options that the server's own help names."""
    command = [sys.executable, "-m", "reference_server", "--help"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=_HELP_LIMIT_S, text=True)  # noqa: S603 (our own)
    options = re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", done.stdout, re.MULTILINE)
    return _starting(incomplete, dict.fromkeys(options, ""))


def _scenarios(paths: Any) -> tuple[Any, ...]:
    """The scenarios of the paths that were given, else the shipped ones; none where they cannot be read."""
    from harness.scenario import ScenarioError, load_all, shipped  # noqa: PLC0415

    with contextlib.suppress(ScenarioError, OSError):
        return load_all([Path(one) for one in paths or ()] or [shipped()])
    return ()


def _departures(*kinds: str) -> dict[str, str]:
    from harness.drive.served import reference_catalogue  # noqa: PLC0415

    catalogue = reference_catalogue()
    return {one["name"]: one.get("summary", "") for kind in kinds or ("mutants", "variants") for one in catalogue[kind]}


def _starting(incomplete: str, found: dict[str, str]) -> Items:
    return [CompletionItem(name, help=told or None) for name, told in found.items() if name.startswith(incomplete)]


class _Bash(BashComplete):
    """Joins again what bash takes apart at ":" and "=", and answers with what comes after the last of them.

    COMP_WORDS of `--target reference:keep` are --target, reference, :, keep; what is proposed takes the place of keep.
    """

    _done = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        args, last = super().get_completion_args()
        words, glue = self._joined(args), False
        if args and words and (_is_break(last) or _is_break(args[-1])):
            self._done, glue = words.pop(), True
        incomplete = self._done + last
        if glue and _is_break(last):
            self._done = incomplete
        if self._done.startswith("-"):  # what is proposed is the value of an option, without its name
            self._done = self._done.partition("=")[2]
        return words, incomplete

    def format_completion(self, item: CompletionItem[Any]) -> str:
        return f"{item.type},{item.value.removeprefix(self._done)}"

    @staticmethod
    def _joined(words: Iterable[str]) -> list[str]:
        joined: list[str] = []
        glue = False
        for word in words:
            if joined and (glue or _is_break(word)):
                joined[-1] += word
            else:
                joined.append(word)
            glue = _is_break(word)
        return joined


def _is_break(word: str) -> bool:
    return bool(word) and _BREAKS.issuperset(word)


class _Fish(FishComplete):
    """Keeps the commas of a proposal: only the first one parts it from its kind."""

    source_template: ClassVar[str] = FishComplete.source_template.replace(
        'string split "," $completion', 'string split --max 1 "," $completion'
    )


def complete(program: click.Command) -> int:
    """Answer the shell, which asks by a variable of the environment; whatever is wrong, it gets no proposals."""
    add_completion_class(_Bash)
    add_completion_class(_Fish)
    try:
        program.main(prog_name="lockrace", standalone_mode=False)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except Exception:  # nobody wants a traceback in the line that is being typed
        return 1
    return 1
