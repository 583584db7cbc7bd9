"""What is to be ordered: requests of one container with their intervals."""

from typing import NamedTuple

from harness.check.linear.request import Request

NEVER = 1 << 80
"""The return of an operation of unknown outcome: after every other moment."""


class Timed(NamedTuple):
    """One request with its interval in nanoseconds and its number in the history.

    It took effect at one moment from `invoke` to `return_`, both included. One that is `optional` may also have taken
    no effect: its outcome is unknown (`return_` is then NEVER), or it is not part of what is to be explained.
    """

    invoke: int
    return_: int
    number: int
    request: Request
    optional: bool = False

    @property
    def changes(self) -> bool:
        """Whether it can change the container."""
        return self.request.changes
