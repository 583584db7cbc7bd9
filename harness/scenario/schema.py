"""The JSON Schema of scenario files, for completion and hints in editors.

It is made from the same tuples that the loader reads by. The loader stays the judge: a schema cannot say that an order
leaves out a step.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from harness.contract import KNOWN_RACES, LEVELS, OUTCOMES, REQUIREMENTS, STATES
from harness.scenario.cases import CALLS, CASE_FIELDS, MAX_CASES
from harness.scenario.given import ATTRIBUTES, SESSION_TOKENS
from harness.scenario.staging import MAX_MEMBERS, MAX_ORDERS, MAX_RUNS, POLICIES
from harness.scenario.steps import MAX_RETRIES, MAX_STEPS

Schema = dict[str, Any]

_NAME = "^[A-Za-z][A-Za-z0-9_]{0,59}$"
_TIME = "^[0-9]{1,6}(ms|s)$"
_PLACEHOLDER: Schema = {"type": "string", "pattern": r"^\$\{[A-Za-z][A-Za-z0-9_]*\}$"}


def scenario_schema() -> Schema:
    """The schema of one `*.race.yaml` file, as JSON Schema 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lockrace scenario, format 1",
        "description": "Who does what, in which orders, and what must come of it.",
        "$defs": _definitions(),
        **_record(_top(), required=("format", "scenario", "summary", "level", "requires")),
        "oneOf": [
            {"required": ["cases"]},
            {"required": ["given", "sessions", "schedule"]},
            {"required": ["given", "fleets", "schedule"], "not": {"required": ["sessions"]}},
        ],
    }


def _top() -> dict[str, Schema]:
    return {
        "format": _told("The version of this format.", {"const": 1}),
        "scenario": _told("The scenario's name in every report; unique.", _text("^[a-z][a-z0-9_]{0,59}$")),
        "summary": _told("One sentence for reports.", _text()),
        "level": _told("The lowest level of the contract whose servers it judges.", {"enum": list(LEVELS)}),
        "requires": _told("IDs of the requirements that it judges.", _ref("requirements")),
        "see": _told("Where the race or the rule is documented.", _text("^https?://")),
        "tags": _told("Words to select scenarios by.", _list(_text("^[a-z][a-z0-9_-]{0,39}$"))),
        "parameters": _told(
            'One instance for each combination of values; "${size}" stands for a whole scalar.',
            _named(_list({"type": ["string", "number", "boolean"]}, at_least=1)),
        ),
        "given": _told(
            "What is there before a run: fresh containers, and what each session sends.",
            _record({"containers": _named(_ref("container")), "tokens": _tokens()}, required=("containers", "tokens")),
        ),
        "sessions": _told("Dispatchers by name, each with its steps in order.", _named(_steps("step"))),
        "fleets": _told("Crowds of dispatchers that run the same steps.", _named(_ref("fleet"))),
        "nemesis": _told("Faults that no session causes itself.", _steps("step")),
        "schedule": _told("In which orders the steps run: exactly one of four.", _schedule()),
        "outcome": _told("What must come of it, judged at the end of each run.", _outcome()),
        "known_race": _told("An outcome that the contract permits; it passes, and is reported.", _known_race()),
        "cases": _told("A table instead of sessions: one instance a row.", _cases()),
    }


def _definitions() -> dict[str, Schema]:
    return {
        "name": _text(_NAME),
        "names": _one_or_more(_text()),
        "expression": _told(
            "A condition, such as: believes(A, c1) and not live(A.token), or count(D.lock.granted) == 1",
            {"type": ["string", "boolean"]},
        ),
        "requirements": _one_or_more({"enum": list(REQUIREMENTS)}),
        "expected": _told(
            "The outcomes that are in order; from level arvados on also statuses.",
            _one_or_more({"anyOf": [{"enum": list(OUTCOMES)}, _whole(100, 599)]}),
        ),
        "state": {"enum": list(STATES)},
        "container": _container(),
        "step": _step(),
        "fleet": _record(
            {
                "count": _told("How many dispatchers.", {"anyOf": [_whole(1, MAX_MEMBERS), _PLACEHOLDER]}),
                "steps": _steps("step"),
                "policy": _told("A behaviour in place of steps.", {"enum": list(POLICIES)}),
            },
            required=("count",),
        ),
    }


def _container() -> Schema:
    attributes: dict[str, Schema] = {key: {} for key in ATTRIBUTES}
    attributes["priority"] = _whole(0, 1000)
    state = _told("Its state, reached by real calls of the shared token.", _ref("state"))
    absent = _told("No container: a uuid that none has, or a text that is none.", {"enum": ["unknown", "malformed"]})
    return {
        "anyOf": [
            _ref("state"),
            _record({"state": state, **attributes}, required=("state",)),
            _record({"uuid": absent}, required=("uuid",)),
        ]
    }


def _step() -> Schema:
    container = _told("A container of given, found[0] of a list, or c[member] in a fleet.", _text())
    verbs: dict[str, Schema] = {
        "lock": container,
        "unlock": container,
        "auth": _told("Read the auth of the container's lock.", container),
        "get": _told("Read the container.", container),
        "list": _told("List containers.", _filters()),
        "update": _told(
            "Change attributes; uuid(A) stands for the uuid of a session's token or a container.", _update()
        ),
        "use": _told("Use a saved token: ask the server who it is.", _text(r"^\w+\.\w+$")),
        "crash": _told("Kill the dispatcher's process: self, or in the nemesis a session.", _text()),
        "pause": _told("Stop the dispatcher's process until its next step, or as long as `for` says.", _text()),
        "restart": _told("Restart the server, where the harness can.", {"const": "server"}),
        "barrier": _told("Wait here until all that have this barrier are here.", _ref("name")),
    }
    options: dict[str, Schema] = {
        "id": _told("The step's name in expressions and orders.", _ref("name")),
        "expect": _ref("expected"),
        "save": _told("Keep what was answered: the token of an auth, the containers of a list.", _ref("name")),
        "when": _told("Skip the step unless this holds.", _ref("expression")),
        "after": _told("Steps of other sessions that must be done before.", _ref("names")),
        "before": _told("Steps of other sessions that must wait for this one.", _ref("names")),
        "fault": _told("What the harness does to this call.", _fault()),
        "retry": _told("Send again; each try is an operation of its own.", _retry()),
        "as": _told("Send this saved container auth in place of the session's token.", _text(r"^\w+\.\w+$")),
        "for": _told("How long a pause lasts.", _text(_TIME)),
    }
    return {**_record({**options, **verbs}), "oneOf": [{"required": [verb]} for verb in verbs]}


def _filters() -> Schema:
    return _record(
        {
            "locked_by": _told("Whose lock: me is the session's own token.", {"const": "me"}),
            "state": _one_or_more(_ref("state")),
            "uuid": _told("These containers, by name.", _one_or_more(_text())),
            "priority": _whole(0, 1_000_000),
        }
    )


def _update() -> Schema:
    return {"type": "object", "properties": {"container": _text()}, "required": ["container"], "minProperties": 2}


def _fault() -> Schema:
    part = {"enum": ["request", "reply"]}
    return _record(
        {
            "lose": _told("Swallow the request, or the reply once the server has answered.", part),
            "reset": _told("Reset the connection.", {"const": "connection"}),
            "hang": _told("Let the server answer, and leave the dispatcher waiting.", {"const": "connection"}),
            "hold": _told("Hold it back until another step is done.", part),
            "until": _text(),
            "delay": _told("Hold it back for a time.", _text(_TIME)),
        }
    )


def _retry() -> Schema:
    return _record(
        {"times": _whole(1, MAX_RETRIES), "if": _one_or_more({"enum": list(OUTCOMES)})}, required=("times", "if")
    )


def _schedule() -> Schema:
    runs = _record({"runs": _whole(1, MAX_RUNS)}, required=("runs",))
    kinds: dict[str, Schema] = {
        "order": _told("One order; an inner list is sent together.", _list(_one_or_more(_text()), at_least=1)),
        "every": _told(
            "Every order that sessions, after, before and barriers allow; refused beyond the limit.",
            _record({"limit": _whole(1, MAX_ORDERS)}, required=("limit",)),
        ),
        "sample": _told("Random orders, from the run's seed.", runs),
        "race": _told("No order: requests at the same moment.", runs),
    }
    return {**_record(kinds), "minProperties": 1, "maxProperties": 1}


def _outcome() -> Schema:
    clauses = _named(_ref("expression"))
    timed = _record({"that": _ref("expression"), "within": _text(_TIME)}, required=("that", "within"))
    return _record(
        {
            "always": _told("Must hold in every run.", clauses),
            "never": _told("May hold in no run.", clauses),
            "sometimes": _told("Must hold in at least one run, else the runs proved nothing.", clauses),
            "eventually": _told("Must come to hold within a time.", _named(timed)),
            "show": _told("Columns of the table of outcomes.", _list(_text())),
        }
    )


def _known_race() -> Schema:
    return _record(
        {
            "id": {"enum": list(KNOWN_RACES)},
            "breaks": _told("The clauses that it may break.", _ref("names")),
            "only_when": _told("Where this does not hold, a broken clause is a violation.", _ref("expression")),
            "because": _told("Why the contract permits it.", _text()),
        },
        required=("id", "breaks", "only_when", "because"),
    )


def _cases() -> Schema:
    update = _record({"update": {"type": "object", "minProperties": 1}}, required=("update",))
    row = _record(
        {
            "name": _told("The row's name, where the one made from its parts will not do.", _ref("name")),
            "given": _ref("container"),
            "by": _told("What the caller sends.", {"enum": list(SESSION_TOKENS)}),
            "call": {"anyOf": [{"enum": list(CALLS[:-1])}, update]},
            "expect": _ref("expected"),
            "then": _told("The state afterwards.", _branched(_ref("state"))),
            "fields": _told(
                "Fields afterwards: null, issued (not null), shared, stranger or a number.", _branched(_fields())
            ),
            "requires": _told("Requirements of this row alone.", _ref("requirements")),
        },
        required=("given", "by", "call", "expect"),
    )
    return {"type": "array", "items": row, "minItems": 1, "maxItems": MAX_CASES}


def _fields() -> Schema:
    value: Schema = {"anyOf": [{"enum": [None, "issued", "shared", "stranger"]}, {"type": "integer"}]}
    return {**_record(dict.fromkeys(CASE_FIELDS, value)), "minProperties": 1}


def _branched(schema: Schema) -> Schema:
    branches = {**_record({"granted": schema, "otherwise": schema}), "minProperties": 1}
    return {"anyOf": [schema, branches]}


def _tokens() -> Schema:
    told = "shared: the first dispatch token; stranger: the second; none: no token; bogus: one that nobody issued."
    return _told(told, _named({"enum": list(SESSION_TOKENS)}))


def _told(description: str, schema: Schema) -> Schema:
    return {"description": description, **schema}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _text(pattern: str | None = None) -> Schema:
    return {"type": "string", "pattern": pattern} if pattern else {"type": "string"}


def _whole(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


def _list(items: Schema, at_least: int = 0) -> Schema:
    return {"type": "array", "items": items, **({"minItems": at_least} if at_least else {})}


def _one_or_more(item: Schema) -> Schema:
    return {"anyOf": [item, _list(item, at_least=1)]}


def _steps(name: str) -> Schema:
    return {"type": "array", "items": _ref(name), "minItems": 1, "maxItems": MAX_STEPS}


def _named(value: Schema) -> Schema:
    return {"type": "object", "propertyNames": _ref("name"), "additionalProperties": value}


def _record(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": dict(properties), "additionalProperties": False, **needed}
