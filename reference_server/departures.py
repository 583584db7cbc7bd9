"""What a mutant and a variant are: the faithful server with one function replaced at one named place."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from reference_server.places import Places

Level = Literal["must", "arvados", "run_auth"]


@dataclass(frozen=True)
class Departure:
    """One mutant or variant, with all that a reader or a harness wants to know before it runs it."""

    name: str
    kind: Literal["mutant", "variant"]
    place: str  # field of Places
    build: Callable[[Any], Any]  # from the faithful function at the place to the one that stands in for it
    summary: str
    requirements: tuple[str, ...]  # IDs that a mutant breaks, or that leave a variant's way open
    level: Level  # of a mutant: the level that judges it; of a variant: the highest at which it conforms
    invariant: str = ""  # of a mutant: the invariant that is meant to name it first
    seen: str = ""  # where it happened in real life
    needs: dict[str, Any] = field(default_factory=dict)  # what it shows on: database, workers, crowd, ...

    def apply(self, places: Places) -> Places:
        """The places with this departure in them."""
        return replace(places, **{self.place: self.build(getattr(places, self.place))})


def described(departure: Departure) -> dict[str, Any]:
    """A departure as `--list --format json` shows it."""
    common = {
        "name": departure.name,
        "place": departure.place,
        "level": departure.level,
        "summary": departure.summary,
        "seen": departure.seen,
        "needs": departure.needs,
    }
    if departure.kind == "variant":
        return common | {"leaves_open": list(departure.requirements)}
    return common | {"breaks": list(departure.requirements), "invariant": departure.invariant}


class Catalogue(dict[str, Departure]):
    """Departures by name, filled by a decorator on the functions that build them."""

    def __init__(self, kind: Literal["mutant", "variant"]) -> None:
        super().__init__()
        self.kind = kind

    def add(
        self,
        place: str,
        requirements: str,
        level: Level = "must",
        invariant: str = "",
        seen: str = "",
        **needs: object,
    ) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
        """Put the decorated function in; its name is the departure's, its docstring's first line the summary."""

        def keep(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
            summary = (build.__doc__ or "").strip().splitlines()[0]
            names = tuple(requirements.split())
            self[build.__name__] = Departure(
                build.__name__, self.kind, place, build, summary, names, level, invariant, seen, dict(needs)
            )
            return build

        return keep
