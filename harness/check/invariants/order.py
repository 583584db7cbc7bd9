"""The last invariant: that one order explains it all. It is named where nothing else is."""

from harness.check.index import Index
from harness.check.invariants.findings import Accusation, Findings, told

_OF_OPERATION = {
    "lock": "LOCK-3",
    "unlock": "UNLOCK-1",
    "auth": "AUTH-1",
    "update": "STATE-1",
    "get": "GET-1",
    "list": "LIST-1",
}


def linearizable(index: Index) -> Findings:
    """One order of each container's operations, each at a moment of its own, is accepted by the model."""
    findings = Findings()
    for container in index.linear.containers:
        if container.verdict == "unknown":
            continue
        findings.judged["GET-1"] += container.operations
        if container.verdict == "linearizable":
            continue
        case = container.counterexample
        evidence = () if case is None else case.operations
        stuck = None if case is None else case.stuck
        text = "no order of these operations, each between its invocation and its return, is what the contract allows"
        if stuck is not None:
            text += f"; {told(index, stuck)} has no place"
        op = "lock" if stuck is None else index.operations[stuck].op
        requirement = _OF_OPERATION.get(op, "LOCK-3")
        findings.judged[requirement] += 1
        findings.accusations.append(Accusation(requirement, text, container.run, container.container, evidence, case))
    return findings
