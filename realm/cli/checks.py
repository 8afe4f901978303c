"""How the checks of ``realm doctor`` look: as lines, and as JSON (name, status, detail, hint)."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

from realm.cli import output
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from realm.session.requests import Check
    from realm.session.ui import UI

_STYLES = {"ok": "green", "warn": "bold yellow", "fail": "bold red"}
_STATUS = 6
_NAME = 10
_HINT = 6
"""Widths of the first two columns, and of the word before a hint."""
_READABLE = 30
"""Text is never set narrower than this."""


def awaited(checks: Iterable[Check], ui: UI) -> Iterator[Check]:
    """Yield ``checks`` as they come, with something to see where one takes long."""
    rest = iter(checks)
    while True:
        with ui.progress("checking"):
            check = next(rest, None)
        if check is None:
            return
        yield check


def show(check: Check) -> None:
    """Write one check, and its hint below; on a terminal nothing leaves its column."""
    status = output.paint(check.status, _STYLES[check.status], sys.stdout) + " " * (
        _STATUS - len(check.status)
    )
    first, *rest = _lines(check.detail, _STATUS + _NAME)
    output.data(f"{status}{clean(check.name):<{_NAME}}{first}")
    for line in rest:
        output.data(f"{'':{_STATUS + _NAME}}{line}")
    if check.hint:
        first, *rest = _lines(check.hint, _STATUS + _NAME + _HINT)
        output.data(f"{'':{_STATUS + _NAME}}{output.paint('hint:', 'cyan', sys.stdout)} {first}")
        for line in rest:
            output.data(f"{'':{_STATUS + _NAME + _HINT}}{line}")
    if sys.stdout is not None:
        sys.stdout.flush()


def _lines(text: str, indent: int) -> list[str]:
    """Return ``text`` in lines that fit a terminal beside ``indent`` columns; one line in a pipe."""
    text = clean(text)
    if not output.is_terminal(sys.stdout):
        return [text]
    room = max(shutil.get_terminal_size().columns - indent, _READABLE)
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]


def record(check: Check) -> dict[str, str]:
    """Return ``check`` as JSON has it."""
    return {name: clean(getattr(check, name)) for name in ("name", "status", "detail", "hint")}
