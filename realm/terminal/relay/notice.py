"""Notices outside the screen: the bell, and the terminal's desktop notification.

``OSC 9 ; text`` is iTerm2's, adopted by kitty, WezTerm, Ghostty, foot, Warp and others; VTE's terminals,
Konsole and rxvt know ``OSC 777 ; notify ; title ; text`` instead.  A terminal that knows both would notify
twice, so one is chosen.  tmux passes neither on unless it is wrapped in ``DCS tmux;`` and
``allow-passthrough`` is on.  GNU screen and the Linux console get only the bell.
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

    ``text`` may have letters, digits, spaces and ``.,:+-_``; raises ValueError for anything else, which could
    be a command to the terminal.
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
