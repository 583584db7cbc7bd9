"""The exhaustive search over the model, against an enumeration that hashes nothing."""

import random
from collections.abc import Iterator

import pytest

from harness.explore.programs import (
    API_OF_9898,
    CRASH,
    EVERYTHING,
    INVARIANTS,
    NOW,
    OLD,
    RUN_AUTH_INVARIANTS,
    SHARED,
    Local,
    Move,
    Protocol,
    World,
    after_move,
    broken_by_state,
    moves,
)
from harness.explore.search import Search, any_program, fixed_programs, requests_of, search
from harness.explore.tables import Choice
from harness.model import RUN_AUTH_RULES, Call, Container, Rules, permitted

MUST, RUN_AUTH = Protocol(Rules("must")), Protocol(Rules("run_auth"))


def told(found: Search) -> list[tuple[str, str, str]]:
    return [("ABC"[step.dispatcher], step.move.name, step.move.outcome) for step in found.steps]


def every_way(protocol: Protocol, choice: Choice, dispatchers: int) -> Iterator[tuple[list[Move], World]]:
    """Every order of moves with the world it leads to, one after the other: nothing is remembered, nothing merged."""
    start = World(Container(), (Local(choice.counts_from),) * dispatchers)
    stack: list[tuple[list[Move], World]] = [([], start)]
    while stack:
        taken, world = stack.pop()
        yield taken, world
        for index, local in enumerate(world.locals):
            for name in choice.of(index, local):
                found = moves(protocol, world.container, local, name)
                stack.extend(([*taken, move], after_move(world, index, move)) for move in found)


def test_finds_stolen_lock_in_five_requests_of_two_dispatchers() -> None:
    found = search(MUST, any_program(API_OF_9898, None), 2, ("both_hold",))
    assert requests_of(found.steps) == 5
    assert told(found) == [
        ("A", "lock", "granted"),
        ("B", "unlock", "granted"),
        ("B", "lock", "granted"),
        ("B", "auth", "granted"),
        ("A", "auth", "granted"),
    ]
    assert found.broken == ("both_hold",)


@pytest.mark.parametrize("every_answer", [False, True])
@pytest.mark.parametrize("dispatchers", [2, 3])
def test_run_auth_is_safe_for_any_number_of_requests(dispatchers: int, every_answer: bool) -> None:
    protocol = Protocol(Rules("run_auth"), every_answer)
    found = search(protocol, any_program(EVERYTHING, None), dispatchers, RUN_AUTH_INVARIANTS)
    assert found.complete
    assert not found.steps
    assert found.states > 100


def test_run_auth_is_safe_for_three_dispatchers_and_six_requests_each() -> None:
    found = search(RUN_AUTH, any_program(API_OF_9898, 6), 3, RUN_AUTH_INVARIANTS)
    assert found.complete
    assert not found.broken
    assert found.depth == 18
    assert found.states < 30_000  # as few as this are seconds, however slow the machine


@pytest.mark.parametrize("protocol", [MUST, RUN_AUTH, Protocol(Rules("arvados", 2))], ids=["must", "run_auth", "limit"])
@pytest.mark.parametrize("calls", [("lock", "unlock", "auth"), ("Locked", "Queued", CRASH)])
def test_states_equal_an_enumeration_without_hashing(protocol: Protocol, calls: tuple[str, ...]) -> None:
    choice = any_program(calls, 3)
    seen = {world for _, world in every_way(protocol, choice, 2)}
    apart = search(protocol, choice._replace(interchangeable=False), 2, ())
    together = search(protocol, choice, 2, ())
    assert apart.complete
    assert apart.states == len(seen)
    who_is_who_forgotten = {(world.container, tuple(sorted(world.locals, key=repr))) for world in seen}
    assert together.states == len(who_is_who_forgotten)


def _shortest(protocol: Protocol, choice: Choice) -> dict[str, int]:
    """For each invariant that can be broken the length of a shortest way to break it, by enumeration."""
    shortest: dict[str, int] = {}
    for taken, world in every_way(protocol, choice, 2):
        for name in {*taken[-1].broken, *broken_by_state(protocol.rules, world)} if taken else ():
            shortest[name] = min(len(taken), shortest.get(name, len(taken)))
    return shortest


@pytest.mark.parametrize("seed", range(20))
def test_the_first_violation_is_a_shortest_one(seed: int) -> None:
    chance = random.Random(seed)
    dropped = frozenset(chance.sample(sorted(RUN_AUTH_RULES), chance.randint(0, 3)))
    protocol = Protocol(chance.choice([Rules("run_auth", dropped=dropped), Rules("must"), Rules("arvados")]))
    choice = any_program(("lock", *chance.sample(EVERYTHING, 3)), 2)
    expected = _shortest(protocol, choice)
    for watch in INVARIANTS:
        found = search(protocol, choice, 2, (watch,))
        assert (len(found.steps) or None) == expected.get(watch), (protocol, watch, told(found))
        assert found.complete == (watch not in expected)


def test_fixed_programs_are_run_in_order() -> None:
    programs = (("lock", "auth"), ("unlock", "lock", "auth"))
    found = search(MUST, fixed_programs(programs), 2, ("both_hold",))
    assert len(found.steps) == 5
    for index, program in enumerate(programs):
        names = [step.move.name for step in found.steps if step.dispatcher == index]
        assert names == list(program)
    assert search(MUST, fixed_programs((("lock", "auth"),) * 2), 2, ("both_hold",)).complete


def test_what_matters_of_a_symbol_is_only_whether_it_is_of_the_current_lock() -> None:
    """Random orders on the model with every symbol distinct give the outcomes that the renamed ones give."""
    chance = random.Random(7)
    for _ in range(300):
        rules = chance.choice([Rules("must"), Rules("run_auth")])
        world, container = World(Container(), (Local(),) * 3), Container()
        run_auths: dict[int, object] = {}
        for fresh in range(12):
            index, name = chance.randrange(3), chance.choice(["lock", "unlock", "auth", "get", *API_OF_9898])
            attributes = (("state", name),) if name[0].isupper() else ()
            call = Call("update" if attributes else name, SHARED, attributes, run_auth=run_auths.get(index))
            result = permitted(rules, container, call, fresh)[0]
            assert result.container is not None
            container = result.container
            if result.shown is not None and result.shown.run_auth is not None:
                run_auths[index] = result.shown.run_auth
            move = next(moves(Protocol(rules), world.container, world.locals[index], name))
            world = after_move(world, index, move)
            assert (move.outcome, move.container.state) == (result.outcome, container.state)
            for other, local in enumerate(world.locals):
                if local.run_auth is not None:
                    assert (local.run_auth == NOW) == (run_auths[other] == container.run_auth)
                    assert local.run_auth in {NOW, OLD}


def test_a_bound_leaves_the_search_incomplete() -> None:
    found = search(RUN_AUTH, any_program(API_OF_9898, 6), 3, RUN_AUTH_INVARIANTS, most_states=200)
    assert not found.complete
    assert not found.broken
    levels: list[int] = []
    search(RUN_AUTH, any_program(API_OF_9898, 2), 2, (), progress=lambda one: levels.append(one.states))
    assert levels == sorted(levels)
    assert len(levels) > 2


@pytest.mark.parametrize("level", ["must", "arvados", "run_auth"])
def test_no_answer_that_the_contract_permits_grants_one_lock_twice(level: str) -> None:
    protocol = Protocol(Rules(level), every_answer=True)  # type: ignore[arg-type]
    found = search(
        protocol, any_program(("lock", "unlock", "auth", "Queued", "Cancelled", CRASH), None), 3, ("single_winner",)
    )
    assert found.complete
