"""Exchanges recorded from a real Arvados API server, replayed here: same status, same error text, same fields.

`recorded/fixtures.json` is the state before the first exchange and after each reset. What a lock issues differs from
run to run, so recorded uuids and secrets of container auths are translated into those issued here.
"""

import json
import re
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from reference_server.objects import Container, Token
from reference_server.rules import Change
from reference_server.stores import Store
from tests.reference_server.support import empty_postgres, serving

HERE = Path(__file__).parent / "recorded"
EXCHANGES = [json.loads(line) for line in (HERE / "exchanges.jsonl").read_text().splitlines()]
FIXTURES = json.loads((HERE / "fixtures.json").read_text())

LEFT_OUT = {
    59: "the text is that of Arvados's JSON parser",
    73: "a browser's request: it does not say that it accepts JSON",
    111: "select on auth is an oddity of the recorded server",
    118: "an internal error of the recorded server",
    119: "runtime_token is outside the contract",
    199: "the text is a piece of Ruby code",
    225: "the text is that of Arvados's JSON parser",
    227: "the text is that of Arvados's JSON parser",
    273: "what a user who is no administrator may read follows container requests",
    307: "update_priority is outside the contract",
    308: "secret_mounts is outside the contract",
    310: "deleting containers is outside the contract",
    311: "health checks are outside the contract",
    312: "health checks are outside the contract",
}
MUST_BE_IN = [
    *range(1, 14),
    16,
    *range(22, 31),
    *range(39, 59),
    *range(74, 99),
    *range(100, 111),
    *range(112, 118),
    *range(121, 193),
]

FIELDS = (
    *("uuid", "kind", "owner_uuid", "state", "priority", "locked_by_uuid", "auth_uuid", "lock_count"),
    *("runtime_status", "command", "container_image", "cwd", "output_path", "mounts", "environment"),
    *("runtime_constraints", "scheduling_parameters", "output", "log", "exit_code", "progress", "scopes", "user_uuid"),
    *("is_admin", "is_active"),
)
USER = "zzzzz-tpzed-xurymjxw79nv3jz"  # asks for the containers h1*, except h1nocr*
NOBODY_ASKS = ("zzzzz-dz642-h1nocr000000001", "zzzzz-dz642-h1prio000000001")
TIME = re.compile(r"\w+, \d+ \w+ \d+ [\d:.]+ UTC \+00:00|\d{4}-\d\d-\d\dT[\d:.]+Z")
REQUEST_ID = re.compile(r" \(req-[\w-]+\)$")

BY_NUMBER = {exchange["n"]: exchange for exchange in EXCHANGES}
DETAILS = {
    name: BY_NUMBER[2]["response_body"][name]
    for name in ("command", "container_image", "cwd", "output_path", "mounts", "runtime_constraints")
} | {"scheduling_parameters": BY_NUMBER[2]["response_body"]["scheduling_parameters"]}
MOST_ITEMS_RECORDED = 3  # of a list; the rest was cut off when it was recorded
CREATED = "2026-11-24T03:05:43.814853000Z"


def containers() -> list[Container]:
    """The fixtures' containers, and those that fixtures.json leaves out but the recorded lists count."""
    rows = [container(**attributes) for attributes in FIXTURES["containers"]]
    known = {row.uuid for row in rows}
    queued = [f"zzzzz-dz642-h1queued{number:07}" for number in range(1, 101)]
    rows += [container(uuid, "Queued", 1000) for uuid in queued if uuid not in known]
    others = BY_NUMBER[250]["response_body"]["items_available"] - len(rows)
    return rows + [container(f"zzzzz-dz642-0other0000000{number:02}", "Complete", 0) for number in range(others)]


def container(uuid: str, state: str, priority: int, **attributes: Any) -> Container:
    attributes.pop("has_runtime_token", None)
    has_run = state == "Complete"
    return Container(
        uuid=uuid,
        state=state,
        priority=priority,
        requested_by_uuid=None if uuid in NOBODY_ASKS else USER,
        started_at=CREATED if has_run else None,
        finished_at=CREATED if has_run else None,
        created_at=CREATED,
        modified_at=CREATED,  # the recordings do not tell all of them; the recorded lists go by uuid
        details=msgspec.json.encode(DETAILS | {"exit_code": 0 if has_run else None}).decode(),
        **attributes,
    )


def tokens() -> list[Token]:
    auths = {row["auth_uuid"]: row["uuid"] for row in FIXTURES["containers"] if row["auth_uuid"]}
    return [
        Token(
            uuid=given["uuid"],
            secret=given["api_token"],
            user_uuid=given["user_uuid"],
            is_admin=bool(given["is_admin"]),
            is_active=bool(given["is_active"]),
            scopes=json.dumps(given["scopes"]),
            expires_at=given["expires_at"],
            container_uuid=auths.get(given["uuid"]),
        )
        for given in FIXTURES["tokens"]
    ]


LOCK_COUNT_EDITS = {93: ("zzzzz-dz642-h1queued0000001", 9), 96: ("zzzzz-dz642-h1queued0000002", 4)}
UNASKED_EDIT = 3, "zzzzz-dz642-h1queued0000002"  # made before n=15; the state is put back before n=16


async def edit(store: Store, number: int) -> None:
    """An edit that was made by hand between exchanges."""
    uuid, count = LOCK_COUNT_EDITS[number]
    assert await store.change(uuid, lambda row: Change(replace(row, lock_count=count)))


class Translation:
    """Recorded names and secrets of container auths, and those that stand for them here."""

    def __init__(self) -> None:
        self.words: dict[str, str] = {}

    def learn(self, recorded: Any, actual: Any) -> None:
        for name in ("auth_uuid", "api_token"):
            if isinstance(recorded, dict) and isinstance(actual, dict) and recorded.get(name):
                self.words.setdefault(recorded[name], str(actual.get(name)))
        if isinstance(recorded, dict) and recorded.get("kind") == "arvados#apiClientAuthorization":
            self.words.setdefault(recorded["uuid"], str(actual.get("uuid")))

    def __call__(self, text: str) -> str:
        for recorded, actual in self.words.items():
            text = text.replace(recorded, actual)
        return text


def plain(text: str) -> str:
    return TIME.sub("TIME", REQUEST_ID.sub("", text))


def comparable(body: Any, recorded: Any) -> Any:
    """What is compared of an answer: errors without request ids and times, the contract's fields of records."""
    if not isinstance(body, dict) or "left out" in recorded:
        return None
    if "errors" in recorded:
        return [plain(text) for text in body.get("errors", [])]
    if "items" in recorded:
        shown = len(recorded["items"])
        items = body["items"] if shown < MOST_ITEMS_RECORDED else body["items"][:shown]
        pairs = zip_longest(items, recorded["items"][: len(items)], fillvalue={})
        page = {name: body.get(name) for name in ("offset", "limit", "items_available", "kind")}
        return page | {"items": [comparable(one, other) for one, other in pairs]}
    times = {name: body.get(name) is not None for name in ("started_at", "finished_at") if name in recorded}
    return {name: body.get(name) for name in FIELDS if name in recorded} | times


async def replay(kind: str, tmp_path: Path, postgres_url: str) -> list[str]:
    """Every exchange in turn; what differs, a line each."""
    differences = []
    translate = Translation()
    resets = FIXTURES["reset_before_n"]
    for index, first in enumerate(resets):
        after_last = resets[index + 1] if index + 1 < len(resets) else max(BY_NUMBER) + 1
        database = str(tmp_path / f"{first}.sqlite") if kind == "sqlite" else postgres_url
        async with serving(database) as caller:
            store = caller.store
            rows = [
                replace(row, requested_by_uuid=None) if (first, row.uuid) == UNASKED_EDIT else row
                for row in containers()
            ]
            await store.add(rows, tokens())
            for number in range(first, after_last):
                if number in LOCK_COUNT_EDITS:
                    await edit(store, number)
                differences += await exchange(caller.client, BY_NUMBER[number], translate)
            if kind == "postgresql":
                async with store.pool.acquire() as connection:
                    await connection.execute("DROP TABLE containers, tokens")
    return differences


async def exchange(client: Any, recorded: dict[str, Any], translate: Translation) -> list[str]:
    headers = {name: translate(value) for name, value in recorded["request_headers"].items()}
    body = recorded["request_body"]
    answer = await client.request(recorded["method"], recorded["path"], headers=headers, content=body or None)
    is_json = answer.headers["content-type"].startswith("application/json") and answer.content
    actual, wanted = answer.json() if is_json else "", recorded["response_body"]
    translate.learn(wanted, actual)
    if recorded["n"] in LEFT_OUT:
        return []
    translated = json.loads(translate(json.dumps(wanted)))
    here, there = comparable(actual, wanted), comparable(translated, wanted)
    if answer.status_code == recorded["status"] and here == there:
        return []
    label = f"n={recorded['n']} {recorded['label']}"
    return [f"{label}: recorded {recorded['status']} {there}, here {answer.status_code} {here}"]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_recorded_exchange_within_the_contract_comes_out_the_same(kind, tmp_path, run, request):
    url = empty_postgres(request.getfixturevalue("postgres_url")) if kind == "postgresql" else ""
    differences = run(replay(kind, tmp_path, url))
    assert not differences, "\n".join(differences)


def test_what_is_left_out_is_little_and_none_of_what_must_be_in():
    assert len(EXCHANGES) == 312
    assert len(EXCHANGES) - len(LEFT_OUT) >= 240
    assert not set(MUST_BE_IN) & set(LEFT_OUT)
