"""The sequential specification: what one container answers to one call at a time, written from the contract alone.

`permitted` is all of it; it is pure, and knows no server, no time and no error text. It does not hold values of
fields that no requirement speaks of (output, progress and the like), only who may write them.
"""

from harness.model.locks import run_auth_works
from harness.model.nouns import RUN_AUTH_RULES, Call, Container, Result, Rules, Symbol
from harness.model.permitted import permitted

__all__ = [
    "RUN_AUTH_RULES",
    "Call",
    "Container",
    "Result",
    "Rules",
    "Symbol",
    "permitted",
    "run_auth_works",
]
