"""What of a program's output is changed on its way to the user, however it is cut."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realm.agents.claude import Claude
from realm.terminal.relay.rewrite import Closing, Rewriter

UUID = b"01234567-89ab-cdef-0123-456789abcdef"
COMMAND = b"claude --dangerously-skip-permissions --resume " + UUID
OURS = b"realm resume fix"
GOODBYE = b"\x1b[?2004l\r\nResume this session with:\r\n\x1b[2m" + COMMAND + b"\x1b[22m\r\n"
PIECES = [b"claude", b" --resume ", b"c", b"clau", UUID, b"\x1b[2m", b"\x1b[", b"\x1b", b"\r\n", b"text ",
          b"\x1b]8;;x\x1b\\", "ä€😀".encode(), b"\x1b]133;A\x07", b"\x1b_G\x1b\\", b"\x1b]0"]  # fmt: skip


def passed(*pieces: bytes, is_over: bool = True, drops_apc: bool = False) -> bytes:
    assert Claude.closing is not None
    rewriter = Rewriter("fix", Closing(Claude.closing, OURS, lambda: is_over), drops_apc=drops_apc)
    return b"".join([rewriter.feed(piece) for piece in pieces]) + rewriter.rest()


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    places = sorted(draw(st.sets(st.integers(0, len(data)), max_size=8)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@given(cut(GOODBYE))
def test_the_command_is_realms_however_it_is_cut(pieces: list[bytes]) -> None:
    assert passed(*pieces) == GOODBYE.replace(COMMAND, OURS)


@pytest.mark.parametrize("place", range(len(COMMAND)))
def test_a_colour_in_it_stays(place: int) -> None:
    if place < len(b"claude"):
        return
    coloured = COMMAND[:place] + b"\x1b[1m" + COMMAND[place:]
    assert passed(*(bytes([byte]) for byte in b"> " + coloured + b"\r\n")) == b"> " + OURS + b"\x1b[1m\r\n"


def test_while_the_program_draws_it_passes_and_so_does_a_like_one() -> None:
    assert passed(COMMAND, is_over=False) == COMMAND
    assert passed(b"claude --resume x\r\n") == b"claude --resume x\r\n"
    # The same piece can undo the screen's modes and say goodbye.
    assert passed(GOODBYE, is_over=False) == GOODBYE.replace(COMMAND, OURS)


@given(st.lists(st.sampled_from(PIECES)), st.booleans())
def test_all_else_passes_byte_by_byte(pieces: list[bytes], is_over: bool) -> None:
    whole = b"".join(pieces)
    if not re.search(rb"claude(?: [ -~]*)? --resume " + UUID, re.sub(rb"\x1b\[2m", b"", whole)):
        assert passed(*pieces, is_over=is_over) == whole


def test_what_a_person_waits_for_is_let_go_when_nothing_comes() -> None:
    assert Claude.closing is not None
    rewriter = Rewriter("fix", Closing(Claude.closing, OURS, lambda: True))
    assert rewriter.feed(b"c") == b""
    assert rewriter.release() == b"c"
    assert rewriter.feed(b"claude --danger") == b""
    assert rewriter.release() == b""
    assert b"".join(rewriter.release() for _ in range(20)) == b"claude --danger"


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        (b"\x1b]0;\xe2\x9c\xb3 Claude Code\x07", b"\x1b]0;fix: \xe2\x9c\xb3 Claude Code\x07"),
        (b"\x1b]2;a\xc2\x9bb\x1b\\", b"\x1b]2;fix: ab\x07"),
        (b"\x1b]0;\x07", b"\x1b]0;fix\x07"),
        (b"\x1b]8;;http://x\x07", b"\x1b]8;;http://x\x07"),
    ],
)
def test_the_window_is_called_after_the_session(title: bytes, shown: bytes) -> None:
    assert passed(b"a" + title + b"b") == b"a" + shown + b"b"
    assert passed(*(bytes([byte]) for byte in b"a" + title + b"b")) == b"a" + shown + b"b"


def test_what_tmux_takes_for_a_title_is_left_out_there_alone() -> None:
    question = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
    assert passed(b"a" + question + b"\x1b[c") == b"a" + question + b"\x1b[c"
    assert passed(b"a" + question + b"\x1b[c", drops_apc=True) == b"a\x1b[c"
    assert passed(*(bytes([byte]) for byte in question + b"x"), drops_apc=True) == b"x"


def test_a_string_that_never_ends_is_not_kept() -> None:
    assert len(passed(b"\x1b]0;" + b"x" * 10_000)) == 10_004
    assert Rewriter("fix").feed(b"\x1b]0;" + b"x" * 10_000) != b""
