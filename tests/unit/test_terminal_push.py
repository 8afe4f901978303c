from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
import tty
from typing import TYPE_CHECKING

import pytest

from realm.terminal.relay.writer import MOMENT, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

BIG = os.urandom(3_000_000)


@pytest.fixture
def pair() -> Iterator[tuple[int, int]]:
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, slave
    os.close(master)
    os.close(slave)


def take(fd: int, count: int, got: bytearray) -> None:
    while len(got) < count:
        got += os.read(fd, 65536)


def test_a_terminal_that_reads_gets_all_in_one_go(pair: tuple[int, int]) -> None:
    master, slave = pair
    flags = fcntl.fcntl(slave, fcntl.F_GETFL)
    got = bytearray()
    reader = threading.Thread(target=take, args=(master, len(BIG), got))
    reader.start()
    writer = Writer(slave)
    for start in range(0, len(BIG), 100_000):
        writer.push(BIG[start : start + 100_000])
        while writer.full:
            writer.flush()
    reader.join(20)
    assert bytes(got) == BIG
    assert fcntl.fcntl(slave, fcntl.F_GETFL) == flags
    writer.close()


def test_a_terminal_that_stalls_is_waited_for_a_moment_only(pair: tuple[int, int]) -> None:
    master, slave = pair
    writer = Writer(slave)
    began = time.monotonic()
    writer.push(BIG)
    writer.push(b"more")
    assert MOMENT / 2 < time.monotonic() - began < 1
    got = bytearray()
    while writer.full:
        got += os.read(master, 65536)
        writer.flush()
    take(master, len(BIG) + 4, got)
    assert bytes(got) == BIG + b"more"
    writer.close()


def test_a_full_terminal_is_left_after_a_moment(pair: tuple[int, int]) -> None:
    _, slave = pair
    filling, writer = Writer(slave), Writer(slave)
    filling.put(BIG)
    for _ in range(20):
        time.sleep(0.01)
        filling.flush()
    began = time.monotonic()
    writer.push(b"more")
    assert writer.full
    assert time.monotonic() - began < 1
    filling.close()
    writer.close()


def test_timer_and_handler_are_afterwards_what_they_were(pair: tuple[int, int]) -> None:
    _, slave = pair
    before = signal.getsignal(signal.SIGALRM)
    writer = Writer(slave)
    writer.push(BIG)
    writer.close()
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_terminal_that_is_gone_is_an_error() -> None:
    master, slave = os.openpty()
    writer = Writer(slave)
    writer.push(b"x")
    os.close(master)
    with pytest.raises(OSError, match=r"\[Errno 5\]"):
        writer.push(b"x")
    writer.close()
    os.close(slave)
