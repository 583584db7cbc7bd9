"""What can go wrong between a request and its answer; three classes, since a history must tell them apart.

    NotSent      no byte of the request left: it certainly did not happen
    Lost         bytes left and no whole answer came: it may have happened, or may happen later
    Garbled      something came that is not an HTTP answer within the limits

All are httpx's own errors too, so that code which knows only httpx still catches them.
"""

from typing import NamedTuple

import httpx


class Times(NamedTuple):
    """Nanoseconds of CLOCK_MONOTONIC of one request; see `harness.history.Operation`."""

    invoke_ns: int  # before the first byte could leave
    release_ns: int  # before the last byte left; without a gate the same moment
    return_ns: int  # the answer's last byte had arrived; of a failure: it was known


class NotSent(httpx.ConnectError):
    """No byte of the request left this process: it certainly did not happen."""

    def __init__(self, message: str, times: Times | None = None) -> None:
        super().__init__(message)
        self.times = times


class Lost(httpx.ReadError):
    """Bytes left and no whole answer came back: reset, closed or timed out. Never sent again in silence."""

    def __init__(self, message: str, times: Times, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.times = times
        self.timed_out = timed_out


class Garbled(httpx.RemoteProtocolError):
    """What came is not an HTTP answer, or larger than the limits; the request may have happened."""

    def __init__(self, message: str, times: Times) -> None:
        super().__init__(message)
        self.times = times
