from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realm.terminal.ansi.modes import Modes

if TYPE_CHECKING:
    from pathlib import Path

CLAUDE = (
    b"\x1b[?1049h\x1b[?1000h\x1b[?1002h\x1b[?1003h\x1b[?1006h"
    b"\x1b[?1004h\x1b[?2004h\x1b[?2031h\x1b[>1u\x1b[?25l"
)


def account(*chunks: bytes) -> Modes:
    modes = Modes()
    for chunk in chunks:
        modes.feed(chunk)
    return modes


@pytest.mark.parametrize(
    ("output", "undo"),
    [
        (b"plain text\r\n", b""),
        (b"\x1b[?1049h", b"\x1b[?1049l"),
        (b"\x1b[?1049h\x1b[?1049l", b""),
        (b"\x1b[?47h", b"\x1b[?47l"),
        (b"\x1b[?1047h\x1b[?47l", b""),
        (b"\x1b[?25l", b"\x1b[?25h"),
        (b"\x1b[?7l", b"\x1b[?7h"),
        (b"\x1b[?1000;1006h", b"\x1b[?1006l\x1b[?1000l"),
        (b"\x1b[?1004h\x1b[?2004h\x1b[?2031h", b"\x1b[?2031l\x1b[?2004l\x1b[?1004l"),
        (b"\x1b[?2026h", b"\x1b[?2026l"),
        (b"\x1b=", b"\x1b>"),
        (b"\x1b=\x1b>", b""),
        (b"\x1b[4h", b"\x1b[4l"),
        (b"\x1b[>1u", b"\x1b[<1u"),
        (b"\x1b[>1u\x1b[>5u", b"\x1b[<2u"),
        (b"\x1b[>1u\x1b[<u", b""),
        (b"\x1b[>1u\x1b[<9u", b""),
        (b"\x1b[=5;1u", b"\x1b[=0;1u"),
        (b"\x1b[=5;1u\x1b[=5;3u", b""),
        (b"\x1b[?u\x1b[c\x1b[>q", b""),
        (b"\x1b[>4;2m", b"\x1b[>4m"),
        (b"\x1b[>4;2m\x1b[>4m", b""),
        (b"\x1b[2;10r", b"\x1b7\x1b[r\x1b8"),
        (b"\x1b[2;10r\x1b[r", b""),
        (b"\x1b(0", b"\x1b(B"),
        (b"\x1b(0\x1b(B", b""),
        (b"\x0e", b"\x0f"),
        (b"\x0e\x0f", b""),
        (b"\x1b%@", b"\x1b%G"),
        (b"\x1b[5 q", b"\x1b[0 q"),
        (b"\x1b[5 q\x1b[ q", b""),
        (b"\x1b[1;31mred", b"\x1b[m"),
        (b"\x1b[1;31mred\x1b[m", b""),
        (b"\x1b[1;31mred\x1b[22;39m", b""),
        (b"\x1b[4:3m\x1b[4:0m", b""),
        (b"\x1b[38;5;1m", b"\x1b[m"),
        (b"\x1b[38;5;0m\x1b[39m", b""),
        (b"\x1b[38:2::1:2:3m\x1b[39m", b""),
        (b"\x1b]8;;http://x\x07link", b"\x1b]8;;\x1b\\"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", b""),
        (b"\x1b]52;c;AAAA\x07", b""),
        (b"\x1b]0;title\x07", b"\x1b]0;\x1b\\"),
        (b"\x1b]2;a\x1b\\\x1b]1;b\x1b\\\x1b]2;\x1b\\", b"\x1b]0;\x1b\\"),
        (b"\x1b]0;title\x07\x1b]2;\x07\x1b]1;\x07", b""),
        (b"\x1b]2;title\x07\x1b]0;\x07", b""),
        (b"\x1b]9;4;1;50\x07", b"\x1b]9;4;0\x1b\\"),
        (b"\x1b]9;4;1;50\x07\x1b]9;4;0;0\x07", b""),
        (b"\x1b]11;#000000\x07\x1b]4;1;red\x1b\\", b"\x1b]111\x1b\\\x1b]104;1\x1b\\"),
        (b"\x1b]11;?\x07\x1b]4;1;?\x07", b""),
        (b"\x1b]11;#000000\x07\x1b]111\x07", b""),
        (b"\x1b[?2004s\x1b[?2004h\x1b[?2004r", b""),
        (b"\xc2\x9b?2004h", b"\x1b[?2004l"),
        (b"\x1b[?20\n04h", b"\x1b[?2004l"),
        (b"\x1b[?20\x1804h", b""),
        (b"\x1bc", b""),
        (b"\x1b[?2004h\x1b[1m\x1bc", b""),
        (b"\x1b[?25l\x1b[4h\x1b[?2004h\x1b[!p", b"\x1b[?2004l"),
        (b"\x1b[1m\x1b[?1049h\x1b[m", b"\x1b[?1049l\x1b[m"),
        (b"\x1b[?1049h\x1b[1m\x1b[?1049l", b""),
        (b"\x1b7\x1b[1m\x1b8", b""),
        (b"\x1b[?99999h\x1b[?h\x1b[?;;h", b""),
        (b"\x1b[12l", b"\x1b[12h"),
        (b"\x1b[12l\x1b[12h", b""),
        (b"\x1b[?1007h", b"\x1b[?1007r"),
        (b"\x1b[?1007l", b"\x1b[?1007r"),
        (b'\x1b[1"q', b'\x1b[0"q\x1bW'),
        (b'\x1b[1"q\x1b[0"q', b""),
        (b"\x1bV", b'\x1b[0"q\x1bW'),
        (b"\x1bV\x1bW", b""),
        (b"\x1b]50;-misc-fixed\x07", b"\x1b]50;#0\x1b\\"),
        (b"\x1b]50;?\x07", b""),
    ],
)
def test_exactly_what_is_on_is_undone(output: bytes, undo: bytes) -> None:
    modes = account(output)
    assert modes.undo() == undo


@pytest.mark.parametrize("output", [b"\x1b[3g", b"\x1bH", b"\x1b[g\x1bH"])
def test_tab_stops_are_every_eight_columns_again(output: bytes) -> None:
    undo = account(output).undo()
    assert undo.startswith(b"\x1b7\r\x1b[3g\x1b[8C\x1bH\x1b[8C\x1bH")
    assert undo.endswith(b"\x1b8")
    assert account(output, b"\x1b[?5W").undo() == b""


def test_the_directory_is_the_users_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a b").mkdir()
    monkeypatch.chdir(tmp_path / "a b")
    undo = account(b"\x1b]7;file://box/workspace/evil\x07").undo()
    assert undo.startswith(b"\x1b]7;file://")
    assert undo.endswith(b"/a%20b\x1b\\")
    assert b"evil" not in undo


def test_what_claude_code_switches_on() -> None:
    modes = account(CLAUDE)
    assert modes.alternate
    assert modes.talking
    assert modes.undo() == (
        b"\x1b[?25h\x1b[?2031l\x1b[?2004l"
        b"\x1b[?1004l\x1b[?1006l\x1b[?1003l\x1b[?1002l\x1b[?1000l\x1b[<1u\x1b[?1049l"
    )
    assert modes.redo(b"DRAWING") == (
        b"\x1b[?1049h\x1b[>1uDRAWING"
        b"\x1b[?1000h\x1b[?1002h\x1b[?1003h\x1b[?1006h\x1b[?1004h\x1b[?2004h\x1b[?2031h\x1b[?25l"
    )


def test_each_screen_has_its_own_keys() -> None:
    modes = account(b"\x1b[>1u\x1b[?1049h\x1b[>5u")
    assert modes.undo() == b"\x1b[<1u\x1b[?1049l\x1b[<1u"
    left = account(b"\x1b[?1049h\x1b[>5u\x1b[?1049l")
    assert left.undo() == b"\x1b[?1047h\x1b[<1u\x1b[?1047l"


def test_a_region_of_all_rows_is_none() -> None:
    modes = Modes()
    modes.resize(24)
    modes.feed(b"\x1b[1;24r")
    assert modes.undo() == b""


def test_a_terminal_that_stays_on_its_alternate_screen_after_a_reset_leaves_it() -> None:
    assert account(b"\x1b[?1049h\x1bc").undo() == b"\x1b[?47l"


PIECES = [
    b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?1000;1006h", b"\x1b[?1006l", b"\x1b[?25l",
    b"\x1b[?7;25h", b"\x1b[>1u", b"\x1b[<u", b"\x1b[=3;2u", b"\x1b[1;38;5;9m", b"\x1b[m",
    b"\x1b[0;4:3m", b"\x1b[2;9r", b"\x1b[r", b"\x1b(0", b"\x1b)0", b"\x0e", b"\x0f", b"\x1b7",
    b"\x1b8", b"\x1bc", b"\x1b[!p", b"\x1b]8;;http://x\x07", b"\x1b]8;;\x1b\\",
    b"\x1b]11;#123456\x07", b"\x1b]0;name\x07", b"\x1b]2;\x1b\\", b"\x1b]52;c;QUJD\x07",
    b"\x1bP+q544e\x1b\\", b"text\r\n", "é你".encode(), b"\x1b[?2026h", b"\x1b=",
    b"\x1b[4h", b"\x1b[3 q", b"\x1b[>4;1m", b"\x1b[?2004s",
    b"\x1b[?2004r", b"\x1b[", b"\x1b", b"\x1b]9;4;3\x07", b"\x1b%@", b"\x1bn",
]  # fmt: skip
streams = st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join)


@given(streams, st.lists(st.integers(min_value=1, max_value=5), max_size=60))
def test_the_account_is_the_same_however_the_stream_is_cut(stream: bytes, cuts: list[int]) -> None:
    chunks, rest = [], stream
    for cut in cuts:
        chunks.append(rest[:cut])
        rest = rest[cut:]
    cut_up, whole = account(*chunks, rest), account(stream)
    assert cut_up.undo() == whole.undo()
    assert cut_up.redo() == whole.redo()


@given(streams)
def test_after_the_undo_nothing_is_on(stream: bytes) -> None:
    modes = account(stream)
    undo = modes.undo()
    # An unfinished sequence of the program's ends where the undo begins.
    modes.feed(b"\x18" + undo if undo else b"")
    assert modes.undo() in {b"", b"\x1b[?47l"}


@given(streams)
def test_a_redo_in_a_fresh_terminal_switches_on_the_same(stream: bytes) -> None:
    # Links, palette, progress, pointer and title are not done again: their values are not kept.
    modes = account(
        re.sub(rb"\x1b\](?:8|11|0|2|9);[^\x07\x1b]*(?:\x07|\x1b\\)", b"", stream) + b"\x1b[?2026l"
    )
    again = account(modes.redo())
    assert again.redo() == modes.redo()


def test_memory_stays_bounded() -> None:
    modes = Modes()
    for number in range(20_000):
        modes.feed(b"\x1b[>1u\x1b[38;2;1;2;%dm\x1b]4;%d;red\x07\x1b[?%ds" % (number % 256, number, number))
    modes.feed(b"\x1b]8;;" + b"x" * 1_000_000)
    modes.feed(b"\x1b[" + b"1;" * 1_000_000)
    assert len(modes.undo()) < 10_000
    assert len(modes.redo()) < 10_000
