"""Mutants of the run_auth extension."""

from msgspec.structs import replace

from reference_server.mutants.catalogue import mutant, when_refused
from reference_server.objects import Container
from reference_server.rules import NO_RUN_AUTH, STALE_RUN_AUTH, Call, Decision, Rule


def without_run_auth(rule: Rule) -> Rule:
    """The rule as it is on a server that does not know the extension, except for what a lock hands out."""

    def decide(row: Container, call: Call) -> Decision:
        decision = rule(row, call)
        if decision not in (STALE_RUN_AUTH, NO_RUN_AUTH):
            return decision
        return rule(row, replace(call, with_run_auth=False))

    return decide


@mutant("read_auth", "RUN-1 RUN-2", "run_auth", invariant="single_holder", run_auth=True)
def auth_without_run_auth(faithful: Rule) -> Rule:
    """Reading the auth needs no run_auth, and takes any."""
    return without_run_auth(faithful)


@mutant("unlock", "RUN-3 RUN-2", "run_auth", invariant="late_unlock_harmless", run_auth=True)
def unlock_with_any_run_auth(faithful: Rule) -> Rule:
    """Unlock takes the run_auth of a lock that has ended."""
    return without_run_auth(faithful)


@mutant("update", "RUN-2", "run_auth", invariant="told_of_loss", run_auth=True)
def update_with_any_run_auth(faithful: Rule) -> Rule:
    """An update takes the run_auth of a lock that has ended, but for starting the container."""

    def alter(row: Container, call: Call, refusal: Decision) -> Decision:
        if refusal != STALE_RUN_AUTH or call.attributes.get("state") == "Running":
            return refusal
        return faithful(row, replace(call, run_auth=None))

    return when_refused(faithful, alter)


@mutant("update", "RUN-4", "run_auth", invariant="only_holder_starts", run_auth=True)
def running_without_run_auth(faithful: Rule) -> Rule:
    """An update to Running needs no run_auth."""

    def alter(row: Container, call: Call, refusal: Decision) -> Decision:
        return faithful(row, replace(call, with_run_auth=False)) if refusal == NO_RUN_AUTH else refusal

    return when_refused(faithful, alter)
