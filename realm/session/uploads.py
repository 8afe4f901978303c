"""Brings files that the user drops onto the terminal, or an image in the clipboard, into the container.

A terminal pastes the path of a dropped file, quoted as for a shell.  A container has neither that path nor
the user's clipboard, so the file's path inside is pasted instead, or instead of the key that asks for the
clipboard's image.
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
from realm.terminal import desktop
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.sandbox.sandbox import Sandbox
    from realm.session.run import Plan

_LIMIT = 32 * 1024**2
"""Bytes of such a file."""
_LONGEST = 4096
"""Bytes of a path."""
_SYSTEM = re.compile(
    "/((proc|sys|dev|etc|usr|bin|sbin|lib|lib32|lib64)/|run/(?!media/|user/)|var/(?!home/|tmp/|www/)"
    "|private/(etc|var/(db|log|run))/).*",
    re.DOTALL,
)
"""Directories of the system, whose paths mean the container's own."""


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
    """Return a regular file's content, ``None`` if it is large or not regular; raises ``OSError``."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        known = os.fstat(file.fileno())
        data = file.read(_LIMIT + 1) if stat.S_ISREG(known.st_mode) and known.st_size <= _LIMIT else None
    return data if data is not None and len(data) <= _LIMIT else None


class Uploads:
    """Brings files that the user pastes into a run's sandbox, and gives the agent their paths there.

    A file of the project is the workspace's own, if that has it, so that nobody works on a copy of it.
    ``say`` is called with a message for each file brought in.
    """

    def __init__(self, sandbox: Sandbox, plan: Plan, say: Callable[[str], object]) -> None:
        self._sandbox, self._say = sandbox, say
        self._root, self._workspace = plan.project.root, plan.session.workspace
        self.key = plan.agent.image_key if desktop.has_clipboard() else None
        """The control key that asks for the image in the user's clipboard, ``None`` for none."""

    def text(self, paste: bytes) -> bytes:
        """Return a paste as the agent is to have it: where it names a file, that is brought in."""
        path = dropped(paste)
        if path is None:
            return paste
        try:
            if path.is_relative_to(self._root.resolve()):
                same = f"{self._workspace}/{path.relative_to(self._root.resolve())}"
                if self._sandbox.read_file(same, _LIMIT) is not None:
                    return shlex.quote(same).encode()
            data = _read(path)
            if data is None:
                return paste
            inside = self._put(data, path.name)
        except (EngineError, OSError, RuntimeError):
            return paste
        shown = clean(str(path), limit=200)
        self._say(f"{shown} was dropped on the terminal, and came in as {inside}")
        return inside.encode()

    def image(self) -> bytes:
        """Bring in the image in the user's clipboard, and return its path; empty if there is none."""
        found = desktop.clipboard_image(_LIMIT)
        if found is None:
            return b""
        ending, data = found
        try:
            inside = self._put(data, f"clipboard.{ending}")
        except EngineError:
            return b""
        self._say(f"the image in your clipboard was pasted, and came in as {inside}")
        return inside.encode()

    def _put(self, data: bytes, name: str) -> str:
        kept = re.sub(r"[^\w.-]", "-", name)[-100:]
        inside = f"{HOME}/dropped-{hashlib.sha256(data).hexdigest()[:6]}-{kept}"
        self._sandbox.write_file(inside, data, 0o644)
        return inside
