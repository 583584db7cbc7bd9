"""Which files and scenarios there are, and a choice among them; and that those that ship are in order."""

from pathlib import Path

import pytest

from harness.contract import REQUIREMENTS, covers
from harness.scenario import ScenarioError, find, load_all, near_term, select, shipped
from harness.scenario.staging import POLICIES
from reference_server.mutants import MUTANTS

SHIPPED = load_all([shipped()])

SMALL = """\
format: 1
scenario: {name}
summary: s
level: {level}
requires: [{requirement}]
tags: [{tag}]
given: {{containers: {{c1: Queued}}, tokens: {{A: shared}}}}
sessions: {{A: [{{id: a_lock, lock: c1, expect: granted}}]}}
schedule: {{order: [a_lock]}}
"""


def put(folder: Path, name: str, level: str = "must", requirement: str = "LOCK-1", tag: str = "race") -> Path:
    path = folder / f"{name}.race.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SMALL.format(name=name, level=level, requirement=requirement, tag=tag), encoding="utf-8")
    return path


def test_a_file_is_itself_and_a_folder_what_is_below_it(tmp_path: Path) -> None:
    b, a = put(tmp_path / "deep" / "er", "b"), put(tmp_path, "a")
    (tmp_path / "other.yaml").write_text("x", encoding="utf-8")
    assert find([tmp_path]) == (a, b)
    assert find([b, tmp_path]) == (b, a)  # each once, in the order in which it was named first


def test_paths_that_mean_nothing_are_told_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ScenarioError) as caught:
        find([tmp_path / "empty", tmp_path / "none"])
    assert "the folder holds no scenario (*.race.yaml)" in str(caught.value)
    assert "no such file or folder" in str(caught.value)


def test_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    put(tmp_path, "a", level="most")
    put(tmp_path, "b", requirement="LOCK-9")
    with pytest.raises(ScenarioError) as caught:
        load_all([tmp_path])
    assert [fault.path.name for fault in caught.value.diagnostics] == ["a.race.yaml", "b.race.yaml"]


def test_two_files_may_not_hold_scenarios_of_one_name(tmp_path: Path) -> None:
    first = put(tmp_path / "one", "a")
    put(tmp_path / "two", "a")
    with pytest.raises(ScenarioError, match=f'another scenario is called "a" too: {first}'):
        load_all([tmp_path])


def test_a_choice_by_name_tag_and_requirement(tmp_path: Path) -> None:
    put(tmp_path, "a", tag="race")
    put(tmp_path, "b", tag="table", requirement="LOCK-2")
    put(tmp_path, "c", level="arvados", requirement="LOCK-4")
    everything = load_all([tmp_path])

    def names(*terms: str, level: str = "run_auth") -> list[str]:
        return [scenario.name for scenario in select(everything, terms, level)]  # type: ignore[arg-type]

    assert names() == ["a", "b", "c"]
    assert names(level="must") == ["a", "b"]
    assert names("a") == ["a"]
    assert names("table", "LOCK-4") == ["b", "c"]
    assert names("LOCK-4", level="must") == []
    assert names("nothing") == []
    assert near_term(everything, "tabel") == "table"
    assert near_term(everything, "LOCK4") == "LOCK-4"
    assert near_term(everything, "qqqqqq") is None


def test_an_instance_is_chosen_by_its_full_name() -> None:
    everything = SHIPPED
    (one,) = select(everything, ["transition_table[Queued-shared-lock]"])
    assert one.steps()["call"].verb == "lock"
    assert len(select(everything, ["transition_table"])) == 80


def test_what_ships_is_in_order() -> None:
    everything = SHIPPED
    for scenario in everything:
        assert scenario.path.name == f"{scenario.family}.race.yaml"
        assert scenario.see, scenario.name
        assert scenario.tags, scenario.name
        assert len(scenario.summary) <= 120, scenario.name
    assert len({scenario.name for scenario in everything}) == len(everything)


@pytest.mark.parametrize("level", ["must", "arvados"])
def test_every_requirement_of_a_level_is_judged_by_a_shipped_scenario(level: str) -> None:
    judged = {requirement for scenario in select(SHIPPED, [], level) for requirement in scenario.requires}  # type: ignore[arg-type]
    wanted = {one.id for one in REQUIREMENTS.values() if covers(level, one.level)}  # type: ignore[arg-type]
    assert wanted - judged <= {"ERR-2", "DUR-1", "LIVE-1"}  # judged of every run, or only under load and restarts


def test_the_transition_table_is_whole() -> None:
    names = {scenario.name for scenario in SHIPPED}
    states = ("Queued", "Locked", "Running", "Complete", "Cancelled")
    calls = ("lock", "unlock", "auth", *(f"update-{state}" for state in states))
    wanted = {
        f"transition_table[{given}-{by}-{call}]" for given in states for by in ("shared", "stranger") for call in calls
    }
    assert wanted <= names


def test_races_that_really_happened_say_where_and_what_shows_them() -> None:
    told = {scenario.family: scenario for scenario in SHIPPED if _shown_by(scenario.tags)}
    assert len(told) >= 25
    assert all(scenario.see for scenario in told.values())
    unknown = {name for scenario in told.values() for name in _shown_by(scenario.tags)} - set(MUTANTS) - set(POLICIES)
    assert unknown == set()


def _shown_by(tags: tuple[str, ...]) -> list[str]:
    """The mutants and policies that tags name: mutant-keep_auth, policy-adopting."""
    return [tag.partition("-")[2] for tag in tags if tag.startswith(("mutant-", "policy-"))]
