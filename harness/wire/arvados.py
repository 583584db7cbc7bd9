"""How Arvados looks on the wire: the profile from which every other one tells only its differences."""

from harness.wire.profile import ATTRIBUTES, CallProfile, Matcher, Profile

_CONTAINERS = "/arvados/v1/containers"
_ONE = f"{_CONTAINERS}/{{uuid}}"
_WRAPPED = {"container": ATTRIBUTES}

READ_FIELDS = ("uuid", "state", "priority", "locked_by_uuid", "auth_uuid", "lock_count")
"""Fields of a record that stand at its top, under names of their own."""

PROFILE = Profile(
    name="arvados",
    calls={
        "create": CallProfile(method="POST", path=_CONTAINERS, body=_WRAPPED),
        "lock": CallProfile(method="POST", path=f"{_ONE}/lock"),
        "unlock": CallProfile(method="POST", path=f"{_ONE}/unlock"),
        "auth": CallProfile(method="GET", path=f"{_ONE}/auth"),
        "get": CallProfile(method="GET", path=_ONE),
        "update": CallProfile(method="PUT", path=_ONE, body=_WRAPPED),
        "list": CallProfile(method="GET", path=_CONTAINERS),
        "use": CallProfile(method="GET", path="/arvados/v1/api_client_authorizations/current"),
    },
    fields={
        **{name: (name,) for name in READ_FIELDS},
        "runtime_error": ("runtime_status", "error"),
        "run_auth": ("run_auth",),
        "token_uuid": ("uuid",),
        "api_token": ("api_token",),
        "items": ("items",),
        "errors": ("errors", None),
    },
    outcomes=(
        Matcher(outcome="granted", statuses=frozenset({200})),
        Matcher(outcome="refused", statuses=frozenset({422})),
        Matcher(outcome="forbidden", statuses=frozenset({403})),
        Matcher(outcome="unauthenticated", statuses=frozenset({401})),
        Matcher(outcome="missing", statuses=frozenset({404})),
        Matcher(outcome="limited", statuses=frozenset({429})),
        Matcher(outcome="limited", statuses=frozenset({503}), headers=(("retry-after", None),)),
        Matcher(outcome="indeterminate", statuses=frozenset(range(500, 600))),
    ),
    headers={"Accept": "application/json", "Content-Type": "application/json"},
)
