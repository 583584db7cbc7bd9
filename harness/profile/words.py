"""The keys of a profile, which its reader and its schema share."""

SUFFIX = ".profile.yaml"
"""How the names of profiles end, so that folders may hold them beside scenarios."""

TOP_KEYS = ("format", "profile", "headers", "token", "request_id", "run_auth", "calls", "fields", "states", "outcomes")
TOKEN_KEYS = ("header", "value", "query", "v2")
CALL_KEYS = ("method", "path", "headers", "body", "attributes", "query", "answer", "outcomes")
MATCHER_KEYS = ("status", "header", "json", "text")

ASKED = ("state", "states", "uuid", "uuids", "locked_by_uuid", "priority", "above_priority", "after_uuid", "limit")
"""What stands in braces in the query of a listing: one of something, or several with commas between."""

ABOUT_ONE = ("lock", "unlock", "auth", "get", "update")
"""Calls about one container, which have to name it."""

WITH_ATTRIBUTES = ("create", "update")
ANSWERED_BY_NOTHING = ("lock", "unlock", "update")
"""Calls whose granted answer may be empty: what they changed can be read."""

PLACES = ("items", "errors")
"""Fields that may be anywhere in an answer; all others are keys of a record."""

ALWAYS_THERE = ("uuid", "state", "token_uuid", "api_token", "items")
"""Fields that no implementation can do without."""

OF_A_TOKEN = ("token_uuid", "api_token")
"""Fields of a token's record; all others are a container's."""

SENT = (
    "command",
    "container_image",
    "cwd",
    "output_path",
    "mounts",
    "environment",
    "runtime_constraints",
    "scheduling_parameters",
    "progress",
    "runtime_status",
    "output",
    "log",
    "exit_code",
)
"""Attributes that are sent and never read."""

SET_BY_US = ("host", "content-length", "transfer-encoding", "connection", "keep-alive", "accept-encoding", "expect")
"""Headers that belong to the connection, not to the API."""

MAX_OUTCOMES = 50
