"""Streams that break, and streams that stay open although nobody will say anything more."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from realm.terminal.relay import loop
from realm.terminal.relay.loop import drain, relay
from realm.terminal.relay.protocols import Ended, Reason
from tests.support.terminal import SocketSandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from realm.terminal.relay.protocols import Stream

    Carry = Callable[[Stream, Callable[[], bool], Callable[[], Stream | None]], tuple[Ended, bytes]]

GAP = 0.1


class Nobody:
    """A user's side where nobody types, or can, and whose output nobody reads."""

    is_raw = False

    def __init__(self, *, can_type: bool) -> None:
        self.stdin: int | None
        self.stdin, self.typing = os.pipe()
        self.reading, self.stdout = os.pipe()
        if not can_type:
            os.close(self.stdin)
            self.stdin = None
        self.stderr = self.stdout

    def size(self) -> tuple[int, int]:
        return 24, 80

    def note(self, data: bytes) -> None:
        """Nothing is switched on."""

    def suspend(self) -> None:
        raise AssertionError

    def resume(self) -> bool:
        raise AssertionError


def attached(
    sandbox: Stream, alive: Callable[[], bool], again: Callable[[], Stream | None], *, can_type: bool = True
) -> tuple[Ended, bytes]:
    tapped: list[bytes] = []
    seat = Nobody(can_type=can_type)
    ended = relay(
        sandbox, seat, tap=tapped.append, resize=lambda *_: None, idle=lambda: False, alive=alive, again=again
    )
    for fd in (seat.stdin, seat.typing, seat.reading, seat.stdout):
        if fd is not None:
            os.close(fd)
    return ended, b"".join(tapped)


def kept(
    sandbox: Stream, alive: Callable[[], bool], again: Callable[[], Stream | None]
) -> tuple[Ended, bytes]:
    tapped: list[bytes] = []
    ended = drain(sandbox, tap=tapped.append, idle=lambda: False, watch={}, alive=alive, again=again)
    return ended, b"".join(tapped)


CARRIERS: dict[str, Carry] = {
    "attached": attached,
    "no input": partial(attached, can_type=False),
    "kept": kept,
}


@pytest.fixture(params=CARRIERS)
def carry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Carry:
    monkeypatch.setattr(loop, "FIRST_LOOK", GAP)
    return CARRIERS[request.param]


@pytest.fixture
def sandboxes() -> Iterator[list[SocketSandbox]]:
    made = [SocketSandbox() for _ in range(3)]
    yield made
    for sandbox in made:
        sandbox.close()


class Asked:
    """Answers yes ``count`` times, then no."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.at: list[float] = []

    def __call__(self) -> bool:
        self.at.append(time.monotonic())
        self.left -= 1
        return self.left >= 0


def nothing() -> Stream | None:
    return None


def test_a_silent_stream_of_a_sandbox_that_is_gone_ends(carry: Carry, sandboxes: list[SocketSandbox]) -> None:
    alive = Asked(2)
    began = time.monotonic()
    assert carry(sandboxes[0], alive, nothing) == (Ended(Reason.EOF), b"")
    gaps = [end - begin for begin, end in itertools.pairwise([began, *alive.at])]
    # Ever more rarely.
    assert gaps[0] >= GAP
    assert gaps[1] >= 2 * GAP
    assert gaps[2] >= 4 * GAP


def test_last_words_are_heard_that_come_while_the_sandbox_is_asked(
    carry: Carry, sandboxes: list[SocketSandbox]
) -> None:
    peer = sandboxes[0].peer

    def end() -> None:
        peer.sendall(b"words")
        peer.close()

    def gone() -> bool:
        peer.sendall(b"last ")
        threading.Timer(GAP, end).start()
        return False

    assert carry(sandboxes[0], gone, nothing) == (Ended(Reason.EOF), b"last words")


def test_a_sandbox_that_has_said_something_is_not_asked_any_more(
    carry: Carry, sandboxes: list[SocketSandbox]
) -> None:
    alive = Asked(0)
    sandboxes[0].peer.sendall(b"word")
    threading.Timer(5 * GAP, sandboxes[0].peer.close).start()
    assert carry(sandboxes[0], alive, nothing) == (Ended(Reason.EOF), b"word")
    assert alive.at == []


def test_after_a_stream_that_broke_it_goes_on_with_the_next(
    carry: Carry, sandboxes: list[SocketSandbox]
) -> None:
    for number, sandbox in enumerate(sandboxes):
        sandbox.peer.sendall(b"%d" % number)
        sandbox.peer.close()
    rest = iter(sandboxes[1:])
    assert carry(sandboxes[0], Asked(0), lambda: next(rest, None)) == (Ended(Reason.EOF), b"012")


def test_a_signal_ends_it_whatever_could_go_on(carry: Carry, sandboxes: list[SocketSandbox]) -> None:
    def fail() -> Stream | None:
        raise AssertionError

    def end() -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        return True

    assert carry(sandboxes[0], end, fail)[0] == Ended(Reason.SIGNAL, signal.SIGTERM)


def test_a_signal_between_two_streams_ends_the_second(carry: Carry, sandboxes: list[SocketSandbox]) -> None:
    def again() -> Stream:
        os.kill(os.getpid(), signal.SIGTERM)
        return sandboxes[1]

    sandboxes[0].peer.close()
    assert carry(sandboxes[0], Asked(0), again)[0] == Ended(Reason.SIGNAL, signal.SIGTERM)


def test_what_is_said_last_is_heard_and_not_for_ever(sandboxes: list[SocketSandbox]) -> None:
    heard: list[bytes] = []
    threading.Timer(GAP, sandboxes[0].peer.sendall, [b"bye"]).start()
    threading.Timer(2 * GAP, sandboxes[0].peer.close).start()
    assert drain(sandboxes[0], tap=heard.append, seconds=20) == Ended(Reason.EOF)
    sandboxes[1].peer.sendall(b" and more")
    assert drain(sandboxes[1], tap=heard.append, seconds=GAP) == Ended(Reason.TIMEOUT)
    assert b"".join(heard) == b"bye and more"
