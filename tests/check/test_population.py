"""What a population's history says of its containers: run once or twice, robbed, lost, not ended. Pure histories."""

from typing import Any

import pytest

from harness.check.invariants import INVARIANTS, POPULATION_INVARIANTS
from harness.check.invariants.sample import read_sample
from harness.check.invariants.samples import SAMPLES
from harness.check.population import RAN_ONCE, Tally, judge_population
from harness.check.verdict import Verdict
from harness.history import Header, History, Operation, Shown

TOKEN, UUID = "zzzzz-gj3su-000000000000000", "zzzzz-dz642-000000000000000"


class Tale:
    """A history of one container, told call by call; each begins after the one before has ended."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._now = 0
        self._auths = 0
        self.say("population", "create", phase="setup", value=Shown(uuid=UUID, state="Queued", priority=1))

    def say(self, who: str, op: str, outcome: str = "granted", **more: Any) -> "Tale":
        self._now += 10
        kind = {"granted": "ok", "indeterminate": "info"}.get(outcome, "fail")
        self.operations.append(
            Operation(
                op=op,
                process=f"{who}#1",
                invoke_ns=self._now,
                return_ns=None if kind == "info" else self._now + 5,
                type=kind,  # type: ignore[arg-type]
                outcome=outcome,  # type: ignore[arg-type]
                token="shared",
                uuid=UUID,
                container="c0" if op == "create" else None,
                **more,
            )
        )
        return self

    def lock(self, who: str, outcome: str = "granted") -> "Tale":
        return self.say(who, "lock", outcome)

    def unlock(self, who: str, outcome: str = "granted", **more: Any) -> "Tale":
        return self.say(who, "unlock", outcome, **more)

    def auth(self, who: str) -> "Tale":
        self._auths += 1
        return self.say(who, "auth", value=Shown(auth_uuid=f"auth-{self._auths}", secret=f"secret-{self._auths}"))

    def put(self, who: str, state: str, outcome: str = "granted") -> "Tale":
        return self.say(who, "update", outcome, sent={"state": state})

    def crash(self, who: str) -> "Tale":
        self.say(who, "crash")
        self.operations[-1] = Operation(
            op="crash", process=f"{who}#1", invoke_ns=self._now, return_ns=self._now, type="ok", outcome="granted"
        )
        return self

    def judged(self) -> tuple[Verdict, Tally]:
        return judge_population(History(Header(scenario="population", tokens={"shared": TOKEN}), self.operations))


def races(tale: Tale) -> set[str]:
    verdict, tally = tale.judged()
    assert not verdict.violations
    assert set(tally.races) <= {race.id for race in verdict.known_races}
    return set(tally.races)


def test_one_run_from_lock_to_end() -> None:
    verdict, tally = Tale().lock("D1").auth("D1").put("D1", "Running").put("D1", "Complete").judged()
    assert (tally.containers, tally.completed, tally.run_once, tally.run_twice, tally.unfinished) == (1, 1, 1, 0, [])
    assert (verdict.violations, verdict.inconclusive, verdict.known_races) == ([], [], [])
    assert verdict.judged[RAN_ONCE] == 1


def test_the_same_dispatcher_may_ask_twice() -> None:
    tale = Tale().lock("D1").put("D1", "Running", "indeterminate").put("D1", "Running").put("D1", "Complete")
    assert races(tale) == set()
    assert tale.judged()[1].run_once == 1


def test_two_runs_under_two_locks_with_nothing_between_are_a_violation() -> None:
    tale = Tale().lock("D1").lock("D2").put("D1", "Running").put("D2", "Running").put("D1", "Complete")
    verdict, tally = tale.judged()
    (violation,) = [one for one in verdict.violations if one.name == RAN_ONCE]
    assert violation.requirement == "LOCK-3"
    assert violation.operations == (1, 2, 3, 4)
    assert "D1 and D2 both ran it" in violation.message
    assert tally.run_twice == 1


def test_what_the_page_shows_of_it_breaks_it_and_the_neighbour_does_not() -> None:
    assert list(POPULATION_INVARIANTS) == [RAN_ONCE]
    assert RAN_ONCE not in INVARIANTS  # no mutant need be named by it: a run is judged without it
    verdict, _ = judge_population(read_sample(SAMPLES[RAN_ONCE].bad, "must"))
    assert RAN_ONCE in {one.name for one in verdict.violations}
    verdict, _ = judge_population(read_sample(SAMPLES[RAN_ONCE].good, "must"))
    assert verdict.violations == []


@pytest.mark.parametrize("outcome", ["granted", "indeterminate"])
def test_with_a_release_between_it_is_a_stolen_lock(outcome: str) -> None:
    tale = Tale().lock("D1").unlock("D2", outcome).lock("D2").put("D1", "Running").put("D2", "Running")
    assert races(tale.put("D2", "Complete")) == {"stolen_lock"}


def test_stolen_after_its_holder_has_read_the_auth() -> None:
    tale = Tale().lock("D1").auth("D1").unlock("D2").lock("D2").put("D1", "Running").put("D2", "Running")
    assert races(tale.put("D2", "Complete")) == {"stolen_lock_early_auth"}


def test_who_runs_what_it_never_locked_has_adopted_it() -> None:
    tale = Tale().lock("D1").put("D1", "Running").put("D2", "Running").put("D1", "Complete")
    assert races(tale) == {"adopted_running"}


def test_who_cancels_a_run_that_lives_has_adopted_it() -> None:
    tale = Tale().lock("D1").put("D1", "Running").put("D2", "Cancelled").put("D1", "Complete", "refused")
    assert races(tale) == {"adopted_running"}


def test_cancelling_what_a_crash_has_left_is_no_race() -> None:
    tale = Tale().lock("D1").put("D1", "Running").crash("D1").put("D2", "Cancelled")
    assert races(tale) == set()
    again = Tale().lock("D1").put("D1", "Running").crash("D1").put("D2", "Cancelled").put("D1", "Cancelled", "refused")
    assert races(again) == set()


def test_an_unlock_asked_for_twice_that_ends_anothers_lock_came_late() -> None:
    tale = Tale().lock("D1").unlock("D1").lock("D2").unlock("D1").lock("D3").put("D3", "Running")
    assert races(tale.put("D3", "Complete")) == {"late_unlock"}


def test_an_unlock_asked_for_twice_with_nothing_between_harms_nobody() -> None:
    tale = Tale().lock("D1").unlock("D1").unlock("D1", "refused").lock("D2").put("D2", "Running")
    assert races(tale.put("D2", "Complete")) == set()


def test_a_lock_whose_reply_was_lost_and_whose_retry_is_refused() -> None:
    tale = Tale().lock("D1", "indeterminate").lock("D1", "refused").unlock("D1").lock("D2").put("D2", "Running")
    assert races(tale.put("D2", "Complete")) == {"lost_lock_reply"}


def test_who_has_crashed_between_does_not_retry() -> None:
    tale = Tale().lock("D1", "indeterminate").crash("D1").lock("D1", "refused").unlock("D1").lock("D2")
    assert races(tale.put("D2", "Running").put("D2", "Complete")) == set()


@pytest.mark.parametrize(("end", "state"), [([], "Queued"), (["lock"], "Locked")])
def test_what_has_not_ended_proves_nothing(end: list[str], state: str) -> None:
    tale = Tale()
    for op in end:
        tale.say("D1", op, value=Shown(state="Locked"))
    verdict, tally = tale.judged()
    assert tally.unfinished == [f"c0 ({state})"]
    assert f"1 of 1 containers had not ended: c0 ({state})" in verdict.inconclusive


def test_an_unlock_that_cancels_at_the_limit_ends_it() -> None:
    _, tally = Tale().lock("D1").unlock("D1", value=Shown(state="Cancelled")).judged()
    assert (tally.cancelled, tally.unfinished) == (1, [])


def test_nothing_to_work_on_proves_nothing() -> None:
    verdict, tally = judge_population(History(Header(), []))
    assert tally.containers == 0
    assert verdict.inconclusive == ["no container was made: there was nothing to work on"]


def test_faults_are_counted() -> None:
    tale = Tale().lock("D1").unlock("D1", "indeterminate", fault="lose reply").crash("D1")
    assert tale.judged()[1].faults == {"lose reply": 1, "crash": 1}
