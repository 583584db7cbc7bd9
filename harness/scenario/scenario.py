"""A scenario as the other stages see it: one concrete instance, parameters and case rows already filled in."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.contract import Level, State
from harness.scenario.expressions import Expression
from harness.scenario.marks import START, Mark

Verb = Literal["lock", "unlock", "auth", "get", "list", "update", "use", "crash", "pause", "barrier", "restart"]
ScheduleKind = Literal["order", "every", "sample", "race"]
ClauseKind = Literal["always", "never", "sometimes", "eventually"]


SessionToken = Literal["shared", "stranger", "none", "bogus"]
"""What a session sends: the first or second dispatch token, no token at all, or one that nobody ever issued."""


@dataclass(frozen=True)
class UuidOf:
    """In the attributes of an update: the uuid of a session's token or of a container of `given`."""

    name: str


@dataclass(frozen=True)
class Fault:
    """What the harness does to one call: exactly one of lose, reset, hang, hold and delay_ms.

    `reset` cuts the connection at once, whatever becomes of the request; `hang` lets the server answer, tells nobody
    and leaves the connection open, so that the dispatcher waits until its own time limit.
    """

    lose: Literal["request", "reply"] | None = None
    reset: bool = False
    hang: bool = False
    hold: Literal["request", "reply"] | None = None
    until: str | None = None  # the step that ends a hold
    delay_ms: int | None = None


@dataclass(frozen=True)
class Retry:
    """Send again while the outcome is one of `outcomes`; each try is an operation of its own."""

    times: int
    outcomes: frozenset[str]


@dataclass(frozen=True)
class Step:
    """One thing that a dispatcher does.

    `container` is a name of `given`, "found[0]" for what a list step saved, or "c[member]" in a fleet.
    `argument` is the rest of the verb: attributes of an update, filters of a list, the saved token of a use
    ("A.token"), the name of a barrier, "server" of a restart, "self" or a session of a crash or pause. An attribute
    of an update may be a UuidOf; a list filters by `locked_by` ("me": the session's own token), `state` (one or a
    tuple), `uuid` (a tuple of containers) and `priority`.

    `credential` ("A.token") is the saved container auth that is sent in place of the session's own token.
    """

    id: str
    verb: Verb
    mark: Mark
    container: str | None = None
    argument: Any = None
    expect: tuple[str | int, ...] = ()  # outcome words or statuses; empty: anything
    save: str | None = None
    when: Expression | None = None
    after: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    fault: Fault | None = None
    retry: Retry | None = None
    credential: str | None = None
    for_ms: int | None = None  # of a pause; without it, a pause ends when the session's next step is due


@dataclass(frozen=True)
class Session:
    """One dispatcher; its steps run in order."""

    name: str
    token: SessionToken
    steps: tuple[Step, ...]
    mark: Mark


@dataclass(frozen=True)
class Fleet:
    """`count` dispatchers, named D[0] to D[count-1], that run the same steps."""

    name: str
    count: int
    token: SessionToken
    steps: tuple[Step, ...]
    mark: Mark
    policy: str | None = None


@dataclass(frozen=True)
class GivenContainer:
    """A fresh container for every run, brought to `state` by real calls of the shared token.

    With `uuid` "unknown" or "malformed" nothing is created: the name stands for a well-formed uuid that no container
    has, or for a text that is no uuid. With `each` every member of that fleet has one of its own, "c[0]" to "c[n-1]".
    """

    name: str
    state: State
    attributes: dict[str, Any]  # of the create call: priority and the like
    mark: Mark
    uuid: Literal["fresh", "unknown", "malformed"] = "fresh"
    each: str | None = None


@dataclass(frozen=True)
class Schedule:
    """In which orders the steps run."""

    kind: ScheduleKind
    mark: Mark
    order: tuple[tuple[str, ...], ...] = ()  # kind order: groups, each sent together
    limit: int = 2000  # kind every: more orders than this are refused with their count
    runs: int = 200  # kinds sample and race


@dataclass(frozen=True)
class Clause:
    """One line of `outcome`: judged at the end of each run, on the history alone."""

    name: str
    kind: ClauseKind
    expression: Expression
    mark: Mark
    within_ms: int | None = None  # kind eventually


@dataclass(frozen=True)
class KnownRace:
    """An outcome that the contract permits: reported as a known race where `only_when` holds, red elsewhere."""

    id: str
    breaks: tuple[str, ...]
    only_when: Expression
    because: str
    mark: Mark


@dataclass(frozen=True)
class Scenario:
    """One instance of a scenario file.

    `name` is unique in a run: "stolen_lock", "thundering_herd[size=10]", "transition_table[Queued-shared-lock]".
    """

    name: str
    family: str  # the name in the file, without the brackets
    summary: str
    level: Level
    requires: tuple[str, ...]
    given: tuple[GivenContainer, ...]
    tokens: dict[str, SessionToken]  # session or fleet -> what it sends
    sessions: tuple[Session, ...]
    fleets: tuple[Fleet, ...]
    nemesis: tuple[Step, ...]
    schedule: Schedule
    clauses: tuple[Clause, ...]
    show: tuple[Expression, ...]
    known_race: KnownRace | None
    path: Path
    text: str = field(repr=False)  # the whole file
    mark: Mark = START
    see: str | None = None
    tags: tuple[str, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)

    def steps(self) -> dict[str, Step]:
        """Every step of sessions, fleets and nemesis by its id ("lock" of fleet D stands under "D.lock")."""
        found = {step.id: step for session in self.sessions for step in session.steps}
        found |= {f"{fleet.name}.{step.id}": step for fleet in self.fleets for step in fleet.steps}
        found |= {step.id: step for step in self.nemesis}
        return found

    def place(self, mark: Mark) -> str:
        """Where a mark is, as editors and CI understand it: "path:line:column"."""
        return f"{self.path}:{mark.line}:{mark.column}"


def blank(name: str, summary: str, level: Level, path: Path) -> Scenario:
    """A scenario that says and wants nothing: what reports name a history by that was driven without one."""
    return Scenario(
        name=name,
        family=name,
        summary=summary,
        level=level,
        requires=(),
        given=(),
        tokens={},
        sessions=(),
        fleets=(),
        nemesis=(),
        schedule=Schedule("order", START),
        clauses=(),
        show=(),
        known_race=None,
        path=path,
        text="",
    )
