"""How the checks of ``realm doctor`` look: as lines, and as JSON (name, status, detail, hint)."""

from __future__ import annotations

import sys
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
"""Widths of the first two columns."""


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
    """Write one check, and its hint below."""
    status = output.paint(check.status, _STYLES[check.status], sys.stdout) + " " * (
        _STATUS - len(check.status)
    )
    output.data(f"{status}{clean(check.name):<{_NAME}}{clean(check.detail)}")
    if check.hint:
        arrow = output.paint("hint:", "cyan", sys.stdout)
        output.data(f"{'':{_STATUS + _NAME}}{arrow} {clean(check.hint)}")
    if sys.stdout is not None:
        sys.stdout.flush()


def record(check: Check) -> dict[str, str]:
    """Return ``check`` as JSON has it."""
    return {name: clean(getattr(check, name)) for name in ("name", "status", "detail", "hint")}
