"""Attack: a screen made to do something to the terminal that later shows its snapshot."""

from __future__ import annotations

import re

import pytest

from realm.text import clean
from tests.support.screens import Screen

HARMLESS = re.compile(rb"(?:[^\x00-\x1f\x7f]|\x1b\[\d+;\d+H|\x1b\[[\d;]*m)*")
HOSTILE = {
    "clipboard": b"\x1b]52;c;ZXZpbA==\x07",
    "title": b"\x1b]0;evil\x07\x1b]2;evil\x1b\\",
    "answers": b"\x1b[c\x1b[>c\x1b[6n\x1b[?u\x1b[>q\x1bP$qm\x1b\\\x1b[21t\x1b[5n\x05",
    "link": b"\x1b]8;;file:///etc/passwd\x07click\x1b]8;;\x07",
    "image": b"\x1b]1337;File=inline=1:AAAA\x07\x1b_Ga=T;AAAA\x1b\\\x1bPq#0~\x1b\\",
    "modes": b"\x1b[?1049h\x1b[?1003h\x1b[?2004h\x1b[>31u\x1b=\x1b(0\x0e",
    "c1": "\u009b6n\u009d0;evil\u009c\u0090q\u009c\u0085\u008d".encode(),
    "bidi": "\u202egnp.exe\u2066\u200b\u061c\U000e0041".encode(),
    "combining": b"a" + "\u0301".encode() * 5000,
    "private": "\ue000\U000f0000".encode(),
    "lone surrogate": b"\xed\xa0\x80",
    "colour": b"\x1b[38;5;1;31;999;58;2;1;2;3;107m x\x1b[38;2;99999;1;1m y\x1b[38:5:1:2:3mz",
    "cut": b"\x1b]52;c;" * 3 + b"\xc2",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_snapshot_moves_the_cursor_and_sets_colours_no_more(name: str) -> None:
    screen = Screen(10, 40)
    screen.feed(b"before " + HOSTILE[name] + b" after\x1b[31m red")
    drawing, text = screen.ansi(), screen.text()
    assert HARMLESS.fullmatch(drawing)
    assert "evil" not in text
    assert text == clean(text, multiline=True)
    for character in "\u202e\u2066\u200b\u061c\U000e0041\u0085\u009b\u009d":
        assert character not in text
        assert character not in drawing.decode()
    assert len(drawing) < 10_000
