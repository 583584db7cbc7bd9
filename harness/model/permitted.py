"""The specification as one function: from a container and a call to every answer that the contract permits."""

from harness.model.locks import auth, forbidden, granted, lock, refused, unlock
from harness.model.nouns import Call, Container, Result, Rules, Symbol
from harness.model.updates import is_priority, update


def permitted(rules: Rules, container: Container | None, call: Call, fresh: Symbol) -> tuple[Result, ...]:
    """Every answer that the contract permits, the one that the model itself gives first; never empty.

    `container` None means that there is none yet: create makes one, any other call finds it missing. `fresh` names
    the lock that this call would take and must never have been used for this container: it becomes `auth` (and
    `run_auth`) of the container after a granted lock. Which uuid it stands for is for later answers to say.

    Not in here, because they are always permitted or never: limited (nothing happened), indeterminate (one of these
    results may happen later), garbled. Raises ValueError for an op that is not a request about a container.
    """
    if not _authenticated(container, call):
        return (Result("unauthenticated", container),)
    if call.op == "create":
        return _create(container, call)
    if call.op == "use":
        shown = container._replace(run_auth=None) if container is not None and call.caller is None else None
        return (Result("granted", container, shown),)
    if container is None:
        return (Result("missing", None),)
    return _about(rules, container, call, fresh)


def _about(rules: Rules, container: Container, call: Call, fresh: Symbol) -> tuple[Result, ...]:
    if call.op == "lock":
        return lock(rules, container, call, fresh)
    if call.op == "unlock":
        return unlock(rules, container, call)
    if call.op == "auth":
        return auth(rules, container, call)
    if call.op == "update":
        return update(rules, container, call, fresh)
    if call.op in {"get", "list"}:
        row = granted(rules, container)
        return (row,) if call.caller is not None else (row, forbidden(container))
    raise ValueError(f"{call.op!r} is not a request about a container")


def _authenticated(container: Container | None, call: Call) -> bool:
    """ERR-1, UNLOCK-3, AUTH-5: a dispatch token lives on, a container auth as long as its lock."""
    if call.caller is not None:
        return True
    return call.auth is not None and container is not None and container.auth == call.auth


def _create(container: Container | None, call: Call) -> tuple[Result, ...]:
    if container is not None:
        raise ValueError("this container exists already: a create makes a new one")
    priority = dict(call.attributes).get("priority", 1)
    if not is_priority(priority):
        return (refused(None),)
    made = Container(priority=priority)
    return (Result("granted", made, made),)
