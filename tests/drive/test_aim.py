"""The aim finds windows that a release at one moment cannot meet, and stays where outcomes change."""

from collections import Counter

import pytest

from harness.drive.aim import LADDER_NS, Aim, Shot


def hits(seed: str, window_ns: tuple[int, int], rounds: int, learns: bool) -> int:
    """How often the window is met: racer 1 must come within it behind racer 0."""
    aim = Aim(seed, 2, 16_000_000)
    found = 0
    for _ in range(rounds):
        shot = aim.next()
        behind_ns = shot.offsets_ns()[1] - shot.offsets_ns()[0]
        hit = window_ns[0] <= behind_ns <= window_ns[1]
        found += hit
        if learns:
            aim.learn(shot, "both" if hit else "one")
    return found


@pytest.mark.parametrize("window_ns", [(25_000, 40_000), (400_000, 700_000), (5_000_000, 9_000_000)])
def test_a_hidden_window_is_met_and_then_aimed_at(window_ns: tuple[int, int]) -> None:
    blind = sum(hits(f"s{seed}", window_ns, 200, learns=False) for seed in range(10))
    aimed = sum(hits(f"s{seed}", window_ns, 200, learns=True) for seed in range(10))
    assert all(hits(f"s{seed}", window_ns, 60, learns=True) > 0 for seed in range(10))
    assert aimed > 1.5 * blind


def test_places_that_come_out_in_two_ways_are_visited_more() -> None:
    aim = Aim("s", 2, 16_000_000)
    seen: Counter[int] = Counter()
    for number in range(600):
        shot = aim.next()
        seen[shot.distance_ns] += 1
        aim.learn(shot, number % 2 if shot.distance_ns == LADDER_NS[4] else "always")
    others = [seen[step] for step in LADDER_NS if step not in {0, LADDER_NS[4]}]
    assert seen[LADDER_NS[4]] > 2 * max(others)
    assert min(others) > 0
    assert seen[0] > 0.3 * 600


def test_the_same_seed_and_outcomes_give_the_same_shots() -> None:
    def shots(seed: str) -> list[Shot]:
        aim = Aim(seed, 10, 2_000_000)
        taken = []
        for number in range(100):
            taken.append(aim.next())
            aim.learn(taken[-1], number % 3)
        return taken

    assert shots("a") == shots("a")
    assert shots("a") != shots("b")


def test_no_distance_is_beyond_the_span_and_someone_always_goes_first() -> None:
    aim = Aim("s", 8, 300_000)
    for _ in range(200):
        offsets = aim.next().offsets_ns()
        assert len(offsets) == 8
        assert min(offsets) == 0
        assert max(offsets) <= 300_000


@pytest.mark.parametrize(("racers", "span_ns"), [(1, 10**9), (5, 1000)])
def test_where_there_is_nothing_to_part_all_go_together(racers: int, span_ns: int) -> None:
    aim = Aim("s", racers, span_ns)
    assert {aim.next() for _ in range(20)} == {Shot((False,) * racers, 0)}
