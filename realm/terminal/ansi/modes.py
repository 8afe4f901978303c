"""Tracks the modes that a program switches on in a terminal, to undo or redo them.

All output passes through here, so plain text must cost almost nothing: only chunks that can hold a sequence
are parsed.  The numbers are from xterm's control sequences, the kitty keyboard protocol, and the terminals'
own pages for 2026, 2027, 2031, 2048 and 9001.
"""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from realm.terminal.ansi.lexer import CONTROL, CSI, ESC, ESCAPE, OSC, Lexer, numbers
from realm.terminal.ansi.sgr import Pen

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.terminal.ansi.lexer import Token

ALTERNATE = {47, 1047, 1049}
"""The modes that show the alternate screen."""
SAVES_CURSOR = 1049
"""The one of them that also saves and restores the cursor."""
SYNCHRONIZED = 2026
"""Holds back an update until it is complete."""
TALKING = {9, 1000, 1001, 1002, 1003, 1004, 2031, 2048, 9001}
"""Modes in which a terminal sends what the user did not type."""
ON_AT_START = {7, 8, 25}
"""Wrap, key repeat, the cursor."""
OFF_AT_START = {
    1, 5, 6, 9, 12, 45, 66, 67, 69, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004, SYNCHRONIZED,
    2027, 2031, 2048, 9001,
}  # fmt: skip
"""Off: keys, video, origin, mouse, margins, focus, paste, updates, clusters, theme, size reports, win32 keys.
"""
ANSI = {2, 4, 20}
_ECHO = 12
"""The ANSI mode SRM, on at the start; when it is off, the terminal echoes what is typed."""
WHEEL = 1007
"""The wheel sends arrow keys on the alternate screen; only the terminal knows the user's choice (XTSAVE)."""
_TABS = b"\x1b7\r\x1b[3g" + b"\x1b[8C\x1bH" * 40 + b"\x1b8"
_UNPROTECTED, _PLAIN_FONT = b'\x1b[0"q\x1bW', b"\x1b]50;#0\x1b\\"
_QUESTIONS = {
    b"c", b">c", b"=c", b"n", b"?n", b"x", b"?u", b">q", b"$p", b"?$p", b"$w", b"*y", b"?S", b"+x",
}  # fmt: skip
"""Control functions that terminals answer: identity, position, modes, keys, graphics, checksums."""
_REPORTS = range(11, 22)
"""The XTWINOPS that terminals answer."""
_SOFT_RESET = {1, 6, 7, 25, 66, 69}
KEYPAD = 66
_ORIGIN = 6
_KITTY_DEPTH = 256
PALETTE = {4: 104, 5: 105, **{code: code + 100 for code in range(10, 20)}}
_CHARSETS = b"()*+"
_MAX_SAVED = 64
_LAST_SHAPE = 6
_KITTY_FLAGS = 31
_OTHER_KEYS = {0, 1, 2, 4, 6, 7}
_LOCKING = {b"n", b"o", b"|", b"}", b"~"}
_INDEXED = {4, 5}
_COLOURS = 256


class Save(NamedTuple):
    """What DECSC saves besides the cursor's position."""

    pen: Pen = Pen()
    charsets: tuple[tuple[int, bytes], ...] = ()
    shift: bytes = b""
    origin: bool = False


class Modes:
    """Knows what is on; feed it with all output that goes to the terminal, cut anywhere."""

    def __init__(self) -> None:
        self._lexer = Lexer()
        self._rows: int | None = None
        self._doubtful = False
        self.asked = -math.inf
        """When the program last asked the terminal something, by the monotonic clock."""
        self._moved = False
        self._wheel: bool | None = None
        self._screen = 0
        self._titles: set[bytes] = set()
        self._handlers: dict[tuple[str, bytes], Callable[[Token], object]] = {
            (CSI, b"?h"): lambda token: self._set(token, on=True),
            (CSI, b"?l"): lambda token: self._set(token, on=False),
            (CSI, b"?s"): self._save_modes,
            (CSI, b"?r"): self._restore_modes,
            (CSI, b"h"): lambda token: self._set_ansi(token, on=True),
            (CSI, b"l"): lambda token: self._set_ansi(token, on=False),
            (CSI, b"r"): self._set_region,
            (CSI, b" q"): self._set_shape,
            (CSI, b">u"): self._push_keys,
            (CSI, b"<u"): self._pop_keys,
            (CSI, b"=u"): self._change_keys,
            (CSI, b">m"): self._set_other_keys,
            (CSI, b">n"): lambda token: self._other_keys.pop(numbers(token.data)[0], None),
            (CSI, b"!p"): lambda _: self._soft_reset(),
            (CSI, b"g"): lambda _: self._left.setdefault(_TABS),
            (ESCAPE, b"H"): lambda _: self._left.setdefault(_TABS),
            (CSI, b"?W"): lambda _: self._left.pop(_TABS, None),
            (CSI, b'"q'): self._protect,
            (ESCAPE, b"V"): lambda _: self._left.setdefault(_UNPROTECTED),
            (ESCAPE, b"W"): lambda _: self._left.pop(_UNPROTECTED, None),
            (OSC, b"7"): lambda _: setattr(self, "_moved", True),
            (OSC, b"50"): self._set_font,
            (ESCAPE, b"c"): lambda _: self._reset(),
            (ESCAPE, b"7"): lambda _: self._save_cursor(),
            (ESCAPE, b"8"): lambda _: self._restore_cursor(),
            (ESCAPE, b"="): lambda _: self._switch(KEYPAD, on=True),
            (ESCAPE, b">"): lambda _: self._switch(KEYPAD, on=False),
            (OSC, b"0"): self._set_title,
            (OSC, b"1"): self._set_title,
            (OSC, b"2"): self._set_title,
            (OSC, b"8"): self._set_link,
            (OSC, b"9"): self._set_progress,
            (OSC, b"22"): self._set_pointer,
        }
        self._reset()

    def _reset(self) -> None:
        """RIS: reset everything; some terminals stay on the alternate screen."""
        self._doubtful = self._doubtful or self._screen > 0
        self._pen = Pen()
        self._modes: dict[int, None] = {}
        self._ansi: dict[int, None] = {}
        self._echoes = False
        self._left: dict[bytes, None] = {}
        self._screen = 0
        self._keys: dict[bool, list[int]] = {False: [], True: []}
        self._changed_keys: dict[bool, int] = {False: 0, True: 0}
        self._other_keys: dict[int, bytes] = {}
        self._charsets: dict[int, bytes] = {}
        self._shift = self._shape = self._pointer = self._link = b""
        self._region: tuple[int, int] | None = None
        self._palette: dict[tuple[int, int | None], None] = {}
        self._progress = False
        self._other_charset = False
        self._saved: dict[int, bool] = {}
        self._saves: dict[bool, Save] = {False: Save(), True: Save()}

    # What comes in -------------------------------------------------------------

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the program's output."""
        lexer = self._lexer
        if lexer.between and not _may_switch(chunk):
            return
        start = 0
        for token in lexer.switches(chunk):
            # The pen is updated late, only when it is saved or reset.
            self._pen.feed(lexer.data, start, token.start)
            start = token.start
            self._take(token)
        self._pen.feed(lexer.data, start, len(lexer.data))

    def _take(self, token: Token) -> None:
        if _is_question(token):
            self.asked = time.monotonic()
        handler = self._handlers.get((token.kind, token.name))
        if handler is not None:
            handler(token)
        elif token.kind == OSC:
            self._set_palette(token)
        elif token.kind == CONTROL and token.name in (b"\x0e", b"\x0f"):
            self._shift = b"" if token.name == b"\x0f" else token.name
        elif token.kind == ESCAPE:
            self._set_charset(token.name)

    @property
    def alternate(self) -> bool:
        """Whether the alternate screen is shown."""
        return bool(self._screen)

    def is_on(self, mode: int) -> bool:
        """Whether the private mode ``mode`` is on; only for tracked modes."""
        return (mode in self._modes) != (mode in ON_AT_START)

    def resize(self, rows: int) -> None:
        """Set the terminal's number of rows: a scroll region of all rows counts as none."""
        self._rows = rows

    # Private and ANSI modes ----------------------------------------------------

    def _set(self, token: Token, *, on: bool) -> None:
        for mode in numbers(token.data):
            self._switch(mode, on=on)

    def _switch(self, mode: int, *, on: bool) -> None:
        if mode in ALTERNATE:
            self._show(mode, on=on)
        elif mode == WHEEL:
            self._wheel = on
        elif mode in ON_AT_START or mode in OFF_AT_START:
            self._modes.pop(mode, None)
            if on != (mode in ON_AT_START):
                self._modes[mode] = None

    def _show(self, mode: int, *, on: bool) -> None:
        """Switch to the alternate screen, or back to the main one."""
        self._doubtful = False
        if on and mode == SAVES_CURSOR and not self._screen:
            self._save_cursor()
        self._screen = mode if on else 0
        if not on and mode == SAVES_CURSOR:
            self._restore_cursor()

    def _save_modes(self, token: Token) -> None:
        for mode in numbers(token.data)[:_MAX_SAVED]:
            if mode in ON_AT_START or mode in OFF_AT_START:
                self._saved[mode] = self.is_on(mode)
            elif mode in ALTERNATE:
                self._saved[mode] = self.alternate

    def _restore_modes(self, token: Token) -> None:
        for mode in numbers(token.data):
            if mode in self._saved:
                self._switch(mode, on=self._saved[mode])

    def _set_ansi(self, token: Token, *, on: bool) -> None:
        for mode in numbers(token.data):
            self._ansi.pop(mode, None)
            if on and mode in ANSI:
                self._ansi[mode] = None
            if mode == _ECHO:
                self._echoes = not on

    def _protect(self, token: Token) -> None:
        if numbers(token.data)[0] == 1:
            self._left.setdefault(_UNPROTECTED)
        else:
            self._left.pop(_UNPROTECTED, None)

    def _set_font(self, token: Token) -> None:
        if token.data and not token.data.startswith(b"?"):
            self._left.setdefault(_PLAIN_FONT)

    def _soft_reset(self) -> None:
        """DECSTR: reset what concerns writing; mouse, paste mode and the shown screen stay."""
        for mode in _SOFT_RESET:
            self._modes.pop(mode, None)
        self._ansi.clear()
        self._region, self._shift = None, b""
        self._charsets.clear()
        self._pen.clear()
        self._saves[self.alternate] = Save()

    def _set_region(self, token: Token) -> None:
        top, bottom, *_ = [*numbers(token.data), 0, 0]
        whole = max(top, 1) == 1 and (bottom == 0 or (self._rows is not None and bottom >= self._rows))
        self._region = None if whole else (max(top, 1), bottom)

    def _set_shape(self, token: Token) -> None:
        shape = numbers(token.data)[0]
        self._shape = b"%d" % shape if 0 < shape <= _LAST_SHAPE else b""

    # Keyboard protocols --------------------------------------------------------

    def _push_keys(self, token: Token) -> None:
        stack = self._keys[self.alternate]
        stack.append(numbers(token.data)[0] & _KITTY_FLAGS)
        del stack[:-_KITTY_DEPTH]

    def _pop_keys(self, token: Token) -> None:
        stack = self._keys[self.alternate]
        count = max(1, numbers(token.data)[0])
        if count > len(stack):
            self._changed_keys[self.alternate] = 0
        del stack[max(0, len(stack) - count) :]

    def _change_keys(self, token: Token) -> None:
        flags, how, *_ = [*numbers(token.data), 1]
        stack = self._keys[self.alternate]
        before = stack[-1] if stack else self._changed_keys[self.alternate]
        after = {2: before | flags, 3: before & ~flags}.get(how, flags) & _KITTY_FLAGS
        if stack:
            stack[-1] = after
        else:
            self._changed_keys[self.alternate] = after

    def _set_other_keys(self, token: Token) -> None:
        key, value, *_ = [*numbers(token.data), 0]
        self._other_keys.pop(key, None)
        if key in _OTHER_KEYS and value:
            self._other_keys[key] = b"%d" % min(value, 9)

    # Character sets and the saved cursor ---------------------------------------

    def _set_charset(self, name: bytes) -> None:
        if name[0] in _CHARSETS:
            self._charsets.pop(name[0], None)
            if name[1:] != b"B":
                self._charsets[name[0]] = name[1:]
        elif name[:1] == b"%":
            self._other_charset = name == b"%@"
        elif name in _LOCKING:
            self._shift = b"\x1b" + name

    def _save_cursor(self) -> None:
        origin = _ORIGIN in self._modes
        self._saves[self.alternate] = Save(
            self._pen.copy(), tuple(self._charsets.items()), self._shift, origin
        )

    def _restore_cursor(self) -> None:
        save = self._saves[self.alternate]
        self._pen, self._charsets, self._shift = save.pen.copy(), dict(save.charsets), save.shift
        self._switch(_ORIGIN, on=save.origin)

    # Strings -------------------------------------------------------------------

    def _set_title(self, token: Token) -> None:
        """0 sets the title of window and icon, 1 the icon's, 2 the window's."""
        for kind in {b"0": (b"1", b"2")}.get(token.name, (token.name,)):
            (self._titles.add if token.data else self._titles.discard)(kind)

    def _set_link(self, token: Token) -> None:
        self._link = token.data.partition(b";")[2]

    def _set_progress(self, token: Token) -> None:
        if token.data.startswith(b"4;"):
            self._progress = not token.data.startswith(b"4;0")

    def _set_pointer(self, token: Token) -> None:
        if not token.data.startswith(b"?"):
            self._pointer = token.data

    def _set_palette(self, token: Token) -> None:
        code, data = int(token.name), token.data
        if code not in PALETTE:
            self._forget_palette(code, data)
        elif code in _INDEXED:
            for index, colour in zip(*[iter(data.split(b";"))] * 2, strict=False):
                if index.isdigit() and int(index) < _COLOURS and colour != b"?":
                    self._palette[code, int(index)] = None
        elif data and data != b"?":
            self._palette[code, None] = None

    def _forget_palette(self, reset: int, data: bytes) -> None:
        indices = {int(index) for index in data.split(b";") if index.isdigit()}
        for code, index in list(self._palette):
            if PALETTE[code] == reset and (not indices or index in indices):
                del self._palette[code, index]

    # Undo and redo -------------------------------------------------------------

    @property
    def talking(self) -> bool:
        """Whether the terminal sends, or was asked to send, what the user did not type."""
        keys = any(self._keys.values()) or any(self._changed_keys.values()) or self._other_keys
        return self.alternate or bool(keys) or not TALKING.isdisjoint(self._modes)

    def undo(self) -> bytes:
        """Return the bytes that switch off what is on, and nothing else; empty when nothing is on."""
        after = self._saves[False] if self._screen == SAVES_CURSOR else Save()
        return b"".join([
            *self._undo_strings(),
            *self._left,
            b"\x1b[12h" if self._echoes else b"",
            b"\x1b[?%dr" % WHEEL if self._wheel is not None else b"",
            *(b"\x1b[%dl" % mode for mode in reversed(self._ansi)),
            *(_private(mode, on=mode in ON_AT_START) for mode in reversed(self._modes)),
            b"\x1b7\x1b[r\x1b8" if self._region else b"",
            b"\x1b[0 q" if self._shape else b"",
            *(b"\x1b[>%dm" % key for key in self._other_keys),
            self._undo_keys(alternate=self.alternate),
            _private(self._screen, on=False) if self._screen else b"\x1b[?47l" if self._doubtful else b"",
            self._undo_hidden_keys(alternate=not self.alternate),
            *(b"\x1b%cB" % slot for slot in {**self._charsets, **dict(after.charsets)}),
            b"\x0f" if self._shift or after.shift else b"",
            b"\x1b%G" if self._other_charset else b"",
            b"\x1b[m" if self._pen.attributes() or after.pen.attributes() else b"",
        ])  # fmt: skip

    def _undo_strings(self) -> list[bytes]:
        resets = [b"\x1b]8;;\x1b\\"] if self._link else []
        resets += [b"\x1b]22;\x1b\\"] if self._pointer else []
        resets += [_own_directory()] if self._moved else []
        resets += [b"\x1b]9;4;0\x1b\\"] if self._progress else []
        # No terminal tells the former value; an empty one restores its own, or the next prompt sets one.
        resets += [b"\x1b]0;\x1b\\"] if self._titles else []
        for code, index in self._palette:
            place = b";%d" % index if index is not None else b""
            resets.append(b"\x1b]%d%b\x1b\\" % (PALETTE[code], place))
        return resets

    def _undo_keys(self, *, alternate: bool) -> bytes:
        depth = len(self._keys[alternate])
        pop = b"\x1b[<%du" % depth if depth else b""
        return pop + (b"\x1b[=0;1u" if self._changed_keys[alternate] else b"")

    def _undo_hidden_keys(self, *, alternate: bool) -> bytes:
        """Each screen has its own keyboard modes: undo those of the screen that is not shown."""
        keys = self._undo_keys(alternate=alternate)
        if not keys or not alternate:
            return keys
        return b"\x1b[?1047h" + keys + b"\x1b[?1047l"

    def redo(self, drawing: bytes = b"") -> bytes:
        """Return the bytes that switch on, in a fresh terminal, what is on.

        ``drawing`` is inserted on the right screen, before the modes that would change its meaning.  A
        synchronized update is not resumed, since the terminal would show nothing until its end.  Links,
        palette, pointer, progress and title are left out, as their values are not kept.
        """
        return b"".join([
            self._redo_keys(alternate=False),
            _private(self._screen, on=True) + self._redo_keys(alternate=True) if self._screen else b"",
            drawing,
            *(b"\x1b[%dh" % mode for mode in self._ansi),
            b"\x1b[12l" if self._echoes else b"",
            _private(WHEEL, on=self._wheel) if self._wheel is not None else b"",
            *(_private(mode, on=mode not in ON_AT_START) for mode in self._modes if mode != SYNCHRONIZED),
            b"\x1b7\x1b[%d;%dr\x1b8" % self._region if self._region else b"",
            *(b"\x1b[>%d;%bm" % (key, value) for key, value in self._other_keys.items()),
            b"\x1b[%b q" % self._shape if self._shape else b"",
            b"\x1b%@" if self._other_charset else b"",
            *(b"\x1b%c%b" % (slot, charset) for slot, charset in self._charsets.items()),
            self._shift,
            self._pen.redo(),
        ])  # fmt: skip

    def _redo_keys(self, *, alternate: bool) -> bytes:
        changed = self._changed_keys[alternate]
        base = b"\x1b[=%d;1u" % changed if changed else b""
        return base + b"".join(b"\x1b[>%du" % flags for flags in self._keys[alternate])


def _is_question(token: Token) -> bool:
    """Tell whether terminals answer it."""
    if token.kind == CSI:
        return token.name in _QUESTIONS or (token.name == b"t" and numbers(token.data)[0] in _REPORTS)
    if token.kind == OSC:
        return b"?" in token.data
    return (token.kind, token.name) == (ESCAPE, b"Z")


def _own_directory() -> bytes:
    """Return the sequence that reports the shell's directory again: the one that realm was started in."""
    import socket
    from urllib.parse import quote

    with suppress(OSError):
        return f"\x1b]7;file://{quote(socket.gethostname())}{quote(os.getcwdb())}\x1b\\".encode()  # noqa: PTH109
    return b"\x1b]7;\x1b\\"


def _private(mode: int, *, on: bool) -> bytes:
    if mode == KEYPAD:
        # The older sequences, DECKPAM and DECKPNM: tmux does not know the mode.
        return b"\x1b=" if on else b"\x1b>"
    return b"\x1b[?%d%c" % (mode, b"h" if on else b"l")


def _may_switch(chunk: bytes) -> bool:
    """Tell quickly whether ``chunk`` can change anything."""
    if ESC in chunk or b"\x0e" in chunk or b"\x0f" in chunk:
        return True
    return not chunk.isascii() and (b"\xc2\x9b" in chunk or chunk.endswith(b"\xc2"))
