"""From the steps of a search to a scenario file that `lockrace run` plays on any server."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from harness.contract import LEVELS, OUTCOMES, REQUIREMENTS, STATES, Level, covers
from harness.explore.document import ANSWERS, scenario_text
from harness.explore.programs import CRASH, LOSE, Local, Protocol, World, after_move, moves
from harness.model import Container, Rules

_REQUIREMENT_OF = {
    "both_hold": "RUN-1",
    "single_winner": "LOCK-3",
    "single_holder": "RUN-1",
    "told_of_loss": "RUN-2",
    "late_unlock_harmless": "RUN-3",
    "only_holder_starts": "RUN-4",
}
_REQUIREMENT_OF_CALL = {"lock": "LOCK-1", "unlock": "UNLOCK-1", "auth": "AUTH-1", "get": "GET-1"}
_VERBS = {"Locked": "relock", "Queued": "requeue", "Running": "start", "Complete": "finish", "Cancelled": "cancel"}


class Done(NamedTuple):
    """One step of an order: which dispatcher, numbered from 0, did what (a name of `programs`)."""

    dispatcher: int
    name: str


class _Written(NamedTuple):
    """A step as the file has it."""

    session: str
    id: str
    step: dict[str, Any]


def counterexample_text(
    order: tuple[Done, ...], broken: tuple[str, ...], level: Level, *, name: str | None = None, summary: str = ""
) -> str:
    """The scenario that plays `order` and forbids what it broke.

    Below level run_auth the contract itself permits these outcomes, so the file carries its known_race block: it
    passes on a faithful server and on a better one. Every step expects what any conforming server may answer there.
    """
    what = _most_telling(broken)
    written = _written(order, what, level)
    never = _clause(what, order, written)
    race = None if level == "run_auth" else _known_race(what, order, written)
    sessions: dict[str, list[dict[str, Any]]] = {}
    for one in written:
        sessions.setdefault(one.session, []).append(one.step)
    document: dict[str, Any] = {
        "format": 1,
        "scenario": name or f"found_{race['id'] if race else what}",
        "summary": summary or f"Found by lockrace explore; {what} breaks in {len(order)} steps.",
        "level": level,
        "requires": _requires(order, what, level),
        "tags": ["explored"],
        "given": {"containers": {"c1": "Queued"}, "tokens": dict.fromkeys(sessions, "shared")},
        "sessions": sessions,
        "schedule": {"order": [one.id for one in written]},
        "outcome": {
            "never": {what: never},
            "show": [f"{one.id}.status" for one in written if "crash" not in one.step],
        },
    }
    if race is not None:
        document["known_race"] = race
    return scenario_text(document)


def programs_text(programs: tuple[tuple[str, ...], ...], level: Level) -> str:
    """A scenario of dispatchers that run programs, in every order; it forbids nothing beyond the contract."""
    order = tuple(Done(index, name) for index, program in enumerate(programs) for name in program)
    sessions: dict[str, list[dict[str, Any]]] = {}
    for one in _named(order, [ANSWERS] * len(order)):
        sessions.setdefault(one.session, []).append(one.step)
    document = {
        "format": 1,
        "scenario": "programs",
        "summary": "Programs given to lockrace explore.",
        "level": level,
        "requires": _requires(order, "both_hold", level),
        "given": {"containers": {"c1": "Queued"}, "tokens": dict.fromkeys(sessions, "shared")},
        "sessions": sessions,
        "schedule": {"every": {"limit": 100_000}},
    }
    return scenario_text(document)


def _most_telling(broken: tuple[str, ...]) -> str:
    return min(broken, key=lambda one: list(_REQUIREMENT_OF).index(one))


def _letter(dispatcher: int) -> str:
    return chr(ord("A") + dispatcher) if dispatcher < 26 else f"D{dispatcher}"


def _written(order: tuple[Done, ...], what: str, level: Level) -> list[_Written]:
    if what == "single_holder":  # two run_auths work: show it by the auths that they open
        holders = sorted({done.dispatcher for done in order})
        order = (*order, *(Done(holder, "auth") for holder in holders if order[-1] != Done(holder, "auth")))
    return _named(order, list(_expected(order, level)))


def _named(order: tuple[Done, ...], expected: list[list[str]]) -> list[_Written]:
    """Every step with an id of its own, and what it expects."""
    ids: set[str] = set()
    crashes: dict[int, int] = {}
    written = []
    for done, outcomes in zip(order, expected, strict=True):
        step = _step(done, outcomes, crashes.get(done.dispatcher, 0))
        base = step_id = f"{_letter(done.dispatcher).lower()}_{_verb(done.name)}"
        number = 1
        while step_id in ids:
            number += 1
            step_id = f"{base}_{number}"
        ids.add(step_id)
        written.append(_Written(_letter(done.dispatcher), step_id, {"id": step_id} | step))
        if done.name == CRASH:
            crashes[done.dispatcher] = crashes.get(done.dispatcher, 0) + 1
    return written


def _verb(name: str) -> str:
    request = name.removeprefix(LOSE)
    return _VERBS.get(request, request)


def _step(done: Done, outcomes: list[str], crashes: int) -> dict[str, Any]:
    request = done.name.removeprefix(LOSE)
    if request == CRASH:
        return {"crash": "self"}
    step: dict[str, Any] = {"update": {"container": "c1", "state": request}} if request in STATES else {request: "c1"}
    if request != done.name:
        return step | {"fault": {"lose": "reply"}, "expect": "indeterminate"}
    if request == "auth":
        step["save"] = "token" if not crashes else f"token_{crashes + 1}"
    return step | {"expect": outcomes[0] if len(outcomes) == 1 else outcomes}


def _expected(order: tuple[Done, ...], level: Level) -> Iterator[list[str]]:
    """For each step every outcome that some conforming server gives, those of a better level included."""
    dispatchers = 1 + max(done.dispatcher for done in order)
    start = World(Container(), (Local(),) * dispatchers)
    at = {other: {start} for other in LEVELS if covers(other, level)}
    for done in order:
        outcomes: set[str] = set()
        for other, worlds in at.items():
            following = set()
            for world in worlds:
                for move in moves(
                    Protocol(Rules(other), every_answer=True),
                    world.container,
                    world.locals[done.dispatcher],
                    done.name,
                ):
                    outcomes.add(move.outcome)
                    following.add(after_move(world, done.dispatcher, move))
            at[other] = following
        yield [outcome for outcome in OUTCOMES if outcome in outcomes]


def _clause(what: str, order: tuple[Done, ...], written: list[_Written]) -> str:
    names = list(dict.fromkeys(one.session for one in written))
    if what in {"both_hold", "single_holder"}:
        last = {one.session: one.step["save"] for one in written if "save" in one.step}
        two = [name for name in names if name in last][-2:]
        believe = [f"believes({name}, c1)" for name in two] if what == "both_hold" else []
        return " and ".join([*believe, *(f"live({name}.{last[name]})" for name in two)])
    if what == "single_winner":
        two_ids = [one.id for done, one in zip(order, written, strict=False) if done.name in {"lock", "Locked"}][-2:]
        believe = [f"believes({name}, c1)" for name in names[-2:]]
        return " and ".join([*believe, f"{two_ids[0]}.auth_uuid == {two_ids[1]}.auth_uuid"])
    return f"{written[len(order) - 1].id}.granted"


def _requires(order: tuple[Done, ...], what: str, level: Level) -> list[str]:
    calls = [_REQUIREMENT_OF_CALL.get(done.name.removeprefix(LOSE), "STATE-3") for done in order]
    found = dict.fromkeys([_REQUIREMENT_OF[what], *calls])
    return [one for one in found if covers(level, REQUIREMENTS[one].level)]


def _known_race(what: str, order: tuple[Done, ...], written: list[_Written]) -> dict[str, Any]:
    """The block that says which of the contract's own races this is."""
    race, because = race_of(what, order)
    names = list(dict.fromkeys(one.session for one in written if "save" in one.step))
    last = written[len(order) - 1]
    only_when = f"{last.id}.granted"
    if what in {"both_hold", "single_holder"} and len(names) >= 2:
        tokens = {one.session: one.step["save"] for one in written if "save" in one.step}
        only_when = " == ".join(f"{name}.{tokens[name]}" for name in sorted(names[-2:]))
    return {"id": race, "breaks": [what], "only_when": only_when, "because": because}


def race_of(what: str, order: tuple[Done, ...]) -> tuple[str, str]:
    """Which of the contract's own races breaks `what` by this order, and because of what."""
    names = [done.name for done in order]
    if "Locked" in names and what in {"both_hold", "single_winner", "single_holder"}:
        return "double_update", "an update to the state that it has already changes nothing, and is granted"
    if names[-1] in {"unlock", "Queued"}:
        return "late_unlock", "unlock carries no lock id, so a late one cannot be told from a new one"
    if names[-1] in {"Running", "Complete", "Cancelled"}:
        return "adopted_running", "an update is taken from any dispatcher that has the token"
    return "stolen_lock", "the server cannot tell the dispatchers apart; all present the same dispatch token"
