"""The unmodified Arvados Python SDK against the reference server, over http and over https."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import arvados
import arvados.errors
import pytest

from tests.reference_server.support import CONTAINER, SHARED, STRANGER, Server


@pytest.fixture(scope="module", params=["http", "https"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    database = tmp_path_factory.mktemp("sdk") / "containers.sqlite"
    server = Server("--database", str(database), *(["--tls"] if request.param == "https" else []))
    yield server
    server.end()


@pytest.fixture
def connect(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Make SDK clients: with https from the environment as dispatchers do, with http from a discovery URL."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with contextlib.ExitStack() as closing:

        def connect(token: str = SHARED) -> Any:
            if server.url.startswith("https"):
                monkeypatch.setenv("ARVADOS_API_HOST", server.url.removeprefix("https://"))
                monkeypatch.setenv("ARVADOS_API_TOKEN", token)
                monkeypatch.setenv("ARVADOS_API_HOST_INSECURE", "1")
                arvados.config.initialize(config_file="/nonexistent")
                client = arvados.api("v1", cache=False)
            else:
                discovery = server.url + "/discovery/v1/apis/{api}/{apiVersion}/rest"
                client = arvados.api("v1", cache=False, discoveryServiceUrl=discovery, token=token)
            closing.callback(client.close)
            return client

        yield connect


@pytest.fixture
def api(connect: Any) -> Any:
    return connect()


@pytest.fixture
def uuid(api: Any) -> str:
    return str(api.containers().create(body={"container": CONTAINER}).execute()["uuid"])


def test_lock_auth_unlock(api, uuid):
    me = api.api_client_authorizations().current().execute()["uuid"]
    locked = api.containers().lock(uuid=uuid).execute()
    assert (locked["state"], locked["locked_by_uuid"]) == ("Locked", me)
    auth = api.containers().auth(uuid=uuid).execute()
    assert auth["uuid"] == locked["auth_uuid"]
    assert len(auth["api_token"]) > 32
    unlocked = api.containers().unlock(uuid=uuid).execute()
    assert (unlocked["state"], unlocked["locked_by_uuid"], unlocked["auth_uuid"]) == ("Queued", None, None)


def test_the_container_auth_is_a_token_of_its_own_in_every_spelling(api, uuid, connect):
    api.containers().lock(uuid=uuid).execute()
    auth = api.containers().auth(uuid=uuid).execute()
    for token in (auth["api_token"], f"v2/{auth['uuid']}/{auth['api_token']}"):
        its_own = connect(token)
        assert its_own.api_client_authorizations().current().execute()["uuid"] == auth["uuid"]
        assert its_own.containers().current().execute()["uuid"] == uuid
    api.containers().unlock(uuid=uuid).execute()
    with pytest.raises(arvados.errors.ApiError) as caught:
        its_own.api_client_authorizations().current().execute()
    assert caught.value.status_code == 401


def test_a_lost_lock_is_told_with_status_and_text(api, uuid):
    api.containers().lock(uuid=uuid).execute()
    with pytest.raises(arvados.errors.ApiError) as caught:
        api.containers().lock(uuid=uuid).execute()
    assert caught.value.status_code == 422
    assert "cannot lock when Locked" in str(caught.value)


def test_another_token_is_forbidden_to_unlock(api, uuid, connect):
    api.containers().lock(uuid=uuid).execute()
    with pytest.raises(arvados.errors.ApiError, match="locked by a different token") as caught:
        connect(STRANGER).containers().unlock(uuid=uuid).execute()
    assert caught.value.status_code == 403


def test_get_with_select(api, uuid):
    assert api.containers().get(uuid=uuid, select=["uuid", "state"]).execute() == {"uuid": uuid, "state": "Queued"}


def test_update(api, uuid):
    api.containers().lock(uuid=uuid).execute()
    update = api.containers().update
    assert update(uuid=uuid, body={"container": {"state": "Running"}}).execute()["state"] == "Running"
    assert update(uuid=uuid, body={"progress": 0.5}, select=["progress"]).execute() == {"progress": 0.5}
    assert update(uuid=uuid, body={"state": "Complete", "exit_code": 0}).execute()["exit_code"] == 0


def test_list_with_all_that_the_sdk_sends(api, uuid):
    page = (
        api.containers()
        .list(
            filters=[["state", "=", "Queued"], ["priority", ">", 0], ["uuid", "=", uuid]],
            order=["priority desc", "uuid"],
            limit=10,
            offset=0,
            select=["uuid", "state"],
            count="none",
            distinct=True,
            where={"state": "Queued"},
        )
        .execute()
    )
    assert [item["uuid"] for item in page["items"]] == [uuid]
    assert "items_available" not in page
    assert api.containers().list(filters=[["uuid", "=", uuid]], order="priority desc").execute()["items_available"] == 1


def test_a_list_whose_url_is_too_long_for_a_get(api, uuid):
    many = [uuid, *(f"zzzzz-dz642-{number:015}" for number in range(150))]
    page = api.containers().list(filters=[["uuid", "in", many]]).execute()
    assert [item["uuid"] for item in page["items"]] == [uuid]


def test_users_current(api):
    assert api.users().current().execute()["is_admin"] is True


def test_a_wrong_token_is_unauthenticated(connect):
    with pytest.raises(arvados.errors.ApiError) as caught:
        connect("nobody").users().current().execute()
    assert caught.value.status_code == 401
