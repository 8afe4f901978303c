"""What is written where: data to standard output, everything else to standard error.

Every text that may have come from a repository or a sandbox passes :func:`clean`
in here, whatever was done to it before.  Colour is decided once: ``--color``,
``NO_COLOR``, ``CLICOLOR_FORCE``, then whether the stream is a terminal.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, NamedTuple, TextIO

from realm.errors import RealmError
from realm.text import clean, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_GAP = "  "
_NARROWEST = 12
"""Columns that a cell is never cut below."""
_UNITS = (
    ("year", 31_557_600), ("month", 2_629_800), ("week", 604_800), ("day", 86_400),
    ("hour", 3_600), ("minute", 60),
)  # fmt: skip
"""What a time is said in, and the seconds of each."""
_chosen = {"color": "auto"}


class Cell(NamedTuple):
    """A cell of a table with the style it has on a terminal."""

    text: str
    style: str = ""


def choose_color(when: str) -> None:
    """Settle whether there is colour: ``auto``, ``always`` or ``never``."""
    _chosen["color"] = when


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether ``stream`` is open and a terminal."""
    return stream is not None and not stream.closed and stream.isatty()


def colored(stream: TextIO | None) -> bool:
    """Tell whether ``stream`` gets colour."""
    if _chosen["color"] != "auto":
        return _chosen["color"] == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, stream: TextIO | None) -> str:
    """Return ``text`` in ``style`` (names from ``bold dim red green yellow cyan``) where there is colour."""
    codes = ";".join(_CODES[name] for name in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m" if codes and text and colored(stream) else text


def color_of_git() -> list[str]:
    """Return the option that makes git colour as realm was told to; none where its own settings decide."""
    when = _chosen["color"]
    if when == "auto" and os.environ.get("NO_COLOR"):
        when = "never"
    return [] if when == "auto" else [f"--color={when}"]


def data(text: str) -> None:
    """Write a line to standard output; the caller cleans what goes in."""
    if sys.stdout is not None:
        sys.stdout.write(f"{text}\n")


def say(text: str) -> None:
    """Write a line to standard error, after what standard output has so far."""
    if sys.stderr is None:
        return
    if is_terminal(sys.stdout) and is_terminal(sys.stderr):
        sys.stdout.flush()
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def newline() -> None:
    """End a line that a terminal's echo of Ctrl-C left open."""
    if is_terminal(sys.stderr):
        say("")


def warning(text: str) -> None:
    """Say what the user should know though the work goes on."""
    say(f"{paint('warning:', 'bold yellow', sys.stderr)} {clean(text)}")


def hint(text: str) -> None:
    """Say what to do next."""
    say(f"{paint('hint:', 'cyan', sys.stderr)} {clean(text, multiline=True)}")


def error(message: str, advice: str = "", usage: str = "") -> None:
    """Say what went wrong, how the command is written, and what to do about it."""
    say(f"{paint('error:', 'bold red', sys.stderr)} {clean(message, multiline=True)}")
    if usage or advice:
        say("")
    if usage:
        say(f"{paint('usage:', 'cyan', sys.stderr)} {clean(usage)}")
    if advice:
        hint(advice)


def ids(title: str, named: Mapping[str, str | None]) -> None:
    """Write ``title`` and below it the ids that are there, each with its name."""
    data(clean(title))
    for name, oid in named.items():
        if oid is not None:
            data(f"  {name:<8}{clean(oid)}")


def json(value: object) -> None:
    """Write ``value`` as JSON to standard output."""
    import json as encoder

    data(encoder.dumps(value, indent=2))


def width(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)


def cut(text: str, columns: int, *, end: bool = False) -> str:
    """Return ``text`` with its beginning, or its ``end``, replaced by an ellipsis when it is too wide."""
    if width(text) <= columns:
        return text
    while text and width(text) >= columns:
        text = text[:-1] if end else text[1:]
    return f"{text}…" if end else f"…{text}"


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]], elastic: int, *, end: bool = False) -> None:
    """Write a table: aligned and headed on a terminal, tab separated and whole in a pipe.

    Column ``elastic`` is cut at its beginning, or its ``end``, when a terminal is too narrow.
    """
    cleaned = [[Cell(clean(cell.text), cell.style) for cell in row] for row in rows]
    if not is_terminal(sys.stdout):
        for row in cleaned:
            data("\t".join(paint(cell.text, cell.style, sys.stdout) for cell in row))
        return
    lines = [[Cell(title, "dim") for title in header], *cleaned]
    widths = _widths(lines, elastic)
    for line in lines:
        data(_aligned(line, widths, end=end))


def _widths(lines: Sequence[Sequence[Cell]], elastic: int) -> list[int]:
    import shutil  # milliseconds that only tables need

    widths = [max(width(line[column].text) for line in lines) for column in range(len(lines[0]))]
    surplus = sum(widths) + len(_GAP) * (len(widths) - 1) - shutil.get_terminal_size().columns
    if surplus > 0:
        widths[elastic] = max(widths[elastic] - surplus, min(widths[elastic], _NARROWEST))
    return widths


def _aligned(line: Sequence[Cell], widths: Sequence[int], *, end: bool) -> str:
    cells = [
        (cut(cell.text, columns, end=end), cell.style, columns)
        for cell, columns in zip(line, widths, strict=True)
    ]
    painted = [
        paint(text, style, sys.stdout) + " " * (columns - width(text)) for text, style, columns in cells[:-1]
    ]
    text, style, _ = cells[-1]
    return _GAP.join([*painted, paint(text, style, sys.stdout)])


def iso(seconds: float | None) -> str | None:
    """Return a time since the epoch as ISO-8601 in UTC, ``None`` for none or one out of any calendar."""
    if seconds is None:
        return None
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return None


def ago(seconds: float, now: float) -> str:
    """Return how long before ``now`` (both seconds since the epoch) something was, in words."""
    passed = now - seconds
    for unit, length in _UNITS:
        if passed >= length:
            return f"{plural(passed // length, unit)} ago"
    return "just now"


def duration(seconds: float) -> str:
    """Return how long something took: its two largest units."""
    whole = round(seconds)
    if whole < _UNITS[-1][1]:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s"


def put(where: str, pieces: Iterable[bytes]) -> None:
    """Write ``pieces`` to the file ``where``, or to standard output for ``-``.

    Raises :class:`RealmError` when the file cannot be written.
    """
    if where == "-":
        if sys.stdout is not None:
            sys.stdout.buffer.writelines(pieces)
        return
    try:
        from pathlib import Path

        with Path(where).open("wb") as file:
            file.writelines(pieces)
    except OSError as error:
        raise RealmError(f"{where} cannot be written: {error.strerror}") from None


def write(text: str) -> None:
    """Write to standard output what ends its own lines."""
    if sys.stdout is not None:
        sys.stdout.write(text)
