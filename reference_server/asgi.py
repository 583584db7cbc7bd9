"""The application for a harness that runs servers in its own process: `reference_server.asgi:app`.

The store is in memory, and every step of it is an await point. Tokens come from the environment as for the command.
`make_app(departure)` gives a mutant or variant.
"""

from reference_server import serving
from reference_server.app import App
from reference_server.options import Options, read_tokens


def make_app(departure: str | None = None, run_auth: bool = False) -> App:
    """A fresh application with an empty store."""
    options = Options(
        host="127.0.0.1",
        port=0,
        database="memory:",
        workers=1,
        tokens=read_tokens(None),
        departure=departure,
        run_auth=run_auth,
    )
    return serving.make_app(options)


app = make_app()
