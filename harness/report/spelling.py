"""When a token's spelling is what differs: alone it is dead, as v2/UUID/SECRET it opens something, or the reverse."""

from collections.abc import Iterable
from typing import Literal

from harness.history import Operation

Spelling = Literal["", "v2", "bare"]

_ENDS_LOCKS = ("Queued", "Complete", "Cancelled")


def spelling_of(operation: Operation) -> Spelling:
    """How an operation spelled the saved token that it sent; nothing where it sent none."""
    if operation.secret is None:
        return ""
    return "v2" if (operation.sent or {}).get("spelled") == "v2" else "bare"


def told_apart(operations: Iterable[Operation]) -> set[str]:
    """Secrets whose two spellings were not treated alike, though nothing that ends a lock came between."""
    last: dict[str, tuple[Spelling, bool]] = {}  # secret -> how it was spelled last, and whether it was alive
    found = set()
    for one in operations:
        if one.type != "fail" and _may_end_a_lock(one):
            # What was alive may be dead now; what was dead stays dead.
            last = {secret: (spelling, alive) for secret, (spelling, alive) in last.items() if not alive}
        if one.secret is None or one.outcome in {"indeterminate", "garbled", "limited"}:
            continue
        spelling, alive = spelling_of(one), one.outcome != "unauthenticated"
        before = last.get(one.secret)
        if before is not None and before[0] != spelling and before[1] != alive:
            found.add(one.secret)
        last[one.secret] = (spelling, alive)
    return found


def _may_end_a_lock(one: Operation) -> bool:
    """Whether a call ends a lock; a listing names states too, one or several."""
    return one.op == "unlock" or (one.op == "update" and (one.sent or {}).get("state") in _ENDS_LOCKS)
