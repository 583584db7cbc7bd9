"""How an API looks on the wire: `encode` a call before a race, `classify` its answer after. The core knows no HTTP."""

from harness.wire.arvados import classify, encode, next_page
from harness.wire.message import Answer, Call, Reply, Request

__all__ = ["Answer", "Call", "Reply", "Request", "classify", "encode", "next_page"]
