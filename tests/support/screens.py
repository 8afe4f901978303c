"""A terminal's screen that can return its text."""

from __future__ import annotations

from realm.terminal.emulator import Screen as _Screen
from realm.terminal.render.drawing import draw, read


class Screen(_Screen):
    def text(self) -> str:
        return read(self)

    def ansi(self) -> bytes:
        return draw(self)
