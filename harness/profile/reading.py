"""Strict reading of a profile: every fault of the file at once, each with line, column and caret.

    format: 1
    profile: leases
    calls:
      lock: {method: PUT, path: "/v2/jobs/{uuid}/lease"}
    fields: {uuid: id, state: status}
    states: {Queued: waiting}
    outcomes:
      - refused: {status: 409}

What a profile does not mention is as Arvados has it.
"""

import re
from pathlib import Path

from harness.contract import OUTCOMES, STATES
from harness.profile.calls import read_calls
from harness.profile.matching import read_outcomes
from harness.profile.parts import VALUE, is_null, read_header_name, read_headers, read_matching, read_place
from harness.profile.words import ALWAYS_THERE, OF_A_TOKEN, PLACES, SENT, TOKEN_KEYS, TOP_KEYS
from harness.scenario.fields import Form, one_or_more, text, whole
from harness.scenario.reader import Leaf, Source, Tree, read_source, read_tree
from harness.wire import Profile, TokenProfile
from harness.wire.arvados import PROFILE, READ_FIELDS
from harness.wire.places import Place, written

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,59}\Z")
_PARAMETER = re.compile(r"[A-Za-z0-9_.-]{1,60}\Z")


def read_profile(path: Path) -> Profile:
    """Read a profile. Raises ScenarioError with all its faults."""
    source = read_source(path)
    form = Form(source, read_tree(source), "a profile", TOP_KEYS)
    whole(source, form.need("format"), "format", 1, 1)
    found = Profile(
        name=read_matching(source, form.need("profile"), "profile", _NAME, "letters, digits and . _ -") or "unnamed",
        headers={**PROFILE.headers, **read_headers(source, form.get("headers"))},
        token=_token(source, form.get("token")),
        request_id=read_header_name(source, form.get("request_id"), "request_id") or PROFILE.request_id,
        run_auth=read_header_name(source, form.get("run_auth"), "run_auth") or PROFILE.run_auth,
        calls=read_calls(source, form.get("calls")),
        fields=_fields(source, form.get("fields")),
        states=_states(source, form.get("states")),
        outcomes=(*read_outcomes(source, form.get("outcomes"), OUTCOMES), *PROFILE.outcomes),
    )
    source.raise_faults()
    return found


def _token(source: Source, tree: Tree | None) -> TokenProfile:
    if tree is None:
        return PROFILE.token
    form = Form(source, tree, "token", TOKEN_KEYS)
    query = read_matching(source, form.get("query"), "a parameter", _PARAMETER, "letters, digits and . _ -")
    for key in ("header", "value"):
        if query is not None and form.get(key) is not None:
            form.fault(key, "a token is presented in a header or in the query, not in both")
    value = read_matching(source, form.get("value"), "value", VALUE, "visible ASCII") or PROFILE.token.value
    if value.count("{token}") != 1:
        form.fault("value", 'value must say where the token stands, once, as "Bearer {token}" does')
    return TokenProfile(
        header=None if query else read_header_name(source, form.get("header"), "header") or PROFILE.token.header,
        value=value,
        query=query,
        v2=_yes_or_no(source, form.get("v2"), "v2", PROFILE.token.v2),
    )


def _fields(source: Source, tree: Tree | None) -> dict[str, Place | None]:
    found = dict(PROFILE.fields)
    if tree is None:
        return found
    form = Form(source, tree, "fields", (*PROFILE.fields, *SENT))
    told = {PROFILE.fields[name]: name for name in READ_FIELDS if name not in form.tree.items}
    for name, value in form.tree.items.items():
        if is_null(value):
            if name in ALWAYS_THERE:
                form.fault(name, f"{name} cannot be left out: nothing can be judged without it")
            found[name] = None
        elif (place := read_place(source, value, name)) is not None:
            found[name] = place
            if name not in PLACES:
                _check_key(form, name, place, told)
    return {name: place for name, place in found.items() if name in PROFILE.fields or name in SENT}


def _check_key(form: Form, name: str, place: Place, told: dict[Place | None, str]) -> None:
    """Whether a field can be written: it is a key, and none of those `told` stands there already."""
    if not place or not all(isinstance(step, str) for step in place):
        form.fault(name, f"{name} is a key of a record, or keys with dots between: lock.holder")
    elif name not in OF_A_TOKEN:
        clash = next((other for other in told if other and other[: len(place)] == place[: len(other)]), None)
        if clash is not None:
            form.fault(name, f"{name} and {told[clash]} cannot both stand at {written(place)}")
        told[place] = name


def _states(source: Source, tree: Tree | None) -> dict[str, tuple[str, ...]]:
    if tree is None:
        return {}
    form = Form(source, tree, "states", STATES)
    found: dict[str, tuple[str, ...]] = {state: (state,) for state in STATES}
    for state, value in form.tree.items.items():
        names = [text(source, one, state) for one in one_or_more(value)]
        if state in STATES and names:
            found[state] = tuple(name for name in names if name is not None)
    by_name: dict[str, str] = {}
    for state, called in found.items():
        for name in called:
            if by_name.setdefault(name, state) != state:
                form.fault(state, f'"{name}" is what {by_name[name]} is called')
    return found


def _yes_or_no(source: Source, tree: Tree | None, what: str, usual: bool) -> bool:
    if tree is None:
        return usual
    if isinstance(tree, Leaf) and isinstance(tree.value, bool):
        return tree.value
    source.fault(tree.mark, f"{what} must be true or false")
    return usual
