"""The beginning of a command that is replaced, without an end: shown, and not kept."""

from __future__ import annotations

import re
import time

import pytest

from realm.terminal.relay.rewrite import Closing, Rewriter

CLOSING = Closing(re.compile(rb"claude(?: [ -~]{1,200})? --resume x"), b"realm resume fix", lambda: True)


@pytest.mark.parametrize("piece", [b"\x1b[0m" * 4000, b"0" * 16000, b";" * 16000, b"a\x1b[1m" * 3000])
@pytest.mark.parametrize("begin", [b"claude", b"claude \x1b[", b"claude\x1b[0m --resume \x1b[1"])
def test_little_is_held_back(begin: bytes, piece: bytes) -> None:
    rewriter = Rewriter("fix", CLOSING)
    started = time.process_time()
    shown = rewriter.feed(begin)
    for _ in range(200):
        shown += rewriter.feed(piece)
        assert len(rewriter.held) < 20_000
    assert shown + rewriter.rest() == begin + 200 * piece
    assert time.process_time() - started < 10


def test_a_command_in_colours_is_still_replaced() -> None:
    rewriter = Rewriter("fix", CLOSING)
    word = b"claude" + b"".join(b"\x1b[1;38;5;208m%c" % byte for byte in b" --resume x")
    shown = b"".join(rewriter.feed(word[at : at + 7]) for at in range(0, len(word), 7)) + rewriter.rest()
    assert b"realm resume fix" in shown
