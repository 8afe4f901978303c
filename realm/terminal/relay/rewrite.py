"""Changes a program's output on its way to the user: titles, the clipboard, a command that it leaves.

The window's title is the session's name, followed by the program's own title.  tmux shows every APC string as
a title, including Claude Code's query for kitty's graphics: APC strings are removed there.  A program may
exit with a command on the screen that has another meaning outside the sandbox; realm's own replaces it.
Everything else passes unchanged.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from realm.terminal.ansi.lexer import ESC
from realm.terminal.relay.clipboard import Clipboard
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 4096
"""The longest incomplete string that is held back, in bytes."""
_LONGEST_COMMAND = 300
_LONGEST_HELD = 4 * _LONGEST_COMMAND
"""The longest beginning of a command that is held back, in bytes, with the colours in it."""
_TITLE = re.compile(rb"\x1b\]([012]);([^\x07\x18\x1a\x1b]*)(?:\x07|\x1b\\)")
_APC = re.compile(rb"\x1b_[^\x18\x1a\x1b]*\x1b\\")
_OPEN = re.compile(rb"\x1b(?:\](?:[012](?:;[^\x07\x18\x1a\x1b]*)?)?|_[^\x18\x1a\x1b]*)?\x1b?\Z")
_COLOUR = re.compile(rb"\x1b\[[0-9;:]*m")
_OPEN_COLOUR = re.compile(rb"\x1b(?:\[[0-9;:]*)?\Z")
_UNDONE = re.compile(rb"\x1b\[\?(?:1049|2004|1004|2031)l")
_PATIENCE = 10
"""How often :meth:`Rewriter.release` is called before the beginning of a command is released."""


class Closing(NamedTuple):
    """A command that a program leaves on the screen; its ``pattern`` begins with a literal word.

    ``replacement`` is shown instead, once ``is_over()`` says that the program no longer draws on its screen.
    """

    pattern: re.Pattern[bytes]
    replacement: bytes
    is_over: Callable[[], bool]


class Rewriter:
    """Changes output, cut anywhere; ``name`` is the session's, ``copies`` allows setting the clipboard."""

    def __init__(
        self, name: str, closing: Closing | None = None, *, drops_apc: bool = False, copies: bool = False
    ) -> None:
        self._name, self._closing, self._drops_apc = name, closing, drops_apc
        self._clipboard = Clipboard(writes=copies)
        word = re.match(rb"[\w-]+", closing.pattern.pattern) if closing else None
        self._word = word[0] if word else b""
        self._tail = self._held = b""
        self._waited = 0

    @property
    def is_holding(self) -> bool:
        """Whether output is held back that a person may be waiting for."""
        return bool(self._held)

    @property
    def held(self) -> bytes:
        """What is held back, unchanged."""
        return self._held + self._tail + self._clipboard.held

    def feed(self, data: bytes) -> bytes:
        """Return the output to show; what may have to be changed is held back until it is complete."""
        data = self._clipboard.feed(data)
        if not (self._tail or self._held or ESC in data or (self._word and self._word[:1] in data)):
            return data
        data = self._held + self._tail + data
        self._tail = self._held = b""
        self._waited = 0
        if ESC in data:
            data = self._strings(data)
        return self._commands(data) if self._word else data

    def release(self) -> bytes:
        """Release what a person may be waiting for, when nothing comes.

        A long beginning only after a while.
        """
        self._waited += 1
        if len(self._held) > len(self._word) + 1 and self._waited < _PATIENCE:
            return b""
        held, self._held = self._held, b""
        return held

    def rest(self) -> bytes:
        """Return everything held back, at the end of the output."""
        rest = self.held
        self._held = self._tail = self._clipboard.held = b""
        return rest

    # Titles -------------------------------------------------------------------------

    def _strings(self, data: bytes) -> bytes:
        data = _TITLE.sub(self._titled, data)
        if self._drops_apc:
            data = _APC.sub(b"", data)
        unfinished = _OPEN.search(data, max(0, len(data) - _LONGEST))
        if unfinished:
            self._tail = unfinished[0]
            return data[: unfinished.start()]
        return data

    def _titled(self, title: re.Match[bytes]) -> bytes:
        return b"\x1b]%b;%b\x07" % (title[1], self.title(title[2]))

    def title(self, own: bytes = b"") -> bytes:
        """Return the window's title when the program calls it ``own``."""
        text = clean(own, limit=200)
        return clean(f"{self._name}: {text}" if text else self._name).encode("utf-8", "replace")

    # The command --------------------------------------------------------------------

    def _commands(self, data: bytes) -> bytes:
        """Replace the command, and hold back what may become it."""
        start = 0
        while self._closing is not None and (place := data.find(self._word, start)) >= 0:
            start = place + 1
            end, is_open = self._match(data, place)
            if end:
                new = self._closing.replacement + b"".join(_COLOUR.findall(data, place, end))
                data = data[:place] + new + data[end:]
                start = place + len(new)
            elif is_open:
                self._held = data[place:]
                return data[:place]
        for length in range(min(len(self._word) - 1, len(data)), 0, -1):
            if data.endswith(self._word[:length]) and self._may_close(data, len(data)):
                self._held = data[-length:]
                return data[:-length]
        return data

    def _may_close(self, data: bytes, place: int) -> bool:
        return self._closing is not None and (
            self._closing.is_over() or _UNDONE.search(data, 0, place) is not None
        )

    def _match(self, data: bytes, place: int) -> tuple[int, bool]:
        """Return where a command at ``place`` ends, or 0 and whether more output could complete it."""
        if self._closing is None or not self._may_close(data, place):
            return 0, False
        plain, at = bytearray(), place
        places: list[int] = []
        end = min(len(data), place + _LONGEST_HELD)
        while at < end and len(plain) < _LONGEST_COMMAND:
            colour = _COLOUR.match(data, at)
            if colour:
                at = colour.end()
                continue
            if data[at] < 0x20:  # noqa: PLR2004 - a blank
                is_open = end == len(data) and _OPEN_COLOUR.match(data, at) is not None
                return self._found(bytes(plain), places), is_open
            plain.append(data[at])
            at += 1
            places.append(at)
        is_open = end == len(data) and len(plain) < _LONGEST_COMMAND
        return self._found(bytes(plain), places), is_open

    def _found(self, plain: bytes, places: list[int]) -> int:
        found = self._closing.pattern.match(plain) if self._closing else None
        return places[found.end() - 1] if found else 0
