"""Who plays what, and when nothing more is begun: on a clock that the test turns."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.agenda import Agenda
from harness.plan import Plan
from harness.scenario import blank
from harness.scenario.scenario import ScheduleKind


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def plans(*names: str, kinds: Mapping[str, ScheduleKind] | None = None) -> list[Plan]:
    found = []
    for name in names:
        one = blank(name, name, "must", Path(f"{name}.race.yaml"))
        kind = (kinds or {}).get(name, "order")
        one = replace(one, family=name.partition("[")[0], schedule=replace(one.schedule, kind=kind))
        found.append(Plan(one, (), 0, 1))
    return found


def test_without_a_budget_everything_comes_in_order_and_may_take_as_long_as_it_takes() -> None:
    turns = list(Agenda(plans("a", "b")).turns())
    assert [(turn.place, turn.plan.scenario.name, turn.share_s, turn.left_s) for turn in turns] == [
        (0, "a", None, None),
        (1, "b", None, None),
    ]


def test_a_budget_is_shared_out_among_what_waits_and_nothing_begins_after_its_end() -> None:
    clock = Clock()
    agenda = Agenda(plans("a", "b", "c", "d"), ends=108.0, now=clock)
    seen = []
    for turn, takes in zip(agenda.turns(), (1.0, 4.0, 3.0), strict=True):
        seen.append((turn.plan.scenario.name, turn.share_s, turn.left_s))
        clock.now += takes
    assert seen == [("a", 2.0, 8.0), ("b", 7 / 3, 7.0), ("c", 1.5, 3.0)]
    assert [plan.scenario.name for plan in agenda.not_begun()] == ["d"]


def test_a_budget_that_is_spent_before_begins_nothing() -> None:
    agenda = Agenda(plans("a"), ends=100.0, now=Clock())
    assert not list(agenda.turns())
    assert len(agenda.not_begun()) == 1


def test_one_instance_of_each_scenario_comes_before_the_second_of_any() -> None:
    agenda = Agenda(plans("table[1]", "table[2]", "race[1]", "table[3]", "race[2]"), ends=110.0, now=Clock())
    assert [turn.place for turn in agenda.turns()] == [0, 2, 1, 4, 3]


def test_what_is_tried_many_times_comes_last_and_has_all_that_is_left() -> None:
    clock = Clock()
    agenda = Agenda(plans("herd", "a", "drawn", "b", kinds={"herd": "race", "drawn": "sample"}), ends=108.0, now=clock)
    seen = []
    for turn in agenda.turns():
        seen.append((turn.plan.scenario.name, turn.share_s))
        clock.now += 1.0
    assert seen == [("a", 2.0), ("b", 7 / 3), ("herd", 3.0), ("drawn", 5.0)]


def test_time_is_kept_for_it_when_the_rest_takes_too_long() -> None:
    clock = Clock()
    agenda = Agenda(plans("a", "b", "herd", "c", kinds={"herd": "race"}), ends=108.0, now=clock)
    seen = []
    for turn in agenda.turns():
        seen.append((turn.plan.scenario.name, turn.share_s))
        clock.now += 3.0 if turn.plan.scenario.name != "herd" else 1.0
    assert seen == [("a", 2.0), ("b", 5 / 3), ("herd", 2.0), ("c", 1.0)]


def test_two_jobs_have_twice_the_time_for_each_and_take_what_is_next() -> None:
    agenda = Agenda(plans("a", "b", "c", "d"), jobs=2, ends=108.0, now=Clock())
    one, two = agenda.turns(), agenda.turns()
    assert [next(one)[:3:2], next(two)[:3:2], next(two)[:3:2]] == [(0, 4.0), (1, 8 / 1.5), (2, 8.0)]
    assert next(one).place == 3
    assert next(two, None) is None


def test_what_must_be_alone_waits_until_the_others_are_over() -> None:
    agenda = Agenda(plans("a", "restart", "b"), jobs=8, alone=[1])
    assert agenda.jobs == 2
    assert [turn.place for turn in agenda.turns()] == [0, 2]
    assert [turn.place for turn in agenda.turns(alone=True)] == [1]


def test_after_a_stop_nothing_begins() -> None:
    agenda = Agenda(plans("a", "b"))
    turns = agenda.turns()
    next(turns)
    agenda.stop()
    assert next(turns, None) is None
