"""asciinema's own player takes our casts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from realm.terminal.recording import cast
from realm.terminal.recording.cast import Header
from realm.terminal.recording.recorder import Recorder, chunks
from realm.terminal.recording.segments import Size
from tests.support.cast import check
from tests.support.terminal import Seat, recordings

ASCIINEMA = shutil.which("asciinema", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
player = pytest.mark.skipif(ASCIINEMA is None, reason="asciinema is not installed")


def made(directory: Path, name: str) -> Path:
    """Return the cast of a recording, made the whole way over the disk."""
    recorder = Recorder(directory / "recording", limit=1 << 20)
    recorder.resize(24, 80)
    output = recordings()[name]
    for place in range(0, len(output), 500):
        recorder.feed(output[place : place + 500])
    recorder.close()
    header = Header(Size(24, 80), 1_700_000_000.0, "fix, run 1", {"TERM": "xterm-256color"})
    path = directory / f"{name}.cast"
    path.write_bytes(cast.cut(header, cast.moments(chunks(directory / "recording")), 1 << 20))
    check(path.read_bytes())
    return path


@player
@pytest.mark.parametrize("name", recordings())
def test_it_reads_every_event(tmp_path: Path, name: str) -> None:
    path = made(tmp_path, name)
    done = subprocess.run([str(ASCIINEMA), "cat", str(path)], check=True, capture_output=True, timeout=60)
    _, events = cast.read(path.read_bytes())
    assert done.stdout.decode() == "".join(event.data for event in events if event.code == "o")


@player
def test_it_plays_one_on_a_terminal(tmp_path: Path) -> None:
    path = made(tmp_path, "vim-quit")
    with Seat([str(ASCIINEMA), "play", "-s", "100", str(path)]) as seat:
        assert seat.finish(60) == 0
        assert b"\x1b[?1049h" in seat.output
