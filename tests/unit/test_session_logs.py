from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from realm.agents.base import Said
from realm.session.logs import _paragraph
from realm.terminal.render.lines import Lines


def plain(line: bytes) -> str:
    lines = Lines()
    return (lines.feed(line) + lines.end()).rstrip("\n")


def test_colours_go_and_words_stay_apart() -> None:
    assert plain(b"\x1b[31mred\x1b[0m\x1b[5Cfar\r") == "red far"


def test_titles_and_clipboards_leave_nothing() -> None:
    assert plain(b"a\x1b]52;c;ZXZpbA==\x07b\x1b]0;title\x1b\\c\x1bPq#0;\x1b\\d") == "abcd"


def test_lines_come_when_they_are_complete() -> None:
    lines = Lines()
    assert lines.feed(b"one\r\ntw") == "one\n"
    assert lines.feed(b"o\r\n") == "two\n"
    assert lines.feed(b"rest") == ""
    assert lines.end() == "rest\n"
    assert lines.end() == ""


def test_what_a_program_draws_comes_row_by_row_and_once() -> None:
    lines = Lines()
    frame = b"\x1b[2;1H\x1b[1mWorking\x1b[2;10H(1s)\x1b[4;1H\xe2\x9c\xbb\x1b[6;1Hesc to stop"
    assert lines.feed(b"\x1b[2J\x1b[H" + frame) == "Working (1s)\n"
    assert lines.feed(b"\x1b[8;1H") == "esc to stop\n"
    assert lines.feed(frame + b"\x1b[9;1H") == ""
    assert lines.feed(b"\x1b[2;3") == ""
    assert lines.feed(b"Hwords\x1b[Bmore\x1b[3A") == "words\nmore\n"


def test_a_bar_that_is_drawn_over_itself_is_one_line() -> None:
    assert plain(b" 10%\r 50%\r100%\r") == "100%"
    assert plain(b"fetching\r\x1b[Kdone") == "done"


def test_lines_that_a_program_ends_are_never_left_out() -> None:
    lines = Lines()
    assert lines.feed(b"\x1b[H\x1b[2Jok\nok\n\n-\nok") == "ok\nok\n\n-\n"
    assert lines.end() == "ok\n"


@given(st.lists(st.binary(max_size=60)))
def test_no_bytes_leave_a_control_character(pieces: list[bytes]) -> None:
    lines = Lines()
    text = "".join(lines.feed(piece) for piece in pieces) + lines.end()
    assert not any((ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160 for char in text)


LINE = st.text("a \t\xe9\xb0\u3000", max_size=4).map(str.encode) | st.sampled_from(
    [b"\x1b[2;3H", b"\x1b[m", b"x\r", b"\xc3", b"\x1b]0;t", b"\x07"]
)


@given(st.lists(st.tuples(LINE, st.sampled_from([b"", b"\n", b"\r\n"]))))
def test_lines_are_the_same_however_they_come(pieces: list[tuple[bytes, bytes]]) -> None:
    """Those that come together are read in one step."""
    data = b"".join(line + end for line, end in pieces)
    whole, bytewise = Lines(), Lines()
    found = whole.feed(data) + whole.end()
    assert found == "".join(bytewise.feed(bytes([byte])) for byte in data) + bytewise.end()


def test_millions_of_short_lines_are_no_work() -> None:
    lines, data = Lines(), b"a\r\n" * 400_000
    begun = time.process_time()
    assert lines.feed(data) == "a\n" * 400_000
    assert len(_paragraph(Said("agent", "a \n" * 400_000))) == 800_001
    assert time.process_time() - begun < 2
