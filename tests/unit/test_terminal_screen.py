from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realm.terminal.emulator.screen import Screen
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
    screen = Screen(5, 20, limit=1 << 20)
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


def test_dropped_output_is_told_until_the_next_full_redraw() -> None:
    screen = Screen(5, 20, limit=100)
    screen.feed(b"\x1b[?1049h" + b"x" * 50)
    screen.feed(b"\x1b[3;3H" + "é".encode() * 80)
    screen.feed(b"\x1b[1;1Htop")
    assert screen.lost
    assert screen.alternate
    assert screen.text() == "top"


def test_after_a_full_redraw_nothing_is_lost() -> None:
    screen = Screen(5, 20, limit=100)
    screen.feed(b"x" * 200 + b"\x1b[1;1Htop")
    screen.feed(b"\x1b[H\x1b[2Jall new")
    assert not screen.lost
    assert screen.text() == "all new"


def test_what_has_scrolled_away_is_not_missed() -> None:
    screen = Screen(5, 20, limit=200)
    screen.feed(b"old\r\n" * 100)
    screen.feed(b"new\r\n" * 10)
    assert not screen.lost
    assert screen.text() == "new\n" * 3 + "new"


def test_the_screen_that_is_shown_is_known_across_a_gap() -> None:
    screen = Screen(5, 20, limit=100)
    for chunk in (b"\x1b[?10", b"49h" + b"x" * 90, b"y" * 90, b"\n" + b"z" * 90):
        screen.feed(chunk)
    assert screen.alternate


def test_after_a_drop_nothing_that_was_cut_in_two_shows() -> None:
    screen = Screen(5, 20, limit=10)
    screen.feed(b"\x1b[38;5;12345")
    screen.feed(b"6mcut\r\nwhole")
    assert screen.text() == "\nwhole"


def test_work_is_done_in_slices() -> None:
    screen = Screen(5, 20)
    screen.feed(b"\x1b[H" + b"text" * 20_000)
    assert screen.work(0.0001)
    while screen.work(0.01):
        pass
    assert screen.text().startswith("text")


@pytest.mark.parametrize("name", RECORDINGS)
@settings(max_examples=15)
@given(cuts=st.lists(st.integers(min_value=1, max_value=3000), max_size=8))
def test_it_does_not_matter_how_the_output_is_cut(name: str, cuts: list[int]) -> None:
    whole, cut_up = Screen(24, 80), Screen(24, 80)
    rest = RECORDINGS[name]
    whole.feed(rest)
    for cut in cuts:
        cut_up.feed(rest[:cut])
        cut_up.work()
        rest = rest[cut:]
    cut_up.feed(rest)
    assert cut_up.ansi() == whole.ansi()


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (-1, 5), (10**9, 10**9)])
def test_odd_sizes_are_bounded(rows: int, columns: int) -> None:
    screen = Screen(rows, columns)
    screen.resize(rows, columns)
    screen.feed(b"hello\x1b#8")
    assert len(screen.text()) < 500_000


def test_a_marked_moment_is_kept_as_it_was() -> None:
    screen = Screen(5, 20)
    screen.feed(b"one")
    screen.mark(1.0)
    screen.feed(b"\x1b[2Jtwo")
    assert screen.text() == "   two"
    (taken,) = screen.taken
    assert (taken.moment, taken.incomplete) == (1.0, False)
    assert taken.picture.draw(2)
    assert not taken.picture.draw(3)
    assert (taken.picture.text(), taken.picture.ansi()) == ("one", b"\x1b[1;1Hone")
    assert taken.cursor == b"\x1b[1;4H"


def test_marks_do_not_pile_up() -> None:
    screen = Screen(5, 20)
    for number in range(10):
        screen.mark(float(number))
    screen.text()
    assert [taken.moment for taken in screen.taken] == [8.0, 9.0]


def test_output_that_ends_in_a_gap_is_incomplete() -> None:
    screen = Screen(5, 20, limit=10)
    screen.feed(b"\x1b[Hseen")
    assert screen.text() == "seen"
    screen.feed(b"no place to begin" * 10)
    assert screen.lost
    assert screen.dropped == 170


def test_doubt_lasts_until_all_is_drawn_anew() -> None:
    screen = Screen(5, 20)
    screen.feed(b"drawing")
    screen.doubt()
    screen.feed(b" more")
    assert screen.lost
    screen.feed(b"\x1b[H\x1b[2Jnew")
    assert not screen.lost


def test_a_program_far_faster_than_the_screen_is_seen_at_its_end() -> None:
    screen = Screen(24, 80)
    fed = 0
    for number in range(400):
        chunk = b"".join(b"\x1b[3%dmline %d of many\r\n" % (line % 8, number) for line in range(2000))
        screen.feed(chunk)
        fed += len(chunk)
        screen.work()
    assert screen.dropped > fed // 2
    assert screen.text().endswith("line 399 of many")
    assert not screen.lost


def test_narrow_characters_are_narrow() -> None:
    from pyte.screens import wcwidth

    from realm.terminal.emulator.writing import _PARTS

    narrow = [chr(code) for code in range(0x20, 0x3000) if _PARTS.fullmatch(chr(code)).lastgroup]  # type: ignore[union-attr]
    assert len(narrow) > 700
    assert {wcwidth(character) for character in narrow} == {1}
