"""What realm takes out of a program's output, and puts into it, disturbs no screen: a terminal judges."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING

import pytest

from realm.terminal.ansi.modes import Modes
from realm.terminal.relay.events import Observed
from realm.terminal.relay.notice import BELL, notification
from tests.support.terminal import Judge, PlainSandbox, recordings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORDINGS = recordings()
BEGUN, ENDED = b"\x16\x1b[?7325l", b"\x16\x1b[?7325h"
WORDS = [BELL + notification("fix finished a turn", {"TERM": term}) for term in ("xterm", "rxvt", "tmux")]
SYNCHRONIZED = 2026


class Pieces(PlainSandbox):
    """A sandbox's stream that has been written already."""

    tty = True

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def fileno(self) -> int:
        return -1

    def recv(self, _size: int) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def send(self, data: bytes, /) -> int:
        return len(data)

    def close_write(self) -> None:
        """There is no input."""


def cut(data: bytes, rng: random.Random, count: int) -> list[bytes]:
    places = sorted(rng.randrange(len(data)) for _ in range(count))
    return [
        data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True) if end > start
    ]


def marked(data: bytes, rng: random.Random) -> bytes:
    """Put marks anywhere, also into sequences: the sandbox's programs write as they like."""
    pieces = cut(data, rng, 50)
    return b"".join(piece + rng.choice((BEGUN, ENDED)) for piece in pieces)


def overheard(pieces: list[bytes]) -> tuple[bytes, int]:
    """Return a user's terminal's output with our text at every allowed position, and the number of those."""
    modes, shown, count = Modes(), b"", 0
    stream = Observed(Pieces(pieces), lambda _: None)
    stream.settled = lambda: not modes.is_on(SYNCHRONIZED)
    while pieces:
        stream.say(WORDS[count % len(WORDS)])
        if stream.pending():
            shown += stream.recv(65536)
            count += 1
        stream.say(b"")
        with contextlib.suppress(BlockingIOError):
            data = stream.recv(65536)
            modes.feed(data)
            shown += data
    return shown, count


@pytest.fixture
def judge(tmp_path: Path) -> Iterator[Judge]:
    with Judge(tmp_path) as made:
        yield made


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_screen_is_the_programs(judge: Judge, tmp_path: Path, name: str) -> None:
    rng = random.Random(name)  # noqa: S311 - the same each time
    output = RECORDINGS[name]
    judge.show(output, tmp_path)
    seen, state = judge.screen(), judge.state()
    pieces = cut(marked(output, rng), rng, 400)
    shown, words = overheard(pieces)
    assert words > 20
    judge.show(shown, tmp_path)
    assert judge.screen() == seen
    assert judge.state() == state
