from __future__ import annotations

import pytest

from realm.terminal.relay.notice import notification

ITERM = b"\x1b]9;realm: fix finished\x07"
RXVT = b"\x1b]777;notify;realm;fix finished\x07"


@pytest.mark.parametrize(
    ("environ", "sequence"),
    [
        ({"TERM": "xterm-256color"}, ITERM),
        ({"TERM": "xterm-kitty"}, ITERM),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, RXVT),
        ({"TERM": "xterm-256color", "KONSOLE_VERSION": "230805"}, RXVT),
        ({"TERM": "rxvt-unicode-256color"}, RXVT),
        ({"TERM": "tmux-256color"}, b"\x1bPtmux;\x1b" + ITERM + b"\x1b\\"),
        ({"TERM": "screen", "TMUX": "/tmp/s,1,0"}, b"\x1bPtmux;\x1b" + ITERM + b"\x1b\\"),
        ({"TERM": "tmux", "TMUX": "/tmp/s,1,0", "VTE_VERSION": "7600"}, b"\x1bPtmux;\x1b" + RXVT + b"\x1b\\"),
        ({"TERM": "screen.xterm-256color", "STY": "1.pts"}, b""),
        ({"TERM": "screen-256color"}, b""),
        ({"TERM": "linux"}, b""),
        ({"TERM": "dumb"}, b""),
        ({}, b""),
    ],
)
def test_each_terminal_gets_what_it_knows(environ: dict[str, str], sequence: bytes) -> None:
    assert notification("fix finished", environ) == sequence


@pytest.mark.parametrize("text", ["\x1b[2J", "a;b", "\x07", "a\n", "ä"])
def test_nothing_that_a_terminal_could_obey_is_a_text(text: str) -> None:
    with pytest.raises(ValueError, match="no text for a terminal"):
        notification(text, {"TERM": "xterm"})
