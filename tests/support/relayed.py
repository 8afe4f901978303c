"""A small realm for tests: a program in a pseudo-terminal, relayed to the terminal this runs in."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from realm.terminal.relay import detach
from realm.terminal.relay.loop import relay
from realm.terminal.relay.tty import Terminal
from tests.support.screens import Screen
from tests.support.terminal import PtyBox


class CrashError(Exception):
    """Stands for a bug in realm."""


def main(settings: dict[str, Any]) -> int:
    terminal = Terminal()
    screen = Screen(*terminal.size())
    crash = settings.get("crash", "").encode()
    boxes: list[PtyBox] = []

    def tap(data: bytes) -> None:
        screen.feed(data)
        if crash and crash in data:
            raise CrashError

    def resize(rows: int, columns: int) -> None:
        box.resize(rows, columns)
        screen.resize(rows, columns)

    box = PtyBox(settings["program"])
    boxes.append(box)
    keys = detach.parse(settings.get("detach", ""))
    try:
        with terminal.raw(screen.text):
            ended = relay(box, terminal, tap=tap, resize=resize, detach=keys)
    finally:
        alive = box.process.poll() is None
        box.process.kill()
        box.process.wait()
    report = {
        "reason": ended.reason,
        "signal": ended.signal,
        "alive": alive,
        "modes": terminal.modes.undo().decode(),
        "screen": screen.text(),
    }
    written = Path(settings["report"] + ".part")
    written.write_text(json.dumps(report))
    written.rename(settings["report"])
    print("after realm")
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
