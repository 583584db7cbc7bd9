"""Scenarios that the tests of the explorer share."""

from pathlib import Path

from harness.scenario import Scenario
from harness.scenario.loader import load_text

STOLEN_LOCK = """\
format: 1
scenario: {name}
summary: The requests of the stolen lock.
level: must
requires: [LOCK-2, UNLOCK-3]

given:
  containers: {{c1: Queued}}
  tokens: {{A: shared, B: shared}}

sessions:
  A:
    - {{id: a_lock, lock: c1}}
    - {{id: a_auth, auth: c1, when: a_lock.granted, save: token}}
    - {{id: a_look, get: c1}}
  B:
    - {{id: b_unlock, unlock: c1}}
    - {{id: b_lock, lock: c1}}
    - {{id: b_auth, auth: c1, when: b_lock.granted, save: token}}

schedule:
  {schedule}

outcome:
  never:
    both_hold: believes(A, c1) and believes(B, c1) and live(A.token) and live(B.token)
  show: [a_lock.status, a_auth.status, b_unlock.status, b_lock.status, b_auth.status]
"""

KNOWN_RACE = """
known_race:
  id: stolen_lock
  breaks: [both_hold]
  only_when: A.token == B.token
  because: the server cannot tell A from B
"""


def stolen_lock(*, known: bool, schedule: str = "every: {limit: 100}", name: str = "hunt") -> Scenario:
    """The stolen lock with a look at the container; `known` says whether the file excuses it."""
    text = STOLEN_LOCK.format(name=name, schedule=schedule) + (KNOWN_RACE if known else "")
    (scenario,) = load_text(text, Path("hunt.race.yaml"))
    return scenario
