"""Following what a program's bytes switch on and off in a terminal.

Fed with everything on its way to the user, so plain output must cost next to
nothing: only chunks that can hold a sequence are looked at.  Sources of the
numbers: xterm's control sequences, the kitty keyboard protocol, and the
terminals' own pages for 2026, 2027, 2031, 2048 and 9001.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from realm.terminal.ansi.sequences import Sequence, find, may_matter, numbers, split
from realm.terminal.ansi.sgr import Pen

if TYPE_CHECKING:
    from collections.abc import Callable

ON_AT_START = {7: "autowrap", 8: "key repeat", 25: "cursor"}
OFF_AT_START = {
    1: "cursor keys", 5: "reverse video", 6: "origin", 9: "mouse", 12: "blinking cursor", 45: "reverse wrap",
    66: "keypad", 67: "backspace key", 69: "side margins", 1000: "mouse", 1001: "mouse", 1002: "mouse",
    1003: "mouse", 1004: "focus", 1005: "mouse", 1006: "mouse", 1015: "mouse", 1016: "mouse", 2004: "paste",
    2026: "synchronized output", 2027: "grapheme clusters", 2031: "theme", 2048: "size reports",
    9001: "win32 keys",
}  # fmt: skip
_ALTERNATE = {47, 1047, 1049}
SAVES_CURSOR = 1049
ANSI = {2: "keyboard lock", 4: "insert", 20: "new line"}
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
    """What DECSC keeps besides the cursor's place."""

    pen: Pen = Pen()
    charsets: tuple[tuple[int, bytes], ...] = ()
    shift: bytes = b""
    origin: bool = False


class Tracker:
    """Follows what is on now, from the program's own bytes, however they were cut."""

    def __init__(self) -> None:
        self._carry = b""
        self._rows: int | None = None
        self._doubtful = False
        self._screen = 0
        self._titles: set[bytes] = set()
        self._handlers: dict[tuple[str, bytes], Callable[[Sequence], None]] = {
            ("csi", b"?h"): lambda sequence: self._set(sequence, on=True),
            ("csi", b"?l"): lambda sequence: self._set(sequence, on=False),
            ("csi", b"?s"): self._save_modes,
            ("csi", b"?r"): self._restore_modes,
            ("csi", b"h"): lambda sequence: self._set_ansi(sequence, on=True),
            ("csi", b"l"): lambda sequence: self._set_ansi(sequence, on=False),
            ("csi", b"r"): self._set_region,
            ("csi", b" q"): self._set_shape,
            ("csi", b">u"): self._push_keys,
            ("csi", b"<u"): self._pop_keys,
            ("csi", b"=u"): self._change_keys,
            ("csi", b">m"): self._set_other_keys,
            ("csi", b">n"): self._reset_other_keys,
            ("csi", b"!p"): lambda _: self._soft_reset(),
            ("esc", b"c"): lambda _: self._reset(),
            ("esc", b"7"): lambda _: self._save_cursor(),
            ("esc", b"8"): lambda _: self._restore_cursor(),
            ("esc", b"="): lambda _: self._switch(KEYPAD, on=True),
            ("esc", b">"): lambda _: self._switch(KEYPAD, on=False),
            ("osc", b"0"): self._set_title,
            ("osc", b"1"): self._set_title,
            ("osc", b"2"): self._set_title,
            ("osc", b"8"): self._set_link,
            ("osc", b"9"): self._set_progress,
            ("osc", b"22"): self._set_pointer,
        }
        self._reset()

    def _reset(self) -> None:
        """RIS: all as at the start; not every terminal leaves the alternate screen for it."""
        self._doubtful = self._doubtful or self._screen > 0
        self._pen = Pen()
        self._modes: dict[int, None] = {}
        self._ansi: dict[int, None] = {}
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
        if not self._carry and not may_matter(chunk):
            return
        data, self._carry = split(self._carry + chunk)
        start = 0
        for sequence in find(data):
            # The pen is behind: it needs to be up to date only where it is saved or reset.
            self._pen.feed(data, start, sequence.start)
            start = sequence.start
            self._take(sequence)
        self._pen.feed(data, start, len(data))

    def _take(self, sequence: Sequence) -> None:
        handler = self._handlers.get((sequence.kind, sequence.name))
        if handler is not None:
            handler(sequence)
        elif sequence.kind == "osc":
            self._set_palette(sequence)
        elif sequence.kind == "shift":
            self._shift = b"" if sequence.name == b"\x0f" else sequence.name
        elif sequence.kind == "esc":
            self._set_charset(sequence.name)

    @property
    def alternate(self) -> bool:
        """Whether the alternate screen is shown."""
        return bool(self._screen)

    def is_on(self, mode: int) -> bool:
        """Whether the private mode ``mode``, one of those that are followed, is on."""
        return (mode in self._modes) != (mode in ON_AT_START)

    def resize(self, rows: int) -> None:
        """Say how many rows the terminal has: a scroll region of all of them is none."""
        self._rows = rows

    # Private and ANSI modes ----------------------------------------------------

    def _set(self, sequence: Sequence, *, on: bool) -> None:
        for mode in numbers(sequence.data):
            self._switch(mode, on=on)

    def _switch(self, mode: int, *, on: bool) -> None:
        if mode in _ALTERNATE:
            self._show(mode, on=on)
        elif mode in ON_AT_START or mode in OFF_AT_START:
            self._modes.pop(mode, None)
            if on != (mode in ON_AT_START):
                self._modes[mode] = None

    def _show(self, mode: int, *, on: bool) -> None:
        """Change between the main and the alternate screen."""
        self._doubtful = False
        if on and mode == SAVES_CURSOR and not self._screen:
            self._save_cursor()
        self._screen = mode if on else 0
        if not on and mode == SAVES_CURSOR:
            self._restore_cursor()

    def _save_modes(self, sequence: Sequence) -> None:
        for mode in numbers(sequence.data)[:_MAX_SAVED]:
            if mode in ON_AT_START or mode in OFF_AT_START:
                self._saved[mode] = (mode in self._modes) != (mode in ON_AT_START)
            elif mode in _ALTERNATE:
                self._saved[mode] = self.alternate

    def _restore_modes(self, sequence: Sequence) -> None:
        for mode in numbers(sequence.data):
            if mode in self._saved:
                self._switch(mode, on=self._saved[mode])

    def _set_ansi(self, sequence: Sequence, *, on: bool) -> None:
        for mode in numbers(sequence.data):
            self._ansi.pop(mode, None)
            if on and mode in ANSI:
                self._ansi[mode] = None

    def _soft_reset(self) -> None:
        """DECSTR: what concerns writing; mouse, paste and the screen shown stay."""
        for mode in _SOFT_RESET:
            self._modes.pop(mode, None)
        self._ansi.clear()
        self._region, self._shift = None, b""
        self._charsets.clear()
        self._pen.clear()
        self._saves[self.alternate] = Save()

    def _set_region(self, sequence: Sequence) -> None:
        top, bottom, *_ = [*numbers(sequence.data), 0, 0]
        whole = max(top, 1) == 1 and (bottom == 0 or (self._rows is not None and bottom >= self._rows))
        self._region = None if whole else (max(top, 1), bottom)

    def _set_shape(self, sequence: Sequence) -> None:
        shape = numbers(sequence.data)[0]
        self._shape = b"%d" % shape if 0 < shape <= _LAST_SHAPE else b""

    # Keyboard protocols --------------------------------------------------------

    def _push_keys(self, sequence: Sequence) -> None:
        stack = self._keys[self.alternate]
        stack.append(numbers(sequence.data)[0] & _KITTY_FLAGS)
        del stack[:-_KITTY_DEPTH]

    def _pop_keys(self, sequence: Sequence) -> None:
        stack = self._keys[self.alternate]
        count = max(1, numbers(sequence.data)[0])
        if count > len(stack):
            self._changed_keys[self.alternate] = 0
        del stack[max(0, len(stack) - count) :]

    def _change_keys(self, sequence: Sequence) -> None:
        flags, how, *_ = [*numbers(sequence.data), 1]
        stack = self._keys[self.alternate]
        before = stack[-1] if stack else self._changed_keys[self.alternate]
        after = {2: before | flags, 3: before & ~flags}.get(how, flags) & _KITTY_FLAGS
        if stack:
            stack[-1] = after
        else:
            self._changed_keys[self.alternate] = after

    def _set_other_keys(self, sequence: Sequence) -> None:
        key, value, *_ = [*numbers(sequence.data), 0]
        self._other_keys.pop(key, None)
        if key in _OTHER_KEYS and value:
            self._other_keys[key] = b"%d" % min(value, 9)

    def _reset_other_keys(self, sequence: Sequence) -> None:
        self._other_keys.pop(numbers(sequence.data)[0], None)

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

    def _set_title(self, sequence: Sequence) -> None:
        """0 names the window and its icon, 1 the icon, 2 the window."""
        for kind in {b"0": (b"1", b"2")}.get(sequence.name, (sequence.name,)):
            (self._titles.add if sequence.data else self._titles.discard)(kind)

    def _set_link(self, sequence: Sequence) -> None:
        self._link = sequence.data.partition(b";")[2]

    def _set_progress(self, sequence: Sequence) -> None:
        if sequence.data.startswith(b"4;"):
            self._progress = not sequence.data.startswith(b"4;0")

    def _set_pointer(self, sequence: Sequence) -> None:
        if not sequence.data.startswith(b"?"):
            self._pointer = sequence.data

    def _set_palette(self, sequence: Sequence) -> None:
        code, data = int(sequence.name), sequence.data
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
