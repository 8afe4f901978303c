"""Timing two commands against each other, fairly, and showing what came of it."""

from __future__ import annotations

import contextlib
import os
import pty
import statistics
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Place(Protocol):
    """Where commands are run."""

    @property
    def directory(self) -> Path:
        """The directory that commands run in."""

    @property
    def env(self) -> Mapping[str, str]:
        """The whole environment of the commands."""


@dataclass(frozen=True)
class Figure:
    """One line of the table: medians in ``measure``, and the bar in ``unit`` (``x``, or ``s more``).

    What is not a ratio is a difference.  With ``least`` the bar is to be reached, else not to be passed;
    without a bar the figure is there to be known.
    """

    name: str
    ours: float
    rival: str
    theirs: float
    bar: float | None
    unit: str = "x"
    measure: str = "s"
    least: bool = False

    @property
    def met(self) -> bool:
        """Whether the bar is kept."""
        if self.bar is None:
            return True
        return self.value >= self.bar if self.least else self.value <= self.bar

    @property
    def value(self) -> float:
        """What is compared with the bar: the ratio, or the difference."""
        return self.ours / self.theirs if self.unit == "x" else self.ours - self.theirs


@dataclass(frozen=True)
class Rival:
    """What realm is compared with: its name in the table and its command."""

    name: str
    command: tuple[str, ...]


def run(command: Sequence[str], place: Place) -> str:
    """Run ``command`` in a terminal of its own and return what it wrote; it must succeed."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        list(command), cwd=place.directory, env=place.env, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    written = bytearray()
    with contextlib.suppress(OSError):  # EIO: the last writer has gone
        while chunk := os.read(master, 65536):
            written += chunk
    code = process.wait()
    os.close(master)
    text = written.decode(errors="replace")
    if code != 0:
        raise RuntimeError(f"{' '.join(command)}: {code}\n{text}")
    return text


def timed(command: Sequence[str], place: Place) -> float:
    """Run ``command`` and return the seconds it took."""
    start = time.perf_counter()
    run(command, place)
    return time.perf_counter() - start


def compare(
    name: str, ours: Sequence[str], rival: Rival, place: Place, pairs: int, bar: float | None
) -> Figure:
    """Time ``pairs`` interleaved runs of both commands, after one of each to warm up."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(pairs + 1):
        for command, times in zip((_each(ours, number), rival.command), taken, strict=True):
            took = timed(command, place)
            if number:
                times.append(took)
    return Figure(name, statistics.median(taken[0]), rival.name, statistics.median(taken[1]), bar)


def _each(command: Sequence[str], number: int) -> list[str]:
    """Put the run's number where the command says ``{}``: every session has its own name."""
    return [word.replace("{}", str(number)) for word in command]


def render(figures: Sequence[Figure]) -> str:
    """Return the figures as a table."""
    rows = [("what", "median", "against", "median", "figure", "bar", "")]
    for figure in figures:
        bar = "" if figure.bar is None else f"{'≥' if figure.least else '≤'} {figure.bar:g} {figure.unit}"
        value = f"{figure.value:.2f} {figure.unit}"
        ours, theirs = _amount(figure.ours, figure.measure), _amount(figure.theirs, figure.measure)
        rows.append((figure.name, ours, figure.rival, theirs, value, bar, "" if figure.met else "missed"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _amount(value: float, measure: str) -> str:
    return f"{value:.{3 if measure == 's' else 2}f} {measure}"
