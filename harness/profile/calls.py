"""Reading how each call of a profile is sent and answered."""

import re
from collections.abc import Mapping as Map
from typing import Any, cast

from harness.contract import OUTCOMES
from harness.profile.matching import read_outcomes
from harness.profile.parts import VALUE, is_null, read_headers, read_matching, read_place
from harness.profile.words import ABOUT_ONE, ANSWERED_BY_NOTHING, ASKED, CALL_KEYS, WITH_ATTRIBUTES
from harness.scenario import near_name
from harness.scenario.fields import Form, listed, plain
from harness.scenario.reader import Mapping, Source, Tree
from harness.wire import CallProfile
from harness.wire.arvados import PROFILE
from harness.wire.places import Place
from harness.wire.profile import ATTRIBUTES

_METHOD = re.compile(r"[A-Z]{1,20}\Z")
_PATH = re.compile(r"/[!-~]*\Z")
_PARAMETER = re.compile(r"[A-Za-z0-9_.\[\]-]{1,60}\Z")
_BRACED = re.compile(r"\{([^{}]*)\}")


def read_calls(source: Source, tree: Tree | None) -> dict[str, CallProfile]:
    """Every call, with a fault noted for each part that is not in order."""
    calls = dict(PROFILE.calls)
    if tree is not None:
        form = Form(source, tree, "calls", tuple(calls))
        for op, value in form.tree.items.items():
            if op in calls:
                calls[op] = _call(source, op, Form(source, value, op, CALL_KEYS))
    return calls


def _call(source: Source, op: str, form: Form) -> CallProfile:
    usual = PROFILE.calls[op]
    body = _body(op, form)
    path = _path(source, op, form) or usual.path
    found = CallProfile(
        method=read_matching(source, form.get("method"), "method", _METHOD, "capital letters") or usual.method,
        path=path,
        body=body,
        query=_query(source, op, form),
        headers=read_headers(source, form.get("headers")),
        attributes=_attributes(source, op, form),
        answer=_answer(source, op, form),
        outcomes=read_outcomes(source, form.get("outcomes"), OUTCOMES),
    )
    if op in ABOUT_ONE and "{" not in path and "{uuid}" not in str(body):
        form.fault("path", f"{op} must say which container it is about: put {{uuid}} into its path or body")
    return found


def _path(source: Source, op: str, form: Form) -> str | None:
    path = read_matching(source, form.get("path"), "path", _PATH, "ASCII without blanks, beginning with /")
    known = ("uuid",) if op in ABOUT_ONE else ()
    _known_braces(form, "path", path or "", known)
    if path is not None and "#" in path:
        form.fault("path", "a path ends before #, which is never sent")
    return path


def _known_braces(form: Form, key: str, template: str, known: tuple[str, ...]) -> None:
    for name in _BRACED.findall(template):
        if name not in known:
            wanted = f"what may stand in braces is {listed(known)}" if known else "nothing stands in braces here"
            form.fault(key, f"{{{name[:40]}}} is unknown; {wanted}", near_name(name, known) if known else None)
    if "{" in _BRACED.sub("", template) or "}" in _BRACED.sub("", template):
        form.fault(key, "a brace that is not one of a pair")


def _body(op: str, form: Form) -> Any:
    tree = form.get("body")
    if tree is None:
        return PROFILE.calls[op].body
    body = plain(tree)
    holds = str(body).count(ATTRIBUTES)
    if op in WITH_ATTRIBUTES and (holds != 1 or not _stands_alone(body)):
        form.fault("body", f'the body of {op} must hold "{ATTRIBUTES}" once, as a value of its own')
    elif op not in WITH_ATTRIBUTES and holds:
        form.fault("body", f"{op} sends no attributes; only {listed(WITH_ATTRIBUTES)} do")
    return body


def _stands_alone(body: Any) -> bool:
    """Whether the attributes are a value of their own somewhere in a body."""
    if isinstance(body, dict):
        return any(map(_stands_alone, body.values()))
    if isinstance(body, list):
        return any(map(_stands_alone, body))
    return bool(body == ATTRIBUTES)


def _query(source: Source, op: str, form: Form) -> Map[str, str] | None:
    tree = form.get("query")
    if tree is None:
        return PROFILE.calls[op].query
    if op != "list":
        form.fault(
            "query", f"only list has a query that depends on what is asked for; write that of {op} into its path"
        )
        return None
    if not isinstance(tree, Mapping):
        source.fault(tree.mark, 'query must be a map such as {status: "{state}", after: "{after_uuid}"}')
        return None
    inner = Form(source, tree, "query", tuple(tree.items))
    found = {}
    for name, value in tree.items.items():
        if not _PARAMETER.match(name):
            inner.fault(name, f'"{name[:60]}" is no name of a parameter: letters, digits and . _ - [ ]')
        template = read_matching(source, value, name, VALUE, "visible ASCII")
        _known_braces(inner, name, template or "", ASKED)
        found[name] = template or ""
    return found


def _attributes(source: Source, op: str, form: Form) -> dict[str, Any]:
    tree = form.get("attributes")
    if tree is None:
        return {}
    if op not in WITH_ATTRIBUTES:
        form.fault("attributes", f"{op} sends no attributes; only {listed(WITH_ATTRIBUTES)} do")
    if not isinstance(tree, Mapping):
        source.fault(tree.mark, "attributes must be a map of what is sent in addition")
        return {}
    return cast("dict[str, Any]", plain(tree))


def _answer(source: Source, op: str, form: Form) -> Place | None:
    tree = form.get("answer")
    if tree is None:
        return PROFILE.calls[op].answer
    if op == "list":
        form.fault("answer", "where the entries of a list are is said by fields.items")
    elif is_null(tree):
        if op not in ANSWERED_BY_NOTHING:
            form.fault(
                "answer", f"{op} is asked for the sake of its answer; only {listed(ANSWERED_BY_NOTHING)} may hold none"
            )
        return None
    return read_place(source, tree, "answer") or ()
