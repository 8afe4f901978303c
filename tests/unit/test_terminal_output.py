"""Output with marks and words of realm's in it, shown, noted and heard, however it is cut."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from realm.sandbox.stream import Attachment
from realm.terminal.relay import loop as relays
from realm.terminal.relay.events import Event, Observed
from realm.terminal.relay.loop import relay
from realm.terminal.relay.protocols import Ended, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM = b"ab\x07c\x16d\x1b]0;t\x07e\x16\x1b[?73f"
MARKED = b"a\x16\x1b[?7325lb\x07c\x16d\x1b]0;t\x07e\x16\x1b[?73\x16\x1b[?7325hf"
"""A turn's beginning, a bell, a title, what is no mark, and a turn's end."""


class Reader:
    """A user who types into a pipe and reads another."""

    is_raw = True

    def __init__(self) -> None:
        self.stdin: int | None
        self.stdin, self.typing = os.pipe()
        self.reading, self.stdout = os.pipe()
        self.stderr = self.stdout
        self.noted = b""
        os.set_blocking(self.reading, False)

    def size(self) -> tuple[int, int]:
        return 24, 80

    def note(self, data: bytes) -> None:
        self.noted += data

    def suspend(self) -> None:
        raise AssertionError

    def resume(self) -> bool:
        raise AssertionError

    def read(self) -> bytes:
        try:
            return os.read(self.reading, 1_000_000)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        for fd in (self.stdin, self.typing, self.reading, self.stdout):
            os.close(fd or 0)


class Way:
    """A sandbox and a reader with the relay between them, which does one thing at a time."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.stream = Attachment(self.near, b"", tty=True)
        self.sounds: list[Event] = []
        self.tapped = b""
        self.reader = Reader()
        self.overheard = Observed(self.stream, self.sounds.append)

    def relay(self, *steps: Callable[[], object] | bytes) -> Ended:
        """Relay; take a step whenever all is quiet: the sandbox writes bytes, and ends after the last."""
        left = list(steps)

        def tap(data: bytes) -> None:
            self.tapped += data

        def step() -> bool:
            if not left:
                self.far.shutdown(socket.SHUT_WR)
                return False
            step = left.pop(0)
            self.far.sendall(step) if isinstance(step, bytes) else step()
            return True

        return relay(self.overheard, self.reader, tap=tap, resize=lambda *_: None, idle=step, detach=(16, 17))

    def type(self, keys: bytes) -> Callable[[], int]:
        return lambda: os.write(self.reader.typing, keys)

    def got(self) -> bytes:
        """Return what the sandbox has got."""
        try:
            return self.far.recv(1_000_000, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    monkeypatch.setattr(relays, "QUIET", 0.001)
    made = Way()
    yield made
    for end in (made.near, made.far, made.reader):
        end.close()


def check(way: Way, *steps: bytes) -> None:
    assert way.relay(*steps) == Ended(Reason.EOF)
    assert way.reader.read() == way.tapped == way.reader.noted == PROGRAM
    assert sorted(way.sounds) == [Event.BELL, Event.BEGUN, Event.ENDED]


@pytest.mark.parametrize("place", range(1, len(MARKED)))
def test_however_it_is_cut_the_same_is_shown_noted_and_heard(way: Way, place: int) -> None:
    check(way, MARKED[:place], MARKED[place:])


def test_byte_by_byte_the_same_is_shown_noted_and_heard(way: Way) -> None:
    check(way, *(bytes([byte]) for byte in MARKED))


def test_a_word_comes_before_what_the_program_says_next(way: Way) -> None:
    way.relay(b"a", lambda: way.overheard.say(b"word"), b"b", b"c")
    assert way.reader.read() == way.tapped == b"awordbc"


def test_a_word_waits_for_the_end_of_a_sequence(way: Way) -> None:
    way.relay(b"a\x1b[3", lambda: way.overheard.say(b"word"), b"1m", b"b")
    assert way.reader.read() == b"a\x1b[31mwordb"


def test_keys_that_may_detach_wait_for_the_next_one_and_all_are_looked_at(way: Way) -> None:
    keys = (b"a", b"b\x10", b"c", b"\x1b", b"[O", b"d")
    way.relay(*map(way.type, keys))
    assert way.got() == b"".join(keys)
    assert way.overheard.focus.lost


def test_output_that_comes_with_the_keys_that_detach_is_left_for_who_comes_next(way: Way) -> None:
    def both() -> None:
        way.far.sendall(b"later")
        way.type(b"a\x10\x11")()

    assert way.relay(b"now", both).reason is Reason.DETACHED
    assert way.got() == b"a"
    assert way.reader.read() == b"now"
    assert way.stream.recv(100) == b"later"


def test_what_a_reader_does_not_take_at_once_comes_later(way: Way) -> None:
    screens = [bytes([number]) * 50_000 for number in range(1, 4)]
    read: list[bytes] = []
    rests: list[Callable[[], object]] = [lambda: read.append(way.reader.read())] * 10
    way.relay(*screens, *rests)
    assert b"".join([*read, way.reader.read()]) == b"".join(screens) == way.tapped


def test_a_sandbox_that_takes_nothing_gets_all_later(way: Way) -> None:
    way.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    typed = [bytes([65 + number]) * 500 for number in range(50)]
    got: list[bytes] = []
    rests: list[Callable[[], object]] = [lambda: got.append(way.got())] * 20
    way.relay(*map(way.type, typed), *rests)
    assert b"".join(got) == b"".join(typed)


def test_a_reader_who_is_gone_ends_it_and_all_is_noted(way: Way) -> None:
    def leave() -> None:
        os.dup2(way.reader.typing, way.reader.reading)
        way.far.sendall(b"a")

    assert way.relay(leave) == Ended(Reason.CLOSED, signal.SIGPIPE)
    assert way.reader.noted == way.tapped == b"a"


def test_a_connection_that_breaks_ends_it(way: Way) -> None:
    def cut() -> None:
        way.far.close()

    way.near.sendall(b"unread")
    assert way.relay(cut) == Ended(Reason.LOST)
