"""What the options of a population may say, and what a seed fixes."""

import pytest

from harness.drive.population import Faults, Population, parse_faults, parse_mix
from harness.drive.population.choice import written


def test_shares_of_policies() -> None:
    assert parse_mix("careful:8, adopting") == {"careful": 8, "adopting": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("carefull:8", "did you mean careful"),
        ("careful:0", "whole number from 1"),
        ("careful:x", "whole number from 1"),
        ("careful,careful:2", "twice"),
        ("", "no policy"),
        ("\x1b[31m", "want one of careful"),
    ],
)
def test_a_mix_that_cannot_be_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_mix(text)


def test_faults_are_shares_of_calls_or_times_in_a_run() -> None:
    assert parse_faults("lose_reply=5%,crash=0.5%,kill=2") == Faults(lose_reply=0.05, crash=0.005, kill=2)
    assert parse_faults("") == Faults()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lose_replies=5%", "did you mean lose_reply"),
        ("lose_reply=5", "want a share of the calls"),
        ("lose_reply=101%", "want a share of the calls"),
        ("kill=5%", "how many times"),
        ("kill=1,kill=1", "twice"),
        ("lose_reply=60%,reset=41%", "more than 100%"),
        ("kill=1001", "how many times"),
    ],
)
def test_faults_that_cannot_be_are_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_faults(text)


def test_any_few_dispatchers_in_a_row_have_the_shares_of_the_mix() -> None:
    population = Population(mix={"careful": 3, "adopting": 1})
    names = [population.policy_of(number) for number in range(40, 48)]
    assert names.count("careful") == 6
    assert names.count("adopting") == 2


def test_a_seed_fixes_the_stream_of_each_dispatcher_and_only_its_own() -> None:
    one, again, other = Population(seed=1), Population(seed=1, dispatchers=7), Population(seed=2)
    drawn = one.stream("D4").random()
    assert again.stream("D4").random() == drawn
    assert one.stream("D5").random() != drawn
    assert other.stream("D4").random() != drawn


def test_a_population_can_be_asked_for_again() -> None:
    population = Population(
        dispatchers=3, containers=9, mix={"careful": 2, "impatient": 1}, faults=Faults(delay=0.125, restart=1), seed=5
    )
    words = written(population)
    assert "--policy=careful:2,impatient:1" in words
    assert "--faults=delay=12.5%,restart=1" in words
    assert not any(word.startswith("--operations") for word in words)
    assert parse_faults("delay=12.5%,restart=1") == population.faults
