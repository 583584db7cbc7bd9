"""How an API looks on the wire: `encode` a call before a race, `classify` its answer after. The core knows no HTTP."""

from harness.wire.message import Answer, Call, Reply, Request
from harness.wire.profile import CallProfile, Matcher, Profile, TokenProfile
from harness.wire.wire import ARVADOS, Wire

__all__ = [
    "ARVADOS",
    "Answer",
    "Call",
    "CallProfile",
    "Matcher",
    "Profile",
    "Reply",
    "Request",
    "TokenProfile",
    "Wire",
]
