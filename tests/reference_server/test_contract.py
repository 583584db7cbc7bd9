"""What the contract says beyond the recordings, on both databases; and the run_auth extension."""

import asyncio
import json
from typing import Any

import pytest

from tests.reference_server.support import ADMIN, STRANGER, Caller, filters, serving


async def secret_of(caller: Caller, uuid: str, **headers: str) -> str:
    answer = await caller("GET", f"containers/{uuid}/auth", headers=headers)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["api_token"])


async def status_of_use(caller: Caller, secret: str) -> int:
    return (await caller.as_token(secret)("GET", "api_client_authorizations/current")).status_code


def test_a_lock_and_what_it_issues(database, run):
    async def scenario() -> None:
        async with serving(database) as caller:
            uuid = await caller.create()
            locked = (await caller("POST", f"containers/{uuid}/lock")).json()
            assert set(locked) == {"uuid", "state", "priority", "locked_by_uuid", "auth_uuid"}
            first = await secret_of(caller, uuid)
            assert await secret_of(caller, uuid) == first
            its_own = await caller.as_token(first)("GET", "containers/current")
            assert its_own.json()["uuid"] == uuid
            assert (await caller("POST", f"containers/{uuid}/unlock")).json()["auth_uuid"] is None
            assert await status_of_use(caller, first) == 401
            again = (await caller("POST", f"containers/{uuid}/lock")).json()
            assert again["auth_uuid"] != locked["auth_uuid"]
            assert await secret_of(caller, uuid) != first
            assert await status_of_use(caller, first) == 401

    run(scenario())


@pytest.mark.parametrize("end", ["Complete", "Cancelled"])
def test_the_auth_ends_with_the_container(database, run, end):
    async def scenario() -> None:
        async with serving(database) as caller:
            uuid = await caller.create()
            await caller("POST", f"containers/{uuid}/lock")
            secret = await secret_of(caller, uuid)
            assert (await caller("PUT", f"containers/{uuid}", json={"state": "Running"})).status_code == 200
            own = caller.as_token(secret)
            assert (await own("PUT", f"containers/{uuid}", json={"progress": 0.5})).status_code == 200
            assert (await own("PUT", f"containers/{uuid}", json={"priority": 5})).status_code == 422
            record = (await own("PUT", f"containers/{uuid}", json={"state": end})).json()
            assert (record["state"], record["locked_by_uuid"], record["auth_uuid"]) == (end, None, None)
            assert record["finished_at"]
            assert await status_of_use(caller, secret) == 401

    run(scenario())


def test_the_attempt_limit_cancels_and_says_why(database, run):
    async def scenario() -> None:
        async with serving(database, max_dispatch_attempts=2) as caller:
            uuid = await caller.create()
            for state in ("Queued", "Cancelled"):
                await caller("POST", f"containers/{uuid}/lock")
                assert (await caller("POST", f"containers/{uuid}/unlock")).json()["state"] == state
            record = (await caller("GET", f"containers/{uuid}")).json()
            assert (record["state"], record["lock_count"]) == ("Cancelled", 2)
            assert "lock_count=2" in record["runtime_status"]["error"]

    run(scenario())


def test_no_secret_stands_in_a_record_a_list_or_an_error(database, run):
    async def scenario() -> None:
        async with serving(database) as caller:
            uuid = await caller.create()
            await caller("POST", f"containers/{uuid}/lock")
            secret = await secret_of(caller, uuid)
            texts = [
                (await caller("GET", f"containers/{uuid}")).text,
                (await caller("GET", "containers")).text,
                (await caller.as_token(STRANGER)("GET", f"containers/{uuid}/auth")).text,
                (await caller.as_token(secret + "x")("GET", f"containers/{uuid}")).text,
                (await caller.as_token(ADMIN)("POST", f"containers/{uuid}/unlock")).text,
            ]
            assert not any(secret in text or caller.token in text for text in texts)

    run(scenario())


def test_a_listing_by_pages_of_uuids_misses_none_while_others_leave(database, run):
    async def scenario() -> None:
        async with serving(database) as caller:
            uuids = sorted([await caller.create() for _ in range(8)])
            seen: list[str] = []
            last = ""
            while True:
                conditions = filters(["state", "=", "Queued"], ["uuid", ">", last], ["uuid", "in", uuids])
                page = (await caller("GET", "containers", params=conditions | {"limit": 2, "order": "uuid"})).json()
                if not page["items"]:
                    break
                seen += [item["uuid"] for item in page["items"]]
                await caller("POST", f"containers/{seen[0]}/lock")
                last = seen[-1]
            assert seen == uuids

    run(scenario())


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([["priority", ">=", "10"]], [10]),
        ([["priority", "<", 10]], [0, 9]),
        ([["priority", "in", [0, "9", None]]], [0, 9]),
        ([["priority", "not in", [9, 10]]], [0]),
        ([["locked_by_uuid", "=", None]], [0, 9, 10]),
        ([["locked_by_uuid", "!=", None]], []),
        ([["locked_by_uuid", "!=", "somebody"]], [0, 9, 10]),
        ([["locked_by_uuid", "in", []]], []),
        ([["locked_by_uuid", "not in", ["a", None]]], []),
        ([["locked_by_uuid", "not in", ["a"]]], [0, 9, 10]),
        ([["state", "=", "queued"]], []),
    ],
)
def test_filters_mean_the_same_on_every_store(conditions, expected, run, tmp_path, postgres_url):
    async def scenario(database: str) -> None:
        async with serving(database) as caller:
            uuids = [await caller.create(priority=priority) for priority in (10, 0, 9)]
            asked = filters(["uuid", "in", uuids], *conditions)
            page = (await caller("GET", "containers", params=asked | {"order": '["priority"]'})).json()
            assert [item["priority"] for item in page["items"]] == expected
            assert page["items_available"] == len(expected)

    for database in (str(tmp_path / "one.sqlite"), postgres_url, "memory:"):
        run(scenario(database))


@pytest.mark.parametrize("order", ["locked_by_uuid", "locked_by_uuid desc", "priority,uuid desc"])
def test_order_means_the_same_on_every_store(order, run, tmp_path, postgres_url):
    async def scenario(database: str) -> list[Any]:
        async with serving(database) as caller:
            priorities = (3, 1, 2, 1)
            uuids = [await caller.create(priority=priority) for priority in priorities]
            await caller("POST", f"containers/{uuids[0]}/lock")
            await caller.as_token(STRANGER)("POST", f"containers/{uuids[2]}/lock")
            asked = filters(["uuid", "in", uuids])
            page = (await caller("GET", "containers", params=asked | {"order": order})).json()
            names = [item["uuid"] for item in page["items"]]
            held = [item["locked_by_uuid"] for item in page["items"]]
            if order.startswith("priority"):
                assert names == sorted(names, key=lambda one: (priorities[uuids.index(one)], [-ord(c) for c in one]))
            return held

    shown = [run(scenario(database)) for database in (str(tmp_path / "one.sqlite"), postgres_url, "memory:")]
    assert shown[0] == shown[1] == shown[2]
    assert shown[0].count(None) == 2


@pytest.mark.parametrize(
    "parameters",
    [
        {"filters": '[["priority", "=", "many"]]'},
        {"filters": '[["priority", ">", null]]'},
        {"filters": '[["state", "=", 1]]'},
        {"filters": '[["state", "in", "Queued"]]'},
        {"filters": '[["state", "="]]'},
        {"filters": json.dumps([["state", "=", "Queued"]] * 60)},
        {"limit": "1.5"},
        {"offset": "9" * 40},
        {"order": "{}"},
        {"where": "[]"},
        {"select": '[""]'},
    ],
)
def test_a_list_call_that_cannot_be_understood_is_refused_or_harmless(parameters, run):
    async def scenario() -> None:
        async with serving("memory:") as caller:
            answer = await caller("GET", "containers", params=parameters)
            assert answer.status_code == (200 if "offset" in parameters else 422)
            assert "offset" in parameters or answer.json()["errors"]

    run(scenario())


def test_dead_and_missing_tokens_come_before_anything_else(database, run):
    async def scenario() -> None:
        async with serving(database) as caller:
            for token in (None, "nobody", "v2/zzzzz-gj3su-000000000000000/nobody", "v2/"):
                nobody = caller.as_token(token)
                answers = [
                    await nobody("POST", "containers/nothing/lock"),
                    await nobody("GET", "containers", params={"filters": "not JSON"}),
                    await nobody(
                        "PUT", "containers/nothing", content="{", headers={"Content-Type": "application/json"}
                    ),
                ]
                assert [answer.status_code for answer in answers] == [401, 401, 401]
                assert all(answer.json()["errors"] for answer in answers)

    run(scenario())


RUN_AUTH = "X-Run-Auth"


def test_run_auth_is_told_once_and_needed_from_then_on(database, run):
    async def scenario() -> None:
        async with serving(database, with_run_auth=True) as caller:
            uuid = await caller.create()
            mine = {RUN_AUTH: (await caller("POST", f"containers/{uuid}/lock")).json()["run_auth"]}
            path = f"containers/{uuid}"
            for headers in ({}, {RUN_AUTH: "wrong"}):
                assert (await caller("GET", f"{path}/auth", headers=headers)).status_code == 403
                refused = await caller("PUT", path, json={"state": "Running"}, headers=headers)
                assert refused.status_code == 403
            stranger = caller.as_token(STRANGER)
            assert (await stranger("PUT", path, json={"state": "Running"}, headers=mine)).status_code == 403
            assert (await caller("GET", f"{path}/auth", headers=mine)).status_code == 200
            assert mine[RUN_AUTH] not in (await caller("GET", path)).text
            running = await caller("PUT", path, json={"state": "Running"}, headers=mine)
            assert (running.status_code, "run_auth" in running.json()) == (200, False)

    run(scenario())


def test_a_stolen_lock_is_learnt_of_and_a_late_unlock_changes_nothing(database, run):
    async def scenario() -> None:
        async with serving(database, with_run_auth=True) as caller:
            uuid = await caller.create()
            path = f"containers/{uuid}"
            old = {RUN_AUTH: (await caller("POST", f"{path}/lock")).json()["run_auth"]}
            assert (await caller("POST", f"{path}/unlock")).status_code == 200  # without one: recovery still works
            by_update = await caller("PUT", path, json={"state": "Locked"})
            new = {RUN_AUTH: by_update.json()["run_auth"]}
            before = (await caller("GET", path)).json()
            late = [
                await caller("POST", f"{path}/unlock", headers=old),
                await caller("GET", f"{path}/auth", headers=old),
                await caller("PUT", path, json={"priority": 7}, headers=old),
                await caller("PUT", path, json={"state": "Cancelled"}, headers=old),
            ]
            assert [answer.status_code for answer in late] == [403] * 4
            assert (await caller("GET", path)).json() == before
            assert (await caller("POST", f"{path}/unlock", headers=new)).status_code == 200
            assert (await caller("POST", f"{path}/unlock", headers=new)).status_code == 422

    run(scenario())


def test_crowds_of_lockers_have_one_winner_in_one_process(database, run):
    async def scenario() -> None:
        async with serving(database) as caller:
            uuid = await caller.create()
            answers = await asyncio.gather(*(caller("POST", f"containers/{uuid}/lock") for _ in range(30)))
            statuses = sorted(answer.status_code for answer in answers)
            assert statuses == [200] + [422] * 29
            record = (await caller("GET", f"containers/{uuid}")).json()
            winner = next(answer.json() for answer in answers if answer.status_code == 200)
            assert (record["auth_uuid"], record["lock_count"]) == (winner["auth_uuid"], 1)

    run(scenario())
