"""What the conductor and a worker process of a population say to each other over their pipe."""

from typing import Any

import msgspec
from msgspec import Struct

from harness.drive.population.choice import Population
from harness.history import Operation
from harness.wire import ARVADOS, Wire


class Assignment(Struct, frozen=True):
    """All that a worker process is told at its start. Holds secrets: never log it."""

    url: str
    insecure: bool
    timeout_s: float
    secrets: dict[str, str]  # name of a token -> bare secret
    token_uuid: str  # of the shared token
    salt: bytes  # of the history's hashes
    population: Population
    dispatchers: dict[int, int]  # number of a dispatcher -> its incarnation; above 1 it is a restarted one
    containers: list[str]  # made so far
    wire: Wire = ARVADOS

    def __repr__(self) -> str:
        return f"Assignment({len(self.dispatchers)} dispatchers)"


class Containers(Struct, frozen=True, tag="containers"):
    """Containers that were made for this population: no other may be touched."""

    uuids: list[str]


class Halt(Struct, frozen=True, tag="halt"):
    """Come to an end: finish what is under way, take nothing new; answered by Ended."""


class Begun(Struct, frozen=True, tag="begun"):
    """A call that can change something is about to be sent; as an operation of which nothing is heard.

    Only where the process may be killed: what has begun and never comes in a batch may have happened.
    """

    operation: Operation


class Batch(Struct, frozen=True, tag="batch"):
    """Finished operations, and how many calls have found nobody to take them."""

    operations: list[Operation]
    unsent: int


class Ended(Struct, frozen=True, tag="ended"):
    """Every dispatcher of the process has come to an end; its last batch was sent."""


class Broken(Struct, frozen=True, tag="broken"):
    """The worker process itself is broken: the text says how."""

    text: str


ToWorker = Containers | Halt
FromWorker = Begun | Batch | Ended | Broken

encode = msgspec.msgpack.Encoder().encode
decode_command: Any = msgspec.msgpack.Decoder(ToWorker).decode
decode_report: Any = msgspec.msgpack.Decoder(FromWorker).decode
