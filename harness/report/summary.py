"""What a run came to, counted: families of instances, known races, requirements, and where to look next."""

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.check.verdict import Violation
from harness.contract import REQUIREMENTS, covers
from harness.report.describe import harmless, shortened
from harness.report.result import Label, RunResult, ScenarioResult
from harness.scenario import shipped

WORST_FIRST: tuple[Label, ...] = ("violation", "inconclusive", "baseline", "known race", "conforms")


@dataclass(frozen=True)
class Family:
    """All finished instances of one scenario file: rows of a table, combinations of parameters."""

    name: str
    results: tuple[ScenarioResult, ...]

    @property
    def label(self) -> Label:
        """The worst label of its instances."""
        return min((result.label for result in self.results), key=WORST_FIRST.index)

    @property
    def labels(self) -> dict[Label, int]:
        """How many instances came to each label, worst first."""
        counts = Counter(result.label for result in self.results)
        return {label: counts[label] for label in WORST_FIRST if counts[label]}

    @property
    def runs(self) -> int:
        return sum(result.verdict.runs for result in self.results)

    @property
    def requests(self) -> int:
        return sum(result.requests for result in self.results)

    @property
    def seconds(self) -> float:
        return sum(result.seconds for result in self.results)


@dataclass(frozen=True)
class Failure:
    """What one scenario file showed of violations: the first stands for all; and how often any was seen."""

    result: ScenarioResult
    violation: Violation
    also: tuple[Violation, ...]  # the first of each other invariant, clause or step, and of each other requirement
    runs: int  # of all instances, with a violation; at least, where `more`
    more: bool
    instances: tuple[str, ...]


def families(results: Iterable[ScenarioResult]) -> list[Family]:
    """Results by scenario file, in the order in which the files first came."""
    found: dict[str, list[ScenarioResult]] = {}
    for result in results:
        found.setdefault(result.scenario.family, []).append(result)
    return [Family(name, tuple(members)) for name, members in found.items()]


def failures(results: Iterable[ScenarioResult]) -> list[Failure]:
    """Every scenario file with violations once; those that show a new requirement first come before the others.

    So whoever reads only the first few learns of as many requirements as possible.
    """
    groups: dict[str, list[tuple[ScenarioResult, Violation]]] = {}
    for result, violation in violations(results):
        groups.setdefault(result.scenario.family, []).append((result, violation))
    seen: Counter[str] = Counter()
    ranked = []
    for members in groups.values():
        requirement = members[0][1].requirement
        ranked.append((seen[requirement], _failure(members)))
        seen[requirement] += 1
    return [found for _, found in sorted(ranked, key=lambda pair: pair[0])]


def _failure(members: list[tuple[ScenarioResult, Violation]]) -> Failure:
    result, violation = members[0]
    first: dict[tuple[str, str], Violation] = {}
    for _, one in members:
        first.setdefault((one.requirement, one.name), one)
    return Failure(
        result=result,
        violation=violation,
        also=tuple(first.values())[1:],
        runs=len({(owner.scenario.name, one.run) for owner, one in members}),
        more=any(owner.verdict.more_violations for owner, _ in members),
        instances=tuple(dict.fromkeys(owner.scenario.name for owner, _ in members)),
    )


def when_seen(found: Failure) -> str:
    """In how many runs and instances, and which run a report shows."""
    verdict = found.result.verdict
    least = "at least " if found.more and found.runs < verdict.runs else ""
    if len(found.instances) > 1:
        others = ", ".join(name for name in found.instances if name != found.result.scenario.name)
        text = f"in {least}{counted(found.runs, 'run')} of {len(found.instances)} instances (also {others})"
        return shortened(text, 200)
    if verdict.runs <= 1:
        return "in the only run"
    raced = "" if verdict.raced is None else f", of which {verdict.raced} raced"
    return f"in {least}{found.runs} of {verdict.runs} runs{raced}; run {found.violation.run} is shown"


def violations(results: Iterable[ScenarioResult]) -> Iterator[tuple[ScenarioResult, Violation]]:
    """Every violation that counts, with the result it belongs to; those that a baseline excuses do not."""
    for result in results:
        if result.label != "baseline":
            for violation in result.verdict.violations:
                yield result, violation


def violated_requirements(results: Iterable[ScenarioResult]) -> dict[str, int]:
    """Requirement to the number of scenario instances that violated it, in the contract's order."""
    counts: Counter[str] = Counter()
    for _, requirement in {(result.scenario.name, one.requirement) for result, one in violations(results)}:
        counts[requirement] += 1
    order = {name: place for place, name in enumerate(REQUIREMENTS)}
    return dict(sorted(counts.items(), key=lambda pair: (order.get(pair[0], len(order)), pair[0])))


def known_races(results: Iterable[ScenarioResult]) -> dict[str, tuple[int, int]]:
    """Known race to (runs that reproduced it, runs judged), over all scenarios."""
    found: dict[str, tuple[int, int]] = {}
    for result in results:
        for race in result.verdict.known_races:
            if not race.reproduced and result.label in ("violation", "inconclusive"):
                continue  # a race counts as closed only where all the rest went as expected
            reproduced, judged = found.get(race.id, (0, 0))
            found[race.id] = (reproduced + race.reproduced, judged + race.judged)
    return found


def exercised(results: Iterable[ScenarioResult]) -> dict[str, int]:
    """Requirement to the number of observations that were judged, over all scenarios."""
    counts: Counter[str] = Counter()
    for result in results:
        counts.update(result.verdict.exercised)
    return dict(counts)


def requirements_of(run: RunResult) -> list[str]:
    """IDs of every requirement that a run at this level judges, in the contract's order."""
    return [name for name, one in REQUIREMENTS.items() if covers(run.level, one.level)]


def reasons(result: ScenarioResult) -> list[str]:
    """Why an instance is inconclusive, or red with no violation to show: a sentence each, at least one."""
    return [harmless(text) for text in [*result.notes, *result.verdict.inconclusive]] or ["no reason was given"]


def replay_command(run: RunResult, result: ScenarioResult, violation: Violation | None = None) -> str:
    """The command that does it again, ready for a shell: the violation's own run where it has a text of its own."""
    text = result.replays.get(violation.run, result.replay) if violation is not None else result.replay
    if text.startswith("lockrace "):  # a population: the whole command
        return harmless(text)
    words = ["lockrace", "replay", text, *aim(run.settings, result.history.header.target or run.target)]
    if not result.scenario.path.resolve().is_relative_to(shipped()):
        words += ["--scenarios", relative(result.scenario.path)]
    if run.level != "must":
        words += ["--level", run.level]
    if run.settings.get("run_auth"):
        words.append("--run-auth")
    return shell_line(words)


def shell_line(words: Iterable[str]) -> str:
    """A command ready for a shell, and harmless to a terminal."""
    return " ".join(shlex.quote(harmless(word)) for word in words)


OTHER_WORDS = {"--profile": "profile_file", "--provision": "provision"}
"""Options that say how a target looks and gives containers, and the settings that keep them."""


def aim(settings: Mapping[str, Any], target: str) -> list[str]:
    """The options that aim at the same target again; no secret is among them."""
    words = ["--start", str(settings["start"])] if settings.get("start") else ["--target", target]
    if settings.get("start") and settings.get("ready", "/") != "/":
        words += ["--ready", str(settings["ready"])]
    if settings.get("token_file"):
        words += ["--token-file", str(settings["token_file"])]
    if settings.get("insecure"):
        words.append("--insecure")
    for option, name in OTHER_WORDS.items():
        if settings.get(name, "api") != "api":
            words += [option, str(settings[name])]
    for option in ("max_dispatch_attempts", "max_rps", "cluster"):
        if settings.get(option):
            words += [f"--{option.replace('_', '-')}", str(settings[option])]
    return words


def releases(results: Iterable[ScenarioResult]) -> list[str]:
    """How the rounds of races were let go, each way once."""
    return list(dict.fromkeys(result.release for result in results if result.release is not None))


def server_log(run: RunResult) -> Path | None:
    """The log of a server that the run started, where it said anything; the reference server's stays with itself."""
    if run.out is None or not (run.settings.get("start") or run.target.startswith("asgi:")):
        return None
    log = run.out / "server.log"
    return log if log.is_file() and log.stat().st_size else None


def next_commands(run: RunResult) -> list[str]:
    """One or two commands that a reader would want next, each with what it is for."""
    found = failures(run.results)
    if run.unreachable:
        return ["lockrace explain 4"]
    if found:
        first = found[0]
        return [replay_command(run, first.result, first.violation), f"lockrace explain {first.violation.requirement}"]
    unsure = next((result for result in run.results if result.label == "inconclusive"), None)
    if unsure is not None:
        return ["lockrace explain inconclusive", f"lockrace recheck {shlex.quote(str(unsure.history_path))}"]
    races = known_races(run.results)
    commands = [f"lockrace explain {next(iter(races))}"] if races else []
    if run.target == "reference":
        commands.append("lockrace run --target http://your-server:port --token-file FILE")
    return commands


def left_out(run: RunResult) -> list[str]:
    """Scenarios that were left out, by reason: "it judges level arvados: attempt_limit, foreign_unlock and 14 more"."""
    by_reason: dict[str, list[str]] = {}
    for text in run.skipped:
        name, _, reason = text.partition(": ")
        by_reason.setdefault(harmless(reason), []).append(harmless(name))
    return [f"{_families_of(names)}: {reason}" for reason, names in by_reason.items()]


def not_begun(run: RunResult) -> str | None:
    """Scenarios for which the budget left no time, or None: "stolen_lock, two_lockers: the budget was spent before"."""
    return f"{_families_of(map(harmless, run.not_begun))}: the budget was spent before" if run.not_begun else None


def _families_of(names: Iterable[str]) -> str:
    found = list(dict.fromkeys(name.partition("[")[0] for name in names))
    return f"{', '.join(found[:3])} and {len(found) - 3} more" if len(found) > 3 else ", ".join(found)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: "1 run", "1,200 runs"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural or noun + 's'}"


def relative(path: Path) -> str:
    """`path` as one would type it here: relative to the current folder where it lies below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
