"""What the conductor and a fleet process say to each other over their pipe."""

import msgspec
from msgspec import Struct

from harness.drive.gate import GateKind
from harness.drive.release import Measured
from harness.drive.roster import Member
from harness.history import Operation
from harness.scenario import Scenario


class Muster(Struct, frozen=True, tag="muster"):
    """The dispatchers of the next rounds; `pickled` is a Company, which holds secrets."""

    pickled: bytes


class Round(Struct, frozen=True):
    """One run: its containers, and of every dispatcher of the roster how long after the start it is let go."""

    run: int
    uuids: dict[str, str]
    phantoms: dict[str, str]
    offsets_ns: list[int]
    kind: GateKind


class Rounds(Struct, frozen=True, tag="rounds"):
    """Runs to play one after the other; legs are numbered on from `first_leg`."""

    first_leg: int
    rounds: list[Round]


class Measure(Struct, frozen=True, tag="measure"):
    """Find out which release brings requests closer together at this target."""

    racers: int
    token: str


class Ended(Struct, frozen=True, kw_only=True, tag="ended"):
    """What came of a command."""

    operations: list[Operation] = []
    secrets: list[tuple[str, str]] = []  # bare secret, the name to report it by
    measured: Measured | None = None
    early: int = 0  # answers that came before the release
    lost: str | None = None  # the target went away
    broken: str | None = None  # this process failed


class Company(Struct, frozen=True):
    """What a fleet process must know of a scenario. Holds secrets: never log it."""

    scenario: Scenario
    secrets_of: dict[str, str]  # token name -> bare secret
    uuids_of: dict[str, str]
    salt: bytes
    members: list[tuple[int, Member]]  # those of this process, by their number in the roster
    legs: int  # of the longest program of all processes
    place: int
    processes: int
    seed: str
    page_pause_s: float | None = None  # where the pace is limited: between the pages of a listing; no warming up then

    def __repr__(self) -> str:
        return f"Company({self.scenario.name}, {len(self.members)} members)"


encode = msgspec.msgpack.Encoder().encode
decode_order = msgspec.msgpack.Decoder(Muster | Rounds | Measure).decode
decode_ended = msgspec.msgpack.Decoder(Ended).decode
