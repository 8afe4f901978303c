"""A file that the user drops onto the terminal is brought into the container, and its path there pasted.

A terminal pastes the path of what is dropped on it, quoted as for a shell.  A container has no such path.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from realm.errors import EngineError
from realm.sandbox.layout import HOME
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.sandbox.sandbox import Sandbox

_LIMIT = 32 * 1024**2
"""Bytes of such a file."""
_LONGEST = 4096
"""Bytes of a path."""


def dropped(paste: bytes) -> Path | None:
    """Return the file of the host whose path is all of a paste, quotes apart; ``None`` for any other paste.

    A hidden file, or one in a hidden directory, is none, by a link neither: such hold logins and settings.
    """
    if len(paste) > _LONGEST:
        return None
    try:
        [word] = shlex.split(paste.decode())
    except ValueError:
        return None
    path = Path(unquote(word.removeprefix("file://")) if word.startswith("file:///") else word)
    if not path.is_absolute():
        return None
    try:
        if not path.is_file() or path.stat().st_size > _LIMIT:
            return None
        is_hidden = any(part.startswith(".") for part in (*path.parts, *path.resolve().parts))
        return None if is_hidden else path
    except (OSError, ValueError):
        return None


def bringing(sandbox: Sandbox, say: Callable[[str], object]) -> Callable[[bytes], bytes]:
    """Return what brings in a file that a paste names, and returns the paste as the agent is to have it.

    ``say`` is told of each that was brought in.
    """

    def bring(paste: bytes) -> bytes:
        path = dropped(paste)
        if path is None:
            return paste
        try:
            data = path.read_bytes()
            name = re.sub(r"[^\w.-]", "-", path.name)[-100:]
            inside = f"{HOME}/dropped-{hashlib.sha256(data).hexdigest()[:6]}-{name}"
            sandbox.write_file(inside, data, 0o644)
        except (EngineError, OSError):
            return paste
        say(f"{clean(str(path), limit=200)} was dropped on the terminal, and is {inside} in the container")
        return inside.encode()

    return bring
