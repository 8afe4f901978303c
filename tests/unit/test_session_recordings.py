"""What a run's recording becomes: the record's files, within limits, by the settings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from realm.config import Config
from realm.errors import UsageError
from realm.session import recordings
from realm.terminal.ansi.modes import Modes
from realm.terminal.recording import cast
from realm.terminal.recording.recorder import Recorder
from tests.support.cast import check
from tests.support.store import SESSION_ID

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (24, 80)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path)


def kept(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def run(config: Config, *pieces: bytes, number: int = 1, record: bool | None = None) -> Path:
    """Record a run and return its directory."""
    modes = Modes()
    recorder = recordings.recorder(SESSION_ID, number, config, record=record, state=modes.redo)
    recorder.resize(10, 40)
    for piece in pieces:
        modes.feed(piece)
        recorder.feed(piece)
    recorder.close()
    return recordings.place(SESSION_ID, number)


def left(
    directory: Path, size: tuple[int, int], config: Config, *, record: bool | None = None, title: str = ""
) -> dict[str, bytes]:
    """Return the files that a run leaves for its record."""
    return dict(recordings.shown(directory, size, config, record=record, title=title).files)


def test_a_run_becomes_three_files(config: Config) -> None:
    directory = run(config, b"hello \x1b[31mred", b"\r\n\xe4\xbd", b"\xa0")
    files = left(directory, SIZE, config, title="fix, run 1")
    assert files["screen.txt"] == "hello red\n你".encode()
    assert b"\x1b[31mred" in files["screen.ans"]
    events = check(files["session.cast"])
    assert [event[1:] for event in events] == [
        ["r", "40x10"],
        ["o", "hello \x1b[31mred"],
        ["o", "\r\n"],
        ["o", "你"],
    ]
    header, _ = cast.read(files["session.cast"])
    assert (header.size, header.title, header.env) == ((10, 40), "fix, run 1", {"TERM": "xterm-256color"})
    assert header.timestamp == pytest.approx(time.time(), abs=30)


def test_what_counts_at_the_end_is_what_a_person_saw_last(config: Config) -> None:
    directory = run(config, b"\x1b[?1049h\x1b[Hpicture", b"\x1b[?1049lbye")
    assert recordings.text(directory, SIZE).encode() == b"bye"
    assert left(directory, SIZE, config)["screen.txt"] == b"picture"


@pytest.mark.parametrize("size", [SIZE, (1, 1)])
def test_where_nothing_was_shown_there_is_nothing(config: Config, size: tuple[int, int]) -> None:
    assert left(run(config), size, config) == {}
    assert left(recordings.place("none", 1), size, config) == {}


@pytest.mark.parametrize(
    ("setting", "expected"), [("on", True), ("off", False), ("FALSE", False), ("1", True)]
)
def test_the_setting_decides_about_the_cast(
    config: Config, monkeypatch: pytest.MonkeyPatch, setting: str, expected: bool
) -> None:
    monkeypatch.setenv("REALM_RECORD", setting)
    assert ("session.cast" in left(run(config, b"x"), SIZE, config)) is expected


def test_the_command_line_decides_before_the_setting(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALM_RECORD", "off")
    assert "session.cast" in left(run(config, b"x", record=True), SIZE, config, record=True)
    monkeypatch.setenv("REALM_RECORD", "nonsense")
    assert kept(run(config, b"x", number=2, record=False)) == ["000001.rec", "unrecorded"]


def test_a_run_without_a_recording_stays_so_whoever_holds_it_next(config: Config) -> None:
    run(config, b"one ", record=False)
    directory = run(config, b"two")
    assert set(left(directory, SIZE, config)) == {"screen.txt", "screen.ans"}
    assert recordings.cast(directory, SIZE, 1 << 20) == b""
    assert "session.cast" in left(run(config, b"x", number=2), SIZE, config)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("REALM_RECORD", "maybe"), ("REALM_RECORD_LIMIT", "much"), ("REALM_RECORD_LIMIT", "10"),
     ("REALM_RECORD_LIMIT", "-5m")],
)  # fmt: skip
def test_a_wrong_setting_is_said_before_the_run_and_costs_no_work_after_it(
    config: Config, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    directory = run(config, b"x")
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError):
        recordings.recorder(SESSION_ID, 1, config)
    assert set(left(directory, SIZE, config)) == {"screen.txt", "screen.ans"}


def test_a_long_run_is_cut_to_the_limit_at_once(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALM_RECORD_LIMIT", "256k")
    start = b"\x1b[?1049h\x1b[2J"
    directory = run(
        config, start, *(b"\x1b[H\x1b[3%dm%06d" % (number % 8, number) for number in range(60_000))
    )
    started = time.process_time()
    files = left(directory, SIZE, config)
    assert time.process_time() - started < 5
    assert len(files["session.cast"]) < 257 * 1024
    assert files["screen.txt"] == b"059999"
    events = check(files["session.cast"])
    assert "earlier output were not kept" in events[0][2]
    assert "\x1b[?1049h" in events[1][2]
    assert events[-1][2].endswith("059999")


def test_a_full_disk_is_said_in_the_cast(config: Config) -> None:
    directory = run(config, b"x")
    (directory / "stopped").touch()
    events = check(left(directory, SIZE, config)["session.cast"])
    assert events[-1][1:] == ["m", "the recording ends here: the disk took no more"]


def test_another_holder_goes_on_and_another_run_starts_anew(config: Config) -> None:
    first = run(config, b"one ")
    assert run(config, b"two") == first
    assert left(first, SIZE, config)["screen.txt"] == b"one two"
    second = run(config, b"three", number=2)
    assert left(second, SIZE, config)["screen.txt"] == b"three"
    assert not first.exists()
    recordings.discard(SESSION_ID)
    recordings.discard(SESSION_ID)
    assert not second.parent.exists()


def test_a_screen_is_quick_however_much_there_is(config: Config) -> None:
    """The last output counts, from the right one of the two screens on."""
    directory = run(config, b"\x1b[?1049h", *[b"\x1b[H\x1b[2Jpicture\r\n" + b"." * 60] * 40_000)
    started = time.process_time()
    found = recordings.text(directory, SIZE)
    assert time.process_time() - started < 3
    assert found.startswith("picture")


def test_a_broken_recording_costs_nothing_but_itself(config: Config) -> None:
    directory = recordings.place(SESSION_ID, 1)
    Recorder(directory, limit=1 << 20).close()
    (directory / "000001.rec").write_bytes(b"realmre1 and noise" * 100)
    left(directory, SIZE, config)
