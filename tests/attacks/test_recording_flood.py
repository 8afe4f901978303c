"""Attack: output that takes so much work to make harmless that the end of a run never comes."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from realm.session import recordings
from realm.terminal.recording import cast, segments
from realm.terminal.recording.segments import Size
from tests.support.cast import check

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT = 8 << 20
"""What is recorded of a run unless a setting says otherwise."""
FLOODS = {
    "resets": b"\x1bc",
    "saved cursors": b"\x1b7",
    "regions": b"\x1b[5;9r",
    "many modes": b"\x1b[?6;7;25;47;1047;1049h",
    "titles and modes": b"\x1b]0;evil\x07\x1b[?1000h\x1b[?2004h\x1b[?1049h\x1b[?1049l",
    "shifts": b"\x0e\x0f",
    "c1": "\x9b5r".encode(),
    "movements": b"\x1b[H",
}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give everything a tenth of the usual time."""
    monkeypatch.setattr(cast, "_TRIES", [(part, seconds / 10) for part, seconds in cast._TRIES])


@pytest.mark.parametrize("name", FLOODS)
def test_the_end_of_a_run_does_not_wait(tmp_path: Path, name: str) -> None:
    flood = FLOODS[name]
    write(tmp_path, [flood * (4096 // len(flood))] * (LIMIT // 4096) + [b"\x1b[!p\x1b[2Jthe last words"])
    bounded(tmp_path)


def test_many_small_pieces_do_not_make_it_wait(tmp_path: Path) -> None:
    write(tmp_path, [b"x"] * (LIMIT // (segments.FRAME.size + 1)) + [b"the last words"])
    bounded(tmp_path)


def bounded(directory: Path) -> None:
    started = time.process_time()
    for _ in range(10_000_000):
        pass
    loop = time.process_time() - started
    # Measured: 7 times that loop at most.  Without a bound a megabyte of resets takes 80 times as long.
    with limited(14 * loop):
        data = recordings.cast(directory, (24, 80), LIMIT)
    events = check(data)
    assert "bytes of earlier output were not kept" in events[0][2] or events[0][1] == "r"
    assert events[-1][2].endswith("the last words")


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Fail what takes more processor time, as soon as it does."""

    def late(*_: object) -> None:
        raise AssertionError(f"it took more than {seconds:.1f} seconds of processor time")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def write(directory: Path, pieces: list[bytes]) -> None:
    frames = [segments.FRAME.pack(1.0, 4, segments.RESIZE), segments.SIZE.pack(*Size(24, 80))]
    for number, piece in enumerate(pieces):
        frames += [segments.FRAME.pack(1.0 + number / 1000, len(piece), segments.OUTPUT), piece]
    (directory / "000001.rec").write_bytes(segments.MAGIC + segments.OFFSET.pack(0) + b"".join(frames))
