from __future__ import annotations

import errno
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realm.errors import EngineError
from realm.sandbox.stream import STDERR, STDOUT, Demux, Lines, read_output


def frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=12),
    st.lists(st.integers(min_value=1, max_value=9), max_size=60),
)
def test_frames_come_apart_however_they_are_cut(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(frame(number, data) for number, data in frames)
    demux, parts = Demux(), []
    for cut in [*cuts, len(stream)]:
        parts += demux.feed(stream[:cut])
        other = Demux()
        other.feed(demux.unread())
        demux = other
        stream = stream[cut:]
    for number in (STDOUT, STDERR):
        wanted = b"".join(data for stream_number, data in frames if stream_number == number)
        assert b"".join(data for target, data in parts if target == number) == wanted


def test_a_length_is_only_a_number() -> None:
    demux = Demux()
    assert demux.feed(b"\x01\0\0\0\xff\xff\xff\xffabc") == [(STDOUT, b"abc")]
    assert demux.feed(b"more") == [(STDOUT, b"more")]


@pytest.mark.parametrize("header", [b"\x07\0\0\0\0\0\0\x01", b"\x01\x01\0\0\0\0\0\x01", b"plain te"])
def test_what_is_no_frame_is_an_error(header: bytes) -> None:
    with pytest.raises(EngineError):
        Demux().feed(header)


class Silent(socket.socket):
    """A connection whose other end has not answered TCP for minutes."""

    def recv(self, *_: int) -> bytes:
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def test_an_engine_that_is_gone_is_no_command_that_takes_too_long() -> None:
    theirs, ours = socket.socketpair()
    with theirs, Silent(fileno=ours.detach()) as silent:
        theirs.send(b"x")
        for read in (Lines(silent, b"", 100).read, lambda: read_output(silent, b"", print, 9, 9)):
            with pytest.raises(EngineError, match="the engine closed the connection") as broken:
                read()
            assert broken.value.kind == "unreachable"
    theirs, ours = socket.socketpair()
    with theirs, ours, pytest.raises(EngineError, match="takes too long"):
        read_output(ours, b"", print, 0.01, 9)
