"""An agent puts a command on its user's clipboard, to be pasted into a shell, or reads a password there."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realm.terminal.relay.rewrite import Rewriter

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

WRITES = b"\x1b]52;c;cm0gLXJmIH4K\x07"
ASKS = b"\x1b]52;p;?\x1b\\"
DISGUISED = (
    b"\x1b]052;c;eA==\x07", b"\x1b]\x0052;c;eA==\x07", b"\x1b]5\x012;;eA==\x1b\\", b"\x1b]52;c;eA==\x18",
    b"\x1b\x00]52;c;eA==\x07", b"\x1b]5\t2;c;eA==\x07", b"\x1b]5522;type=write;eA==\x1b\\",
    b"\x1b]" + b"0" * 99 + b"52;c;eA==\x07", b"\x1b" + b"\x00" * 99 + b"]52;c;eA==\x07",
    b"\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\", b"\x1b]52;c;\x00?\x07", b"\x1b\x1b]52;c;eA==\x1b[m",
)  # fmt: skip


def shown(output: list[bytes], *, copies: bool = False) -> bytes:
    rewriter = Rewriter("x", copies=copies)
    return b"".join(rewriter.feed(piece) for piece in output) + rewriter.rest()


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(whole) + 1) for place in places), len(whole)]
    return [whole[start:end] for start, end in itertools.pairwise(edges)]


@given(st.sampled_from((WRITES, ASKS, *DISGUISED)), st.lists(st.integers(0, 100), max_size=6))
def test_neither_reaches_the_terminal_however_it_is_cut(request: bytes, places: list[int]) -> None:
    found = shown(cut(b"before " + request + b"\x1b[1mafter", places))
    assert re.search(rb"\x1b[^\x1b\x07[P]*52?", found) is None
    assert found.startswith(b"before ")
    assert found.endswith(b"\x1b[1mafter")


@given(st.lists(st.integers(0, 100), max_size=6))
def test_all_else_passes_however_it_is_cut(places: list[int]) -> None:
    harmless = b"]52;c; \x1b]8;;https://a.test/52;\x1b\\link\x1b]8;;\x1b\\ \x1b]520;c;\x07\x1b]5;2;x\x07 end"
    assert shown(cut(harmless, places)) == harmless
    assert shown(cut(WRITES + harmless, places), copies=True) == WRITES + harmless
    for asks in (
        ASKS,
        b"\x1b]52;" + b"c" * 65 + b";?\x07",
        b"\x1b]52;c;\t?\x07",
        b"\x1b]5522;type=read;Lg==\x07",
    ):
        assert shown(cut(asks + harmless, places), copies=True) == harmless


@pytest.mark.engine
def test_in_a_real_terminal(user: User, tmp_path: Path) -> None:
    written = tmp_path / "written"
    script = r"printf '\033]52;c;cm0gLXJmIH4K\007\033]52;c;?\007'; echo done; read go"
    with user.terminal("new", "copies", "--agent", "sh", "--", "-c", f"read go; {script}") as terminal:
        terminal.keep(written)
        terminal.wait_for(r"making|\$|copies|^", timeout=60)
        terminal.press("Enter")
        terminal.wait_for("done", timeout=60)
        terminal.press("Enter")
        terminal.wait(60)
    assert b"done" in written.read_bytes()
    assert b"]52;" not in written.read_bytes()


@pytest.mark.engine
def test_what_runs_beside_the_agent_or_on_its_work_reaches_it_no_more(user: User, tmp_path: Path) -> None:
    script = r"printf '\033]52;c;cm0gLXJmIH4K\007\033]52;c;?\007'; echo done"
    user.scripted("copies", f'cat >tool <<"EOF"\n{script}\nEOF')
    user.realm("resume", "copies", "--detach", "-c", "sleep 60")
    for number, words in enumerate((["exec", "copies", "sh", "tool"], ["try", "copies", "--", "sh", "tool"])):
        written = tmp_path / str(number)
        with user.shell(f"read go; realm {' '.join(words)}") as terminal:
            terminal.keep(written)
            terminal.press("Enter")
            terminal.wait_for("done", timeout=60)
            assert terminal.wait(60) == 0
        assert b"done" in written.read_bytes()
        assert b"]52;" not in written.read_bytes()
