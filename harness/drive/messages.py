"""What the conductor and a dispatcher process say to each other over their pipe."""

from typing import Any

import msgspec
from msgspec import Struct

from harness.wire import ARVADOS, Reply, Request, Wire


class Settings(Struct, frozen=True):
    """What a process needs to know once: where the target is, how long to wait, how the API looks."""

    url: str
    timeout_s: float
    insecure: bool = False  # accept a TLS certificate that nobody vouches for
    wire: Wire = ARVADOS  # for processes that encode and classify themselves


class Send(Struct, frozen=True, tag="send"):
    """Send one request now; answered by a Sent of the same number."""

    number: int
    request: Request
    via: str | None = None  # another URL than the target's: the fault proxy's


class Arm(Struct, frozen=True, tag="arm"):
    """Make requests ready to go together; answered by Armed, and after a Release by a Sent each."""

    number: int
    requests: list[tuple[int, Request]]


class Release(Struct, frozen=True, tag="release"):
    """Let the armed requests of one number go at a moment of CLOCK_MONOTONIC."""

    number: int
    at_ns: int


class Armed(Struct, frozen=True, tag="armed"):
    """The requests of an Arm stand at the gate."""

    number: int


class Sent(Struct, frozen=True, tag="sent"):
    """One request came to its end."""

    number: int
    reply: Reply


class Failed(Struct, frozen=True, tag="failed"):
    """The dispatcher process itself is broken: the text says how."""

    text: str


ToDispatcher = Send | Arm | Release
FromDispatcher = Armed | Sent | Failed

encode = msgspec.msgpack.Encoder().encode
decode_command: Any = msgspec.msgpack.Decoder(ToDispatcher).decode
decode_report: Any = msgspec.msgpack.Decoder(FromDispatcher).decode
