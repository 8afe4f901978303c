"""Recording what comes by: order, limits, a hand-over, broken files, full disks."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realm.terminal.recording import recorder as recorder_module
from realm.terminal.recording.recorder import Follower, Losses, Recorder, chunks, losses, tail
from realm.terminal.recording.segments import Size

if TYPE_CHECKING:
    from pathlib import Path

steps = st.lists(
    st.binary(max_size=200) | st.builds(Size, st.integers(1, 300), st.integers(1, 300)), max_size=40
)


def output(directory: Path) -> bytes:
    return b"".join(data for _, data in chunks(directory) if isinstance(data, bytes))


def last(directory: Path, wanted: int) -> bytes:
    """Return the last output, as it came."""
    return output(directory)[-wanted:]


def record(directory: Path, *pieces: bytes, limit: int = 1 << 20) -> None:
    recorder = Recorder(directory, limit=limit)
    for piece in pieces:
        recorder.feed(piece)
    recorder.close()
    assert recorder.problem == ""


def on_disk(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


@settings(derandomize=True, max_examples=60)
@given(steps=steps, cuts=st.sets(st.integers(0, 40), max_size=4))
def test_what_is_read_is_what_was_fed_whoever_wrote_it(
    tmp_path_factory: pytest.TempPathFactory, steps: list[bytes | Size], cuts: set[int]
) -> None:
    directory = tmp_path_factory.mktemp("recording")
    recorder = Recorder(directory, limit=1 << 20)
    size, expected = None, b""
    for place, step in enumerate(steps):
        if place in cuts:
            recorder.close()
            recorder = Recorder(directory, limit=1 << 20)
        if isinstance(step, bytes):
            recorder.feed(step)
            expected += step
        else:
            recorder.resize(*step)
            size = step
    recorder.close()
    events = list(chunks(directory))
    assert output(directory) == expected
    assert [event for _, event in events if isinstance(event, Size)][-1:] == ([size] if size else [])
    moments = [moment for moment, _ in events]
    assert moments == sorted(moments)
    assert last(directory, 100) == expected[-100:]
    assert losses(directory) == Losses()


def test_sizes_and_output_keep_their_order(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "new" / "here", limit=1 << 20)
    recorder.resize(24, 80)
    recorder.feed(b"a")
    recorder.resize(24, 80)
    recorder.resize(10**9, 0)
    recorder.feed(b"b")
    recorder.close()
    events = [event for _, event in chunks(tmp_path / "new" / "here")]
    assert events == [Size(24, 80), b"a", Size(65535, 1), b"b"]


@pytest.mark.parametrize("limit", [1, 5000, 40_000])
def test_the_newest_output_is_kept_and_what_went_is_counted(tmp_path: Path, limit: int) -> None:
    pieces = [b"\n%06d" % number for number in range(20_000)]
    record(tmp_path, *pieces, limit=limit)
    whole, kept = b"".join(pieces), output(tmp_path)
    assert whole.endswith(kept)
    assert losses(tmp_path).dropped == len(whole) - len(kept)
    assert on_disk(tmp_path) <= limit + 100
    if limit >= 5000:
        assert len(kept) > limit // 5


def test_no_disk_is_needed_for_what_a_flood_drops(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, limit=1 << 20)
    for _ in range(400):
        recorder.feed(b"\n" + b"x" * 65535)
        assert on_disk(tmp_path) <= (1 << 20) + 70_000
    recorder.close()
    kept = len(tail(tmp_path, 1 << 30).events) * 65536
    assert losses(tmp_path).dropped == 400 * 65536 - kept
    assert kept > 1 << 19


def test_without_its_beginning_it_starts_with_size_and_state_where_nothing_is_cut(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, limit=4000, state=lambda: b"\x1b[?1049h")
    recorder.resize(30, 100)
    for number in range(2000):
        recorder.feed(b"31m;%d\x1b[" % number)
    recorder.close()
    events = [event for _, event in chunks(tmp_path)]
    assert events[:2] == [Size(30, 100), b"\x1b[?1049h"]
    assert isinstance(events[2], bytes)
    assert events[2].startswith(b"\x1b[")
    assert events.count(b"\x1b[?1049h") == 1


def test_a_whole_recording_has_no_state_in_it(tmp_path: Path) -> None:
    for piece in (b"one", b"two"):
        recorder = Recorder(tmp_path, limit=1 << 20, state=lambda: b"\x1b[?1049h")
        recorder.feed(piece)
        recorder.close()
    assert output(tmp_path) == b"onetwo"


def test_the_last_part_is_read_alone(tmp_path: Path) -> None:
    record(tmp_path, *(b"\n%06d" % number for number in range(20_000)), limit=1 << 17)
    found = tail(tmp_path, 1000)
    part = b"".join(data for _, data in found.events if isinstance(data, bytes))
    assert output(tmp_path).endswith(part)
    assert 900 <= len(part) <= 1000
    assert found.left_out + 1000 == 7 * 20_000


def test_many_hand_overs_lose_nothing(tmp_path: Path) -> None:
    for number in range(50):
        record(tmp_path, b"%d\n" % number, limit=1 << 16)
    assert output(tmp_path) == b"".join(b"%d\n" % number for number in range(50))


_WRITER = """
import sys, pathlib
from realm.terminal.recording import recorder as recorder_module
from realm.terminal.recording.recorder import Recorder
recorder = Recorder(pathlib.Path(sys.argv[1]), limit=1 << 16)
recorder.resize(24, 80)
number = 0
while True:
    recorder.feed(b"%08d\\n" % number)
    number += 1
    if number % 7 == 0:
        recorder.flush()
    if number == 3000:
        print("on the way", flush=True)
"""


def test_after_kill_9_what_was_flushed_is_there_and_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
    kept = output(tmp_path).split()
    assert len(kept) > 1000
    assert [int(line) for line in kept] == list(range(int(kept[0]), int(kept[0]) + len(kept)))
    last = int(kept[-1])
    record(tmp_path, b"after\n", limit=1 << 16)
    assert output(tmp_path).endswith(b"%08d\nafter\n" % last)


@settings(derandomize=True, max_examples=60)
@given(cut=st.integers(0, 400))
def test_a_last_frame_that_is_cut_short_is_left_out(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    directory = tmp_path_factory.mktemp("recording")
    record(directory, *(b"\n%03d" % number for number in range(20)))
    path = next(directory.iterdir())
    path.write_bytes(path.read_bytes()[:cut])
    whole = b"".join(b"\n%03d" % number for number in range(20))
    kept = output(directory)
    assert whole.startswith(kept)
    assert len(kept) % 4 == 0
    record(directory, b"more")
    assert output(directory) == kept + b"more"
    assert last(directory, 4) == b"more"


@settings(derandomize=True, max_examples=200)
@given(noise=st.binary(max_size=200), headed=st.booleans())
def test_noise_in_a_file_is_no_recording_and_breaks_nothing(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, headed: bool
) -> None:
    directory = tmp_path_factory.mktemp("recording")
    head = b"realmre1" + b"\0" * 8 if headed else b""
    (directory / "000001.rec").write_bytes(head + noise)
    (directory / "other").write_bytes(noise)
    list(chunks(directory))
    last(directory, 10)
    losses(directory)
    record(directory, b"more")
    assert last(directory, 4) == b"more"


def test_where_nothing_was_recorded_nothing_is_read(tmp_path: Path) -> None:
    assert list(chunks(tmp_path / "none")) == []
    assert last(tmp_path / "none", 10) == b""
    assert losses(tmp_path / "none") == Losses()


def test_what_is_put_aside_is_written_when_told_and_soon_in_any_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(tmp_path, limit=1 << 20)
    recorder.feed(b"one")
    assert output(tmp_path) == b""
    recorder.flush()
    assert output(tmp_path) == b"one"
    monkeypatch.setattr(recorder_module, "_SOON", 0.0)
    recorder.feed(b"two")
    recorder.feed(b"three")
    assert output(tmp_path) in {b"onetwo", b"onetwothree"}
    recorder.close()
    assert output(tmp_path) == b"onetwothree"
    recorder.feed(b"never")
    recorder.resize(1, 1)
    recorder.close()
    assert output(tmp_path) == b"onetwothree"


class TestDisk:
    def test_a_full_disk_ends_the_recording_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recorder = Recorder(tmp_path, limit=1 << 20)
        recorder.feed(b"before")
        recorder.flush()

        def full(fd: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            recorder.feed(b"lost")
            recorder.flush()
        recorder.feed(b"lost too")
        recorder.close()
        assert recorder.problem == "No space left on device"
        assert losses(tmp_path).stopped
        assert output(tmp_path) == b"before"

    def test_a_small_disk_for_real(self, tmp_path: Path) -> None:
        script = (
            "import pathlib, resource, sys, signal\n"
            "from realm.terminal.recording.recorder import Recorder\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
            "recorder = Recorder(pathlib.Path(sys.argv[1]), limit=1 << 20)\n"
            "for number in range(3000):\n"
            "    recorder.feed(b'%06d\\n' % number)\n"
            "recorder.close()\n"
            "print(recorder.problem)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True, text=True
        )
        assert done.stdout == "File too large\n"
        assert output(tmp_path).startswith(b"000000\n000001\n")
        assert losses(tmp_path).stopped

    def test_a_directory_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        recorder = Recorder(tmp_path / "file" / "below", limit=1 << 20)
        recorder.feed(b"x" * 100)
        recorder.resize(1, 1)
        recorder.flush()
        recorder.close()
        assert recorder.problem

    def test_files_that_are_gone_do_not_matter(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path, limit=1000)
        for number in range(300):
            recorder.feed(b"\n%06d" % number)
            recorder.flush()
            if number == 100:
                for path in list(tmp_path.iterdir()):
                    path.unlink()
        recorder.close()
        assert recorder.problem == ""
        assert last(tmp_path, 6) == b"000299"

    def test_nobody_else_may_read_it(self, tmp_path: Path) -> None:
        record(tmp_path / "private", b"secret")
        assert (tmp_path / "private").stat().st_mode & 0o777 == 0o700
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "private").iterdir())


def test_a_recording_that_grows_is_read_once_also_when_it_is_removed(tmp_path: Path) -> None:
    follower = Follower(tmp_path)
    assert follower.read() == b""
    recorder = Recorder(tmp_path, limit=40_000)
    read = b""
    for number in range(400):
        recorder.feed(b"%08d\n" % number)
        recorder.flush()
        read += follower.read()
    recorder.feed(b"the last words")
    recorder.flush()
    for path in list(tmp_path.iterdir()):
        path.unlink()
    read += follower.read()
    follower.close()
    assert read == b"".join(b"%08d\n" % number for number in range(400)) + b"the last words"
