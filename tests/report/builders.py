"""Results built by hand, so that a report's test says in a few lines what happened."""

from pathlib import Path
from typing import Any

from harness.check.verdict import ClauseCount, Counterexample, HistogramRow, KnownRaceSeen, Verdict, Violation
from harness.history import Header, History, Operation, Shown
from harness.report.result import Label, RunResult, ScenarioResult
from harness.scenario import Mark, Scenario, Schedule

MS = 1_000_000
STATUS = {"granted": 200, "refused": 422, "forbidden": 403, "unauthenticated": 401, "missing": 404}


class Book:
    """Operations one after the other; each starts when the last one ended unless `at` says another time, in ms."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.now = 0.0

    def did(
        self,
        who: str,
        op: str,
        outcome: str = "granted",
        at: float | None = None,
        took: float | None = 1.0,
        **more: Any,
    ) -> int:
        """Note one operation; its index is the answer."""
        sent = self.now if at is None else at
        lost = took is None or outcome == "indeterminate"
        shown = {name: more.pop(name) for name in ("state", "auth_uuid", "secret_shown") if name in more}
        if "secret_shown" in shown:
            shown["secret"] = shown.pop("secret_shown")
        operation = Operation(
            op=op,
            process=who if "#" in who else f"{who}#1",
            invoke_ns=int(sent * MS),
            return_ns=None if lost else int((sent + (took or 0)) * MS),
            type="info" if lost else "ok" if outcome == "granted" else "fail",
            outcome=outcome,
            **{
                "status": None if lost else STATUS.get(outcome),
                "uuid": "zzzzz-dz642-000000000000001",
                "container": "c1",
                "step": f"{who[0].lower()}_{op}",
                "request_id": f"req-{len(self.operations):020d}",
                "pid": 100 + ord(who[0]),
                "value": Shown(**shown) if shown else None,
                **more,
            },
        )
        self.operations.append(operation)
        self.now = max(self.now, sent + (took or 1.0))
        return len(self.operations) - 1


def scenario(name: str = "two_lockers", **more: Any) -> Scenario:
    """A scenario with the parts that reports look at."""
    fields: dict[str, Any] = {
        "name": name,
        "family": name.partition("[")[0],
        "summary": "Two dispatchers lock one container at once; exactly one of them may be told that it holds it.",
        "level": "must",
        "requires": ("LOCK-3",),
        "given": (),
        "tokens": {"A": "shared", "B": "shared"},
        "sessions": (),
        "fleets": (),
        "nemesis": (),
        "schedule": Schedule("order", Mark(14, 3)),
        "clauses": (),
        "show": (),
        "known_race": None,
        "path": Path(f"scenarios/races/{name.partition('[')[0]}.race.yaml"),
        "text": "format: 1\n",
        **more,
    }
    return Scenario(**fields)


def result(
    label: Label = "conforms",
    of: Scenario | None = None,
    operations: list[Operation] | None = None,
    **verdict: Any,
) -> ScenarioResult:
    """One judged instance."""
    about = of or scenario()
    done = operations if operations is not None else two_lock(granted_twice=False).operations
    said = {"runs": 1, "runs_judged": 1, "operations": len(done), "exercised": {"LOCK-3": 1}, **verdict}
    return ScenarioResult(
        scenario=about,
        history=History(Header(scenario=about.name), done),
        verdict=Verdict(**said),
        label=label,
        history_path=Path(f"out/histories/{about.name}.jsonl"),
        replay=f"{about.name}:a_lock,b_lock",
        seconds=0.25,
        requests=len(done),
        processes=2,
    )


def two_lock(granted_twice: bool) -> Book:
    """A and B lock c1 at the same time; B is granted too, or told that it lost."""
    book = Book()
    book.did("A", "create", phase="setup", state="Queued", step=None)
    start = book.now
    book.did("A", "lock", at=start + 0.1, took=1.5, state="Locked", auth_uuid="zzzzz-gj3su-aaaaaaaaaaaaaaa")
    if granted_twice:
        book.did("B", "lock", at=start + 0.2, took=2.1, state="Locked", auth_uuid="zzzzz-gj3su-bbbbbbbbbbbbbbb")
    else:
        book.did("B", "lock", "refused", at=start + 0.2, took=2.1, errors=["cannot lock when Locked"])
    book.did("A", "auth", auth_uuid="zzzzz-gj3su-aaaaaaaaaaaaaaa", secret_shown="hash-a")
    book.did("B", "auth", auth_uuid="zzzzz-gj3su-bbbbbbbbbbbbbbb", secret_shown="hash-b")
    return book


def violated(name: str = "two_lockers") -> ScenarioResult:
    """Two locks were granted at once."""
    book = two_lock(granted_twice=True)
    found = Violation(
        source="invariant",
        name="single_winner",
        requirement="LOCK-3",
        message="A and B were both granted the lock of c1 with no unlock between",
        run=0,
        operations=(1, 2),
        container="c1",
        mark=Mark(14, 10),
    )
    return result(
        "violation",
        scenario(name),
        book.operations,
        violations=[found],
        runs=200,
        runs_judged=200,
        clauses=[ClauseCount("one_winner", "always", 188, 200), ClauseCount("a_wins", "sometimes", 97, 200)],
        columns=("a_lock.outcome", "b_lock.outcome"),
        histogram=[
            HistogramRow(("granted", "refused"), 97, 1),
            HistogramRow(("refused", "granted"), 91, 2),
            HistogramRow(("granted", "granted"), 12, 0, "violation"),
        ],
    )


def known_race() -> ScenarioResult:
    """The documented race: B unlocks and locks A's container, A is given the token of B's lock."""
    book = Book()
    book.did("A", "create", phase="setup", state="Queued", step=None)
    book.did("A", "lock", state="Locked", auth_uuid="zzzzz-gj3su-aaaaaaaaaaaaaaa")
    book.did("B", "unlock", state="Queued")
    book.did("B", "lock", state="Locked", auth_uuid="zzzzz-gj3su-bbbbbbbbbbbbbbb")
    book.did("A", "auth", auth_uuid="zzzzz-gj3su-bbbbbbbbbbbbbbb", secret_shown="hash-b")
    book.did("B", "auth", auth_uuid="zzzzz-gj3su-bbbbbbbbbbbbbbb", secret_shown="hash-b")
    seen = KnownRaceSeen("stolen_lock", 1, 1, "the server cannot tell A from B", 0)
    return result(
        "known race",
        scenario("stolen_lock", summary="B unlocks and re-locks A's container, so A is handed the token of B's lock."),
        book.operations,
        known_races=[seen],
        exercised={"LOCK-1": 2, "UNLOCK-1": 1, "AUTH-1": 2},
    )


def unsure() -> ScenarioResult:
    """A race in which nothing overlapped."""
    return result(
        "inconclusive",
        scenario("thundering_herd[size=10]"),
        inconclusive=["the requests overlapped in none of 200 runs"],
    )


def table(rows: int = 80) -> list[ScenarioResult]:
    """Rows of the transition table, all as they should be."""
    return [result("conforms", scenario(f"transition_table[row-{row}]"), runs=1) for row in range(rows)]


def run_of(*results: ScenarioResult, **more: Any) -> RunResult:
    """A run with these results."""
    fields: dict[str, Any] = {
        "target": "reference:check_before_lock",
        "level": "must",
        "seed": 7,
        "started": "2026-03-01T12:00:00Z",
        "results": list(results),
        "seconds": 3.5,
        "settings": {"seed": 7, "jobs": 1},
        "not_exercised": ["DUR-1"],
        "out": Path("out"),
        **more,
    }
    return RunResult(**fields)


def herd(dispatchers: int = 50, rounds: int = 5) -> ScenarioResult:
    """A fleet that locks at once and gives back, round after round; in the last round two are granted."""
    book = Book()
    book.did("D[0]", "create", phase="setup", state="Queued", step=None)
    evidence: list[int] = []
    for number in range(rounds):
        start = book.now
        for member in range(dispatchers):
            bad = number == rounds - 1 and member == 3
            won = member == 0 or bad
            index = book.did(
                f"D[{member}]",
                "lock",
                "granted" if won else "refused",
                at=start + member / 100,
                took=2 + member / 50,
                step="D.lock",
                errors=None if won else ["cannot lock when Locked"],
                **({"state": "Locked", "auth_uuid": f"zzzzz-gj3su-{number:07d}{member:08d}"} if won else {}),
            )
            if won and number == rounds - 1:
                evidence.append(index)
        book.did("D[0]", "unlock", state="Queued", step="D.unlock")
    found = Violation(
        source="invariant",
        name="single_winner",
        requirement="LOCK-3",
        message="D[0] and D[3] were both granted the lock of c1 with no unlock between",
        run=0,
        operations=tuple(evidence),
        container="c1",
        counterexample=Counterexample(tuple(evidence), prefix=(evidence[0],), stuck=evidence[1]),
    )
    about = scenario("thundering_herd[size=50]")
    return result("violation", about, book.operations, violations=[found], linearizability="violated")
