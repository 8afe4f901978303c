"""A screen of which most was drawn long ago is played from a keyframe, not from the last bytes alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from realm.terminal.recording import keyframes
from realm.terminal.recording.playback import keep, play
from realm.terminal.recording.recorder import Recorder
from realm.terminal.recording.segments import Marker
from realm.terminal.render.drawing import read

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (5, 40)
OLD = b"drawn once\r\n\x1b[5;1Hstatus line\x1b[?25l\x1b[?2004h"


def spin(recorder: Recorder, size: int, letter: bytes = b"*") -> None:
    """Draw one cell again and again, some bytes of it."""
    piece = b"\x1b[3;1H" + letter
    for _ in range(size // (100 * len(piece))):
        recorder.feed(piece * 100)
    recorder.flush()


def shown(place: Path) -> list[str]:
    played = play(place, SIZE)
    assert played is not None
    return read(played.screen).splitlines()


def made(place: Path) -> Recorder:
    recorder = Recorder(place, limit=8 << 20)
    recorder.resize(*SIZE)
    recorder.feed(OLD)
    return recorder


def test_what_was_drawn_long_ago_is_there(tmp_path: Path) -> None:
    recorder = made(tmp_path)
    for letter in (b"a", b"b", b"c", b"d", b"e"):
        spin(recorder, 60_000, letter)
        assert keep(tmp_path, SIZE)
    spin(recorder, 30_000, b"f")
    assert shown(tmp_path) == ["drawn once", "", "f", "", "status line"]
    played = play(tmp_path, SIZE)
    assert played is not None
    assert not played.lacking
    assert b"\x1b[?2004h" in played.modes.redo(b"")


def test_without_one_it_is_said_that_something_may_lack(tmp_path: Path) -> None:
    recorder = made(tmp_path)
    spin(recorder, 300_000)
    played = play(tmp_path, SIZE)
    assert played is not None
    assert played.lacking


def test_one_is_made_only_where_it_is_worth_it(tmp_path: Path) -> None:
    recorder = made(tmp_path)
    recorder.flush()
    assert not keep(tmp_path, SIZE)
    spin(recorder, 60_000)
    recorder.feed(b"\x1b[3")  # a sequence that is cut
    recorder.flush()
    assert not keep(tmp_path, SIZE)
    recorder.feed(b"1m")
    recorder.flush()
    assert keep(tmp_path, SIZE)
    assert not keep(tmp_path, SIZE)


def test_an_earlier_moment_is_played_from_an_earlier_one(tmp_path: Path) -> None:
    recorder = made(tmp_path)
    spin(recorder, 60_000, b"a")
    assert keep(tmp_path, SIZE)
    moment = time.time()
    time.sleep(0.01)
    spin(recorder, 60_000, b"b")
    assert keep(tmp_path, SIZE)
    played = play(tmp_path, SIZE, until=moment)
    assert played is not None
    assert read(played.screen).splitlines()[2] == "a"


def test_a_gap_and_another_size_behind_it_count(tmp_path: Path) -> None:
    recorder = made(tmp_path)
    spin(recorder, 60_000)
    assert keep(tmp_path, SIZE)
    recorder.resize(4, 30)
    recorder.mark(Marker.GAP)
    recorder.feed(b"x")
    recorder.flush()
    played = play(tmp_path, SIZE)
    assert played is not None
    assert (played.screen.lines, played.screen.columns) == (4, 30)
    assert played.lacking


def test_a_damaged_one_is_passed_over(tmp_path: Path) -> None:
    recorder = made(tmp_path)
    spin(recorder, 60_000)
    assert keep(tmp_path, SIZE)
    good = keyframes.latest(tmp_path)
    assert good is not None
    (tmp_path / "keyframes" / str(good.offset + 1)).write_bytes(b"{}\n")
    assert keyframes.latest(tmp_path) == good
