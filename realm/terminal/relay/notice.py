"""Words for the user outside the screen: the bell and a desktop notification of the terminal's.

``OSC 9 ; text`` is iTerm2's, which kitty, WezTerm, Ghostty, foot, Warp and others
took over; VTE's terminals, Konsole and rxvt know ``OSC 777 ; notify ; title ; text``
instead.  A terminal that knows both would tell the user twice, so one is
chosen.  tmux passes neither on: it is asked to by ``DCS tmux;``, which it does
when ``allow-passthrough`` is on and drops otherwise.  GNU screen and the Linux
console get the bell alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BELL = b"\x07"
_TITLE = b"realm"
_TEXT = re.compile(r"[\w.,:+ -]*", re.ASCII)
_WITH_777 = ("VTE_VERSION", "KONSOLE_VERSION")
_BELL_ALONE = ("linux", "dumb", "screen", "")


def notification(text: str, environ: Mapping[str, str]) -> bytes:
    """Return the sequence that makes the terminal of ``environ`` show ``text``; empty where none does.

    ``text`` is letters, digits, spaces and ``.,:+-_``: ValueError otherwise, for
    anything else could mean something to a terminal.
    """
    if not _TEXT.fullmatch(text):
        raise ValueError(f"no text for a terminal: {text!r}")
    term = environ.get("TERM", "")
    tmux = bool(environ.get("TMUX")) or term.startswith("tmux")
    if not tmux and (environ.get("STY") or term.partition("-")[0].partition(".")[0] in _BELL_ALONE):
        return b""
    if term.startswith("rxvt") or any(environ.get(name) for name in _WITH_777):
        sequence = b"\x1b]777;notify;%b;%b\x07" % (_TITLE, text.encode())
    else:
        sequence = b"\x1b]9;%b: %b\x07" % (_TITLE, text.encode())
    return b"\x1bPtmux;%b\x1b\\" % sequence.replace(b"\x1b", b"\x1b\x1b") if tmux else sequence
