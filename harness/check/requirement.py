"""Which of a scenario's requirements a broken expectation or clause speaks of: the first that fits, else its first."""

from harness.history import Operation
from harness.scenario import Clause, Scenario, Step

_FITTING: dict[tuple[str, bool], tuple[str, ...]] = {
    # verb, whether it should have been granted
    ("lock", True): ("LOCK-1", "LOCK-3", "RUN", "LOCK"),
    ("lock", False): ("LOCK-2", "LOCK-4", "LOCK-3", "ERR-1", "LOCK"),
    ("unlock", True): ("UNLOCK-4", "UNLOCK-1", "UNLOCK-6", "UNLOCK"),
    ("unlock", False): ("UNLOCK-2", "UNLOCK-5", "RUN-3", "RUN-2", "ERR-1", "UNLOCK"),
    ("auth", True): ("AUTH-1", "AUTH-4", "AUTH"),
    ("auth", False): ("AUTH-2", "RUN-2", "RUN", "ERR-1", "AUTH"),
    ("use", True): ("AUTH-4", "AUTH-1", "AUTH"),
    ("use", False): ("UNLOCK-3", "AUTH-5", "ERR-1", "AUTH"),
    ("update", True): ("STATE-3", "STATE-4", "STATE"),
    ("update", False): ("STATE-1", "STATE-2", "STATE-4", "RUN-4", "RUN-2", "ERR-1", "STATE"),
    ("get", True): ("GET-1", "DUR-1", "GET"),
    ("get", False): ("ERR-1", "AUTH-6", "GET"),
    ("list", True): ("LIST-1", "LIST"),
    ("list", False): ("ERR-1", "LIST"),
}


def of_expectation(scenario: Scenario, step: Step, operation: Operation) -> str:
    """The requirement that an unmet `expect` violates."""
    wanted = "granted" in step.expect or 200 in step.expect
    preferred = _FITTING.get((operation.op, wanted), ())
    if operation.op == "update" and (operation.sent or {}).get("state") in {"Queued", "Locked"}:
        preferred = ("STATE-4", *preferred)
    return _first_fitting(scenario, preferred)


def of_setup(scenario: Scenario, operation: Operation) -> str:
    """The requirement that a call which provisions a container violates by being turned away."""
    direct = {"create": "LOCK-1", "lock": "LOCK-1", "update": "STATE-3", "get": "GET-1"}
    return direct.get(operation.op) or scenario.requires[0]


def of_clause(scenario: Scenario, clause: Clause) -> str:
    """The requirement that a broken clause violates."""
    expression = clause.expression
    if expression.saved_tokens:
        return _first_fitting(scenario, ("RUN-1", "UNLOCK-3", "AUTH-5", "AUTH-3", "AUTH-4", "AUTH"))
    if "lists(" in expression.text:
        return _first_fitting(scenario, ("LIST-1",))
    return scenario.requires[0]


def _first_fitting(scenario: Scenario, preferred: tuple[str, ...]) -> str:
    """The first of the preferred that the scenario judges; one without a number stands for its whole family."""
    for wanted in preferred:
        for requirement in scenario.requires:
            if requirement == wanted or requirement.startswith(f"{wanted}-"):
                return requirement
    return scenario.requires[0]
