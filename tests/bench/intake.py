"""Taking in what a run made, with every check, against a ``git fetch`` of the same that checks objects.

``python -m tests.bench.intake PROJECT ROUNDS`` prints the seconds of both, round by round, as JSON.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from realm.store import ingest
from tests.bench.measure import Figure
from tests.support.repos import Repo
from tests.support.store import Sandbox, intake, project_of

if TYPE_CHECKING:
    from tests.bench.setting import Setting

COMMITS, FILES = 20, 450
"""Commits of the run, and new files of each; with their trees about 9,400 objects."""
_FETCH = ("git", "-c", "transfer.fsckObjects=true", "-c", "fetch.unpackLimit=1", "fetch", "-q")


def intake_figure(setting: Setting, rounds: int) -> Figure:
    """Measure intakes into fresh clones, each beside a fetch into another one."""
    command = [sys.executable, "-m", "tests.bench.intake", str(setting.directory), str(rounds)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, env=setting.env, check=True, capture_output=True)
    ours, theirs = (statistics.median(times) for times in zip(*json.loads(done.stdout)[1:], strict=True))
    return Figure("intake of 9,400 objects", ours, "git fetch with fsckObjects", theirs, 2.0)


def _rounds(directory: Path, count: int) -> list[tuple[float, float]]:
    sandbox = Sandbox.start(project_of(Repo(directory)), directory.parent / "sandbox")
    work = sandbox.workspace
    for commit in range(COMMITS):
        for file in range(FILES):
            work.write(f"lib/{commit}/{file % 15}/{file}.py", f"made = {commit}, {file}\n" * 20)
        work.commit(f"Commit {commit}")
    sandbox.point()
    pack = sandbox.pack()
    rounds = []
    for number in range(count + 1):
        one, other = (_clone(directory, f"{name}-{number}") for name in ("taken", "fetched"))
        wanted = intake(project_of(one), sandbox.tip, sandbox.points, pack)
        began = time.perf_counter()
        ingest.ingest(wanted)
        between = time.perf_counter()
        subprocess.run([*_FETCH, str(work.path), "+HEAD:refs/made"], cwd=other.path, check=True)
        rounds.append((between - began, time.perf_counter() - between))
        for clone in (one, other):
            shutil.rmtree(clone.path)
    return rounds


def _clone(directory: Path, name: str) -> Repo:
    path = directory.parent / name
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(directory), str(path)], check=True)
    return Repo(path)


if __name__ == "__main__":
    print(json.dumps(_rounds(Path(sys.argv[1]), int(sys.argv[2]))))
