from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.terminal.relay.events import Observed
from realm.terminal.relay.rewrite import Rewriter
from tests.support.terminal import SocketSandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realm.terminal.relay.events import Event

WORD = b"\x07\x1b]9;word\x07"


@pytest.fixture
def sandbox() -> Iterator[SocketSandbox]:
    made = SocketSandbox()
    yield made
    made.close()


def test_a_mark_alone_is_no_end(sandbox: SocketSandbox) -> None:
    sounds: list[Event] = []
    stream = Observed(sandbox, sounds.append)
    sandbox.peer.sendall(b"\x16\x1b[?7325h")
    with pytest.raises(BlockingIOError):
        stream.recv(100)
    assert len(sounds) == 1
    sandbox.peer.close()
    assert stream.recv(100) == b""


def test_what_may_become_a_mark_comes_at_the_end_at_the_latest(sandbox: SocketSandbox) -> None:
    stream = Observed(sandbox, lambda _: None)
    sandbox.peer.sendall(b"\x16\x1b[?73")
    with pytest.raises(BlockingIOError):
        stream.recv(100)
    sandbox.peer.close()
    assert stream.recv(100) == b"\x16\x1b[?73"
    assert stream.recv(100) == b""


def test_a_word_waits_for_the_end_of_a_sequence(sandbox: SocketSandbox) -> None:
    stream = Observed(sandbox, lambda _: None)
    sandbox.peer.sendall(b"a\x1b[3")
    stream.recv(100)
    stream.say(WORD)
    assert stream.pending() == 0
    sandbox.peer.sendall(b"1mb")
    assert stream.recv(100) == b"1mb"
    assert stream.pending() == len(WORD)
    assert stream.recv(100) == WORD
    assert stream.pending() == 0


def test_a_word_waits_for_the_end_of_an_update(sandbox: SocketSandbox) -> None:
    settled = False
    stream = Observed(sandbox, lambda _: None)
    stream.settled = lambda: settled
    stream.say(WORD)
    assert stream.pending() == 0
    settled = True
    assert stream.recv(stream.pending()) == WORD


def test_the_last_word_counts(sandbox: SocketSandbox) -> None:
    stream = Observed(sandbox, lambda _: None)
    stream.say(b"\x07")
    stream.say(WORD)
    assert stream.recv(100) == WORD
    assert stream.pending() == 0


def test_what_goes_in_is_looked_at(sandbox: SocketSandbox) -> None:
    stream = Observed(sandbox, lambda _: None)
    stream.send(b"x\x1b[")
    stream.send(b"O")
    assert stream.focus.lost


def test_what_is_held_back_can_be_given_to_whoever_reads_next(sandbox: SocketSandbox) -> None:
    stream = Observed(sandbox, lambda _: None, Rewriter("fix"))
    sandbox.peer.sendall(b"a\x1b]0;ti")
    assert stream.recv(100) == b"a"
    assert stream.unread == b"\x1b]0;ti"
    sandbox.peer.sendall(b"tle\x07\x16\x1b[?73")
    assert stream.recv(100) == b"\x1b]0;fix: title\x07"
    assert stream.unread == b"\x16\x1b[?73"
