"""What the OpenAPI document says holds for whatever is sent: no 5xx, and no answer outside the document."""

from collections.abc import Iterator

import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from reference_server.app import ROUTES
from reference_server.openapi import openapi_document
from tests.limits import LIMIT_S
from tests.reference_server.support import CONTAINER, SHARED, Server

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server("--database", str(tmp_path_factory.mktemp("openapi") / "containers.sqlite"))
    yield server
    server.end()


@pytest.fixture(scope="module")
def document(server: Server) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(server.url + "/openapi.json")


@pytest.fixture(scope="module")
def container(server: Server) -> str:
    headers = {"Authorization": f"Bearer {SHARED}"}
    answer = httpx.post(
        f"{server.url}/arvados/v1/containers", headers=headers, json={"container": CONTAINER}, timeout=LIMIT_S
    )
    return str(answer.json()["uuid"])


DOCUMENT = openapi_document("http://x/")
OPERATIONS = [
    (method.upper(), path)
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
    if method != "parameters"
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_answers_are_as_documented(method, path, document, container):
    cases = document[path][method].as_strategy()

    @hypothesis.settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(cases, st.booleans())
    def call(case: schemathesis.Case, is_known: bool) -> None:
        if is_known and "uuid" in case.path_parameters:
            case.path_parameters["uuid"] = container
        case.call_and_validate(headers={"Authorization": f"Bearer {SHARED}"}, checks=CHECKS, timeout=LIMIT_S)

    call()


def test_every_route_is_documented():
    documented = {
        (method, path.removeprefix("/arvados/v1/").replace("{uuid}", "UUID"))
        for method, path in OPERATIONS
        if path.startswith("/arvados/")
    }
    assert documented == set(ROUTES)
