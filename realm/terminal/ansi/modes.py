"""An account of what a program switched on in the terminal: what is on, how to undo it, how to redo it."""

from __future__ import annotations

from realm.terminal.ansi.tracker import (
    ANSI,
    KEYPAD,
    OFF_AT_START,
    ON_AT_START,
    PALETTE,
    SAVES_CURSOR,
    Save,
    Tracker,
)

TALKING = {9, 1000, 1001, 1002, 1003, 1004, 2031, 2048, 9001}
_SYNCHRONIZED = 2026


class Modes(Tracker):
    """What is on now; feed it with all that goes to the terminal."""

    @property
    def talking(self) -> bool:
        """Whether the terminal sends, or was asked for, what nobody typed."""
        keys = any(self._keys.values()) or any(self._changed_keys.values()) or self._other_keys
        return self.alternate or bool(keys) or not TALKING.isdisjoint(self._modes)

    def active(self) -> tuple[str, ...]:
        """Return what is on, in words with the number in brackets, for people and for the record."""
        names = [f"alternate screen ({self._screen})"] if self._screen else []
        names += [f"{_name(mode)} ({mode})" for mode in self._modes]
        names += [f"{ANSI[mode]} ({mode})" for mode in self._ansi]
        depth = len(self._keys[False]) + len(self._keys[True])
        names += [f"kitty keys ({depth})"] if depth or any(self._changed_keys.values()) else []
        names += [f"other keys ({key})" for key in self._other_keys]
        names += [name for name, state in self._states() if state]
        return (*names, *self._pen.attributes())

    def _states(self) -> list[tuple[str, object]]:
        return [
            ("scroll region", self._region),
            ("character set", self._charsets or self._shift or self._other_charset),
            ("cursor shape", self._shape),
            ("pointer", self._pointer),
            ("link", self._link),
            ("progress", self._progress),
            ("title", self._titles),
            ("palette", self._palette),
        ]

    def undo(self) -> bytes:
        """Return the bytes that switch off what is on, and nothing else; empty when nothing is."""
        after = self._saves[False] if self._screen == SAVES_CURSOR else Save()
        other = not self.alternate
        return b"".join([
            *self._undo_strings(),
            *(b"\x1b[%dl" % mode for mode in reversed(self._ansi)),
            *(_private(mode, on=mode in ON_AT_START) for mode in reversed(self._modes)),
            b"\x1b7\x1b[r\x1b8" if self._region else b"",
            b"\x1b[0 q" if self._shape else b"",
            *(b"\x1b[>%dm" % key for key in self._other_keys),
            self._undo_keys(alternate=self.alternate),
            _private(self._screen, on=False) if self._screen else b"\x1b[?47l" if self._doubtful else b"",
            self._undo_hidden_keys(alternate=other),
            self._undo_charsets({**self._charsets, **dict(after.charsets)}, self._shift or after.shift),
            b"\x1b[m" if self._pen.attributes() or after.pen.attributes() else b"",
        ])  # fmt: skip

    def _undo_strings(self) -> list[bytes]:
        resets = [b"\x1b]8;;\x1b\\"] if self._link else []
        resets += [b"\x1b]22;\x1b\\"] if self._pointer else []
        resets += [b"\x1b]9;4;0\x1b\\"] if self._progress else []
        # What it was before no terminal says; empty, it is the terminal's own again, or the next prompt's.
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
        """Each screen has keys of its own: those of the one that is not shown any more, or not yet."""
        keys = self._undo_keys(alternate=alternate)
        if not keys or not alternate:
            return keys
        return b"\x1b[?1047h" + keys + b"\x1b[?1047l"

    def _undo_charsets(self, charsets: dict[int, bytes], shift: bytes) -> bytes:
        designations = b"".join(b"\x1b%cB" % slot for slot in charsets)
        return designations + (b"\x0f" if shift else b"") + (b"\x1b%G" if self._other_charset else b"")

    def redo(self, drawing: bytes = b"") -> bytes:
        """Return the bytes that switch on, in a fresh terminal, what is on.

        ``drawing`` is put on the right screen, before the modes that would
        change what it means.  A synchronized update is not begun again: the
        terminal would show nothing until its end; nor are links, palette,
        pointer, progress and title, whose values are not kept.
        """
        region = b"\x1b7\x1b[%d;%dr\x1b8" % self._region if self._region else b""
        return b"".join([
            self._redo_keys(alternate=False),
            _private(self._screen, on=True) + self._redo_keys(alternate=True) if self._screen else b"",
            drawing,
            *(b"\x1b[%dh" % mode for mode in self._ansi),
            *(_private(mode, on=mode not in ON_AT_START) for mode in self._modes if mode != _SYNCHRONIZED),
            region,
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


def _private(mode: int, *, on: bool) -> bytes:
    if mode == KEYPAD:
        # The older way, DECKPAM and DECKPNM: tmux does not know the mode.
        return b"\x1b=" if on else b"\x1b>"
    return b"\x1b[?%d%c" % (mode, b"h" if on else b"l")


def _name(mode: int) -> str:
    return f"no {ON_AT_START[mode]}" if mode in ON_AT_START else OFF_AT_START[mode]
