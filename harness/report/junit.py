"""JUnit XML, as CI systems read it: a violation is a failure, an inconclusive scenario an error, a known race skipped.

The document holds only what all readers of the format know (one suite, one result a case, no attributes of our own),
in the order that its strictest schema wants.
"""

import re
from datetime import UTC, datetime
from xml.etree import ElementTree

from harness.report.describe import harmless, shortened
from harness.report.result import RunResult, ScenarioResult
from harness.report.summary import failures, known_races, not_begun, reasons, replay_command
from harness.report.terminal import Look, failure, summary

MOST_TEXT = 20_000
"""Characters of one case's text."""

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(run: RunResult) -> str:
    """The document of a whole run; what ended it early is a case of its own, so that no reader takes it for green."""
    cases = [_case(run, result) for result in run.results] + _ends(run)
    kinds = [kind for _, _, kind in cases]
    suite = ElementTree.Element(
        "testsuite",
        {
            "name": "lockrace",
            "package": _token(run.target),
            "id": "0",
            "timestamp": _timestamp(run.started),
            "hostname": "localhost",
            "tests": str(len(cases)),
            "failures": str(kinds.count("failure")),
            "errors": str(kinds.count("error")),
            "skipped": str(kinds.count("skipped")),
            "time": _time(run.seconds),
        },
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in {"target": run.target, "level": run.level, "seed": run.seed, **run.settings}.items():
        attributes = {"name": _token(str(name)), "value": _text(str(value))}
        ElementTree.SubElement(properties, "property", attributes)
    suite.extend(case for case, _, _ in cases)
    ElementTree.SubElement(suite, "system-out").text = _text(summary(run, Look()))
    ElementTree.SubElement(suite, "system-err")
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


Case = tuple[ElementTree.Element, str, str]
"""A case, its name, and what it is: passed, failure, error or skipped."""


def _case(run: RunResult, result: ScenarioResult) -> Case:
    scenario = result.scenario
    case = _element(scenario.name, f"lockrace.{scenario.level}.{scenario.family}", result.seconds)
    if result.label == "violation":
        _fail(run, result, case)
        return case, scenario.name, "failure"
    if result.label == "inconclusive":
        text = "\n".join([*reasons(result), replay_command(run, result)])
        _add(case, "error", reasons(result)[0], "inconclusive", text)
        return case, scenario.name, "error"
    if result.label in ("known race", "baseline"):
        races = [f"{name} reproduced in {count} of {of} runs" for name, (count, of) in known_races([result]).items()]
        message = reasons(result)[0] if result.label == "baseline" else "; ".join(races)
        ElementTree.SubElement(case, "skipped", {"message": _text(f"{result.label}: {message}")})
        return case, scenario.name, "skipped"
    return case, scenario.name, "passed"


def _fail(run: RunResult, result: ScenarioResult, case: ElementTree.Element) -> None:
    found = failures([result])
    if not found:
        _add(case, "failure", reasons(result)[0], "baseline or known race", "\n".join(reasons(result)))
        return
    violation = found[0].violation
    text = "\n".join(failure(run, one, Look()) for one in found[:5])
    _add(case, "failure", f"{violation.requirement}: {violation.message}", violation.name, text)


def _ends(run: RunResult) -> list[Case]:
    """What ended the run, as an error each."""
    said = {"target unreachable": run.unreachable, "fault of the harness": run.fault}
    said["interrupted"] = "the rest was not tried" if run.interrupted else None
    said["not begun"] = not_begun(run)
    if not run.results and not any(said.values()):
        said["nothing selected"] = "no scenario was run"
    cases = []
    for name, text in said.items():
        if text is not None:
            case = _element(name, "lockrace.run", 0.0)
            _add(case, "error", text, name, text)
            cases.append((case, name, "error"))
    return cases


def _element(name: str, classname: str, seconds: float) -> ElementTree.Element:
    attributes = {"name": _token(name), "classname": _token(classname), "time": _time(seconds)}
    return ElementTree.Element("testcase", attributes)


def _add(case: ElementTree.Element, tag: str, message: str, kind: str, text: str) -> None:
    attributes = {"message": _text(shortened(harmless(message), 500)), "type": _token(kind)}
    ElementTree.SubElement(case, tag, attributes).text = _text(shortened(text, MOST_TEXT))


def _text(text: str) -> str:
    """Text without what XML 1.0 has no way to write."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _token(text: str) -> str:
    """Text that may stand as a name: on one line, never empty."""
    return _text(harmless(text)) or "unnamed"


def _time(seconds: float) -> str:
    return f"{max(0.0, seconds):.3f}"


def _timestamp(started: str) -> str:
    """The start in UTC without a zone, as the format wants it; of a run without one, the first moment of the epoch."""
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        moment = datetime.fromtimestamp(0, UTC)
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S")
