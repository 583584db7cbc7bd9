"""The two halves of an API in one object: calls to requests before a race, replies to answers after it."""

from collections.abc import Mapping
from typing import Any

from harness.wire import arvados
from harness.wire.classifying import Classifier
from harness.wire.encoding import encoder
from harness.wire.message import Answer, Call, Reply, Request
from harness.wire.profile import Profile


class Wire:
    """How one implementation looks; made from its profile, and made again from it in every process that gets one."""

    def __init__(self, profile: Profile = arvados.PROFILE) -> None:
        self.profile = profile
        self._encoders = {op: encoder(op, call, profile) for op, call in profile.calls.items()}
        self._classifiers = {op: Classifier(op, call, profile) for op, call in profile.calls.items()}

    def encode(self, call: Call, request_id: str | None = None) -> Request:
        """The request that a real dispatcher would send for `call`."""
        encode = self._encoders.get(call.op)
        if encode is None:
            raise ValueError(f"the API has no call {call.op!r}")
        return encode(call, request_id)

    def classify(self, call: Call, reply: Reply, secrets: Mapping[str, str]) -> Answer:
        """What `reply` says, in the contract's words.

        `secrets` maps every secret that the run knows to the name under which it may be reported. It is looked for
        where it may not stand, and taken out of error texts.
        """
        return self._classifiers[call.op].classify(call, reply, secrets)

    def next_page(self, call: Call, answer: Answer) -> Call | None:
        """The call that lists what comes after a page; None after the last."""
        return self._classifiers[call.op].next_page(call, answer)

    def __reduce__(self) -> tuple[Any, ...]:
        return Wire, (self.profile,)

    def __repr__(self) -> str:
        return f"Wire({self.profile})"


ARVADOS = Wire()
