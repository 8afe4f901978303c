"""Sessions whose runs have a recording, made in a repository without a sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.config import Config
from realm.model import Run, State, Totals
from realm.session import recordings
from realm.store import record, refs, repo
from tests.support.store import SESSION_ID, STARTED, project_of, session

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.repos import Repo

SIZE = (24, 80)


def files_of(*pieces: bytes, number: int = 1) -> dict[str, bytes]:
    """Return the files in the record of a run that wrote ``pieces``."""
    directory = live(*pieces, number=number)
    found = dict(recordings.shown(directory, SIZE, Config(directory), title=f"fix, run {number}").files)
    recordings.discard(SESSION_ID)
    return found


def live(*pieces: bytes, number: int = 1) -> Path:
    """Record a run of the session as its holder does; return the recording's directory."""
    recorder = recordings.recorder(SESSION_ID, number, Config())
    recorder.resize(*SIZE)
    for piece in pieces:
        recorder.feed(piece)
    recorder.close()
    return recordings.place(SESSION_ID, number)


def add_session(
    made: Repo,
    *runs: Mapping[str, bytes],
    name: str = "fix",
    tip: str | None = None,
    incomplete: tuple[str, ...] = (),
    prompts: tuple[str, ...] = (),
    ends: tuple[float, ...] = (),
) -> None:
    """Make a session at HEAD with a run for each of ``runs``, the files of its record."""
    project = project_of(made)
    base = repo.resolve_commit(project, "HEAD")
    meta = None
    for number, files in enumerate(runs, 1):
        meta = record.write(
            project,
            parent=meta,
            previous=None,
            session=session(name, base=base),
            run=Run(number, STARTED, base, incomplete=incomplete, prompts=prompts, ends=ends),
            totals=Totals(),
            state=State.EXITED,
            files=files,
        )
    updates = [
        refs.RefUpdate(refs.CODE + name, None, tip or base),
        refs.RefUpdate(refs.META + name, None, meta),
    ]
    refs.transact(project, updates, "test")
