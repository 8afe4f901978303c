"""``python -m tests.bench``: realm's figures as ratios to a named rival, measured in one run.

Pairs are interleaved, medians are compared, and nothing passes or fails here:
on a shared machine only ratios mean anything, and those are for people.
Repositories have 1,000 files; ``REALM_BENCH_FULL=1`` adds 10,000 and 80,000.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.measure import Figure, Rival, compare, render
from tests.bench.setting import Setting
from tests.support import engines

if TYPE_CHECKING:
    from collections.abc import Iterator

STARTS = 7
QUICK = 15
MANY_SESSIONS = 100


def sizes() -> tuple[int, ...]:
    """Return the numbers of files to measure with."""
    return (1_000, 10_000, 80_000) if os.environ.get("REALM_BENCH_FULL") == "1" else (1_000,)


def quick_figures(setting: Setting) -> Iterator[Figure]:
    """Commands that must answer at once, against an interpreter that imports click."""
    click = Rival("python -c 'import click'", (str(setting.python), "-c", "import click"))
    realm = str(setting.realm)
    yield compare("realm --version", [realm, "--version"], click, setting, QUICK, 2)
    words = [realm, "_complete", "realm", "resume", ""]
    yield compare("completion of a name", words, click, setting, QUICK, 2)
    setting.make_sessions(MANY_SESSIONS)
    yield compare(f"realm list, {MANY_SESSIONS} sessions", [realm, "list"], click, setting, QUICK, 3)


def run_figures(setting: Setting, files: int) -> Iterator[Figure]:
    """A whole run of an agent that does nothing, against docker's own; and the way back."""
    docker = Rival("docker run --rm -it", tuple(setting.docker_run("true")))
    start = setting.realm_run("true")
    yield compare(f"realm new, {files} files", start, docker, setting, STARTS, 1.5)
    work = "for n in 1 2 3 4 5; do echo work >made-$n.txt; done; date +%s.%N"
    yield setting.way_back(f"agent's exit to prompt, {files} files", work, STARTS)


def main() -> int:
    """Measure, print the table, return 0."""
    with tempfile.TemporaryDirectory(prefix="realm-bench-") as place:
        figures: list[Figure] = []
        with Setting(Path(place), 1_000) as setting:
            figures += quick_figures(setting)
        if why := engines.missing():
            print(f"no Docker engine ({why}): runs are not measured")
        else:
            for files in sizes():
                with Setting(Path(place), files) as setting:
                    figures += run_figures(setting, files)
        print(render(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
