"""Each part of the check by itself, on one sample: what it says must agree with the oracle."""

from typing import Any

from harness.check import linearizable
from harness.check.linear import cores, search, spec, sweep
from harness.check.linear.collect import collect
from harness.check.linear.shapes import codes_of
from harness.model import Rules
from tests.check.linear.histories import Sample


def disagreement(sample: Sample, exists: bool, parts: dict[str, Any]) -> str:
    """Which of the parts, given as modules by name, is wrong about whether an order exists; "" when none is."""
    rules = Rules(sample.header.level, sample.header.max_dispatch_attempts)
    the_spec = parts.get("spec", spec).Spec(rules, sample.header.tokens.values())
    (history,), shapes = collect(sample.operations, sample.header)
    codes = codes_of(the_spec, shapes.requests, _priority(sample))
    if "sweep" in parts and not exists and parts["sweep"].try_orders(history, codes, rules, 1000).found:
        return "sweep"
    if "cores" in parts and exists:
        by_glance = (parts["cores"].clash, parts["cores"].issued_twice)
        if any(look(history, codes) is not None for look in by_glance):
            return "cores"
    if "search" in parts:
        found = parts["search"].search(the_spec, history.timed(shapes), frozenset({None}))
        if found.verdict != ("linearizable" if exists else "violated"):
            return "search"
    return ""


ALL_PARTS = {"sweep": sweep, "cores": cores, "search": search}


def whole_disagreement(sample: Sample, exists: bool) -> str:
    """The same for the public function."""
    verdict = linearizable.linearize(sample.operations, sample.header).verdict
    return "" if verdict == ("linearizable" if exists else "violated") else f"linearize says {verdict}"


def _priority(sample: Sample) -> int:
    return int((sample.operations[0].sent or {}).get("priority", 1))
