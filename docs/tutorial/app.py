"""A small container server that keeps everything in memory. It has a race: find it."""

import asyncio
import json
import os
import secrets

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Route

FOLLOWS = {
    "Queued": ["Locked", "Cancelled"],
    "Locked": ["Queued", "Running", "Cancelled"],
    "Running": ["Complete", "Cancelled"],
}
TOKENS = {
    os.environ["LOCKRACE_TOKEN"]: "zzzzz-gj3su-firstdispatcher",
    os.environ["LOCKRACE_TOKEN2"]: "zzzzz-gj3su-otherdispatcher",
}
containers, auths = {}, {}  # uuid: container; secret: uuid of the auth


def stop(status, text):
    raise HTTPException(status, text)


def caller(request):  # a token is sent bare, or as v2/UUID/SECRET
    secret = request.headers.get("authorization", "").removeprefix("Bearer ").split("/")[-1]
    return (TOKENS | auths).get(secret) or stop(401, "not logged in")


def new_uuid(kind):
    return f"zzzzz-{kind}-{secrets.token_hex(8)[:15]}"


def check(container, state, who):
    if state not in FOLLOWS.get(container["state"], []):
        stop(422, f"{container['state']} cannot become {state}")
    if state == "Queued" and container["locked_by_uuid"] != who:
        stop(403, "another token holds the lock")


def change(container, state, who):
    if state == "Locked":  # a lock has an auth of its own
        container |= {"locked_by_uuid": who, "auth_uuid": new_uuid("gj3su")}
        auths[secrets.token_hex(20)] = container["auth_uuid"]
    elif state != "Running":  # the auth ends with the lock
        for secret in [secret for secret, uuid in auths.items() if uuid == container["auth_uuid"]]:
            del auths[secret]
        container |= {"locked_by_uuid": None, "auth_uuid": None}
    container["state"] = state


async def move(container, state, who):
    check(container, state, who)
    await asyncio.sleep(0.02)  # here a database would be asked
    change(container, state, who)


async def update(container, sent, who):
    if sent.keys() & {"uuid", "locked_by_uuid", "auth_uuid"} or sent.get("priority", 1) not in range(1001):
        stop(422, "that cannot be written")
    state = sent.pop("state", container["state"])
    if state != container["state"]:
        await move(container, state, who)
    container |= sent


async def one(request):
    sent = json.loads(await request.body() or "{}").get("container", {})
    who, container = caller(request), containers.get(request.path_params["uuid"]) or stop(404, "no such container")
    match request.method, request.path_params.get("call"):
        case "POST", "lock":
            await move(container, "Locked", who)
        case "POST", "unlock":
            await move(container, "Queued", who)
        case "PUT", None:
            await update(container, sent, who)
        case "GET", "auth":
            if container["auth_uuid"] is None or container["locked_by_uuid"] != who:
                stop(403, "no lock of this token")
            (secret,) = (secret for secret, uuid in auths.items() if uuid == container["auth_uuid"])
            return JSONResponse({"uuid": container["auth_uuid"], "api_token": secret})
    return JSONResponse(container)


async def every(request):
    caller(request)
    if request.method == "POST":
        uuid = new_uuid("dz642")
        fresh = {"uuid": uuid, "state": "Queued", "locked_by_uuid": None, "auth_uuid": None}
        containers[uuid] = (await request.json())["container"] | fresh
        return JSONResponse(containers[uuid])
    found = sorted(containers.values(), key=lambda container: container["uuid"])
    tests = {"=": lambda a, b: a == b, "in": lambda a, b: a in b, ">": lambda a, b: a > b}
    for name, how, value in json.loads(request.query_params.get("filters", "[]")):
        found = [container for container in found if tests[how](container.get(name), value)]
    return JSONResponse({"items": found[: int(request.query_params.get("limit", 100))]})


async def current(request):
    return JSONResponse({"uuid": caller(request)})


async def refusal(_request, error):
    return JSONResponse({"errors": [error.detail]}, error.status_code)


V1, METHODS = "/arvados/v1", ["GET", "POST", "PUT"]
paths = {
    "containers": every,
    "containers/{uuid}": one,
    "containers/{uuid}/{call}": one,
    "api_client_authorizations/current": current,
}
routes = [Route(f"{V1}/{path}", handler, methods=METHODS) for path, handler in paths.items()]
app = Starlette(routes=routes, exception_handlers={HTTPException: refusal})
