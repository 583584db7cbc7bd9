"""The seam in other words: what a profile changes, and that it changes nothing else."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET, structs

from harness.profile import read_profile
from harness.wire import ARVADOS, Answer, Call, Matcher, Reply, TokenProfile, Wire
from harness.wire.arvados import PROFILE
from harness.wire.places import found_at, parse_place, shown_at, written

LEASES = Wire(read_profile(Path(__file__).parents[1] / "profile" / "leases.profile.yaml"))
UUID = "zzzzz-dz642-000000000000001"


def reply(status: int, body: Any = None, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Reply(invoke_ns=1, return_ns=2, status=status, body=raw, headers=headers)


def answer(op: str, status: int, body: Any = None, wire: Wire = LEASES, sent: dict[str, Any] | None = None) -> Answer:
    return wire.classify(Call(op=op, token="t0ken", uuid=UUID, sent=sent), reply(status, body), {})


def with_outcomes(*matchers: Matcher) -> Wire:
    return Wire(structs.replace(PROFILE, outcomes=(*matchers, *PROFILE.outcomes)))


class TestEncode:
    @pytest.mark.parametrize(
        ("op", "method", "path"),
        [
            ("lock", "PUT", f"/v2/jobs/{UUID}/lease"),
            ("unlock", "DELETE", f"/v2/jobs/{UUID}/lease"),
            ("auth", "GET", f"/v2/jobs/{UUID}/credential"),
            ("get", "GET", f"/v2/jobs/{UUID}"),
            ("use", "GET", "/v2/whoami"),
        ],
    )
    def test_method_path_and_headers(self, op: str, method: str, path: str) -> None:
        request = LEASES.encode(Call(op=op, token="t0ken", uuid=UUID, run_auth="r"), "req-1")
        assert (request.method, request.path, request.body) == (method, path, b"")
        headers = dict(request.headers)
        assert headers["X-Lease-Token"] == "t0ken"
        assert headers["X-Correlation-Id"] == "req-1"
        assert headers["X-Run-Auth"] == "r"
        assert "Authorization" not in headers
        assert "Content-Type" not in headers

    def test_attributes_have_the_names_and_states_of_the_profile(self) -> None:
        sent = {
            "state": "Running",
            "priority": 3,
            "locked_by_uuid": "x",
            "auth_uuid": None,
            "progress": 0.5,
            "cwd": "/",
        }
        request = LEASES.encode(Call(op="update", token="t", uuid=UUID, sent=sent))
        assert json.loads(request.body) == {
            "job": {"status": "started", "rank": 3, "lease": {"owner": "x", "credential": None}, "progress": 0.5}
        }
        assert ("Content-Type", "application/json") in request.headers
        assert ("Content-Length", str(len(request.body))) in request.headers

    def test_attributes_may_be_the_whole_body(self) -> None:
        request = LEASES.encode(Call(op="create", token="t", sent={"priority": 1}))
        assert json.loads(request.body) == {"rank": 1}

    def test_attributes_may_be_sent_in_addition(self) -> None:
        create = structs.replace(PROFILE.calls["create"], attributes={"tenant": 7})
        wire = Wire(structs.replace(PROFILE, calls={**PROFILE.calls, "create": create}))
        body = wire.encode(Call(op="create", token="t", sent={"priority": 1})).body
        assert json.loads(body) == {"container": {"priority": 1, "tenant": 7}}

    def test_a_body_may_name_the_container(self) -> None:
        lock = structs.replace(PROFILE.calls["lock"], path="/rpc", body={"method": "lock", "params": ["{uuid}"]})
        wire = Wire(structs.replace(PROFILE, calls={**PROFILE.calls, "lock": lock}))
        request = wire.encode(Call(op="lock", token="t", uuid='a"b'))
        assert json.loads(request.body) == {"method": "lock", "params": ['a"b']}

    def test_a_token_may_stand_in_the_query(self) -> None:
        wire = Wire(structs.replace(PROFILE, token=TokenProfile(header=None, query="key")))
        assert (
            wire.encode(Call(op="use", token="a b")).path == "/arvados/v1/api_client_authorizations/current?key=a%20b"
        )
        assert "&key=x" in wire.encode(Call(op="list", token="x", sent={})).path
        assert "key" not in wire.encode(Call(op="use", token="")).path

    def test_a_listing_asks_for_what_its_query_knows(self) -> None:
        sent = {"state": "Locked", "after_uuid": "u 1", "limit": 5, "priority": 3}
        request = LEASES.encode(Call(op="list", token="t", sent=sent))
        assert request.path == "/v2/jobs?status=leased&after=u+1&page_size=5&sort=id"

    @pytest.mark.parametrize(
        ("query", "value", "asked"),
        [
            ("{state}", "Queued", "s=waiting"),
            ("{state}", ["Queued"], "s=waiting"),
            ("{state}", ["Queued", "Locked"], ""),
            ("{states}", "Queued", "s=waiting"),
            ("{states}", ["Queued", "Locked"], "s=waiting%2Cleased"),
            ("{states}", [], ""),
        ],
    )
    def test_a_query_asks_for_one_or_for_several(self, query: str, value: Any, asked: str) -> None:
        listing = structs.replace(LEASES.profile.calls["list"], query={"s": query})
        wire = Wire(structs.replace(LEASES.profile, calls={**LEASES.profile.calls, "list": listing}))
        call = Call(op="list", token="t", sent={"state": value})
        assert wire.encode(call).path == f"/v2/jobs?{asked}"
        items = [{"id": f"u{state}", "status": state} for state in ("waiting", "leased", "done")]
        found = wire.classify(call, reply(200, {"jobs": items}), {}).value
        assert found is not None
        picked = {"Queued": "uwaiting", "Locked": "uleased"}
        wanted = [uuid for state, uuid in picked.items() if state in value]
        assert found.found == (["uwaiting", "uleased", "udone"] if asked else wanted)

    def test_filters_of_arvados_take_the_names_of_the_profile(self) -> None:
        wire = Wire(
            structs.replace(PROFILE, fields={**PROFILE.fields, "uuid": ("id",)}, states={"Queued": ("waiting",)})
        )
        path = wire.encode(Call(op="list", token="t", sent={"state": "Queued", "after_uuid": "u"})).path
        assert "%5B%22state%22%2C+%22%3D%22%2C+%22waiting%22%5D" in path
        assert "%5B%22id%22%2C+%22%3E%22%2C+%22u%22%5D" in path
        assert "order=%5B%22id%22%5D" in path


class TestClassify:
    def test_a_record_in_other_words(self) -> None:
        job = {"id": UUID, "status": "leased", "rank": 2, "lease": {"owner": "x", "credential": "y", "count": 3}}
        value = answer("get", 200, {"job": job}).value
        assert value is not None
        assert (value.uuid, value.state, value.priority) == (UUID, "Locked", 2)
        assert (value.locked_by_uuid, value.auth_uuid, value.lock_count) == ("x", "y", 3)

    def test_what_stands_in_an_object_that_is_null_is_null(self) -> None:
        value = answer("get", 200, {"job": {"id": UUID, "lease": None}}).value
        assert value is not None
        assert (value.locked_by_uuid, value.auth_uuid, value.lock_count, value.state) == (None, None, UNSET, UNSET)

    @pytest.mark.parametrize("state", ["Queued", "nonsense"])
    def test_a_state_that_the_profile_does_not_know_is_none_of_the_contract(self, state: str) -> None:
        value = answer("get", 200, {"job": {"status": state}}).value
        assert value is not None
        assert value.state == f'"{state}"'

    def test_several_names_of_one_state(self) -> None:
        wire = Wire(structs.replace(PROFILE, states={"Running": ("running", "starting")}))
        states = [answer("get", 200, {"state": name}, wire).value for name in ("running", "starting", "Queued")]
        assert [value.state for value in states if value is not None] == ["Running", "Running", "Queued"]

    def test_a_record_that_is_not_where_it_should_be_is_garbled(self) -> None:
        assert answer("get", 200, {"id": UUID}).outcome == "garbled"

    @pytest.mark.parametrize("body", [None, {"job": 3}, b"<html>"])
    def test_an_answer_that_holds_no_record_shows_nothing(self, body: Any) -> None:
        seen = answer("unlock", 204, body)
        assert seen.outcome == "granted"
        assert seen.value is not None
        assert seen.value.state is UNSET

    def test_an_auth_in_other_words(self) -> None:
        seen = answer("auth", 200, {"id": "a1", "secret": "s3cret"})
        assert seen.secret == "s3cret"
        assert seen.value is not None
        assert seen.value.auth_uuid == "a1"
        assert answer("auth", 200, {"id": "a1"}).problem == "the auth holds no secret"

    def test_error_texts_at_their_place(self) -> None:
        assert answer("lock", 409, {"error": {"messages": ["no", "never"]}}).errors == ["no", "never"]
        problem = answer("lock", 409, {"errors": ["no"]}).problem
        assert problem == "the answer has no list of error texts; want JSON with texts at error.messages[*]"

    def test_errors_that_are_not_told_are_not_judged(self) -> None:
        wire = Wire(structs.replace(PROFILE, fields={**PROFILE.fields, "errors": None}))
        assert answer("lock", 422, b"no", wire).problem is None

    def test_a_v2_token_is_no_more_than_a_text_where_the_api_does_not_know_that_spelling(self) -> None:
        secrets = {"v2/uuid/part": "shared token"}
        body = {"error": {"messages": ["part"]}}
        assert LEASES.classify(Call(op="lock", token="t"), reply(409, body), secrets).leaked is None
        assert ARVADOS.classify(Call(op="lock", token="t"), reply(409, body), secrets).leaked == ["shared token"]


class TestListing:
    ITEMS = {"jobs": [{"id": "u1", "status": "waiting", "rank": 1}, {"id": "u2", "status": "waiting", "rank": 0}]}

    def test_what_the_query_cannot_ask_for_is_picked_from_the_items(self) -> None:
        picked = {
            "all": {"state": "Queued"},
            "above": {"above_priority": 0},
            "one": {"priority": 0},
            "some": {"uuid": ["u2", "u9"]},
            "none": {"uuid": ["u9"]},
        }
        found = {name: answer("list", 200, self.ITEMS, sent=sent).value for name, sent in picked.items()}
        assert {name: value.found for name, value in found.items() if value is not None} == {
            "all": ["u1", "u2"],
            "above": ["u1"],
            "one": ["u2"],
            "some": ["u2"],
            "none": [],
        }

    def test_the_next_page_begins_after_the_last_item_picked_or_not(self) -> None:
        call = Call(op="list", token="t", sent={"uuid": ["u1"]})
        page = LEASES.classify(call, reply(200, self.ITEMS), {})
        following = LEASES.next_page(call, page)
        assert following is not None
        assert following.sent == {"uuid": ["u1"], "after_uuid": "u2"}
        assert page.items == 2

    def test_where_the_query_cannot_ask_for_what_comes_after_there_is_one_page(self) -> None:
        one = structs.replace(PROFILE.calls["list"], query={"state": "{state}"})
        wire = Wire(structs.replace(PROFILE, calls={**PROFILE.calls, "list": one}))
        call = Call(op="list", token="t", sent={"state": "Queued"})
        assert wire.next_page(call, wire.classify(call, reply(200, {"items": [{"uuid": "u1"}]}), {})) is None

    def test_items_that_do_not_show_what_they_are_picked_by_prove_nothing(self) -> None:
        seen = answer("list", 200, {"jobs": [{"id": "u1"}]}, sent={"priority": 1})
        assert seen.outcome == "indeterminate"
        assert "do not show priority" in (seen.problem or "")


class TestOutcomes:
    def test_the_first_that_holds_wins_and_arvados_comes_last(self) -> None:
        busy = Matcher(outcome="refused", statuses=frozenset({200}), values=((("ok",), False),))
        wire = with_outcomes(busy, Matcher(outcome="limited", statuses=frozenset({418})))
        assert answer("lock", 200, {"ok": False, "errors": ["no"]}, wire).outcome == "refused"
        assert answer("lock", 200, {"ok": True}, wire).outcome == "granted"
        assert answer("lock", 200, {}, wire).outcome == "granted"
        assert answer("lock", 418, {}, wire).outcome == "limited"
        assert answer("lock", 422, {}, wire).outcome == "refused"
        assert answer("lock", 299, {}, wire).outcome == "garbled"

    def test_those_of_a_call_come_first(self) -> None:
        assert answer("use", 200, {"known": False, "error": {"messages": ["no"]}}).outcome == "unauthenticated"
        assert answer("auth", 200, {"known": False, "id": "a", "secret": "s"}).outcome == "granted"
        assert answer("get", 400, {"error": {"code": "no_such_job"}}).outcome == "missing"
        assert answer("get", 400, {"error": {"code": "bad"}}).outcome == "refused"

    @pytest.mark.parametrize(
        ("matcher", "holds"),
        [
            (Matcher(outcome="refused", headers=(("x-why", None),)), True),
            (Matcher(outcome="refused", headers=(("x-why", "busy"),)), True),
            (Matcher(outcome="refused", headers=(("x-why", "Busy"),)), False),
            (Matcher(outcome="refused", headers=(("x-other", None),)), False),
            (Matcher(outcome="refused", text="is held"), True),
            (Matcher(outcome="refused", text="is free"), False),
            (Matcher(outcome="refused", values=((("a", None, "b"), 1),)), True),
            (Matcher(outcome="refused", values=((("a", None, "b"), True),)), False),
            (Matcher(outcome="refused", values=((("a", 0), UNSET),)), True),
            (Matcher(outcome="refused", values=((("a", 5), UNSET),)), False),
            (Matcher(outcome="refused", statuses=frozenset({201}), text="is held"), False),
        ],
    )  # fmt: skip
    def test_all_that_a_matcher_asks_for_must_be_true(self, matcher: Matcher, holds: bool) -> None:
        told = reply(200, {"a": [{"b": 1}], "why": "it is held"}, (("X-Why", "busy"),))
        seen = with_outcomes(matcher).classify(Call(op="lock", token="t"), told, {})
        assert (seen.outcome == "refused") is holds

    def test_json_is_only_looked_for_in_json(self) -> None:
        wire = with_outcomes(Matcher(outcome="refused", values=((("a",), 1),)))
        assert answer("lock", 422, b"a: 1", with_outcomes()).outcome == "refused"
        assert answer("lock", 200, b"a: 1", wire).outcome == "garbled"


class TestPlaces:
    @pytest.mark.parametrize("text", ["a", "a.b", "a[*]", "a[3].b", "[0]", "[*].x", "a-b.c_d"])
    def test_are_written_as_they_are_read(self, text: str) -> None:
        assert written(parse_place(text)) == text
        assert parse_place(f"$.{text}" if text[0] != "[" else f"${text}") == parse_place(text)

    @pytest.mark.parametrize("text", ["", ".", "a.", "a..b", "a[", "a[*", "a[x]", "a]", "$x", "a b", "a[99999]", ".a"])
    def test_what_names_none_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="place in an answer"):
            parse_place(text)

    def test_all_of_it(self) -> None:
        assert parse_place("$") == ()
        assert found_at([1], ()) == [[1]]

    def test_a_place_that_is_not_there_holds_nothing(self) -> None:
        assert found_at({"a": 3}, ("a", "b")) == []
        assert found_at({"a": {"b": 3}}, ("a", None)) == []
        assert shown_at(3, ("a",)) is UNSET
        assert shown_at({}, ("a", "b")) is UNSET
        assert shown_at({"a": {}}, ("a", "b")) is None


def test_a_wire_goes_to_other_processes() -> None:
    again = pickle.loads(pickle.dumps(LEASES))
    assert again.profile == LEASES.profile
    call = Call(op="lock", token="t", uuid=UUID)
    assert again.encode(call, "req") == LEASES.encode(call, "req")
    assert repr(again) == "Wire(leases)"
