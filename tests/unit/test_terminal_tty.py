from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from realm.terminal.relay.tty import FALLBACK, Terminal
from tests.support.terminal import set_size

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pair() -> Iterator[tuple[int, int]]:
    master, slave = pty.openpty()
    set_size(slave, 30, 90)
    yield master, slave
    os.close(master)
    os.close(slave)


@pytest.fixture
def null() -> Iterator[int]:
    fd = os.open(os.devnull, os.O_RDWR)
    yield fd
    os.close(fd)


def read_now(fd: int) -> bytes:
    """Read what was written: a terminal hands on the second of two writes a little later."""
    found = b""
    while select.select([fd], [], [], 0.05)[0]:
        found += os.read(fd, 65536)
    return found


class Shown(NamedTuple):
    """What a program shows: ``words``, which end ``under`` rows below the cursor."""

    words: str
    under: int = 0

    def text(self) -> str:
        return self.words

    def below(self) -> int:
        return self.under

    def drawing(self) -> bytes:
        return self.words.encode()


class Unplayable(Shown):
    """What cannot be shown."""

    def text(self) -> str:
        raise ZeroDivisionError


def test_it_is_interactive_when_input_and_output_are_terminals(pair: tuple[int, int], null: int) -> None:
    _, slave = pair
    assert Terminal(descriptors=(slave, slave, null)).interactive
    assert not Terminal(descriptors=(null, slave, slave)).interactive
    assert not Terminal(descriptors=(slave, null, slave)).interactive
    assert not Terminal(stdin=False, descriptors=(slave, slave, slave)).interactive


def test_the_size_is_that_of_whatever_is_a_terminal(pair: tuple[int, int], null: int) -> None:
    _, slave = pair
    for descriptors in ((slave, null, null), (null, slave, null), (null, null, slave)):
        assert Terminal(descriptors=descriptors).size() == (30, 90)


def test_a_size_that_nobody_knows(pair: tuple[int, int], null: int) -> None:
    _, slave = pair
    assert Terminal(descriptors=(null, null, null)).size() == FALLBACK
    set_size(slave, 0, 0)
    assert Terminal(descriptors=(slave, slave, slave)).size() == FALLBACK


def test_raw_mode_goes_and_takes_the_modes_along(pair: tuple[int, int]) -> None:
    master, slave = pair
    before = termios.tcgetattr(slave)
    terminal = Terminal(descriptors=(slave, slave, slave))
    with terminal.raw(Shown("last \x1b[31mwords")):
        assert termios.tcgetattr(slave) != before
        terminal.note(b"\x1b[?1049h\x1b[?2004h")
    assert termios.tcgetattr(slave) == before
    assert read_now(master) == b"\x1b[?2004l\x1b[?1049llast [31mwords\r\n"


def test_a_picture_that_cannot_be_had_leaves_nothing_on(pair: tuple[int, int]) -> None:
    master, slave = pair
    before = termios.tcgetattr(slave)
    terminal = Terminal(descriptors=(slave, slave, slave))
    with pytest.raises(ZeroDivisionError), terminal.raw(Unplayable("")):
        terminal.note(b"\x1b[?1049h\x1b[?2004h")
    assert termios.tcgetattr(slave) == before
    assert read_now(master) == b"\x1b[?2004l\x1b[?1049l"


def test_a_program_on_the_main_screen_leaves_its_text_itself(pair: tuple[int, int]) -> None:
    master, slave = pair
    terminal = Terminal(descriptors=(slave, slave, slave))
    with terminal.raw(Shown("not shown", under=2)):
        terminal.note(b"\x1b[?25l")
    assert read_now(master) == b"\x1b[?25h\r\n\n"


def test_a_program_that_goes_on_elsewhere_leaves_no_screen(pair: tuple[int, int]) -> None:
    master, slave = pair
    terminal = Terminal(descriptors=(slave, slave, slave))
    with terminal.raw(Shown("not shown")):
        terminal.note(b"\x1b[?1049h")
        terminal.is_left = True
    assert read_now(master) == b"\x1b[?1049l"


def test_a_stop_scrolls_what_the_user_has_out_of_the_way_of_the_program(pair: tuple[int, int]) -> None:
    master, slave = pair
    terminal = Terminal(descriptors=(slave, slave, slave))
    with terminal.raw(Shown("shown", under=1)):
        terminal.suspend()
        assert read_now(master) == b"\r\n"
        assert terminal.resume()
        assert read_now(master) == b"\r\x1b[J" + b"\n" * 29 + b"\x1b[Hshown"
    assert read_now(master) == b"\r\n"


def test_a_stop_hands_the_terminal_back_and_takes_it_again(pair: tuple[int, int]) -> None:
    master, slave = pair
    before = termios.tcgetattr(slave)
    terminal = Terminal(descriptors=(slave, slave, slave))
    with terminal.raw():
        terminal.note(b"\x1b[>1u")
        terminal.suspend()
        assert termios.tcgetattr(slave) == before
        assert read_now(master) == b"\x1b[<1u"
        assert terminal.resume()
        assert termios.tcgetattr(slave) != before
        assert read_now(master) == b"\x1b[>1u"
        # A continue without a stop of ours switches nothing on twice.
        assert not terminal.resume()
        assert read_now(master) == b""
    assert termios.tcgetattr(slave) == before


def test_a_sandbox_without_a_terminal_leaves_the_users_alone(pair: tuple[int, int]) -> None:
    master, slave = pair
    before = termios.tcgetattr(slave)
    terminal = Terminal(tty=False, descriptors=(slave, slave, slave))
    with terminal.raw():
        assert not terminal.is_raw
        terminal.note(b"\x1b[?2004h")
        assert termios.tcgetattr(slave) == before
    assert read_now(master) == b""


def test_late_reports_do_not_reach_the_shell(pair: tuple[int, int]) -> None:
    master, slave = pair
    terminal = Terminal(descriptors=(slave, slave, slave))
    with terminal.raw():
        terminal.note(b"\x1b[?1003h")
        os.write(master, b"\x1b[<35;10;10M\n")
    os.set_blocking(slave, False)
    assert read_now(slave) == b""


def test_a_terminal_that_is_gone_is_no_error() -> None:
    master, slave = pty.openpty()
    terminal = Terminal(descriptors=(slave, slave, slave))
    with terminal.raw():
        terminal.note(b"\x1b[?1049h")
        os.close(master)
    os.close(slave)


def test_a_relay_loads_no_emulator() -> None:
    modules = "realm.terminal.relay.loop, realm.terminal.relay.tty, realm.session.recordings"
    code = f"import sys, {modules}; print('pyte' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("question", [b"\x1b[6n", b"\x1b]11;?\x07", b"\x1b[c", b"\x1b[14t", b"\x1b[?2026$p"])
def test_answers_that_nobody_read_do_not_become_the_shells_input(
    pair: tuple[int, int], question: bytes
) -> None:
    master, slave = pair
    terminal = Terminal(tty=True, descriptors=(slave, slave, slave))

    def answer() -> None:
        """Answer as a terminal does, some time later: the agent's question, and what realm asks after it."""
        time.sleep(0.2)
        os.write(master, b"touch pwned\r")
        seen = b""
        while b"\x1b[c" not in seen.removeprefix(question):
            if not select.select([master], [], [], 1)[0]:
                return
            seen += os.read(master, 1000)
        os.write(master, b"\x1b[?62;22c")

    with terminal.raw():
        terminal.note(question)
        os.write(slave, question)
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
    thread.join(5)
    os.write(master, b"typed\r")
    assert os.read(slave, 1000) == b"typed\n"
