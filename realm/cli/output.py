"""Writes output: data to standard output, everything else to standard error.

Every text that may come from a repository or a sandbox goes through :func:`clean` here, even if it has
before. Colour is decided once: ``--color``, ``NO_COLOR``, ``CLICOLOR_FORCE``, then whether the stream is a
terminal.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TextIO

from realm.errors import RealmError
from realm.text import clean, plural

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_GAP = "  "
_COLUMNS = 80
"""The width of a terminal that does not tell its own."""
_NARROWEST = (12, 6)
"""The fewest columns a cell is cut to, and the fewest where that is still too wide for the terminal."""
_UNITS = (
    ("year", 31_557_600), ("month", 2_629_800), ("week", 604_800), ("day", 86_400),
    ("hour", 3_600), ("minute", 60),
)  # fmt: skip
"""The units of a time, and their seconds."""
NOW = "now"
_BRIEF = (("y", 31_557_600), ("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60))
_chosen = {"color": "auto"}


class Cell(NamedTuple):
    """A cell of a table and its style on a terminal."""

    text: str
    style: str = ""


def choose_color(when: str) -> None:
    """Choose colour: ``auto``, ``always`` or ``never``."""
    _chosen["color"] = when


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether ``stream`` is open and a terminal."""
    return stream is not None and not stream.closed and stream.isatty()


def obeys(stream: TextIO | None) -> bool:
    """Tell whether ``stream`` is a terminal that knows control sequences: one without a ``TERM`` does not."""
    return is_terminal(stream) and os.environ.get("TERM", "") not in ("", "dumb")


def colored(stream: TextIO | None) -> bool:
    """Tell whether ``stream`` gets colour."""
    if _chosen["color"] != "auto":
        return _chosen["color"] == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return obeys(stream)


def paint(text: str, style: str, stream: TextIO | None) -> str:
    """Return ``text`` in ``style`` (names from ``bold dim red green yellow cyan``) where there is colour."""
    if not (style and text and colored(stream)):
        return text
    return f"\x1b[{';'.join(_CODES[name] for name in style.split())}m{text}\x1b[0m"


def color_of_git() -> list[str]:
    """Return the option that makes git follow ``--color``; none if git's own settings decide."""
    when = _chosen["color"]
    if when == "auto" and os.environ.get("NO_COLOR"):
        when = "never"
    return [] if when == "auto" else [f"--color={when}"]


def data(text: str) -> None:
    """Write a line to standard output; the caller must have cleaned it."""
    if sys.stdout is not None:
        sys.stdout.write(f"{text}\n")


def say(text: str) -> None:
    """Write a line to standard error, after flushing standard output."""
    if is_terminal(sys.stdout) and is_terminal(sys.stderr):
        sys.stdout.flush()
    aside(f"{text}\n")


def aside(text: str) -> None:
    """Write to standard error; ignore failures, as the work matters more than messages about it."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()


def newline() -> None:
    """End the line in which the terminal echoed Ctrl-C."""
    if is_terminal(sys.stderr):
        say("")


def warning(text: str) -> None:
    """Write a warning."""
    say(f"{paint('warning:', 'bold yellow', sys.stderr)} {clean(text)}")


def hint(text: str) -> None:
    """Write a hint about what to do next."""
    say(f"{paint('hint:', 'cyan', sys.stderr)} {clean(text, multiline=True)}")


def error(message: str, advice: str = "", usage: str = "") -> None:
    """Write an error, the command's usage, and advice."""
    say(f"{paint('error:', 'bold red', sys.stderr)} {clean(message, multiline=True)}")
    if usage or advice:
        say("")
    if usage:
        say(f"{paint('usage:', 'cyan', sys.stderr)} {clean(usage)}")
    if advice:
        hint(advice)


def ids(title: str, named: Mapping[str, str | None]) -> None:
    """Write ``title``, and below it the ids that are not ``None``, each with its name."""
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


def columns() -> int:
    """Return the width of the terminal of standard output; ``COLUMNS`` takes precedence, the default is 80.

    It does the same as ``shutil.get_terminal_size``, whose module takes milliseconds to import.
    """
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return int(told)
    with suppress(OSError, ValueError, AttributeError):
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or _COLUMNS  # type: ignore[union-attr]
    return _COLUMNS


def cut(text: str, columns: int, *, end: bool = False) -> str:
    """Return ``text``, its beginning replaced by an ellipsis when it takes more than ``columns``.

    With ``end`` its end is replaced, after the last word that fits.
    """
    if width(text) <= columns:
        return text
    short = text
    while short and width(short) >= columns:
        short = short[:-1] if end else short[1:]
    if not end:
        return f"…{short}"
    if not text[len(short)].isspace():
        short = short.rpartition(" ")[0] or short
    return f"{short.rstrip()}…"


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    elastic: Sequence[int],
    *,
    end: Collection[int] = (),
) -> None:
    """Write a table: aligned and with a header on a terminal, tab-separated and uncut in a pipe.

    When a terminal is too narrow, the columns ``elastic`` are cut in this order: at the beginning, or at the
    end if they are also in ``end``.
    """
    if not is_terminal(sys.stdout):
        for row in rows:
            data("\t".join(paint(clean(cell.text), cell.style, sys.stdout) for cell in row))
        return
    for line in aligned(header, rows, elastic, end=end):
        data(line)


def aligned(
    header: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    elastic: Sequence[int],
    *,
    end: Collection[int] = (),
) -> list[str]:
    """Return the lines of a table as :func:`table` writes them on a terminal."""
    cleaned = [[Cell(clean(cell.text), cell.style) for cell in row] for row in rows]
    lines = [[Cell(title, "dim") for title in header], *cleaned]
    widths = _widths(lines, elastic)
    return [_aligned(line, widths, end) for line in lines]


def _widths(lines: Sequence[Sequence[Cell]], elastic: Sequence[int]) -> list[int]:
    widths = [max(width(line[column].text) for line in lines) for column in range(len(lines[0]))]
    surplus = sum(widths) + len(_GAP) * (len(widths) - 1) - columns()
    for least, column in [(least, column) for least in _NARROWEST for column in elastic]:
        if surplus > 0:
            narrow = max(widths[column] - surplus, min(widths[column], least))
            surplus -= widths[column] - narrow
            widths[column] = narrow
    return widths


def _aligned(line: Sequence[Cell], widths: Sequence[int], end: Collection[int]) -> str:
    cells = [
        (cut(cell.text, columns, end=column in end), cell.style, columns)
        for column, (cell, columns) in enumerate(zip(line, widths, strict=True))
    ]
    painted = [
        paint(text, style, sys.stdout) + " " * (columns - width(text)) for text, style, columns in cells[:-1]
    ]
    text, style, _ = cells[-1]
    return _GAP.join([*painted, paint(text, style, sys.stdout)])


def iso(seconds: float | None) -> str | None:
    """Return a time since the epoch as ISO-8601 in UTC; ``None`` for none, or one outside the calendar."""
    if seconds is None:
        return None
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return None


def ago(seconds: float, now: float) -> str:
    """Return how long before ``now`` something was, in words; both are in seconds since the epoch."""
    passed = now - seconds
    for unit, length in _UNITS:
        if passed >= length:
            return f"{plural(passed // length, unit)} ago"
    return "just now"


def brief(seconds: float, now: float) -> str:
    """Return how long before ``now`` something was, as short as possible: ``now``, ``12m``, ``2h``."""
    passed = now - seconds
    return next((f"{passed // length:.0f}{unit}" for unit, length in _BRIEF if passed >= length), NOW)


def duration(seconds: float) -> str:
    """Return a duration in its two largest units."""
    whole = round(seconds)
    if whole < _UNITS[-1][1]:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s"


def flush() -> None:
    """Flush standard output."""
    if sys.stdout is not None:
        sys.stdout.flush()


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
    """Write text to standard output that ends its own lines."""
    if sys.stdout is not None:
        sys.stdout.write(text)
