"""Which store a database URL names."""

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from reference_server.options import UsageError
from reference_server.stores import Store
from reference_server.stores.memory import MemoryStore
from reference_server.stores.sqlite import MOST_IN_A_COMMIT, SqliteStore


def store_of(database: str, workers: int = 1) -> Store:
    """The store, not yet open, for one of so many processes. Raises UsageError for what is no database.

    A SQLite file may be given as a path or as `sqlite:///PATH?synchronous=OFF&batch=1`; the two settings are there to
    measure what durability and group commit cost.
    """
    if database == "memory:":
        return MemoryStore()
    if database.startswith(("postgresql://", "postgres://")):
        from reference_server.stores.postgres import CONNECTIONS, PostgresStore  # noqa: PLC0415  others need not wait

        return PostgresStore(database, max(1, CONNECTIONS // workers))
    if "://" in database and not database.startswith("sqlite:///"):
        raise UsageError(
            "a database is a SQLite file, sqlite:///PATH, postgresql://..., embedded-postgres[:FOLDER] or memory:"
        )
    path, settings = database, {}
    if database.startswith("sqlite:///"):
        url = urlsplit(database)
        path, settings = database.partition("?")[0].removeprefix("sqlite:///"), dict(parse_qsl(url.query))
    synchronous = settings.pop("synchronous", "FULL").upper()
    batch = settings.pop("batch", str(MOST_IN_A_COMMIT))
    if settings or synchronous not in ("OFF", "NORMAL", "FULL") or not batch.isdecimal() or int(batch) < 1:
        raise UsageError("a SQLite URL takes synchronous=OFF|NORMAL|FULL and batch=N, nothing else")
    if not Path(path).absolute().parent.is_dir():
        raise UsageError(f"{path}: there is no such folder")
    return SqliteStore(Path(path).absolute(), synchronous, int(batch))
