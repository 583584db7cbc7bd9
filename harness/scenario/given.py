"""Reading `given`: the containers of a run and what each session sends."""

from typing import Any, cast

from harness.contract import STATES, State
from harness.scenario import fields
from harness.scenario.diagnostics import near_name
from harness.scenario.fields import Form
from harness.scenario.marks import Mark
from harness.scenario.reader import Leaf, Mapping, Source, Tree
from harness.scenario.scenario import GivenContainer, SessionToken

SESSION_TOKENS: tuple[SessionToken, ...] = ("shared", "stranger", "none", "bogus")

ATTRIBUTES = (
    "priority",
    "command",
    "container_image",
    "cwd",
    "output_path",
    "mounts",
    "environment",
    "runtime_constraints",
    "scheduling_parameters",
)
"""What may be said of a new container beside its state."""

MAX_CONTAINERS = 100

_UUIDS = ("unknown", "malformed")


def read_containers(source: Source, tree: Tree | None, each: dict[str, str]) -> tuple[GivenContainer, ...]:
    """The containers under `given`; `each` maps those that members of a fleet have of their own to the fleet."""
    found = [
        read_container(source, name, mark, value, each.get(name))
        for name, mark, value in fields.named(source, tree, "containers")
    ]
    if len(found) > MAX_CONTAINERS:
        source.fault(found[MAX_CONTAINERS].mark, f"more than {MAX_CONTAINERS} containers")
    return tuple(found)


def read_container(source: Source, name: str, mark: Mark, tree: Tree, each: str | None = None) -> GivenContainer:
    """One container: a state, or a map of state and attributes, or {uuid: unknown}."""
    if isinstance(tree, Leaf):
        state = fields.one_of(source, tree, "a container's state", STATES) or "Queued"
        return GivenContainer(name, cast("State", state), {}, mark, each=each)
    form = Form(source, tree, "a container", ("state", "uuid", *ATTRIBUTES))
    if form.get("uuid") is not None:
        return _absent(source, name, mark, form)
    state = fields.one_of(source, form.need("state"), "a container's state", STATES) or "Queued"
    if form.get("priority") is not None:
        fields.whole(source, form.get("priority"), "priority", 0, 1000)
    attributes: dict[str, Any] = {
        key: fields.plain(value) for key, value in form.tree.items.items() if key in ATTRIBUTES
    }
    if attributes.get("priority") == 0 and state not in ("Queued", "Cancelled"):
        form.fault("priority", f"a container of priority 0 cannot be locked, so it never becomes {state}")
    return GivenContainer(name, cast("State", state), attributes, mark, each=each)


def _absent(source: Source, name: str, mark: Mark, form: Form) -> GivenContainer:
    uuid = fields.one_of(source, form.get("uuid"), "uuid", _UUIDS)
    for key in form.tree.items:
        if key != "uuid":
            form.fault(key, "a container that does not exist has only a uuid")
    return GivenContainer(name, "Queued", {}, mark, uuid=cast("Any", uuid) or "unknown")


def read_tokens(source: Source, tree: Tree | None, dispatchers: dict[str, Mark]) -> dict[str, SessionToken]:
    """What each session and fleet sends; every one of `dispatchers` must be told, and no other."""
    found: dict[str, SessionToken] = {}
    for name, mark, value in fields.named(source, tree, "tokens"):
        token = fields.one_of(source, value, "a session's token", SESSION_TOKENS)
        if name not in dispatchers:
            source.fault(mark, f'no session or fleet is called "{name}"', near_name(name, dispatchers))
        elif token is not None:
            found[name] = cast("SessionToken", token)
    told = tree.items.keys() if isinstance(tree, Mapping) else set()
    for name in sorted(dispatchers.keys() - told):
        source.fault(dispatchers[name], f"given.tokens says nothing of {name}: {fields.listed(SESSION_TOKENS, 'or')}")
    return found
