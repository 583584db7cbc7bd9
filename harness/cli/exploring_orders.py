"""What `lockrace explore` does with a scenario: on the model, on a server over HTTP, on one in this process."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from harness.cli.exploring import dropped_rules, parse_calls, save
from harness.cli.options import application_tokens, make_target, near
from harness.cli.running import pace_of, seconds, settings_of, target_choice
from harness.cli.wording import refuse_supply, wire_of
from harness.contract import Level
from harness.drive.crew import HarnessFault
from harness.drive.line import TargetLost
from harness.drive.supply import OutOfContainers
from harness.drive.target import OpenTarget, TargetRefused, connected
from harness.explore.asgi import STRATEGIES, AsgiRun, AsgiSearch, replay, search_interleavings, smallest_race
from harness.explore.asgi_app import BadAppError, load_app
from harness.explore.counterexample import programs_text
from harness.explore.model_line import open_model
from harness.explore.orders import OrderSearch, search_orders
from harness.explore.player import in_order, player
from harness.explore.sessions import SessionSearch, search_sessions
from harness.explore.shrink import REPLAYS, CannotShrinkError, Shrunk, shrink
from harness.explore.unroll import CannotUnrollError, told_in_sessions
from harness.model import Rules
from harness.report.summary import aim, counted, shell_line
from harness.scenario import Scenario, ScenarioError, shipped
from harness.scenario.loader import load, load_text

CONFORMS, VIOLATION, INCONCLUSIVE, UNREACHABLE, HARNESS_FAULT = 0, 1, 3, 4, 70
_ROWS_SHOWN = 20


def explore_orders(chosen: dict[str, Any]) -> int:
    """Search the orders, or the interleavings, of one scenario; returns the exit code."""
    scenario = _scenario(chosen)
    target: str = chosen["target"]
    try:
        if target.startswith("asgi:"):
            return _explore_asgi(scenario, target.removeprefix("asgi:"), chosen)
        if target == "model":
            return asyncio.run(_explore_model(scenario, chosen))
        return asyncio.run(_explore_server(scenario, chosen))
    except (TargetRefused, TargetLost, BadAppError) as error:
        click.echo(f"error: {error}", err=True)
        return UNREACHABLE
    except (CannotShrinkError, OutOfContainers) as error:
        click.echo(f"inconclusive: {error}", err=True)
        return INCONCLUSIVE
    except HarnessFault as fault:
        click.echo(f"fault of the harness: {fault}", err=True)
        return HARNESS_FAULT


def _scenario(chosen: dict[str, Any]) -> Scenario:
    """The one scenario to explore, from its file or from --program."""
    path = None if chosen["scenario"] is None else _file_of(chosen["scenario"])
    try:
        if path is not None:
            if chosen["programs"]:
                raise click.UsageError("give a SCENARIO or --program, not both")
            found = load(path)
        elif chosen["programs"]:
            programs = tuple(parse_calls(one) for one in chosen["programs"])
            number = chosen["dispatchers"] or max(2, len(programs))
            text = programs_text(programs * number if len(programs) == 1 else programs, chosen["level"])
            found = load_text(text, Path("programs.race.yaml"))
        else:
            raise click.UsageError(f"--target {chosen['target']} needs a SCENARIO, or --program for each dispatcher")
    except ScenarioError as error:
        click.echo(str(error), err=True)
        raise click.exceptions.Exit(2) from None
    if "\ncases:" in found[0].text:
        raise click.UsageError(f"{path} holds cases: each is one call, which has no orders. `lockrace run` plays them")
    return _in_sessions(found[0], len(found))


def _in_sessions(scenario: Scenario, instances: int) -> Scenario:
    """The scenario as sessions with orders; says what became of it, where it was told otherwise."""
    if instances > 1:
        click.echo(f"{scenario.family} has {instances} instances; this is the first of them, {scenario.name}")
    if instances == 1 and not scenario.fleets and scenario.schedule.kind != "race":
        return scenario
    try:
        told = told_in_sessions(scenario)
    except CannotUnrollError as error:
        raise click.UsageError(str(error)) from None
    if scenario.fleets:
        members = {session.name for session in told.sessions} - {session.name for session in scenario.sessions}
        fleets = " and ".join(fleet.name for fleet in scenario.fleets)
        click.echo(f"{fleets} told in {counted(len(members), 'session')}, since a fleet has no orders")
    return told


def _file_of(given: str) -> Path:
    """The file that was given, with or without its ending, or the shipped scenario of that name."""
    for path in (Path(given), Path(f"{given}.race.yaml")):
        if path.is_file():
            return path
    names = {found.name.removesuffix(".race.yaml"): found for found in shipped().rglob("*.race.yaml")}
    if given not in names:
        raise click.UsageError(f"{given!r} is no file and no shipped scenario{near(given, names)}")
    return names[given]


async def _explore_model(scenario: Scenario, chosen: dict[str, Any]) -> int:
    rules = Rules(chosen["level"], chosen["max_dispatch_attempts"], dropped_rules(chosen))
    found = await search_sessions(
        scenario, rules, budget_s=seconds(chosen["budget"]), progress=_on_terminal(_session_progress)
    )
    _clear()
    orders = "too many orders to count" if found.orders is None else f"{found.orders:,} orders"
    click.echo(
        f"{scenario.name} on the model, level {rules.level}: {orders} are {found.states:,} states "
        f"with {found.ends:,} distinct ends, {found.seconds:.2f} s"
    )
    _histogram(found.rows, "ends")
    _say_known(scenario, found.known)
    if found.order is None:
        click.echo("complete: no order violates" if found.complete else "stopped before the end: nothing proved")
        return CONFORMS if found.complete else INCONCLUSIVE
    target = open_model(rules)
    on_model = in_order(player(target, rules.level, rules.max_dispatch_attempts))
    return _tell_violation(await shrink(scenario, found.order, found.broken, on_model, None), chosen)


async def _explore_server(scenario: Scenario, chosen: dict[str, Any]) -> int:
    level: Level = chosen["level"]
    async with connected(make_target(target_choice(chosen)), chosen["timeout_s"], pace_of(chosen)) as target:
        target.cluster = chosen["cluster"]
        play = player(target, level, chosen["max_dispatch_attempts"])
        found = await search_orders(
            scenario,
            play,
            seed=chosen["seed"],
            budget_s=seconds(chosen["budget"]),
            memory=chosen["out"] / "explored" / f"{scenario.family}.orders.json",
            memory_key=" ".join([*aim(settings_of(chosen), target.name), level]),
            progress=_on_terminal(_order_progress),
        )
        _clear()
        _tell_orders(scenario, target, found)
        if found.order is None:
            return CONFORMS if found.complete and not found.inconclusive else INCONCLUSIVE
        on_model = in_order(player(open_model(Rules(level, chosen["max_dispatch_attempts"])), level))
        shrunk = await shrink(scenario, found.order, found.broken, in_order(play), on_model)
    return _tell_violation(shrunk, chosen, aim(settings_of(chosen), target.name))


def _tell_orders(scenario: Scenario, target: OpenTarget, found: OrderSearch) -> None:
    orders = "more orders than can be counted" if found.orders is None else f"{found.orders:,} orders"
    classes = "too many classes to list: drawn at random" if found.classes is None else f"{found.classes:,} classes"
    saved = "" if None in {found.orders, found.classes} else f"; {_saved(found):,} orders saved by independence"
    click.echo(f"{scenario.name} on {target.name}: {orders} in {classes}{saved}")
    again = f" ({found.resumed:,} of them by earlier calls)" if found.resumed else ""
    rate = (found.played - found.resumed) / found.seconds if found.seconds else 0
    click.echo(f"played {found.played:,}{again} in {found.seconds:.1f} s, {rate:,.0f} a second; {_coverage(found)}")
    _histogram(found.rows, "orders")
    _say_known(scenario, found.known)
    if found.inconclusive:
        click.echo(f"inconclusive: {counted(found.inconclusive, 'order')}; nothing proved")
    elif found.order is None:
        click.echo("complete: no order violates" if found.complete else "not complete: call again to go on")


def _saved(found: OrderSearch) -> int:
    return (found.orders or 0) - (found.classes or 0)


def _coverage(found: OrderSearch) -> str:
    if not found.classes:
        return "coverage unknown"
    return f"{100 * found.played / found.classes:.1f} % of the classes"


def _explore_asgi(scenario: Scenario, spec: str, chosen: dict[str, Any]) -> int:
    strategy = chosen["strategy"]
    if strategy is not None and strategy not in STRATEGIES:
        raise click.UsageError(f"no strategy {strategy[:40]!r}; want one of {', '.join(STRATEGIES)}")
    choice = target_choice(chosen)
    refuse_supply(choice.target, choice.provision, "is in this process, which nobody else can reach")
    wire = wire_of(choice.profile)
    tokens, _ = application_tokens(choice)  # first, since the application may want them on import
    make_app = load_app(spec)
    progress = _on_terminal(_asgi_progress)

    def make_run(one: Scenario) -> AsgiRun:
        return AsgiRun(one, make_app, tokens, chosen["level"], progress=progress, wire=wire)

    run = make_run(scenario)
    if chosen["replay"] is not None:
        return _replay_asgi(run, chosen["replay"])
    found = search_interleavings(
        run, strategy, seed=chosen["seed"], runs=chosen["runs"], budget_s=seconds(chosen["budget"])
    )
    _clear()
    rate = found.runs / found.seconds if found.seconds else 0
    click.echo(f"{scenario.name} on asgi:{spec}: {found.runs:,} runs in {found.seconds:.1f} s, {rate:,.0f} a second")
    _histogram(found.rows, "runs")
    if not found.broken and found.inconclusive:
        click.echo(f"inconclusive: {counted(found.inconclusive, 'run')}; nothing proved")
        return INCONCLUSIVE
    if not found.broken:
        click.echo("every run within the bound was made: none violates" if found.exhausted else "no run violates")
        return CONFORMS
    path, found = _smallest_race(scenario, found, make_run, chosen)
    words = ["--level", chosen["level"], "--replay", found.replay]
    command = shell_line(["lockrace", "explore", str(path), *aim(settings_of(chosen), f"asgi:{spec}"), *words])
    click.echo(
        f"violates {', '.join(sorted(found.broken))}, found by {found.strategy}, {found.deviations} choices away from "
        f"asyncio's own order, {found.replayed} of {REPLAYS} replays violate again:\n{found.message}\n\n"
        f"{found.interleaving}\n\nthe same run again: {command}"
    )
    return VIOLATION


def _smallest_race(
    scenario: Scenario, found: AsgiSearch, make_run: Callable[[Scenario], AsgiRun], chosen: dict[str, Any]
) -> tuple[Path, AsgiSearch]:
    """The file of the smallest scenario that still violates, and the run of it that does."""
    rules = Rules(chosen["level"], chosen["max_dispatch_attempts"])
    try:
        shrunk = asyncio.run(smallest_race(scenario, found, make_run, rules, chosen["seed"]))
    except CannotShrinkError:
        return scenario.path, found
    again = search_interleavings(make_run(shrunk.scenario), seed=chosen["seed"], runs=chosen["runs"])
    _clear()
    if not again.broken:
        return scenario.path, found
    path = save(shrunk.text, chosen["out"])
    click.echo(f"\n{shrunk.text}\nsaved as {path}\n")
    return path, again


def _replay_asgi(run: AsgiRun, text: str) -> int:
    try:
        broken = replay(run, text)
    except ValueError as error:
        raise click.UsageError(f"--replay {text[:40]!r}: {error}") from None
    click.echo(f"violates {', '.join(sorted(broken))}" if broken else "the run violates nothing")
    return VIOLATION if broken else CONFORMS


def _tell_violation(shrunk: Shrunk, chosen: dict[str, Any], where: Sequence[str] = ()) -> int:
    """`where` are the options that aim at the target which violated; the model is none that could be aimed at."""
    path = save(shrunk.text, chosen["out"])
    level = [] if chosen["level"] == "must" else ["--level", chosen["level"]]
    command = shell_line(["lockrace", "run", str(path), *where, *level])
    click.echo(
        f"violates {', '.join(sorted(shrunk.broken))}; smallest of {shrunk.tried} tried, violated again in "
        f"{shrunk.replayed} of {REPLAYS} replays\n\n{shrunk.text}\nsaved as {path}; play it: {command}"
    )
    return VIOLATION


def _say_known(scenario: Scenario, known: int) -> None:
    if known and scenario.known_race is not None:
        click.echo(f"{known:,} came out as the known race {scenario.known_race.id}, which the contract permits")


def _histogram(rows: Counter[tuple[str, ...]], unit: str) -> None:
    """The distinct outcomes, the most frequent first."""
    total = sum(rows.values())
    for row, number in rows.most_common(_ROWS_SHOWN):
        bar = "#" * max(1, round(20 * number / total))
        click.echo(f"{number:>8,} {unit} {bar:<20} {'  '.join(row)}")
    if len(rows) > _ROWS_SHOWN:
        click.echo(f"     and {len(rows) - _ROWS_SHOWN:,} more outcomes")


def _on_terminal(show: Callable[[Any], str]) -> Callable[[Any], None] | None:
    """A progress line on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        return None
    return lambda found: click.echo(f"\r\x1b[K{show(found)}", err=True, nl=False)


def _clear() -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)


def _session_progress(found: SessionSearch) -> str:
    return f"{found.states:,} states, {found.ends:,} distinct ends"


def _order_progress(found: OrderSearch) -> str:
    rate = (found.played - found.resumed) / found.seconds if found.seconds else 0
    return f"{found.played:,} orders, {rate:,.0f} a second, {len(found.rows)} distinct outcomes, {_coverage(found)}"


def _asgi_progress(found: AsgiSearch) -> str:
    rate = found.runs / found.seconds if found.seconds else 0
    return f"{found.runs:,} runs, {rate:,.0f} a second, {len(found.rows)} distinct outcomes"
