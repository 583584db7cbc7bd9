"""A certificate made for the occasion, for clients that know nothing but https."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """Files in a folder that only this user can read."""

    authority: str  # what a client may trust
    chain: str
    key: str


@contextmanager
def self_made_certificate(host: str) -> Iterator[Certificate]:
    """A certificate for `host` and the loopback names, signed by an authority of its own, gone after the context."""
    import trustme  # noqa: PLC0415  only who asks for it waits for it

    authority = trustme.CA(organization_name="lockrace reference server")
    issued = authority.issue_cert(*dict.fromkeys([host, "localhost", "127.0.0.1", "::1"]))
    with tempfile.TemporaryDirectory(prefix="lockrace-tls-", ignore_cleanup_errors=True) as folder:
        paths = Certificate(*(str(Path(folder) / name) for name in ("authority.pem", "chain.pem", "key.pem")))
        authority.cert_pem.write_to_path(paths.authority)
        issued.private_key_pem.write_to_path(paths.key)
        for number, part in enumerate(issued.cert_chain_pems):
            part.write_to_path(paths.chain, append=number > 0)
        yield paths
