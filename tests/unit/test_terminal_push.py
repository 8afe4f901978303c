from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
import tty
from typing import TYPE_CHECKING

import pytest

from realm.terminal.relay.outlet import Outlet
from realm.terminal.relay.push import MOMENT

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
    outlet = Outlet(slave)
    for start in range(0, len(BIG), 100_000):
        outlet.push(BIG[start : start + 100_000])
        while outlet.full:
            outlet.flush()
    reader.join(20)
    assert bytes(got) == BIG
    assert fcntl.fcntl(slave, fcntl.F_GETFL) == flags
    outlet.close()


def test_a_terminal_that_stalls_is_waited_for_a_moment_only(pair: tuple[int, int]) -> None:
    master, slave = pair
    outlet = Outlet(slave)
    began = time.monotonic()
    outlet.push(BIG)
    outlet.push(b"more")
    assert MOMENT / 2 < time.monotonic() - began < 1
    got = bytearray()
    while outlet.full:
        got += os.read(master, 65536)
        outlet.flush()
    take(master, len(BIG) + 4, got)
    assert bytes(got) == BIG + b"more"
    outlet.close()


def test_a_full_terminal_is_left_after_a_moment(pair: tuple[int, int]) -> None:
    _, slave = pair
    filling, outlet = Outlet(slave), Outlet(slave)
    filling.put(BIG)
    for _ in range(20):
        time.sleep(0.01)
        filling.flush()
    began = time.monotonic()
    outlet.push(b"more")
    assert outlet.full
    assert time.monotonic() - began < 1
    filling.close()
    outlet.close()


def test_timer_and_handler_are_afterwards_what_they_were(pair: tuple[int, int]) -> None:
    _, slave = pair
    before = signal.getsignal(signal.SIGALRM)
    outlet = Outlet(slave)
    outlet.push(BIG)
    outlet.close()
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_terminal_that_is_gone_is_an_error() -> None:
    master, slave = os.openpty()
    outlet = Outlet(slave)
    outlet.push(b"x")
    os.close(master)
    with pytest.raises(OSError, match=r"\[Errno 5\]"):
        outlet.push(b"x")
    outlet.close()
    os.close(slave)
