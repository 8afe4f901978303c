"""Reads an image from the desktop's clipboard, by wl-paste, xclip or macOS' osascript."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import NamedTuple

from realm.git import user_environment

_PATIENCE = 1.0
"""Seconds that such a program may take."""
_KIND = "KIND"
"""Placeholder for the image type in a command."""


class _Clipboard(NamedTuple):
    """The commands that list the types of the clipboard's content, and that print it."""

    tells: tuple[str, ...]
    prints: tuple[str, ...]


_BY_VARIABLE = {
    "WAYLAND_DISPLAY": _Clipboard(
        ("wl-paste", "--list-types"), ("wl-paste", "--no-newline", "--type", _KIND)
    ),
    "DISPLAY": _Clipboard(
        ("xclip", "-selection", "clipboard", "-o", "-t", "TARGETS"),
        ("xclip", "-selection", "clipboard", "-o", "-t", _KIND),
    ),
}
_OF_MACOS = _Clipboard(
    ("osascript", "-e", "clipboard info"), ("osascript", "-e", f"get the clipboard as {_KIND}")
)
_KINDS = {
    "image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp", "«class PNGf»": "png",
}  # fmt: skip
"""Image types, the best first, and their file extensions."""
_IN_HEX = re.compile(rb"\xc2\xabdata PNGf((?:[0-9A-F]{2})+)\xc2\xbb\s*")
"""An image as AppleScript prints it."""


def _found() -> _Clipboard | None:
    here = [one for variable, one in _BY_VARIABLE.items() if os.environ.get(variable)]
    here += [_OF_MACOS] if sys.platform == "darwin" else []
    return next((one for one in here if shutil.which(one.tells[0])), None)


def has_clipboard() -> bool:
    """Tell whether there is a desktop, and a program that reads its clipboard."""
    return _found() is not None


def clipboard_image(limit: int) -> tuple[str, bytes] | None:
    """Return the file extension and bytes of the clipboard's image, at most ``limit`` bytes.

    ``None`` where there is none.
    """
    clipboard = _found()
    if clipboard is None:
        return None
    kinds = re.split(r"[,\n]\s*", _output(clipboard.tells, limit).decode("utf-8", "replace").strip())
    kind = next((kind for kind in _KINDS if kind in kinds), None)
    if kind is None:
        return None
    data = _output([word.replace(_KIND, kind) for word in clipboard.prints], 2 * limit + 100)
    if clipboard is _OF_MACOS:
        hexadecimal = _IN_HEX.fullmatch(data)
        data = bytes.fromhex(hexadecimal[1].decode()) if hexadecimal else b""
    return (_KINDS[kind], data) if 0 < len(data) <= limit else None


def _output(command: list[str] | tuple[str, ...], limit: int) -> bytes:
    """Return a command's output; empty when it fails, takes too long or prints more than ``limit`` bytes."""
    try:
        process = subprocess.Popen(
            command, env=user_environment(), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return b""
    with process:
        late = threading.Timer(_PATIENCE, _kill, (process.pid,))
        late.start()
        assert process.stdout  # noqa: S101 - for the types
        data = process.stdout.read(limit + 1)
        if len(data) > limit:
            process.kill()
        process.wait()
        late.cancel()
    return data if process.returncode == 0 else b""


def _kill(group: int) -> None:
    with suppress(OSError):  # it is gone, or on macOS all but gone
        os.killpg(group, signal.SIGKILL)
