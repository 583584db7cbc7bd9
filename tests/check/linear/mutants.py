"""The clauses of the algorithms, switched off one at a time: modules of the check with some of their text changed."""

import importlib
import sys
from pathlib import Path
from types import ModuleType


class Mutant:
    """A module with one clause switched off: each old text stands in it once and becomes the new one after it."""

    def __init__(self, module: str, clause: str, *changes: str) -> None:
        self.module = module
        self.clause = clause
        self.changes = list(zip(changes[::2], changes[1::2], strict=True))


def load(mutant: Mutant) -> ModuleType:
    """The mutated module, beside the real one, which stays as it is."""
    real = importlib.import_module(f"harness.check.linear.{mutant.module}")
    assert real.__file__ is not None
    text = Path(real.__file__).read_text(encoding="utf-8")
    for old, new in mutant.changes:
        assert text.count(old) == 1, f"{mutant.clause}: {old!r} stands {text.count(old)} times"
        text = text.replace(old, new)
    module = ModuleType(f"{real.__name__} without: {mutant.clause}")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(text, real.__file__, "exec"), module.__dict__)
    return module


UNSOUND = (
    Mutant(
        "waiting",
        "an unlock takes effect after its invocation",
        "unlocks[self._next_unlock][1] <= now",
        "True",
        "and invoke <= now\n            and bool",
        "and bool",
    ),
    Mutant(
        "waiting",
        "an unlock ends one section",
        "if unlocks[self._next_unlock][5] not in used:",
        "if True:",
        "while waiting and waiting[0][5] in used:",
        "while False:",
        "number not in self.used\n            and",
        "True\n            and",
    ),
    Mutant("section", "a fresh container was never locked", " and count in (None, 0)", ""),
    Mutant("sweep", "an observer is content only if its state held", "if last[one] >= invoke:", "if last[one] >= 0:"),
    Mutant("sweep", "a section lasts until its auth was last asked for", "if section.c1 > now:", "if False:"),
    Mutant("sweep", "a lock begins after its invocation", "if section.invoke > now or", "if"),
    Mutant(
        "sweep",
        "an unlock that returns was forced before",
        "return number in self.waiting.used",
        "return number in self.waiting.used or self.state == QUEUED",
    ),
    Mutant("sweep", "a lock that returns was forced before", "return self._section_of(event).begun", "return True"),
    Mutant(
        "sweep",
        "a lock shows the count it makes",
        "if section.invoke > now or section.wanted not in (None, self.count + 1):",
        "if section.invoke > now:",
    ),
    Mutant(
        "sweep",
        "a section is shown by an answer that shows its state",
        "and not section.begun and section.bit & code:",
        "and not section.begun and section.locked:",
    ),
    Mutant(
        "sweep",
        "what a lock of unknown outcome began is no lock of its own when that is taken back",
        "section.bit = unknowns.states\n",
        'section.bit = unknowns.states\n            self.trail.steps.append(("begin", section))\n',
    ),
    Mutant("trail", "an unlock that is taken back can take effect", "self._waiting.put_back_unlock(what)", "pass"),
    Mutant(
        "sweep",
        "a lock that shows no auth shows the count it makes",
        "if lock is not None and lock.wanted in (None, self.count + 1):",
        "if lock is not None:",
    ),
    Mutant("spec", "a lock has another auth than the one before", "before.auth.auth == fresh.auth", "False"),
    Mutant("sweep", "a read shows the count of its time", "if self.begins[count] >= invoke:", "if True:"),
    Mutant("sweep", "a read of a section shows its count", "return count in (None, section.count)", "return True"),
    Mutant(
        "sweep",
        "an unlock shows the count",
        "elif self.state & states and count in (None, self.count):",
        "elif self.state & states:",
    ),
    Mutant("section", "unknown locks wait for their invocation", "self.invokes[self.used] <= now", "True"),
    Mutant("section", "one auth is of one lock", "elif shown.locked:", "elif False:"),
    Mutant(
        "cores",
        "only a lock issues an auth",
        "if event[3] is not None and codes[event[2]] & LOCKS:",
        "if event[3] is not None:",
    ),
    Mutant("cores", "cores meet only if they overlap", "if other.begin < one.end:", "if other.begin <= one.end:"),
    Mutant(
        "cores", "a core leaves its ends out", "return_ < cores[place].end else", "return_ <= cores[place].end else"
    ),
    Mutant(
        "cores", "a core begins at a return", "bisect_left(begins, invoke) - 1", "bisect_left(begins, invoke + 9) - 1"
    ),
    Mutant(
        "cores",
        "what a section allows may lie inside its core",
        "return bool(states & (bit or STATES & ~QUEUED))",
        "return False",
    ),
    Mutant(
        "search",
        "what returns at a moment may follow what begins there",
        "_INVOKED, _RETURNED = -1, 0",
        "_INVOKED, _RETURNED = 1, 0",
    ),
    Mutant(
        "search",
        "no auth comes back",
        "return new.auth not in self._issued and new.auth not in config.burnt",
        "return True",
    ),
    Mutant(
        "search",
        "no auth comes back after what showed it returned",
        "return new.auth not in self._issued and",
        "return",
    ),
    Mutant("search", "no auth comes back while what showed it is pending", "and new.auth not in config.burnt", ""),
    Mutant(
        "search",
        "what has spent an auth is not as good",
        "self.configs.setdefault((config.state, config.done, config.burnt), [])",
        "self.configs.setdefault((config.state, config.done, frozenset()), [])",
    ),
    Mutant("search", "what has spent more is not as good", "one.seen >= other.seen", "one.seen <= other.seen"),
    Mutant(
        "search",
        "of equal requests the first to return goes first",
        "position) < (self._timed[best]",
        "position) > (self._timed[best]",
    ),
    Mutant(
        "search",
        "observers take effect when they can",
        "and config.state in self._spec.steps",
        "and False and self._spec.steps",
    ),
    Mutant(
        "search", "a read can settle which lock it is", "settling = self._observers if", "settling = frozenset() if"
    ),
    Mutant("search", "what is unknown waits for its invocation", "if count < len(positions):", "if False:"),
    Mutant("search", "no lock outlasts what must happen", "if return_ >= pin:", "if return_ > pin + 9:"),
    Mutant(
        "search",
        "a lock goes only when what shows it was asked for",
        'self._pins.get(old.auth or "", 0) > now:',
        'self._pins.get(old.auth or "", 0) > now - 9:',
    ),
    Mutant("spec", "an answer shows the state as it is", "request.state in (ANY, shown.state)", "True"),
    Mutant("spec", "an answer shows the holder as it is", "return caller == shown or", "return True or"),
    Mutant("spec", "a run_auth works for its own lock", "and own.run_auth == request.run_auth else", "else"),
    Mutant("spec", "only a lock is answered its run_auth", "request.shown_run_auth == handed else", "True else"),
    Mutant("spec", "an answer shows the count as it is", "and request.lock_count in (ANY, shown.lock_count)", ""),
    Mutant(
        "spec",
        "an answer shows the auth as it is",
        "return container if lock.auth == shown else ANY",
        "return container",
    ),
    Mutant(
        "spec",
        "an auth is null outside a lock",
        "return container if shown is None and lock is None else ANY",
        "return container",
    ),
)

LOST = (
    Mutant(
        "sweep",
        "short sections make way",
        "if section.c1 <= now:\n            return False\n        first = self.waiting.first_ripe",
        "if True:\n            return False\n        first = self.waiting.first_ripe",
    ),
    Mutant(
        "waiting",
        "of short sections the one due first begins first",
        "if not section.begun:\n                heappush(self._ripe, (section.c0,",
        "if not section.begun:\n                heappush(self._ripe, (-section.c0,",
    ),
    Mutant(
        "waiting",
        "of unlocks the one due first ends the section",
        "return waiting[0] if waiting else None",
        "return next((one for one in reversed(waiting) if one[5] not in used), None)",
    ),
    Mutant(
        "sweep",
        "an auth whose lock is lost has a lock of unknown outcome",
        "for unknowns in self.outline.unknown_locks:",
        "for unknowns in self.outline.unknown_locks[:0]:",
    ),
    Mutant(
        "sweep", "a read settles which lock it is", "if not section.locked and self.section.auth is None:", "if False:"
    ),
    Mutant("trail", "choices are taken back", "if not self.choices:", "if True:"),
    Mutant("sweep", "a lock of unknown outcome may be next", "return [*good, *unknown, *bad]", "return [*good, *bad]"),
)
"""Without these the fast check stays right but no longer finds the orders of large histories."""
