"""What looking at a session takes, against the git command that shows the same."""

from __future__ import annotations

import statistics
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from tests.bench.measure import Figure, Rival, compare, timed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.setting import Setting


class Length(NamedTuple):
    """How much has happened in a session."""

    turns: int
    runs: int


LONG = Length(turns=1002, runs=334)
_LOG = "--format=%h %ad %s%n%(trailers:key=Realm-Run)%(trailers:key=Realm-Turn)"


def review_figures(setting: Setting, pairs: int) -> Iterator[Figure]:
    """The log of a long session, and how long a diff and a turn of a short one take to begin."""
    make(setting, "long", *LONG)
    make(setting, "short", 4, 2)
    realm = str(setting.realm)
    same = Rival("git log --name-only", ("git", "log", "--name-only", _LOG, "main..refs/realm/long"))
    yield compare(f"realm log, {LONG.turns} turns", [realm, "log", "long"], same, setting, pairs, 3)
    shown = ("git", "diff", "main...refs/realm/short")
    yield more("realm diff", [realm, "diff", "short"], shown, setting, pairs)
    turn = ("git", "show", "--stat", "refs/realm/short")
    yield more("realm show", [realm, "show", "short"], turn, setting, pairs)


def more(name: str, ours: Sequence[str], theirs: Sequence[str], setting: Setting, pairs: int) -> Figure:
    """Return how much longer a command takes than the git command that it stands for."""
    taken = [(timed(ours, setting), timed(theirs, setting)) for _ in range(pairs + 1)][1:]
    mine, git = (statistics.median(times) for times in zip(*taken, strict=True))
    return Figure(name, mine, " ".join(theirs[:2]), git, 0.06, "s more")


def make(setting: Setting, name: str, turns: int, runs: int) -> None:
    """Make a session of a shell's, of so many turns in so many runs, a commit each, unless it is there."""
    ref = ["git", "rev-parse", "-q", "--verify", f"refs/realm/{name}"]
    found = subprocess.run(ref, cwd=setting.directory, env=setting.env, capture_output=True, check=False)
    if not found.returncode:
        return
    each = turns // runs
    stream = bytearray()
    for number in range(turns):
        text = (
            f"do the thing number {number}\n\nDid it.\n\nRealm-Session: {name}\n"
            f"Realm-Run: {number // each + 1}\nRealm-Turn: {number % each + 1}\n"
        )
        head = f"commit refs/realm/{name}\ncommitter Ada <ada@example.com> {1_700_000_000 + number} +0000\n"
        stream += f"{head}data {len(text)}\n{text}\n".encode()
        stream += b"" if number else b"from refs/heads/main\n"
        for file in range(3):
            content = f"{number}\n"
            stream += (
                f"M 100644 inline made/f{(number + file) % 100}\ndata {len(content)}\n{content}\n".encode()
            )
    command = ["git", "fast-import", "--quiet"]
    subprocess.run(command, cwd=setting.directory, input=bytes(stream), check=True, env=setting.env)
    program = _RECORD.format(root=str(setting.directory), name=name, runs=runs, each=each)
    subprocess.run([str(setting.python), "-c", program], env=setting.env, check=True)


_RECORD = """
import time, uuid
from pathlib import Path
from realm.model import Run, Session, State, Totals
from realm.session import approvals
from realm.store import record, refs, repo
project = repo.discover(Path({root!r}))
base, tip = (repo.resolve_commit(project, rev) for rev in ("main", "refs/realm/{name}"))
session = Session(id=str(uuid.uuid4()), name={name!r}, project=str(project.root),
                  workspace="/workspace/project", base=base, created=time.time(), agent=("sh",))
approvals.approve_record(project, session)
meta = None
for number in range(1, {runs} + 1):
    run = Run(number, time.time(), base, time.time(), 0, tip, prompts=("do the thing",) * {each})
    meta = record.write(project, parent=meta, previous=None, session=session, run=run,
                        totals=Totals(), state=State.EXITED, files={{}})
refs.transact(project, [refs.RefUpdate(refs.META + {name!r}, None, meta)], "made for a figure")
"""
