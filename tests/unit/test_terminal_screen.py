from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.screens import Screen
from tests.support.terminal import recordings

RECORDINGS = recordings()


def shown(output: bytes, rows: int = 5, columns: int = 20) -> str:
    screen = Screen(rows, columns)
    screen.feed(output)
    return screen.text()


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (b"hello\r\nworld", "hello\nworld"),
        (b"\x1b[<u\x1b[>1u\x1b[?u\x1b[=1;2uok", "ok"),
        (b"\x1b[38:2::1:2:3mcolon\x1b[4:3m!", "colon!"),
        (b"\x1b]0;title\x07\x1b]52;c;QUJD\x1b\\\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        (b"\x1bPq#0;2;0;0;0~~\x1b\\\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\ok", "ok"),
        (b"\x1b]0;never ended \x1b[1mbold", "bold"),
        (b"\x1b[>0;276;0c\x1b[?1;2c\x1b[6n\x1b[?996nok", "ok"),
        (b"\x1b[1;2;3;4;5;6;7;9;10;11mok\x1b[99999999999999999999Cx", "ok                 x"),
        (b"\x1b[2 q\x1b[?2026hok\x1b[?2026l", "ok"),
        (b"main\x1b[?1049h\x1b[Halt\x1b[?1049l!", "main!"),
        (b"main\x1b[?47h\x1b[Halt\x1b[?47l", "main"),
        (b"main\x1b[?1047h\x1b[Halt", "alt"),
        ("你好 e\u0301 👍 ok".encode(), "你好 e\u0301 👍 ok"),
        ("a\u2600\ufe0fb\x1b[1;5Hc".encode(), "a\u2600\ufe0fbc"),
        ("1\ufe0f\u20e3 x\ufe0fy\x1b[1;6H!".encode(), "1\ufe0f\u20e3 x\ufe0fy!"),
        ("👩\u200d❤\ufe0f\u200d👨 👍🏽 👨\u200d👩\u200d👧\x1b[1;9H!".encode(), "👩 👍🏽 👨!"),
        ("zero\u200bwidth\u200djoined".encode(), "zerowidthjoined"),
        ("你".encode() * 11, "你" * 10 + "\n你"),
        (b"abc\r" + "你".encode(), "你c"),
        ("你你".encode() + b"\r\x1b[Cx", " x你"),
        (b"\x1b(0lqk\x1b(Bx", "┌─┐x"),
        (b"\x1b[8msecret\x1b[m shown", "       shown".lstrip("\n")),
        (b"1\r\n2\r\n3\r\n4\r\n5\r\n6", "2\n3\n4\n5\n6"),
        (b"a\x1b[5bz", "aaaaaaz"),
        (b"\x1b[3;1Hx\x1b[2J", ""),
        (b"abc\x1b[2D\x1b[K", "a"),
        (b"\x1b[1;3r\x1b[3;1H1\r\n2\r\n3\x1b[r\x1b[5;1Hlast", "1\n2\n3\n\nlast"),
        (b"one\r\ntwo\x1b[1;1H\x1b[L", "\none\ntwo"),
        (b"one\r\n\r\ntwo\x1b[1;1H\x1b[M", "\ntwo"),
        (b"abcdef\r\x1b[2P\x1b[2@", "  cdef"),
        (b"\x1b[12\xc3\xa9ok", "éok"),
        (b"\xff\xfeok", "\ufffd\ufffdok"),
    ],
)  # fmt: skip
def test_what_a_person_would_read(output: bytes, text: str) -> None:
    assert shown(output) == text


def test_the_main_screen_is_kept_through_a_resize() -> None:
    screen = Screen(5, 20)
    screen.feed(b"one\r\ntwo\r\nthree\x1b[?1049halt")
    screen.resize(2, 10)
    screen.feed(b"\x1b[?1049l")
    assert screen.text() == "two\nthree"


def test_an_unfinished_update_is_not_shown() -> None:
    screen = Screen(5, 20)
    screen.feed(b"old\x1b[?2026h\x1b[2J\x1b[Hne")
    assert screen.text() == "old"
    screen.feed(b"w\x1b[?2026l")
    assert screen.text() == "new"


def test_an_update_that_never_ends_is_shown_in_the_end() -> None:
    screen = Screen(5, 20)
    screen.feed(b"old\x1b[?2026h" + b"\x1b[Hnew" * 50_000)
    assert screen.text() == "new"


def test_the_drawing_shows_the_same_on_an_empty_screen() -> None:
    screen = Screen(5, 20)
    screen.feed(b"a\x1b[1;31mred\x1b[0;44m  \x1b[m\r\n\n" + "你".encode() + b"\x1b[2;5H\x1b[7m \x1b[3;3H")
    again = Screen(5, 20)
    again.feed(screen.ansi())
    assert again.text() == screen.text()
    assert again.ansi() == screen.ansi()
    assert screen.ansi() == (
        b"\x1b[1;1Ha\x1b[1;31mred\x1b[0;44m  \x1b[2;5H\x1b[0;7m \x1b[3;1H\x1b[m\xe4\xbd\xa0\x1b[3;3H"
    )


@pytest.mark.parametrize("name", RECORDINGS)
@settings(max_examples=15)
@given(cuts=st.lists(st.integers(min_value=1, max_value=3000), max_size=8))
def test_it_does_not_matter_how_the_output_is_cut(name: str, cuts: list[int]) -> None:
    whole, cut_up = Screen(24, 80), Screen(24, 80)
    rest = RECORDINGS[name]
    whole.feed(rest)
    for cut in cuts:
        cut_up.feed(rest[:cut])
        rest = rest[cut:]
    cut_up.feed(rest)
    assert cut_up.ansi() == whole.ansi()


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (-1, 5), (10**9, 10**9)])
def test_odd_sizes_are_bounded(rows: int, columns: int) -> None:
    screen = Screen(rows, columns)
    screen.resize(rows, columns)
    screen.feed(b"hello\x1b#8")
    assert len(screen.text()) < 500_000


def test_doubt_lasts_until_all_is_drawn_anew() -> None:
    screen = Screen(5, 20)
    screen.feed(b"drawing")
    screen.doubt()
    screen.feed(b" more")
    assert screen.lacking
    screen.feed(b"\x1b[H\x1b[2Jnew")
    assert not screen.lacking


def test_narrow_characters_are_narrow() -> None:
    from pyte.screens import wcwidth

    from realm.terminal.emulator import _PARTS

    narrow = [chr(code) for code in range(0x20, 0x3000) if _PARTS.fullmatch(chr(code)).lastgroup]  # type: ignore[union-attr]
    assert len(narrow) > 700
    assert {wcwidth(character) for character in narrow} == {1}
