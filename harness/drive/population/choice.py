"""What a user may choose of a population: how many, which policies, which faults, which seed."""

import difflib
import re
from collections.abc import Iterable
from random import Random

import msgspec
from msgspec import Struct

POLICY_NAMES = ("careful", "adopting", "impatient", "double_unlock")
FAULT_RATES = ("lose_request", "lose_reply", "delay", "reset", "crash", "pause")
"""Faults that come with a probability per call of a dispatcher."""
FAULT_TIMES = ("kill", "stop", "restart")
"""Faults that come so many times in a run: kill -9 or SIGSTOP of a worker process, restart of the server."""

MOST_DISPATCHERS = 20_000
MOST_PROCESSES = 64
MOST_OF_A_FAULT = 1000
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)%")


class Faults(Struct, frozen=True):
    """How much goes wrong. The first six are probabilities per call, the last three are numbers of times."""

    lose_request: float = 0.0  # never sent; its sender cannot know
    lose_reply: float = 0.0  # answered, and its sender is not told
    delay: float = 0.0  # under way for long, also longer than its sender waits
    reset: float = 0.0  # the connection is broken right after the bytes left
    crash: float = 0.0  # the dispatcher ends, and comes back knowing only the token
    pause: float = 0.0  # the dispatcher does nothing for longer than others will believe that it lives
    kill: int = 0  # kill -9 of a worker process with all its dispatchers
    stop: int = 0  # SIGSTOP of a worker process, and SIGCONT a second later
    restart: int = 0  # kill -9 and start of the server

    @property
    def spoils_calls(self) -> bool:
        """Whether any call may meet a fault."""
        return any(getattr(self, name) for name in FAULT_RATES)


class Population(Struct, frozen=True):
    """Who works on which queue."""

    dispatchers: int = 100
    containers: int = 200  # in the queue at the start; with `operations` as many are kept there
    processes: int = 2
    mix: dict[str, int] = msgspec.field(default_factory=lambda: {"careful": 1})
    faults: Faults = Faults()
    operations: int | None = None  # go on with fresh containers until so many were made
    seed: int = 0
    second_s: float = 0.02  # how long a second of a dispatcher's patience lasts

    def policy_of(self, number: int) -> str:
        """The policy of a dispatcher, so that any few in a row have the shares that the mix asks for."""
        cycle = [name for name, share in self.mix.items() for _ in range(share)]
        return cycle[number % len(cycle)]

    def stream(self, name: str) -> Random:
        """The random numbers of one dispatcher: the same for the same seed, whatever the others do."""
        return Random(f"{self.seed}/{name}")


def parse_mix(text: str) -> dict[str, int]:
    """ "careful:8,adopting:1" as shares by policy; ValueError says what is wrong."""
    mix: dict[str, int] = {}
    for part in _parts(text):
        name, colon, share = part.partition(":")
        _known(name, POLICY_NAMES, "policy")
        if name in mix:
            raise ValueError(f"the policy {name} stands there twice")
        if colon and not (share.isdecimal() and 1 <= int(share) <= 1000):
            raise ValueError(f"{part!r}: a share is a whole number from 1 to 1000, as in {name}:8")
        mix[name] = int(share) if colon else 1
    if not mix:
        raise ValueError(f"no policy: want NAME:SHARE,... of {', '.join(POLICY_NAMES)}")
    return mix


def parse_faults(text: str) -> Faults:
    """ "lose_reply=5%,crash=1%,kill=2" as faults; ValueError says what is wrong."""
    found: dict[str, float] = {}
    for part in _parts(text):
        name, _, value = part.partition("=")
        _known(name, (*FAULT_RATES, *FAULT_TIMES), "fault")
        if name in found:
            raise ValueError(f"the fault {name} stands there twice")
        found[name] = _rate(part, value) if name in FAULT_RATES else _times(part, value)
    if sum(found.get(name, 0) for name in FAULT_RATES) > 1:
        raise ValueError("the faults of a call add up to more than 100%")
    return msgspec.convert(found, Faults)


def written(population: Population) -> list[str]:
    """The options of `lockrace simulate` that ask for this population."""
    words = [f"--dispatchers={population.dispatchers}", f"--containers={population.containers}"]
    words += [f"--processes={population.processes}", f"--seed={population.seed}"]
    words.append("--policy=" + ",".join(f"{name}:{share}" for name, share in population.mix.items()))
    rates = [f"{name}={getattr(population.faults, name) * 100:g}%" for name in FAULT_RATES]
    times = [f"{name}={getattr(population.faults, name)}" for name in FAULT_TIMES]
    faults = [text for text in (*rates, *times) if text.partition("=")[2] not in {"0", "0%"}]
    if faults:
        words.append("--faults=" + ",".join(faults))
    if population.operations is not None:
        words.append(f"--operations={population.operations}")
    return words


def _rate(part: str, value: str) -> float:
    matched = _PERCENT.fullmatch(value)
    if matched is None or float(matched.group(1)) > 100:
        raise ValueError(f"{part!r}: want a share of the calls, as in {part.partition('=')[0]}=5%")
    return float(matched.group(1)) / 100


def _times(part: str, value: str) -> int:
    if not value.isdecimal() or int(value) > MOST_OF_A_FAULT:
        raise ValueError(f"{part!r}: want how many times in the run, as in {part.partition('=')[0]}=2")
    return int(value)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _known(name: str, names: Iterable[str], what: str) -> None:
    choices = list(names)
    if name in choices:
        return
    close = difflib.get_close_matches(name, choices, n=1)
    hint = f"did you mean {close[0]}?" if close else f"want one of {', '.join(choices)}"
    raise ValueError(f"there is no {what} {name[:40]!r}; {hint}")
