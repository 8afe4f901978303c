"""The relay and raw mode on real pseudo-terminals, through every way that a run can end."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.terminal import Seat, driver_command, set_size
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

# What Claude Code switches on, then a picture.
FULL_SCREEN = (
    r"\033[?1049h\033[?1000h\033[?1002h\033[?1003h\033[?1006h\033[?1004h\033[?2004h\033[?2031h\033[>1u\033[?25l"
    r"\033[2J\033[3;5Hthe last picture"
)
UNDONE = (
    b"\x1b[?1049l",
    b"\x1b[?1003l",
    b"\x1b[?1004l",
    b"\x1b[?2004l",
    b"\x1b[?2031l",
    b"\x1b[<1u",
    b"\x1b[?25h",
)


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def report(path: Path) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(path.read_text())
    return answer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "report"


def assert_as_before(seat: Seat) -> None:
    assert seat.settings() == seat.before
    assert fcntl.fcntl(seat.slave, fcntl.F_GETFL) == seat.flags


def test_a_program_that_ends_well_leaves_all_as_it_was(path: Path) -> None:
    with Seat(driver_command(shell("echo hello"), path)) as seat:
        assert seat.finish() == 0
        assert_as_before(seat)
        assert b"hello" in seat.output
        assert seat.output.endswith(b"after realm\r\n")
        assert b"\x1b" not in seat.output
    assert report(path)["reason"] == "eof"


def test_raw_mode_while_it_runs(path: Path) -> None:
    with Seat(driver_command(shell("stty raw -echo; printf ready; head -c 3 | od -An -c"), path)) as seat:
        seat.read_until(b"ready")
        assert seat.settings() != seat.before
        assert fcntl.fcntl(seat.slave, fcntl.F_GETFL) == seat.flags
        seat.type(b"\x03\x1a\x04")
        seat.read_until(b"003 032 004")
        assert seat.finish() == 0
        assert_as_before(seat)


def test_a_program_that_is_killed_on_its_alternate_screen(path: Path) -> None:
    with Seat(driver_command(shell(f"printf '{FULL_SCREEN}'; kill -9 $$"), path)) as seat:
        seat.finish()
        assert_as_before(seat)
        after = seat.output.partition(b"the last picture")[2]
        for sequence in UNDONE:
            assert after.count(sequence) == 1
        # The picture is left as text on the main screen.
        assert after.partition(b"\x1b[?1049l")[2] == b"\r\n\r\n    the last picture\r\nafter realm\r\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_realm(path: Path, number: signal.Signals) -> None:
    with Seat(driver_command(shell(f"printf '{FULL_SCREEN}'; sleep 60"), path)) as seat:
        seat.read_until(b"the last picture")
        seat.signal(number)
        assert seat.finish() == 0
        assert_as_before(seat)
        assert all(sequence in seat.output for sequence in UNDONE)
        assert b"    the last picture\r\nafter realm" in seat.output
    assert report(path)["signal"] == number


def test_an_exception_in_realm(path: Path) -> None:
    program = shell(f"printf '{FULL_SCREEN}'; sleep 0.3; echo CRASH; sleep 60")
    with Seat(driver_command(program, path, crash="CRASH")) as seat:
        assert seat.finish() == 1
        assert_as_before(seat)
        assert all(sequence in seat.output for sequence in UNDONE)
        assert b"CrashError" in seat.output


def test_a_window_that_is_closed(path: Path) -> None:
    with Seat(driver_command(shell(f"printf '{FULL_SCREEN}'; sleep 60"), path)) as seat:
        seat.read_until(b"the last picture")
        os.close(seat.slave)
        os.close(seat.master)
        seat.slave = seat.master = -1
        seat.process.wait(20)
    assert report(path)["reason"] in {"signal", "hangup"}


def test_detaching_leaves_the_program_running_and_the_terminal_clean(path: Path) -> None:
    program = shell(f"printf '{FULL_SCREEN}'; sleep 60")
    with Seat(driver_command(program, path, detach="ctrl-p,ctrl-q")) as seat:
        seat.read_until(b"the last picture")
        seat.type(b"\x10\x11")
        assert seat.finish() == 0
        assert_as_before(seat)
    assert report(path)["reason"] == "detached"
    assert report(path)["alive"]


def test_a_program_that_cleans_up_itself_gets_nothing_undone_again(path: Path) -> None:
    program = shell(r"printf '\033[?1049h\033[?2004hx\033[?2004l\033[?1049lbye'")
    with Seat(driver_command(program, path)) as seat:
        seat.finish()
        assert seat.output.endswith(b"\x1b[?1049lbye\r\nafter realm\r\n")


def test_sizes_reach_the_program(path: Path) -> None:
    script = "trap 'stty size' WINCH; sleep 0.3; stty size; while :; do sleep 0.05; done"
    with Seat(driver_command(shell(script), path), rows=33, columns=101) as seat:
        seat.read_until(b"33 101")
        for rows in (40, 41, 42):
            set_size(seat.master, rows, 120)
            seat.read_until(b"%d 120" % rows)
        seat.signal(signal.SIGTERM)
        seat.finish()


def test_a_megabyte_is_pasted_whole(path: Path) -> None:
    paste = hashlib.sha256(b"seed").hexdigest().encode() * 16384
    script = f"stty raw -echo; printf ready; head -c {len(paste)} | sha256sum"
    with Seat(driver_command(shell(script), path)) as seat:
        seat.read_until(b"ready")
        seat.type(paste)
        seat.read_until(hashlib.sha256(paste).hexdigest().encode(), 60)
        assert seat.finish() == 0


def test_much_output_arrives_whole_and_memory_stays(path: Path) -> None:
    size = 12_000_000
    script = f"stty raw; printf start; sleep 0.2; yes 0123456789 2>/dev/null | head -c {size}; printf end"
    with Seat(driver_command(shell(script), path)) as seat:
        seat.read_until(b"start")
        before, count, digest = seat.memory(), 0, hashlib.sha256()
        seat.output = b""
        while not seat.output.endswith(b"end"):
            seat.pump(5)
            tail = seat.output[-3:] if seat.output.endswith((b"e", b"en", b"end")) else b""
            body = seat.output[: len(seat.output) - len(tail)]
            digest.update(body)
            count += len(body)
            seat.output = tail
        assert count == size
        wanted = hashlib.sha256((b"0123456789\n" * (size // 11 + 1))[:size])
        assert digest.digest() == wanted.digest()
        assert seat.memory() - before < 8_000_000
        assert seat.finish() == 0


def test_a_terminal_that_reads_nothing_neither_fills_memory_nor_holds_off_a_signal(path: Path) -> None:
    with Seat(driver_command(shell("printf start; sleep 0.2; yes"), path)) as seat:
        seat.read_until(b"start")
        before = seat.memory()
        time.sleep(2)
        assert seat.memory() - before < 10_000_000
        seat.signal(signal.SIGTERM)
        # The undo is waited for, for a while; then realm goes all the same.
        eventually(lambda: seat.process.poll() is not None or path.exists(), 20)
        assert report(path)["signal"] == signal.SIGTERM
        seat.finish()
        assert_as_before(seat)


def test_keys_go_through_while_output_floods(path: Path) -> None:
    script = "stty -echo -icanon; printf start; yes & read -r answer; kill $!; echo got:$answer"
    with Seat(driver_command(shell(script), path)) as seat:
        seat.read_until(b"start")
        seat.type(b"key\r")
        seat.read_until(b"got:key")
        seat.finish()


def test_what_was_typed_ahead_is_left_for_the_shell(path: Path) -> None:
    with Seat(driver_command(shell("printf ready; sleep 1"), path)) as seat:
        seat.read_until(b"ready")
        seat.finish()
        seat.type(b"next\r")
        assert os.read(seat.slave, 100) == b"next\n"
