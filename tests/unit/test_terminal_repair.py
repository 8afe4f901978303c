from __future__ import annotations

import os
import pty
import termios
import tty

from realm.terminal.ansi.modes import Modes
from realm.terminal.relay.tty import RESET, repair

EVERYTHING = (
    b"\x1b[?1049h\x1b[>5u\x1b[?9;1000;1002;1003;1004;1006;1015;1016;2004;2031;1h\x1b[?25l\x1b[?7l"
    b"\x1b[3;9r\x1b(0\x1b=\x1b[4 q\x1b[31;1m\x1b[>4;2m"
)


def test_nothing_that_was_on_stays_on() -> None:
    modes = Modes()
    modes.feed(EVERYTHING)
    assert modes.undo()
    modes.feed(RESET)
    assert modes.undo() == b""


def test_a_raw_terminal_is_a_shells_again() -> None:
    ours, theirs = pty.openpty()
    try:
        keys = termios.tcgetattr(theirs)[6]
        tty.setraw(theirs)
        repair(theirs)
        iflag, oflag, _, lflag, *_, now = termios.tcgetattr(theirs)
        assert lflag & termios.ICANON
        assert lflag & termios.ECHO
        assert lflag & termios.ISIG
        assert oflag & termios.OPOST
        assert iflag & termios.ICRNL
        assert now[termios.VINTR] == keys[termios.VINTR]
        assert os.read(ours, 4096) == RESET
    finally:
        os.close(ours)
        os.close(theirs)
