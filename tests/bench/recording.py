"""Recording what a run did, against doing it by a patch; and whether a run of a long session takes longer."""

from __future__ import annotations

import json
import statistics
import subprocess
from typing import TYPE_CHECKING

from tests.bench.measure import Figure, Rival, compare
from tests.bench.review import LONG, make

if TYPE_CHECKING:
    from tests.bench.setting import Setting

BARS = {80_000: 20.0}
"""How many times as fast recording is to be, where that is said."""


def recording_figure(setting: Setting, files: int, rounds: int) -> Figure:
    """Measure the patch way (a temporary work tree, apply, commit) in times of realm's."""
    program = _ROUNDS.format(root=str(setting.directory), rounds=rounds)
    done = subprocess.run(
        [str(setting.python), "-c", program], env=setting.env, check=True, capture_output=True
    )
    ours, theirs = (statistics.median(times) for times in zip(*json.loads(done.stdout)[1:], strict=True))
    return Figure(
        f"work tree, apply, commit, {files} files", theirs, "recording a finished run", ours, BARS.get(files),
        least=True,
    )  # fmt: skip


def length_figure(setting: Setting, pairs: int) -> Figure:
    """Measure a run of a session of about 1,000 turns, against one of a session that has just begun."""
    make(setting, "long", *LONG)
    make(setting, "young", 3, 1)
    long, young = (
        (str(setting.realm), "resume", name, "-c", "date +%s.%N >made-by-run") for name in ("long", "young")
    )
    theirs = Rival("in a session of one run", young)
    return compare(f"a run after {LONG.runs} with {LONG.turns} turns", long, theirs, setting, pairs, 1.2)


_ROUNDS = """
import json, subprocess, tempfile, time, uuid
from pathlib import Path
from realm.model import Checkpoint, Run, Session, State, TurnText
from realm.store import ingest, record, refs, repo

project = repo.discover(Path({root!r}))
base = repo.resolve_commit(project, "main")

def git(where, *words, data=b""):
    return subprocess.run(["git", *words], cwd=where, input=data, check=True, capture_output=True).stdout

def ours(name, head, pack):
    session = Session(id=str(uuid.uuid4()), name=name, project=str(project.root), base=base,
                      workspace="/workspace/project", created=time.time())
    began, started = time.perf_counter(), time.time()
    done = ingest.ingest(ingest.Intake(
        project, name, 1, base, [Checkpoint(head, head, 1, started)], {{1: TurnText("do the thing")}}, pack,
        started, repo.identity(project)))
    run = Run(1, started, base, time.time(), 0, done.tip, prompts=("do the thing",))
    meta = record.write(project, parent=None, previous=None, session=session, run=run, state=State.EXITED,
                        totals=repo.diffstat(project, base, done.tip), files={{}})
    refs.transact(project, [refs.RefUpdate(refs.CODE + name, None, done.tip),
                            refs.RefUpdate(refs.META + name, None, meta)], "made for a figure")
    return time.perf_counter() - began

def theirs(place, patch):
    began = time.perf_counter()
    git(project.root, "worktree", "add", "-q", "--detach", str(place), "main")
    git(place, "apply", "--index", data=patch)
    git(place, "commit", "-q", "-m", "do the thing")
    taken = time.perf_counter() - began
    git(project.root, "worktree", "remove", "--force", str(place))
    return taken

taken = []
with tempfile.TemporaryDirectory() as place:
    box = Path(place, "box")
    git(place, "clone", "-q", "--shared", "--bare", {root!r}, str(box))
    for number in range({rounds} + 1):
        stream = b"commit refs/heads/work\\ncommitter A <a@example.com> 1700000000 +0000\\ndata 4\\nwork\\n"
        stream += b"from refs/heads/main\\n"
        for file in range(21):
            data = b"%d of %d\\n" % (file, number)
            stream += b"M 100644 inline made/f%d\\ndata %d\\n%s\\n" % (file, len(data), data)
        git(box, "fast-import", "--quiet", "--force", data=stream)
        head = git(box, "rev-parse", "work").decode().strip()
        pack = Path(place, "pack")
        order = ("pack-objects", "-q", "--revs", "--delta-base-offset", "--stdout")
        pack.write_bytes(git(box, *order, data=b"work\\n^main\\n"))
        patch = git(box, "diff", "--binary", "main", "work")
        taken.append((ours(f"recorded-{{number}}", head, pack), theirs(Path(place, "tree"), patch)))
print(json.dumps(taken))
"""
