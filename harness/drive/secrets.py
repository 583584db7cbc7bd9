"""Bare secrets and the salted hashes that stand for them everywhere else."""

import hashlib
import secrets
from collections.abc import Mapping


def hash_of(secret: str, salt: bytes) -> str:
    """The hash that stands for a secret in one history."""
    return hashlib.blake2b(secret.encode(), key=salt, digest_size=8).hexdigest()


def environment_of(secret_of: Mapping[str, str]) -> dict[str, str]:
    """The environment variables by which a program that is started is told the tokens."""
    names = {"shared": "LOCKRACE_TOKEN", "stranger": "LOCKRACE_TOKEN2", "admin": "LOCKRACE_ADMIN_TOKEN"}
    return {names[name]: secret for name, secret in secret_of.items() if name in names}


class Vault:
    """Holds the bare secrets of one history, by their hash.

    The salt lives as long as the run and is never stored; processes that write one history share it.
    """

    def __init__(self, salt: bytes | None = None) -> None:
        self.salt = salt or secrets.token_bytes(16)
        self._by_hash: dict[str, str] = {}
        self.names: dict[str, str] = {}  # bare secret -> the name to report it by

    def keep(self, secret: str, name: str) -> str:
        """Remember a secret; returns its hash. The first name given to a secret stays."""
        short = hash_of(secret, self.salt)
        self._by_hash[short] = secret
        self.names.setdefault(secret, name)
        return short

    def bare(self, short: str) -> str:
        """The secret behind a hash; KeyError when the vault never saw it."""
        return self._by_hash[short]

    def __repr__(self) -> str:
        return f"Vault({len(self._by_hash)} secrets)"
