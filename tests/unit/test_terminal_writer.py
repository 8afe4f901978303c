from __future__ import annotations

import fcntl
import os
import socket
from typing import TYPE_CHECKING

import pytest

from realm.terminal.relay import writer as writers
from realm.terminal.relay.writer import Writer

if TYPE_CHECKING:
    from pathlib import Path

BIG = os.urandom(3_000_000)


def read_all(writer: Writer, fd: int) -> bytes:
    got = b""
    while writer.full:
        got += os.read(fd, 100_000)
        writer.flush()
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
        monkeypatch.setattr(writers, "_reopen", lambda _fd: None)
    read, write = os.pipe()
    flags = fcntl.fcntl(write, fcntl.F_GETFL)
    writer = Writer(write)
    writer.put(BIG)
    assert writer.full
    assert not writer.drain(0.05)
    assert read_all(writer, read) == BIG
    assert fcntl.fcntl(write, fcntl.F_GETFL) == flags
    writer.close()
    os.close(read)
    os.close(write)


def test_a_socket_that_nobody_reads_never_blocks() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writer = Writer(ours.fileno())
        writer.put(BIG)
        assert writer.full
        assert read_all(writer, theirs.fileno()) == BIG
        assert ours.getblocking()
        writer.close()


def test_a_file_takes_all_at_its_position(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        file.write(b"before ")
        file.flush()
        writer = Writer(file.fileno())
        writer.put(BIG)
        assert not writer.full
        writer.close()
    assert (tmp_path / "out").read_bytes() == b"before " + BIG


def test_a_reader_that_is_gone_is_an_error() -> None:
    read, write = os.pipe()
    writer = Writer(write)
    os.close(read)
    with pytest.raises(BrokenPipeError):
        writer.put(b"x")
    writer.close()
    os.close(write)
