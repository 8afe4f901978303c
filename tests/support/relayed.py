"""A small realm for tests: a program in a pseudo-terminal, relayed to the terminal this runs in."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from realm.config import DETACH_KEYS
from realm.terminal.recording.playback import Played, play_events
from realm.terminal.relay.loop import relay
from realm.terminal.relay.tty import Terminal
from realm.terminal.render.drawing import below, draw, read
from tests.support.terminal import PtySandbox

_NEWEST = 160_000
"""Bytes of output that a screen is played from."""


class CrashError(Exception):
    """Stands for a bug in realm."""


def main(settings: dict[str, Any]) -> int:
    terminal = Terminal()
    newest = bytearray()
    crash = settings.get("crash", "").encode()
    sandboxes: list[PtySandbox] = []

    def tap(data: bytes) -> None:
        newest.extend(data)
        del newest[:-_NEWEST]
        if crash and crash in data:
            raise CrashError

    def resize(rows: int, columns: int) -> None:
        sandbox.resize(rows, columns)

    class Shown:
        def _played(self) -> Played | None:
            return play_events([(0.0, bytes(newest))], terminal.size())

        def text(self) -> str:
            played = self._played()
            return read(played.screen) if played is not None else ""

        def below(self) -> int:
            played = self._played()
            return below(played.screen) if played is not None else 0

        def drawing(self) -> bytes:
            played = self._played()
            return played.modes.redo(draw(played.screen)) if played is not None else b""

    shown = Shown()
    sandbox = PtySandbox(settings["program"])
    sandboxes.append(sandbox)
    keys = DETACH_KEYS.read(settings.get("detach", ""))
    try:
        with terminal.raw(shown):
            ended = relay(sandbox, terminal, tap=tap, resize=resize, detach=keys)
    finally:
        alive = sandbox.process.poll() is None
        sandbox.process.kill()
        sandbox.process.wait()
    report = {
        "reason": ended.reason,
        "signal": ended.signal,
        "alive": alive,
        "modes": terminal.modes.undo().decode(),
        "screen": shown.text(),
    }
    written = Path(settings["report"] + ".part")
    written.write_text(json.dumps(report))
    written.rename(settings["report"])
    print("after realm")
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
