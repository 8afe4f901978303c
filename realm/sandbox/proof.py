"""Proof that a container or volume belongs to this REALM_HOME: a label that nobody else can make.

Any image can have any label, which its containers inherit.  So realm removes only what has a code made from
its name with a key in REALM_HOME; copied to another container or volume the code is not valid.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from realm.paths import make_private, realm_home
from realm.sandbox import layout

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_KEY, _LENGTH = "key", 32


def home() -> str:
    """Return a digest that distinguishes this REALM_HOME's sandboxes from others on the same engine."""
    return hashlib.sha256(os.fsencode(realm_home().resolve())).hexdigest()[:16]


def prove(kind: str, name: str) -> dict[str, str]:
    """Return the label that proves a container or volume of that ``name`` to be this REALM_HOME's."""
    return {layout.PROOF: _code(_made_key(realm_home()), kind, name)}


def holds(kind: str, name: str, labels: Mapping[str, str]) -> bool:
    """Return whether ``labels`` prove the container or volume of that ``name`` to be this REALM_HOME's."""
    key, given = _key(realm_home()), labels.get(layout.PROOF, "").encode()
    return bool(key) and hmac.compare_digest(given, _code(key, kind, name).encode())


def _code(key: bytes, kind: str, name: str) -> str:
    text = f"{kind}\0{name}".encode("utf-8", "surrogateescape")
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def _key(directory: Path) -> bytes:
    """Return the key of a realm directory; empty if there is none."""
    try:
        found = (directory / _KEY).read_bytes()
    except OSError:
        return b""
    return found if len(found) == _LENGTH else b""


def _made_key(directory: Path) -> bytes:
    """Return the key of a realm directory, created if necessary."""
    path = make_private(directory) / _KEY
    found = _key(directory)
    if len(found) == _LENGTH:
        return found
    own = path.with_name(f"key.{os.getpid()}")
    own.touch(0o600)
    own.write_bytes(os.urandom(_LENGTH))
    if path.exists():
        own.replace(path)  # truncated by a full disk
    else:
        with suppress(FileExistsError):  # of two processes the first one's counts
            path.hardlink_to(own)
        own.unlink()
    return path.read_bytes()
