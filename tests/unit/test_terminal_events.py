from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realm.terminal.relay.events import Event, Focus, Scanner

BEGUN, ENDED, TOLD = b"\x16\x1b[?7325l", b"\x16\x1b[?7325h", b"\x16\x1b[?7326h"
PIECES = [b"text", b"\x07", b"\x16", BEGUN, ENDED, TOLD, b"\x1b[31m", b"\x1b]0;a title\x07",
          b"\x1b]8;;x\x1b\\", "ä€😀".encode(), b"\x1bPq\x1b\\", b"\x1b(B", b"\x1bc", b"\r\n",
          b"\x1b[?1004h", ENDED[:5]]  # fmt: skip


def heard(*pieces: bytes) -> tuple[list[Event], bytes, bool]:
    sounds: list[Event] = []
    scanner = Scanner(sounds.append)
    passed = b"".join([scanner.feed(piece) for piece in pieces])
    return sounds, passed, scanner.between


@st.composite
def cut(draw: st.DrawFn, pieces: list[bytes]) -> list[bytes]:
    data = b"".join(draw(st.lists(st.sampled_from(pieces), max_size=12)))
    places = sorted(draw(st.sets(st.integers(0, len(data)), max_size=6)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@pytest.mark.parametrize("data", [b"\x07", b"text\x07more", b"\x1b]0;title\x07\x07", b"\x1b[31m\x07"])
def test_a_ring_is_heard_and_passes(data: bytes) -> None:
    assert heard(data)[:2] == ([Event.BELL], data)


@pytest.mark.parametrize(
    "data", [b"", b"text", b"\x1b]0;title\x07", b"\x1b]52;c;eA==\x07a\x1b]0;b\x1b\\", b"\x1bPq\x07\x1b\\"]
)
def test_the_end_of_a_title_is_no_ring(data: bytes) -> None:
    assert heard(data)[:2] == ([], data)


def test_a_title_in_pieces_is_no_ring_and_what_follows_is() -> None:
    assert heard(b"\x1b]0;ti", b"tle", b"\x07")[0] == []
    assert heard(b"\x1b", b"]0;ti", b"tle", b"\x07", b"\x07")[0] == [Event.BELL]


def test_a_ring_inside_a_sequence_in_two_pieces_is_heard() -> None:
    assert heard(b"\x1b[?7\x07text")[0] == [Event.BELL]
    assert heard(b"\x1b[?7\x07", b"text")[0] == [Event.BELL]


@pytest.mark.parametrize(("mark", "sound"), [(BEGUN, Event.BEGUN), (ENDED, Event.ENDED), (TOLD, Event.TOLD)])
def test_a_mark_is_heard_and_taken_out_even_of_a_sequence(mark: bytes, sound: Event) -> None:
    assert heard(b"a\x1b[3" + mark + b"1mb") == ([sound], b"a\x1b[31mb", True)
    assert heard(mark) == ([sound], b"", True)


@pytest.mark.parametrize("place", range(1, len(ENDED)))
def test_a_mark_in_two_pieces_is_heard_and_taken_out(place: int) -> None:
    pieces = b"a\x1b[3" + ENDED[:place], ENDED[place:] + b"1mb"
    assert heard(*pieces) == ([Event.ENDED], b"a\x1b[31mb", True)


@pytest.mark.parametrize("rest", [b"", b"x", b"\x16", b"\x1b[31m", ENDED])
@pytest.mark.parametrize("place", range(1, len(ENDED)))
def test_what_only_began_as_a_mark_goes_on(place: int, rest: bytes) -> None:
    sounds, passed, _ = heard(b"a" + ENDED[:place], b"y" + rest)
    assert passed == b"a" + ENDED[:place] + b"y" + (b"" if rest in (ENDED, b"\x16") else rest)
    assert sounds == [Event.ENDED] * (rest == ENDED)


def test_at_the_end_nothing_is_held_back() -> None:
    scanner = Scanner(lambda _: None)
    assert scanner.feed(b"a" + ENDED[:4]) == b"a"
    assert scanner.rest() == ENDED[:4]
    assert scanner.rest() == b""


def test_a_mark_in_many_pieces_is_heard() -> None:
    assert heard(*(bytes([byte]) for byte in b"a" + ENDED + b"b")) == ([Event.ENDED], b"ab", True)


def test_many_marks_in_one_piece_are_one() -> None:
    assert heard(ENDED * 1000)[:2] == ([Event.ENDED], b"")
    assert heard(ENDED + BEGUN)[0] == [Event.ENDED, Event.BEGUN]


@given(cut(PIECES))
def test_nothing_but_whole_marks_is_taken_out(pieces: list[bytes]) -> None:
    scanner = Scanner(lambda _: None)
    passed = b"".join([scanner.feed(piece) for piece in pieces]) + scanner.rest()
    assert passed == re.sub(rb"\x16\x1b\[\?(7325[hl]|7326h)", b"", b"".join(pieces))


@given(cut(PIECES))
def test_how_output_is_cut_changes_nothing(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    assert heard(*pieces)[2] == heard(whole)[2]
    assert set(heard(*pieces)[0]) == set(heard(whole)[0])


@pytest.mark.parametrize(
    "data",
    [b"\x1b", b"\x1b[", b"\x1b[3", b"\x1b[?20", b"\x1b[2 ", b"\x1b]0;a title", b"\x1bPq#0", b"\x1b(",
     b"\xe2\x82", b"\xc3", b"\xf0\x9f\x98", b"\x1b_G", b"\x1b]52;c;" + b"A" * 100_000],
)  # fmt: skip
def test_others_wait_inside_a_sequence_or_a_character(data: bytes) -> None:
    assert not heard(b"before\x1b[m" + data)[2]
    assert not heard(*(data[place : place + 1] for place in range(min(len(data), 50))))[2]


@given(st.lists(st.sampled_from([piece for piece in PIECES if piece != ENDED[:5]])))
def test_others_may_write_between_sequences(pieces: list[bytes]) -> None:
    assert heard(b"".join(pieces))[2]


@given(st.lists(st.binary(max_size=20)))
def test_no_output_makes_it_fail(pieces: list[bytes]) -> None:
    heard(*pieces)


def focus(*pieces: bytes) -> bool:
    found = Focus()
    for piece in pieces:
        found.feed(piece)
    return found.lost


def test_the_last_report_counts_and_nothing_is_lost_without_one() -> None:
    assert not focus()
    assert not focus(b"keys", b"\x1b[A", b"\x1bOA", b"O", b"I")
    assert focus(b"\x1b[O")
    assert focus(b"\x1b[I\x1b[O")
    assert not focus(b"\x1b[O", b"x", b"\x1b[I")


@given(cut([b"\x1b[I", b"\x1b[O", b"x", b"\x1b[A", b"\x1bOA", b"\x1b[<0;1;1M", b"\x1b"]))
def test_reports_may_be_cut_anywhere(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    reports = re.findall(rb"\x1b\[([IO])", whole)
    assert focus(*pieces) == (reports[-1:] == [b"O"])
