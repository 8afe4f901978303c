"""``python -m tests.bench``: realm's figures as ratios to a named rival, measured in one run.

Pairs are interleaved, medians are compared, and nothing passes or fails here:
on a shared machine only ratios mean anything, and those are for people.
Repositories have 1,000 files, and 24 MB of output are relayed at a time;
``REALM_BENCH_FULL=1`` adds 10,000 and 80,000 files, 60 MB at a time, 1 GB at a stretch
for the memory, more rounds, and the recording of long sessions.  Arguments choose parts: ``commands``,
``review``, ``terminal``, ``intake``, ``runs``, ``prompt``, ``turns``, ``recording``, ``network``.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.intake import intake_figure
from tests.bench.measure import Figure, Rival, compare, render
from tests.bench.network import network_figures
from tests.bench.prompt import first_prompt
from tests.bench.recording import length_figure, recording_figure
from tests.bench.review import review_figures
from tests.bench.setting import IMAGE, Setting
from tests.bench.terminal import terminal_figures
from tests.bench.turns import turn_figures
from tests.support import engines

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

FULL = os.environ.get("REALM_BENCH_FULL") == "1"
STARTS = 25 if FULL else 2
USUAL = 1_000
"""Files of an ordinary repository."""
BARE_BARS = {USUAL: 1.8, 80_000: 2.0}
"""Bars of a run that does nothing, by the number of files."""
QUICK = 15 if FULL else 3
PROMPTS = 9 if FULL else 2
MANY_SESSIONS = 100
MOST_SESSIONS = 1000
PARTS = (
    "commands", "review", "intake", "terminal", "runs", "prompt", "turns", "network",
    *(("recording",) if FULL else ()),
)  # fmt: skip


def sizes() -> tuple[int, ...]:
    """Return the numbers of files to measure with."""
    return (USUAL, 10_000, 80_000) if FULL else (USUAL,)


def quick_figures(setting: Setting) -> Iterator[Figure]:
    """Commands that must answer at once, against an interpreter that imports click."""
    click = Rival("python -c 'import click'", (str(setting.python), "-c", "import click"))
    realm = str(setting.realm)
    yield compare("realm --version", [realm, "--version"], click, setting, QUICK, 2)
    asked = ("_REALM_COMPLETE=bash_complete", "COMP_WORDS=realm resume ", "COMP_CWORD=2")
    # 100 ms where importing click takes 40
    yield compare("completion of a name", ["env", *asked, realm], click, setting, QUICK, 2.5)
    setting.make_sessions(MANY_SESSIONS)
    yield compare(f"realm list, {MANY_SESSIONS} sessions", [realm, "list"], click, setting, QUICK, 3)
    setting.make_sessions(MOST_SESSIONS, start=MANY_SESSIONS)
    plain = f"{setting.python} -c pass && git for-each-ref refs/realm refs/realm-meta"
    refs = Rival("git for-each-ref and a bare interpreter", ("sh", "-c", plain))
    yield compare(f"realm list, {MOST_SESSIONS} sessions", [realm, "list"], refs, setting, QUICK, 5)


def run_figures(setting: Setting, files: int) -> Iterator[Figure]:
    """A whole run of an agent that does nothing, against docker's own; and the way back."""
    docker = Rival("docker run --rm -it", tuple(setting.docker_run("true")))
    start = setting.realm_run("true")
    bar = BARE_BARS.get(files)
    yield compare(f"realm new, {files} files", start, docker, setting, STARTS, bar)
    work = "for n in 1 2 3 4 5; do echo work >made-$n.txt; done; date +%s.%N"
    yield setting.way_back(f"agent's exit to prompt, {files} files", work, STARTS)


def main(parts: Collection[str]) -> int:
    """Measure, print the table, return 0."""
    with tempfile.TemporaryDirectory(prefix="realm-bench-") as place:
        figures: list[Figure] = []
        if "commands" in parts:
            with Setting(Path(place), 1_000, "many-sessions") as setting:
                figures += quick_figures(setting)
        if "review" in parts:
            with Setting(Path(place), USUAL, "review") as setting:
                figures += review_figures(setting, QUICK)
        if "intake" in parts:
            with Setting(Path(place), USUAL, "intake") as setting:
                figures.append(intake_figure(setting, QUICK))
        if "recording" in parts:
            for files in sizes():
                with Setting(Path(place), files, "recording") as setting:
                    figures.append(recording_figure(setting, files, QUICK))
        if why := engines.missing():
            print(f"no Docker engine ({why}): runs and the terminal are not measured")
        else:
            figures += engine_figures(Path(place), parts)
        print(render(figures))
    return 0


def engine_figures(place: Path, parts: Collection[str]) -> Iterator[Figure]:
    """What needs an engine."""
    if "terminal" in parts:
        with Setting(place, 1_000, "terminal") as setting:
            yield from terminal_figures(setting, IMAGE)
    if "runs" in parts:
        for files in sizes():
            with Setting(place, files) as setting:
                yield from run_figures(setting, files)
    if "prompt" in parts:
        for files in sizes():
            with Setting(place, files, "prompt") as setting:
                yield first_prompt(setting, files, PROMPTS)
    if "turns" in parts:
        for files in sizes():
            with Setting(place, files, "turns") as setting:
                yield turn_figures(setting, files)
    if "recording" in parts:
        with Setting(place, USUAL, "review") as setting:
            yield length_figure(setting, PROMPTS)
    if "network" in parts:
        with Setting(place, USUAL, "network") as setting:
            yield from network_figures(setting, PROMPTS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or PARTS))
