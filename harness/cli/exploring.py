"""What `lockrace explore` does on the model; servers are in `exploring_orders`."""

import sys
from pathlib import Path
from typing import Any

import click

from harness.cli.options import near
from harness.cli.wording import refuse_other_words, refuse_supply
from harness.explore.compare import as_markdown, losses
from harness.explore.counterexample import Done, counterexample_text
from harness.explore.programs import (
    API_OF_9898,
    CRASH,
    DEFAULT_INVARIANTS,
    EVERYTHING,
    INVARIANTS,
    LOSE,
    REQUESTS,
    Protocol,
)
from harness.explore.search import Search, any_program, fixed_programs, requests_of, search
from harness.model import RUN_AUTH_RULES, Rules


def explore(chosen: dict[str, Any]) -> int:
    """Search as the user chose; returns the exit code."""
    if chosen["each_rule"]:
        click.echo(as_markdown(losses()), nl=False)
        return 0
    if chosen["target"] == "model":
        refuse_other_words("the model", chosen["profile"])
        refuse_supply("the model", chosen["provision"], "makes its own containers")
    if chosen["target"] != "model" or chosen["scenario"] is not None:
        from harness.cli.exploring_orders import explore_orders  # noqa: PLC0415

        return explore_orders(chosen)
    return _explore_programs(chosen)


def _explore_programs(chosen: dict[str, Any]) -> int:
    level = chosen["level"]
    rules = Rules(level, chosen["max_dispatch_attempts"], dropped_rules(chosen))
    watch = _checked(chosen["invariants"], INVARIANTS, "an invariant") or DEFAULT_INVARIANTS[rules.level]
    dispatchers, choice, what = _programs(chosen)
    found = search(
        Protocol(rules, every_answer=chosen["every_answer"]),
        choice,
        dispatchers,
        watch,
        budget_s=_seconds(chosen["budget"]),
        progress=_progress if sys.stderr.isatty() else None,
    )
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)
    click.echo(f"model of level {level}, {dispatchers} dispatchers, {what}; looking for {', '.join(watch)}")
    click.echo(_told(found))
    if not found.steps:
        return 0 if found.complete else 3
    order = tuple(Done(step.dispatcher, step.move.name) for step in found.steps)
    text = counterexample_text(order, found.broken, level)
    path = save(text, chosen["out"])
    at_level = "" if level == "must" else f" --level {level}"
    click.echo(f"{INVARIANTS[found.broken[0]]}\n\n{text}\nsaved as {path}; play it: lockrace run {path}{at_level}")
    if level != "run_auth":
        click.echo("The contract itself permits this race (its known_race block says so), so it is no violation.")
        return 0
    return 1


def _programs(chosen: dict[str, Any]) -> tuple[int, Any, str]:
    """How many dispatchers, what they may do, and that in words."""
    programs = tuple(parse_calls(one) for one in chosen["programs"])
    dispatchers = chosen["dispatchers"] or max(2, len(programs))
    if programs:
        if chosen["calls"] or chosen["requests"]:
            raise click.UsageError("--program says what is done; leave out --calls and --requests")
        if len(programs) not in {1, dispatchers}:
            raise click.UsageError(f"{len(programs)} programs for {dispatchers} dispatchers: give one, or one for each")
        all_programs = programs * dispatchers if len(programs) == 1 else programs
        return dispatchers, fixed_programs(all_programs), "each with its program"
    default = EVERYTHING if chosen["level"] == "run_auth" else API_OF_9898
    calls = parse_calls(chosen["calls"]) if chosen["calls"] else default
    requests = chosen["requests"]
    number = "any number of steps" if requests is None else f"{requests} steps"
    return dispatchers, any_program(calls, requests), f"any programs of {number} each out of {', '.join(calls)}"


def parse_calls(text: str) -> tuple[str, ...]:
    """The calls of a comma list; click.UsageError names the one that is none."""
    known = (*REQUESTS, CRASH, *(LOSE + name for name in REQUESTS))
    calls = tuple(part.strip() for part in text.split(",") if part.strip())
    if not calls:
        raise click.UsageError("no calls given; want a comma list such as lock,auth,unlock")
    return _checked(calls, known, "a call of a dispatcher")


def dropped_rules(chosen: dict[str, Any]) -> frozenset[str]:
    """The rules of --drop; click.UsageError for one that is none, or where there are none to drop."""
    dropped = _checked(chosen["dropped"], RUN_AUTH_RULES, "a rule of run_auth")
    if dropped and chosen["level"] != "run_auth":
        raise click.UsageError("--drop takes rules of run_auth away: it needs --level run_auth")
    return frozenset(dropped)


def _checked(names: tuple[str, ...], known: Any, what: str) -> tuple[str, ...]:
    for name in names:
        if name not in known:
            raise click.UsageError(f"{name[:40]!r} is not {what}{near(name, known)}; want one of: {', '.join(known)}")
    return names


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    from harness.cli.running import seconds  # noqa: PLC0415 (half a second of imports)

    return seconds(text)


def _progress(found: Search) -> None:
    rate = found.states / found.seconds if found.seconds else 0
    click.echo(f"\r\x1b[K{found.states:,} states, {rate:,.0f} a second, depth {found.depth}", err=True, nl=False)


def _told(found: Search) -> str:
    counted = "states (who is who not told apart)" if found.interchangeable else "states"
    size = f"{found.states:,} {counted}, {found.moves:,} moves in {found.seconds:.2f} s"
    if found.steps:
        return f"{size}; broken after {requests_of(found.steps)} requests: {', '.join(found.broken)}"
    if found.complete:
        return f"{size}; complete: no order breaks any of them"
    return f"{size}; stopped before the end, at depth {found.depth}: nothing broken so far, and nothing proved"


def save(text: str, out: Path) -> Path:
    """Write a scenario file under its own name; click.UsageError where that cannot be done."""
    name = next(line.removeprefix("scenario: ") for line in text.splitlines() if line.startswith("scenario: "))
    path = out / "explored" / f"{name}.race.yaml"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise click.UsageError(f"{path}: cannot be written: {error.strerror or error}") from None
    return path
