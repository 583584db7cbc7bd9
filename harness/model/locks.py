"""Lock, unlock and the auth of a lock, as the contract has them."""

from harness.contract import covers
from harness.model.nouns import Call, Container, Result, Rules, Symbol


def refused(container: Container | None) -> Result:
    """Not possible, and nothing changes."""
    return Result("refused", container)


def forbidden(container: Container | None) -> Result:
    """Not allowed to this caller, and nothing changes."""
    return Result("forbidden", container)


def granted(rules: Rules, container: Container) -> Result:
    """Done, showing the container as it is now, without the run_auth."""
    if rules.run_auth and not rules.keeps("shown_once"):
        return Result("granted", container, container)
    return Result("granted", container, container._replace(run_auth=None))


def run_auth_works(rules: Rules, container: Container, run_auth: Symbol | None) -> bool:
    """Whether `run_auth`, issued at some time, is accepted as the current lock's."""
    if not rules.run_auth or run_auth is None:
        return False
    return run_auth == container.run_auth or not rules.keeps("ends_with_lock")


def stale(rules: Rules, container: Container, call: Call) -> bool:
    """Whether the call presents a run_auth that does not work."""
    return rules.run_auth and call.run_auth is not None and not run_auth_works(rules, container, call.run_auth)


def holds(rules: Rules, container: Container, call: Call) -> bool:
    """Whether the caller is the locking token, with the lock's run_auth where the lock answered one."""
    if call.caller is None or call.caller != container.locked_by:
        return False
    return container.run_auth is None or run_auth_works(rules, container, call.run_auth)


def lock(rules: Rules, container: Container, call: Call, fresh: Symbol) -> tuple[Result, ...]:
    """LOCK-1, LOCK-2, LOCK-4, LOCK-6, AUTH-3. A run_auth that the caller presents is of another lock: not looked at."""
    return _lock(rules, container, call, fresh, answers_run_auth=True)


def lock_by_update(rules: Rules, container: Container, call: Call, fresh: Symbol) -> tuple[Result, ...]:
    """STATE-4: an update of a Queued container to Locked; open at level must, where its holder is too."""
    results = _lock(rules, container, call, fresh, answers_run_auth=rules.keeps("answered_on_update"))
    if covers(rules.level, "arvados"):
        return results
    return (*results, granted(rules, container._replace(state="Locked")), refused(container), forbidden(container))


def _lock(
    rules: Rules, container: Container, call: Call, fresh: Symbol, *, answers_run_auth: bool
) -> tuple[Result, ...]:
    if container.state != "Queued":
        return (refused(container),)
    run_auth = None
    if rules.run_auth and answers_run_auth:
        run_auth = fresh if rules.keeps("own_per_lock") else "one for all locks"
    after = Container("Locked", container.priority, call.caller, fresh, container.lock_count + 1, run_auth)
    done = Result("granted", after, after)
    if container.priority > 0:
        return (done,)
    return (refused(container),) if covers(rules.level, "arvados") else (refused(container), done)


def unlock(rules: Rules, container: Container, call: Call) -> tuple[Result, ...]:
    """UNLOCK-1, UNLOCK-2, UNLOCK-4, UNLOCK-5, UNLOCK-6."""
    if stale(rules, container, call) and rules.keeps("checked_on_unlock"):
        late = (forbidden(container),)
        return late if container.state == "Locked" else (*late, refused(container))
    return _unlock(rules, container, call)


def unlock_by_update(rules: Rules, container: Container, call: Call) -> tuple[Result, ...]:
    """STATE-4: an update of a Locked container to Queued; open at level must, where it may keep holder and auth."""
    results = _unlock(rules, container, call)
    if covers(rules.level, "arvados"):
        return results
    return (*results, granted(rules, container._replace(state="Queued")), refused(container), forbidden(container))


def _unlock(rules: Rules, container: Container, call: Call) -> tuple[Result, ...]:
    if container.state != "Locked":
        return (refused(container),)
    if call.caller is None or call.caller != container.locked_by:
        if covers(rules.level, "arvados"):
            return (forbidden(container),)
        return (forbidden(container), refused(container), *_release(rules, container))
    bare = container.run_auth is not None and call.run_auth is None
    if bare and not rules.keeps("bare_unlock_works"):
        return (forbidden(container),)
    return _release(rules, container)


def _release(rules: Rules, container: Container) -> tuple[Result, ...]:
    """The lock ends: Queued, or Cancelled where the attempt limit is reached or may be."""
    queued = granted(rules, ended(container)._replace(state="Queued"))
    cancelled = granted(rules, ended(container)._replace(state="Cancelled"))
    limit = rules.max_dispatch_attempts
    results = (cancelled, queued) if limit is not None and container.lock_count >= limit else (queued, cancelled)
    return results[:1] if limit is not None and covers(rules.level, "arvados") else results


def ended(container: Container) -> Container:
    """The container with holder, auth and run_auth cleared."""
    return container._replace(locked_by=None, auth=None, run_auth=None)


def auth(rules: Rules, container: Container, call: Call) -> tuple[Result, ...]:
    """AUTH-1, AUTH-2, AUTH-4: the current lock's auth, to its holder alone. The symbol is `shown.auth`."""
    if container.state not in {"Locked", "Running"} or call.caller is None or call.caller != container.locked_by:
        return (forbidden(container),)
    if call.run_auth is None and rules.keeps("needed_for_auth"):
        return (forbidden(container),)
    if stale(rules, container, call) and rules.keeps("checked_on_auth"):
        return (forbidden(container),)
    return (granted(rules, container),)
