from __future__ import annotations

import fcntl
import os
import socket
from typing import TYPE_CHECKING

import pytest

from realm.terminal.relay import outlet as outlets
from realm.terminal.relay.outlet import Outlet

if TYPE_CHECKING:
    from pathlib import Path

BIG = os.urandom(3_000_000)


def read_all(outlet: Outlet, fd: int) -> bytes:
    got = b""
    while outlet.full:
        got += os.read(fd, 100_000)
        outlet.flush()
    os.set_blocking(fd, False)
    try:
        while data := os.read(fd, 100_000):
            got += data
    except BlockingIOError:
        pass
    return got


@pytest.mark.parametrize("reopened", [True, False])
def test_a_pipe_that_nobody_reads_never_blocks(monkeypatch: pytest.MonkeyPatch, *, reopened: bool) -> None:
    if not reopened:
        monkeypatch.setattr(outlets, "_reopen", lambda _fd: None)
    read, write = os.pipe()
    flags = fcntl.fcntl(write, fcntl.F_GETFL)
    outlet = Outlet(write)
    outlet.put(BIG)
    assert outlet.full
    assert not outlet.drain(0.05)
    assert read_all(outlet, read) == BIG
    assert fcntl.fcntl(write, fcntl.F_GETFL) == flags
    outlet.close()
    os.close(read)
    os.close(write)


def test_a_socket_that_nobody_reads_never_blocks() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        outlet = Outlet(ours.fileno())
        outlet.put(BIG)
        assert outlet.full
        assert read_all(outlet, theirs.fileno()) == BIG
        assert ours.getblocking()
        outlet.close()


def test_a_file_takes_all_at_its_position(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        file.write(b"before ")
        file.flush()
        outlet = Outlet(file.fileno())
        outlet.put(BIG)
        assert not outlet.full
        outlet.close()
    assert (tmp_path / "out").read_bytes() == b"before " + BIG


def test_a_reader_that_is_gone_is_an_error() -> None:
    read, write = os.pipe()
    outlet = Outlet(write)
    os.close(read)
    with pytest.raises(BrokenPipeError):
        outlet.put(b"x")
    outlet.close()
    os.close(write)
