from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from realm.text import clean, first_line


@given(st.binary())
def test_no_byte_string_leaves_a_control_character(data: bytes) -> None:
    shown = clean(data)
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)
    assert not any(0x200B <= ord(char) <= 0x200F or 0x202A <= ord(char) <= 0x202E for char in shown)


@given(st.text() | st.text("a\u200c\u200d\u200bé👩"), st.booleans())
def test_cleaning_twice_is_cleaning_once(text: str, joined: bool) -> None:
    once = clean(text, joined=joined)
    assert clean(once, joined=joined) == once


def test_an_escape_sequence_loses_its_introducer() -> None:
    assert clean("a\x1b]52;c;eA==\x07b\x9b31mc") == "a]52;c;eA==b31mc"


def test_lines_are_kept_only_when_asked() -> None:
    assert clean("a\r\nb\tc") == "a b c"
    assert clean("a\r\nb\tc", multiline=True) == "a\nb\tc"


def test_a_limit_cuts_with_an_ellipsis() -> None:
    assert clean("abcdef", limit=4) == "abc…"
    assert clean("abcd", limit=4) == "abcd"


def test_the_first_line_that_says_something() -> None:
    assert first_line("\n \x1b[0m\n  fix the bug  \nmore") in ("[0m", "fix the bug")
    assert first_line("\n\n") == ""
    assert first_line("x" * 100) == "x" * 71 + "…"
