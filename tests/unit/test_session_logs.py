from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from realm.session.logs import Plain, plain


def test_colours_go_and_words_stay_apart() -> None:
    assert plain(b"\x1b[31mred\x1b[0m\x1b[5Cfar\r") == "red far"


def test_titles_and_clipboards_leave_nothing() -> None:
    assert plain(b"a\x1b]52;c;ZXZpbA==\x07b\x1b]0;title\x1b\\c\x1bPq#0;\x1b\\d") == "abcd"


def test_lines_come_when_they_are_complete() -> None:
    lines = Plain()
    assert lines.feed(b"one\r\ntw") == "one\n"
    assert lines.feed(b"o\r\n") == "two\n"
    assert lines.feed(b"rest") == ""
    assert lines.end() == "rest\n"
    assert lines.end() == ""


@given(st.lists(st.binary(max_size=60)))
def test_no_bytes_leave_a_control_character(pieces: list[bytes]) -> None:
    lines = Plain()
    text = "".join(lines.feed(piece) for piece in pieces) + lines.end()
    assert not any((ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160 for char in text)
