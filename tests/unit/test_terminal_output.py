"""The short way of an echo shows, and notes, what the long way does."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from realm.box import parcel
from realm.box.stream import BoxStream
from realm.terminal.ears import Sound
from realm.terminal.output import Output
from realm.terminal.overheard import Overheard
from realm.terminal.pace import FLOOD
from realm.terminal.sides import MARK, Ended, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "token"
PROGRAM = b"ab\x07c\x16d\x1b]0;t\x07e\x16\x1b[?73f"
MARKED = b"a\x16\x1b[?7325lb\x07c\x16d\x1b]0;t\x07e\x16\x1b[?73\x16\x1b[?7325hf"
WRITTEN = MARKED + MARK + b"\x1b_realm-token;cmVzdWx0cw==\x1b\\"
"""A turn's beginning, a bell, a title, what is no mark, a turn's end, and results behind all of it."""


class Reader:
    """A user who reads a pipe."""

    stdin: int | None = None
    is_raw = True

    def __init__(self) -> None:
        self.reading, self.stdout = os.pipe()
        self.stderr = self.stdout
        self.noted = b""

    def size(self) -> tuple[int, int]:
        return 24, 80

    def note(self, data: bytes) -> None:
        self.noted += data

    def suspend(self) -> None:
        raise AssertionError

    def resume(self) -> bool:
        raise AssertionError

    def read(self) -> bytes:
        os.set_blocking(self.reading, False)
        try:
            return os.read(self.reading, 1_000_000)
        except BlockingIOError:
            return b""


class Way:
    """A box that says something, and the output that shows it to a reader."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.stream = BoxStream(self.near, b"", tty=True, token=TOKEN)
        self.sounds: list[Sound] = []
        self.tapped = b""
        self.reader = Reader()
        self.overheard = Overheard(self.stream, self.sounds.append)
        self.output = Output(self.overheard, self.reader, self._tap)

    def _tap(self, data: bytes) -> None:
        self.tapped += data

    def say(self, *pieces: bytes) -> list[bool]:
        """Let the box write each of ``pieces`` when the one before was taken; return how each was taken."""
        taken = []
        for piece in pieces:
            self.far.sendall(piece)
            taken.append(self.output.echo())
        return taken


@pytest.fixture
def way() -> Iterator[Way]:
    made = Way()
    yield made
    made.output.close()
    for end in (made.near, made.far):
        end.close()
    for fd in (made.reader.reading, made.reader.stdout):
        os.close(fd)


def test_the_marks_of_both_kinds_begin_alike() -> None:
    assert parcel.FIRST == MARK


def check(way: Way) -> None:
    way.far.close()
    way.output.echo()
    way.output.conclude()
    assert way.output.ended == Ended(Reason.EOF)
    assert way.reader.read() == way.tapped == way.reader.noted == PROGRAM
    assert sorted(way.sounds) == [Sound.RING, Sound.BEGUN, Sound.ENDED]
    assert way.stream.results() == b"results"


@pytest.mark.parametrize("place", range(1, len(WRITTEN)))
def test_however_it_is_cut_the_same_is_shown_noted_and_heard(way: Way, place: int) -> None:
    way.say(WRITTEN[:place], WRITTEN[place:])
    check(way)


def test_byte_by_byte_the_same_is_shown_noted_and_heard(way: Way) -> None:
    way.say(*(bytes([byte]) for byte in WRITTEN))
    check(way)


def test_a_word_comes_before_what_the_program_says_next(way: Way) -> None:
    assert way.say(b"a") == [True]
    way.overheard.say(b"word")
    assert way.say(b"b") == [False]
    assert way.say(b"c", b"d") == [True, True]
    assert way.reader.read() == way.tapped == b"awordbcd"


def test_a_word_waits_for_the_end_of_a_sequence_that_took_the_short_way(way: Way) -> None:
    assert way.say(b"a\x1b[3") == [True]
    way.overheard.say(b"word")
    assert way.overheard.pending() == 0
    assert way.say(b"1m") == [False]
    assert way.overheard.pending() == len(b"word")


def test_a_flood_and_a_full_terminal_are_to_be_looked_at(way: Way) -> None:
    flood = way.say(*[bytes(4096)] * (FLOOD // 4096 + 1))
    assert flood.count(True) < FLOOD // 4096
    assert not flood[-1]
    read = way.reader.read()
    while full := way.output.full():
        way.output.flush(full, [])
        read += way.reader.read()
    assert read == way.tapped
    assert way.tapped == bytes(len(flood) * 4096)


def test_a_reader_who_is_gone_ends_it_and_all_is_noted(way: Way) -> None:
    os.close(way.reader.reading)
    assert way.say(b"a") == [False]
    assert way.output.ended == Ended(Reason.CLOSED)
    assert way.reader.noted == way.tapped == b"a"
    way.reader.reading = os.open(os.devnull, os.O_RDONLY)


def test_a_box_that_is_gone_ends_it(way: Way) -> None:
    way.near.shutdown(socket.SHUT_RDWR)
    assert not way.output.echo()
    assert not way.output.open
