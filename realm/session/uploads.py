"""A file that the user drops onto the terminal is brought into the container, and its path there pasted.

A terminal pastes the path of what is dropped on it, quoted as for a shell.  A container has no such path.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import stat
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
_SYSTEM = re.compile(
    "/((proc|sys|dev|etc|usr|bin|sbin|lib|lib32|lib64)/|run/(?!media/|user/)|var/(?!home/|tmp/|www/)"
    "|private/(etc|var/(db|log|run))/).*",
    re.DOTALL,
)
"""Where the system's own files are, whose paths mean those of the container."""


def dropped(paste: bytes) -> Path | None:
    """Return the file of the host whose path is all of a paste, quotes apart; ``None`` for any other paste.

    Links are followed: a hidden file, or one in a hidden directory, is none, as such hold logins and
    settings, and the system's own are none.
    """
    if len(paste) > _LONGEST:
        return None
    try:
        [word] = shlex.split(paste.decode())
        named = Path(unquote(word.removeprefix("file://")) if word.startswith("file:///") else word)
        path = named.resolve(strict=True) if named.is_absolute() else None
    except (OSError, RuntimeError, ValueError):
        return None
    if path is None or _SYSTEM.match(str(path)) or not str(path).isprintable():
        return None
    return None if any(part.startswith(".") for part in (*named.parts, *path.parts)) else path


def _read(path: Path) -> bytes | None:
    """Return what is in a file, ``None`` for a large one and for what is none; raises ``OSError``."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        known = os.fstat(file.fileno())
        data = file.read(_LIMIT + 1) if stat.S_ISREG(known.st_mode) and known.st_size <= _LIMIT else None
    return data if data is not None and len(data) <= _LIMIT else None


def bringing(
    sandbox: Sandbox, say: Callable[[str], object], root: Path, workspace: str
) -> Callable[[bytes], bytes]:
    """Return what brings in a file that a paste names, and returns the paste as the agent is to have it.

    A file below the project's ``root`` is the one in the ``workspace``, where that has it, so that nobody
    works on a copy of it.  ``say`` is told of each that was brought in.
    """

    def bring(paste: bytes) -> bytes:
        path = dropped(paste)
        if path is None:
            return paste
        try:
            if path.is_relative_to(root.resolve()):
                same = f"{workspace}/{path.relative_to(root.resolve())}"
                if sandbox.read_file(same, _LIMIT) is not None:
                    return shlex.quote(same).encode()
            data = _read(path)
            if data is None:
                return paste
            name = re.sub(r"[^\w.-]", "-", path.name)[-100:]
            inside = f"{HOME}/dropped-{hashlib.sha256(data).hexdigest()[:6]}-{name}"
            sandbox.write_file(inside, data, 0o644)
        except (EngineError, OSError, RuntimeError):
            return paste
        say(f"{clean(str(path), limit=200)} was dropped on the terminal, and is {inside} in the container")
        return inside.encode()

    return bring
