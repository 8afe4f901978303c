"""Attack: a recording made to manipulate its viewer's terminal."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realm.terminal.ansi.modes import Modes
from realm.terminal.recording.filter import Filter
from realm.text import clean
from tests.support.screens import Screen
from tests.support.terminal import recordings

SAFE = re.compile(
    r"(?:[^\x00-\x07\x10-\x1f\x7f-\x9f]"
    r"|\x1b\[[0-9;:]*m"
    r"|\x1b\[(?:[0-9]{0,4}(?:;[0-9]{0,4})?)[Hr]"
    r"|\x1b\[[0-9]{0,4}[@ABCDEFGILMPSTXZ`abde]"
    r"|\x1b\[[012]?[JK]"
    r"|\x1b\[[0-6] q|\x1b\[!p|\x1b\[4[hl]"
    r"|\x1b\[\?(?:6|7|25|47|1047|1049)[hl]"
    r"|\x1b[78DEM]|\x1b#8|\x1b[()][0AB])*"
)
"""All that may come out; each of these moves the cursor, or changes cells or colours."""
HOSTILE = {
    "clipboard": "\x1b]52;c;ZXZpbA==\x07\x1b]52;c;ZXZpbA==\x1b\\\x1b]52;c;?\x07",
    "title": "\x1b]0;evil\x07\x1b]2;evil\x1b\\\x1b[22;0t\x1bkname\x1b\\",
    "reports": "\x1b[c\x1b[0c\x1b[>c\x1b[=c\x1b[5n\x1b[6n\x1b[?6n\x1b[?996n\x1bZ\x05",
    "settings asked": "\x1bP$qm\x1b\\\x1b[?2026$p\x1b[4$p\x1b[>q\x1b[?u\x1bP+q544e\x1b\\\x1b[1x",
    "checksum": "\x1b[1;1;1;1;9;9*y\x1b[1$w\x1b[&u",
    "window": "\x1b[8;500;500t\x1b[3;0;0t\x1b[2t\x1b[21t\x1b[18t\x1b[9;1t",
    "kitty keys": "\x1b[>31u\x1b[=31;1u\x1b[<1u",
    "kitty image": "\x1b_Ga=T,f=24,s=1,v=1;AAAA\x1b\\\x1b_Gt=f;L2V0Yy9wYXNzd2Q=\x1b\\",
    "sixel": "\x1bPq#0;2;0;0;0#0~~@@vv@@~~@@~~$\x1b\\\x90q~~\x9c",
    "image": "\x1b]1337;File=inline=1:AAAA\x07\x1b]1337;CopyToClipboard=\x07",
    "link": "\x1b]8;;file:///etc/passwd\x07click\x1b]8;;\x07",
    "palette": "\x1b]4;1;rgb:00/00/00\x07\x1b]10;#000\x07\x1b]11;?\x07\x1b]104\x07",
    "notify": "\x1b]9;evil\x07\x1b]777;notify;evil;evil\x07\x1b]99;;evil\x1b\\",
    "mouse": "\x1b[?9h\x1b[?1000h\x1b[?1002h\x1b[?1003;1006h\x1b[?1015h\x1b[?1016h\x1b[1;2;3;4;5T",
    "modes": "\x1b[?1004h\x1b[?2004h\x1b[?2031h\x1b[?2048h\x1b[?9001h\x1b[?1h\x1b=\x1b[2h\x1b[20h\x1b[?3h",
    "frozen": "\x1b[?2026h\x1b[?8l\x1b[?69h\x1b[5;10s",
    "other keys": "\x1b[>4;2m\x1b[>1n",
    "scrollback": "\x1b[3J\x1b[?3J\x1bc\x1b[!p\x1b]50;ClearScrollback\x07",
    "keys": '\x1bP1;1|17/evil\x1b\\\x1b["p\x1b[0;"x"p',
    "media": "\x1b[i\x1b[5i\x1b[?5i\x1b[4i",
    "charset": "\x1b%@\x1b(1\x1b*0\x1bn\x1b|\x1b(%5",
    "c1": "\x9b6n\x9d52;c;ZXZpbA==\x9c\x90q\x9c\x85\x8d\x84\x9a",
    "nested": "\x1b]52;c;\x1b[6n\x07\x1b[\x1b]52;c;x\x07\x1b[6\x1b[6n",
    "broken": "\x1b[6\x18n\x1b[6\x07n\x1b[?\x001049h\x1b[6\nn\x1b]52;c;ZXZpbA==\x18",
    "bidi": "\u202egnp.exe\u2066\u200b\u061c\U000e0041\ufeff",
    "surrogate": "\ud83d\udc4d\ud800",
    "bell": "\x07" * 100,
    "large": "\x1b[99999999999;99999999999H\x1b[999999999b\x1b[" + "1;" * 5000 + "m",
    "cut": "\x1b]52;c;" * 3,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("step", [1, 3, 10_000])
def test_nothing_passes_but_pictures(name: str, step: int) -> None:
    harmless = Filter()
    data = f"before{HOSTILE[name]}\x1b\\\x18after\x1b[31m red"
    shown = "".join(harmless.feed(data[place : place + step]) for place in range(0, len(data), step))
    assert SAFE.fullmatch(shown)
    assert "evil" not in shown
    assert "ZXZpbA" not in shown
    assert shown == clean(shown, multiline=True) or "\x1b" in shown
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b-\u200f\ud800-\udfff]", shown)
    assert shown.startswith("before")
    assert shown.endswith("red")
    assert SAFE.fullmatch(harmless.end())
    assert len(shown) < 10_000


PIECES = st.sampled_from([
    "\x1b", "[", "]", "P", "_", "\\", "\x07", "\x18", "\x9b", "\x9d", "?", ">", "=", "!", " ", "$", "(", "#",
    ";", ":", "0", "1", "5", "6", "25", "38", "47", "52", "1000", "1049", "2004", "9" * 30, "c", "h", "l",
    "m", "n", "t", "u", "s", "q", "p", "J", "K", "H", "T", "b", "7", "8", "\n", "\r", "\b", "\x0e", "\x05",
    "text", "é你👍🏽\u0301\u200d\u202e\x85",
])  # fmt: skip


@settings(derandomize=True, max_examples=600)
@given(st.lists(PIECES, max_size=60).map("".join), st.integers(1, 20))
def test_no_soup_of_sequences_passes(soup: str, step: int) -> None:
    harmless = Filter()
    shown = "".join(harmless.feed(soup[place : place + step]) for place in range(0, len(soup), step))
    assert SAFE.fullmatch(shown)
    undo = harmless.end()
    assert SAFE.fullmatch(undo)
    left = Modes()
    left.feed((shown + undo).encode("utf-8", "replace"))
    assert left.undo() == b""


@settings(derandomize=True, max_examples=150)
@given(st.binary(max_size=400), st.integers(1, 20))
def test_how_it_was_cut_does_not_matter(noise: bytes, step: int) -> None:
    text = noise.decode("latin-1")
    harmless = Filter()
    pieces = "".join(harmless.feed(text[place : place + step]) for place in range(0, len(text), step))
    assert pieces == Filter().feed(text)


@pytest.mark.parametrize("name", recordings())
def test_real_programs_look_the_same(name: str) -> None:
    recorded = recordings()[name]
    plain, filtered = Screen(24, 80), Screen(24, 80)
    plain.feed(recorded)
    filtered.feed(Filter().feed(recorded.decode("utf-8", "replace")).encode())
    assert filtered.text() == plain.text()
    assert filtered.ansi() == plain.ansi()


def test_a_full_reset_clears_and_undoes_what_was_on() -> None:
    harmless = Filter()
    shown = harmless.feed("\x1b[?1049h\x1b[31m\x1b[5;10rbefore\x1bcafter")
    screen, modes = Screen(24, 80), Modes()
    screen.feed(shown.encode())
    modes.feed(shown.encode())
    assert screen.text() == "after"
    assert modes.undo() == b""
    assert harmless.end() == ""
