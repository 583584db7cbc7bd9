"""From a reply to its answer, as a profile words it: outcome, fields of the contract, error texts, leaked secrets."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from harness.contract import STATES, Outcome
from harness.history import Shown
from harness.wire.encoding import ABOVE, AFTER, asked_by, placeholder
from harness.wire.message import Answer, Call, Reply
from harness.wire.places import Place, found_at, shown_at, written
from harness.wire.profile import CallProfile, Matcher, Profile

_KEPT_TEXT_LENGTH = 500  # of one error text: enough to read, too little to flood a history
_STATUSES = range(100, 600)
_OF_A_TOKEN = frozenset({"auth", "use"})
_TEXTS_OF_ARVADOS = ("errors", None)


class Classifier:
    """The answers of one call."""

    def __init__(self, op: str, call: CallProfile, profile: Profile) -> None:
        self._answer, self._record = call.answer, _first_at(call.answer or ())
        self._is_auth = op == "auth"
        self._of_a_token = op in _OF_A_TOKEN
        self._is_list = op == "list"
        self._v2 = profile.token.v2
        self._matchers = _by_status([*call.outcomes, *profile.outcomes])
        self._outcomes = {status: able[0].outcome for status, able in self._matchers.items() if not _has_more(able[0])}
        fields = profile.fields
        self._secret, self._run_auth = _text_at(fields["api_token"]), _text_at(fields["run_auth"])
        self._secret_name = written(fields["api_token"])
        self._leaks = self._secret_name == "api_token" and not self._of_a_token  # another name may mean another thing
        shown = {"auth_uuid": fields["token_uuid"]} if self._of_a_token else {name: fields[name] for name in _SHOWN}
        self._flat = [(name, str(place[0])) for name, place in shown.items() if place and len(place) == 1]
        self._deep = [(name, place) for name, place in shown.items() if place and len(place) > 1]
        self._states = _states_of(profile.states)
        self._items, self._items_name = _first_at(fields["items"] or ()), written(fields["items"])
        self._errors = fields["errors"]
        self._texts = _entries_at(self._errors or ())
        self._expected = f"want JSON with texts at {written(self._errors)}"
        if self._errors == _TEXTS_OF_ARVADOS:
            self._expected = 'want JSON {"errors": [text, ...]}'
        self._uuid, self._uuid_name = _text_at(fields["uuid"]), written(fields["uuid"])
        self._uuid_key = self._uuid_name if fields["uuid"] == (self._uuid_name,) else None
        self._asked = asked_by(call.query) if call.query is not None else None  # None: it can ask for anything
        self._pages = self._asked is None or AFTER in self._asked

    def classify(self, call: Call, reply: Reply, secrets: Mapping[str, str]) -> Answer:
        """What `reply` says, in the contract's words."""
        if reply.failure is not None:
            return Answer(outcome="garbled" if reply.failure == "garbled" else "indeterminate", problem=reply.failure)
        text = reply.body.decode("utf-8", "replace")
        try:
            body = msgspec.json.decode(reply.body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            body = None
        outcome = self._outcomes.get(reply.status or 0) or self._outcome(reply, body, text)
        if outcome == "granted":
            leaked = [] if self._of_a_token else self._leaked(text, secrets)
            return self._granted(call, body, leaked)
        leaked = self._leaked(text, secrets)
        errors, problem = self._told(body, reply, secrets)
        if outcome == "indeterminate":  # a 5xx: its shape is not judged, ERR-2 is
            problem = None
        return Answer(outcome=outcome, errors=errors, problem=problem, leaked=leaked or None)

    def _outcome(self, reply: Reply, body: Any, text: str) -> Outcome:
        for matcher in self._matchers.get(reply.status or 0, ()):
            if _holds(matcher, reply, body, text):
                return matcher.outcome
        return "garbled"

    def _granted(self, call: Call, body: Any, leaked: list[str]) -> Answer:
        if self._is_list:
            return self._listed(call, body, leaked)
        if self._answer is None:
            return Answer(outcome="granted", value=Shown(), leaked=leaked or None)
        if self._answer:
            body = self._record(body)
        if not isinstance(body, dict):
            return Answer(outcome="garbled", leaked=leaked or None)
        value, problem = self._shown(body)
        if value is None:
            return Answer(outcome="garbled", problem=problem, leaked=leaked or None)
        secret = self._secret(body) if self._is_auth else None
        if secret is None and self._is_auth:
            problem = f"the auth holds no {self._secret_name}"
        if self._leaks and isinstance(body.get("api_token"), str):
            leaked = [*leaked, "api_token"]
        return Answer(
            outcome="granted",
            value=value,
            problem=problem,
            leaked=leaked or None,
            secret=secret,
            run_auth=self._run_auth(body),
        )

    def _shown(self, record: dict[str, Any]) -> tuple[Shown | None, str | None]:
        """The contract's fields of one record; None and the reason when a field has the wrong type."""
        fields = {name: record[key] for name, key in self._flat if key in record}
        for name, place in self._deep:
            value = shown_at(record, place)
            if value is not UNSET and (value is not None or name in _NULLABLE):
                fields[name] = value
        if self._states is not None and isinstance(fields.get("state"), str):
            fields["state"] = self._states.get(fields["state"], f'"{fields["state"]}"')  # no state of the contract
        try:
            return msgspec.convert(fields, Shown), None
        except msgspec.ValidationError as error:
            return None, f"the record cannot be read: {error}"

    def _listed(self, call: Call, body: Any, leaked: list[str]) -> Answer:
        items = self._items(body)
        if not isinstance(items, list):
            problem = f"the list holds no {self._items_name}" if isinstance(body, dict) else None
            return Answer(outcome="garbled", problem=problem, leaked=leaked or None)
        if (key := self._uuid_key) is not None:
            found = [item[key] for item in items if isinstance(item, dict) and isinstance(item.get(key), str)]
        else:
            found = [uuid for item in items if isinstance(item, dict) and (uuid := self._uuid(item)) is not None]
        if len(found) != len(items):
            problem = f"an item of the list holds no {self._uuid_name}"
            return Answer(outcome="garbled", problem=problem, leaked=leaked or None)
        if self._leaks and any(isinstance(item.get("api_token"), str) for item in items):
            leaked = [*leaked, "api_token"]
        size, last = len(found), max(found) if found and self._pages else None
        for name, wanted in (call.sent or {}).items():  # what the query cannot ask for is picked here
            if name not in _PICKED or self._asked is None or placeholder(self._asked, name, wanted) is not None:
                continue
            field = "priority" if name == ABOVE else name
            values = [getattr(self._shown(item)[0], field, UNSET) for item in items]
            if UNSET in values:
                problem = f"the items do not show {field}, by which they are picked since the query cannot ask for it"
                return Answer(outcome="indeterminate", problem=problem, leaked=leaked or None)
            kept = {uuid for uuid, value in zip(found, values, strict=True) if _matches(name, value, wanted)}
            found = [uuid for uuid in found if uuid in kept]
            items = [item for item in items if self._uuid(item) in kept]
        return Answer(outcome="granted", value=Shown(found=found), leaked=leaked or None, items=size, last=last)

    def _told(self, body: Any, reply: Reply, secrets: Mapping[str, str]) -> tuple[list[str] | None, str | None]:
        """The error texts of a refusal, secrets taken out, and what is wrong with their shape."""
        if self._errors is None:
            return None, None
        if body is None:
            kind = reply.header("content-type") or "no content type"
            return None, f"the answer is not JSON ({kind[:60]}); {self._expected}"
        texts = self._texts(body)
        if not texts or not all(isinstance(text, str) for text in texts):
            return None, f"the answer has no list of error texts; {self._expected}"
        return [self._without_secrets(text, secrets)[:_KEPT_TEXT_LENGTH] for text in texts[:10]], None

    def _leaked(self, text: str, secrets: Mapping[str, str]) -> list[str]:
        """Names of the secrets that stand in an answer that may hold none."""
        return sorted({name for secret, name in secrets.items() if secret and self._bare(secret) in text})

    def _without_secrets(self, text: str, secrets: Mapping[str, str]) -> str:
        for secret, name in secrets.items():
            if secret:
                text = text.replace(self._bare(secret), f"<{name}>")
        return text

    def _bare(self, token: str) -> str:
        """The secret part of a token: the third of "v2/UUID/SECRET", else all of it."""
        if not self._v2 or token[:3] != "v2/":
            return token
        parts = token.split("/")
        return parts[2] if len(parts) >= 3 else token

    def next_page(self, call: Call, answer: Answer) -> Call | None:
        """The call that lists what comes after a page; None after an empty one, or one that does not go on.

        A page that is not full is no end: a server may answer fewer at a time than it was asked for.
        """
        if answer.last is None or answer.last <= (call.sent or {}).get(AFTER, ""):
            return None
        return msgspec.structs.replace(call, sent=dict(call.sent or {}) | {AFTER: answer.last})


_SHOWN = ("uuid", "state", "priority", "locked_by_uuid", "auth_uuid", "lock_count", "runtime_error")
_NULLABLE = frozenset({"priority", "locked_by_uuid", "auth_uuid", "runtime_error"})
_PICKED = frozenset({"uuid", "state", "priority", "locked_by_uuid", ABOVE})


def _matches(name: str, value: Any, wanted: Any) -> bool:
    if name == ABOVE:
        return isinstance(value, int) and value > wanted
    return value in wanted if isinstance(wanted, list) else bool(value == wanted)


def _by_status(matchers: Sequence[Matcher]) -> dict[int, list[Matcher]]:
    """For every status the matchers that may hold, in order."""
    able = {status: [one for one in matchers if one.statuses is None or status in one.statuses] for status in _STATUSES}
    return {status: some for status, some in able.items() if some}


def _has_more(matcher: Matcher) -> bool:
    """Whether there is more to look at than the status."""
    return bool(matcher.headers or matcher.values or matcher.text is not None)


def _holds(matcher: Matcher, reply: Reply, body: Any, text: str) -> bool:
    """Whether all of a matcher beside its status is true of an answer."""
    for name, value in matcher.headers:
        seen = [shown for key, shown in reply.headers if key.lower() == name]
        if not seen or (value is not None and value not in seen):
            return False
    for place, value in matcher.values:
        found = found_at(body, place)
        if not found or (value is not UNSET and not any(type(one) is type(value) and one == value for one in found)):
            return False
    return matcher.text is None or matcher.text in text


def _states_of(states: Mapping[str, Sequence[str]]) -> dict[str, str] | None:
    """The contract's states by what a profile calls them; None where it calls them the same."""
    if not states:
        return None
    return {called: state for state in STATES for called in states.get(state, (state,))}


def _first_at(place: Place) -> Callable[[Any], Any]:
    """What looks for the first value at a place; None where there is none."""
    if len(place) == 1 and isinstance(place[0], str):
        key = place[0]
        return lambda body: body.get(key) if isinstance(body, dict) else None
    return lambda body: next(iter(found_at(body, place)), None)


def _entries_at(place: Place) -> Callable[[Any], list[Any]]:
    """What looks for all values at a place."""
    if len(place) == 2 and isinstance(place[0], str) and place[1] is None:
        list_of = _first_at(place[:1])
        return lambda body: found if isinstance(found := list_of(body), list) else []
    return lambda body: found_at(body, place)


def _text_at(place: Place | None) -> Callable[[dict[str, Any]], str | None]:
    """What looks for a text at a place of a record."""
    if place is None:
        return lambda _: None
    key = str(place[0]) if len(place) == 1 else None

    def text(record: dict[str, Any]) -> str | None:
        value = shown_at(record, place) if key is None else record.get(key)
        return value if isinstance(value, str) else None

    return text
