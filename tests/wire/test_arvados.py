"""The seam: what a call looks like on the wire, and what an answer says."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from harness.wire import ARVADOS, Answer, Call, Reply

UUID = "zzzzz-dz642-000000000000001"
encode, classify = ARVADOS.encode, ARVADOS.classify


def reply(status: int, body: Any = None, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Reply(invoke_ns=1, return_ns=2, status=status, body=raw, headers=headers)


def answer(status: int, body: Any = None, op: str = "lock", secrets: dict[str, str] | None = None) -> Answer:
    return classify(Call(op=op, token="t0ken", uuid=UUID), reply(status, body), secrets or {})


def next_page(call: Call, found: list[str]) -> Call | None:
    page = classify(call, reply(200, {"items": [{"uuid": uuid} for uuid in found]}), {})
    return ARVADOS.next_page(call, page)


class TestEncode:
    @pytest.mark.parametrize(
        ("op", "method", "path"),
        [
            ("lock", "POST", f"/arvados/v1/containers/{UUID}/lock"),
            ("unlock", "POST", f"/arvados/v1/containers/{UUID}/unlock"),
            ("auth", "GET", f"/arvados/v1/containers/{UUID}/auth"),
            ("get", "GET", f"/arvados/v1/containers/{UUID}"),
            ("use", "GET", "/arvados/v1/api_client_authorizations/current"),
        ],
    )
    def test_calls_without_a_body(self, op: str, method: str, path: str) -> None:
        request = encode(Call(op=op, token="t0ken", uuid=UUID), "req-1")
        assert (request.method, request.path, request.body) == (method, path, b"")
        assert ("Authorization", "Bearer t0ken") in request.headers
        assert ("X-Request-Id", "req-1") in request.headers

    def test_a_lock_sends_an_empty_body_of_known_length(self) -> None:
        assert ("Content-Length", "0") in encode(Call(op="lock", token="t", uuid=UUID)).headers

    def test_an_update_wraps_its_attributes(self) -> None:
        request = encode(Call(op="update", token="t", uuid=UUID, sent={"state": "Running"}))
        assert request.method == "PUT"
        assert json.loads(request.body) == {"container": {"state": "Running"}}

    def test_no_token_sends_no_authorization(self) -> None:
        assert not [name for name, _ in encode(Call(op="get", token="", uuid=UUID)).headers if name == "Authorization"]

    def test_a_uuid_cannot_leave_its_place_in_the_path(self) -> None:
        assert encode(Call(op="get", token="t", uuid="../users/x?y")).path.endswith("/containers/..%2Fusers%2Fx%3Fy")

    def test_an_unknown_call_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="no call 'jump'"):
            encode(Call(op="jump", token="t"))

    def test_no_secret_in_a_repr(self) -> None:
        call = Call(op="get", token="s3cret", uuid=UUID, run_auth="s3cret")
        assert "s3cret" not in repr(call) + repr(encode(call)) + repr(Answer(outcome="granted", secret="s3cret"))


class TestListing:
    def test_asks_by_fields_and_pages_by_uuid(self) -> None:
        call = Call(op="list", token="t", sent={"state": "Queued"})
        assert "%22state%22%2C+%22%3D%22%2C+%22Queued%22" in encode(call).path
        following = next_page(call, [f"u{number:04}" for number in range(1000)])
        assert following is not None
        assert "%22uuid%22%2C+%22%3E%22%2C+%22u0999%22" in encode(following).path

    def test_only_an_empty_page_is_the_last_since_a_server_may_answer_fewer_than_asked(self) -> None:
        call = Call(op="list", token="t")
        following = next_page(call, ["u1"])
        assert following is not None
        assert next_page(following, []) is None

    def test_a_page_that_does_not_go_on_ends_the_listing(self) -> None:
        following = next_page(Call(op="list", token="t"), ["u1", "u2"])
        assert following is not None
        assert next_page(following, ["u1", "u2"]) is None  # it ignores the filter: asking again would never end

    def test_a_list_may_ask_for_smaller_pages_and_for_more_than_a_priority(self) -> None:
        call = Call(op="list", token="t", sent={"state": "Queued", "above_priority": 0, "limit": 2})
        query = parse_qs(urlsplit(encode(call).path).query)
        assert json.loads(query["filters"][0]) == [["state", "=", "Queued"], ["priority", ">", 0]]
        assert query["limit"] == ["2"]
        following = next_page(call, ["u1", "u2"])
        assert following is not None
        assert (following.sent or {})["after_uuid"] == "u2"

    def test_shows_the_uuids(self) -> None:
        seen = answer(200, {"items": [{"uuid": "u1"}, {"uuid": "u2"}]}, op="list")
        assert seen.value is not None
        assert seen.value.found == ["u1", "u2"]

    @pytest.mark.parametrize("body", [{}, {"items": 3}, {"items": [{}]}, {"items": ["u1"]}])
    def test_without_items_it_is_garbled(self, body: Any) -> None:
        assert answer(200, body, op="list").outcome == "garbled"


class TestOutcome:
    @pytest.mark.parametrize(
        ("status", "outcome"),
        [
            (422, "refused"),
            (403, "forbidden"),
            (401, "unauthenticated"),
            (404, "missing"),
            (429, "limited"),
            (500, "indeterminate"),
            (503, "indeterminate"),
            (302, "garbled"),
            (204, "garbled"),
            (400, "garbled"),
        ],
    )
    def test_by_status(self, status: int, outcome: str) -> None:
        assert answer(status, {"errors": ["no"]}).outcome == outcome

    def test_503_with_retry_after_was_not_processed(self) -> None:
        seen = classify(Call(op="lock", token="t"), reply(503, {"errors": ["no"]}, (("Retry-After", "1"),)), {})
        assert seen.outcome == "limited"

    @pytest.mark.parametrize(
        ("failure", "outcome"), [("timeout", "indeterminate"), ("reset", "indeterminate"), ("garbled", "garbled")]
    )
    def test_by_failure(self, failure: Any, outcome: str) -> None:
        gone = Reply(invoke_ns=1, return_ns=2, failure=failure)
        assert classify(Call(op="lock", token="t"), gone, {}).outcome == outcome

    @pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"3", b"\xff\xfe", b"[" * 100_000])
    def test_200_with_anything_but_an_object_is_garbled(self, body: bytes) -> None:
        assert answer(200, body).outcome == "garbled"

    @pytest.mark.parametrize("record", [{"state": 3}, {"lock_count": "many"}, {"auth_uuid": ["x"]}])
    def test_a_field_of_the_wrong_type_is_garbled(self, record: Any) -> None:
        seen = answer(200, record)
        assert seen.outcome == "garbled"
        assert seen.problem is not None


class TestValue:
    def test_shows_the_contracts_fields_only(self) -> None:
        seen = answer(200, {"uuid": UUID, "state": "Locked", "locked_by_uuid": None, "command": ["x"]})
        assert seen.value is not None
        assert (seen.value.state, seen.value.locked_by_uuid) == ("Locked", None)

    def test_an_auth_answers_its_secret_apart_from_its_value(self) -> None:
        seen = answer(200, {"uuid": "a1", "api_token": "s3cret"}, op="auth")
        assert seen.secret == "s3cret"
        assert seen.value is not None
        assert seen.value.auth_uuid == "a1"
        assert "s3cret" not in str(seen.value)

    def test_an_auth_without_a_secret_is_a_problem(self) -> None:
        assert answer(200, {"uuid": "a1"}, op="auth").problem == "the auth holds no api_token"

    def test_the_reason_of_a_cancellation(self) -> None:
        seen = answer(200, {"state": "Cancelled", "runtime_status": {"error": "too many attempts"}})
        assert seen.value is not None
        assert seen.value.runtime_error == "too many attempts"


class TestErrors:
    def test_texts_are_kept(self) -> None:
        assert answer(422, {"errors": ["cannot lock when Locked"]}).errors == ["cannot lock when Locked"]

    @pytest.mark.parametrize("body", [{}, {"errors": []}, {"errors": "no"}, {"errors": [1]}, ["no"]])
    def test_another_shape_is_a_problem(self, body: Any) -> None:
        assert "list of error texts" in (answer(422, body).problem or "")

    def test_no_json_is_a_problem(self) -> None:
        assert "not JSON" in (answer(403, b"<html>Forbidden</html>").problem or "")

    def test_the_shape_of_a_5xx_is_not_judged(self) -> None:
        assert answer(502, b"<html>").problem is None


class TestSecrets:
    KNOWN = {"v2/zzzzz-gj3su-1/abcdef": "shared token", "0123456789": "auth of c1"}

    def test_taken_out_of_error_texts_and_named(self) -> None:
        seen = answer(422, {"errors": ["token abcdef is no good"]}, secrets=self.KNOWN)
        assert seen.errors == ["token <shared token> is no good"]
        assert seen.leaked == ["shared token"]

    def test_seen_in_a_record(self) -> None:
        assert answer(200, {"command": ["0123456789"]}, op="get", secrets=self.KNOWN).leaked == ["auth of c1"]

    def test_an_api_token_in_a_record_or_a_list_is_a_leak(self) -> None:
        assert answer(200, {"api_token": "new"}, op="lock").leaked == ["api_token"]
        assert answer(200, {"items": [{"uuid": "u", "api_token": "new"}]}, op="list").leaked == ["api_token"]

    @pytest.mark.parametrize("op", ["auth", "use"])
    def test_may_stand_in_an_auth(self, op: str) -> None:
        assert answer(200, {"uuid": "a", "api_token": "0123456789"}, op=op, secrets=self.KNOWN).leaked is None

    def test_a_secret_is_taken_out_before_a_long_text_is_cut(self) -> None:
        seen = answer(422, {"errors": ["x" * 496 + "abcdef"]}, secrets=self.KNOWN)
        assert "abc" not in (seen.errors or [""])[0]
