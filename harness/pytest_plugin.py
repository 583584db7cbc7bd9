"""pytest plugin: `pytest scenarios/ --lockrace-target URL -n auto` runs every scenario instance as a test.

A failing test shows the report that `lockrace run` shows, not a traceback. Without a target each worker starts a
reference server of its own. The plugin is loaded by every pytest there is: it imports nothing heavy until it has
a scenario to collect.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.scenario import Scenario

SUFFIX = ".race.yaml"
_BENCH = pytest.StashKey[Any]()  # the Bench of this worker


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options; what they mean is what `lockrace run` means by the same names."""
    group = parser.getgroup("lockrace", "race scenarios (*.race.yaml)")
    group.addoption("--lockrace-target", default="reference", metavar="TARGET", help="URL, reference, reference:NAME")
    group.addoption("--lockrace-token-file", type=Path, metavar="FILE", help="YAML with shared and stranger")
    group.addoption("--lockrace-level", default="must", choices=["must", "arvados", "run_auth"], help="default: must")
    group.addoption("--lockrace-known", default="any", choices=["any", "reproduced", "closed"], help="known races")
    group.addoption("--lockrace-runs", type=int, metavar="N", help="runs of each sampled or raced scenario")
    group.addoption("--lockrace-seed", type=int, default=0, metavar="N", help="of sampled orders; default: 0")
    group.addoption("--lockrace-timeout", type=float, default=10.0, metavar="SECONDS", help="of one request")
    group.addoption("--lockrace-max-dispatch-attempts", type=int, metavar="N", help="the server's attempt limit")
    group.addoption("--lockrace-insecure", action="store_true", help="accept any TLS certificate")
    group.addoption("--lockrace-start", metavar="COMMAND", help="start your own server: './server --port {port}'")
    group.addoption("--lockrace-ready", default="/", metavar="PATH", help="with --lockrace-start: answers when ready")
    group.addoption("--lockrace-profile", type=Path, metavar="FILE", help="YAML that says how your server looks")
    group.addoption("--lockrace-provision", default="api", metavar="HOW", help="api, command:PROGRAM..., or uuids:FILE")
    group.addoption("--lockrace-max-rps", type=int, metavar="N", help="requests a second, of all workers together")
    group.addoption("--lockrace-cluster", metavar="ID", help="what uuids that nobody has begin with")
    group.addoption("--lockrace-out", type=Path, default=Path("lockrace-out"), metavar="DIR", help="for histories")


def pytest_configure(config: pytest.Config) -> None:
    """Say what the mark is for; marks from a scenario's tags are added as they are met."""
    config.addinivalue_line("markers", "lockrace: a race scenario, collected from a *.race.yaml file")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "ScenarioFile | None":
    """A scenario file becomes a collector of its instances."""
    if not file_path.name.endswith(SUFFIX):
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the target and the dispatcher processes of this worker."""
    bench = session.config.stash.get(_BENCH, None)
    if bench is not None:
        bench.close()


class ScenarioFile(pytest.File):
    """One `*.race.yaml` file."""

    def collect(self) -> Iterator["ScenarioItem"]:
        """Every instance, in file order: the same on every worker."""
        from harness.scenario import ScenarioError, load  # noqa: PLC0415

        try:
            scenarios = load(self.path)
        except ScenarioError as error:
            raise self.CollectError(str(error)) from None
        for scenario in scenarios:
            yield ScenarioItem.from_parent(self, name=scenario.name, scenario=scenario)


class NotConforming(Exception):
    """A scenario that is violated or inconclusive; its text is the whole report."""


class ScenarioItem(pytest.Item):
    """One scenario instance."""

    def __init__(self, *, scenario: "Scenario", **rest: Any) -> None:
        super().__init__(**rest)
        self.scenario = scenario
        for tag in ("lockrace", *scenario.tags):
            self.config.addinivalue_line("markers", f"{tag}: tag of a race scenario")
            self.add_marker(tag)
        if any(step.verb == "restart" for step in scenario.steps().values()):
            self.add_marker(pytest.mark.xdist_group("lockrace-restarts"))

    def runtest(self) -> None:
        """Drive the instance, judge it, and fail with the report unless it conforms."""
        from harness.pytest_session import Bench  # noqa: PLC0415

        if _BENCH not in self.config.stash:
            self.config.stash[_BENCH] = Bench(self.config)
        self.config.stash[_BENCH].run(self.scenario)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The report, not a traceback; a fault of the harness itself keeps its traceback."""
        if isinstance(excinfo.value, NotConforming):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the scenario is: the place in the YAML file."""
        return self.path, self.scenario.mark.line - 1, self.name
