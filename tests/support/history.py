"""Sessions with a history: runs and turns taken in as from a sandbox, without an engine.

Realm run on them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from realm.model import Run, State, TurnText
from realm.store import record, refs, repo, risky
from realm.text import first_line
from tests.support.store import STARTED, Sandbox, intake, project_of, session, take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realm.model import Session
    from tests.support.repos import Repo

Files = Mapping[str, str | Path | None]
"""What a turn leaves: content by path, a link's target, ``None`` for a removed file."""

SECONDS = 60.0
"""Seconds between the ends of two turns."""


@dataclass(frozen=True)
class Asked:
    """A turn: its prompt, its changes, its closing words; ``commits`` are the agent's own, in order."""

    prompt: str
    files: Files = field(default_factory=dict)
    answer: str = ""
    commits: Sequence[tuple[str, Files]] = ()


@dataclass
class Past:
    """A session that grows run by run; ``base`` is where it began."""

    repo: Repo
    name: str = "fix"
    runs: list[Run] = field(default_factory=list)
    id: str = "5e555e55-0000-4000-8000-5e555e555e55"
    conversation: str | None = None

    def __post_init__(self) -> None:
        self.base = self.tip = self.repo.head()
        self.meta: str | None = None

    def run(
        self,
        *turns: Asked,
        exit_code: int = 0,
        before: str | None = None,
        files: Mapping[str, bytes] | None = None,
        notes: Sequence[str] = (),
        said: int = 0,
        continues: int = 0,
        switches: Sequence[tuple[int, int | None]] = (),
    ) -> None:
        """Add a run; ``before`` is the commit it starts on (default: the session's tip)."""
        project, number = project_of(self.repo), len(self.runs) + 1
        start, started = before or self.tip, STARTED + 3600 * number
        place = self.repo.path.parent / f"sandbox-{self.name}-{number}"
        made = Sandbox.start(project, place, start)
        for turn, asked in enumerate(turns, 1 if turns and turns[0].prompt else 0):
            for message, changed in asked.commits:
                _change(place, changed)
                made.workspace.commit(message)
            _change(place, asked.files)
            made.point(turn, started + SECONDS * (turn + 1))
        texts = {n: TurnText(asked.prompt, asked.answer) for n, asked in enumerate(turns, 1) if asked.prompt}
        if before is not None or refs.tips(project, self.name).code is None:
            self._move(start)
        done = take(
            intake(
                project,
                start,
                made.points,
                made.pack(),
                texts=texts,
                name=self.name,
                run=number,
                started=started,
            )
        )
        prompts = tuple(first_line(text.prompt) for text in texts.values())
        run = Run(number, started, start, started + 3000, exit_code, done.tip, prompts=prompts)
        unasked = risky.kinds(risky.find(project, self.base, done.tip))
        run = run._replace(
            notes=tuple(notes), said=said, continues=continues, switches=tuple(switches), risky=unasked
        )
        totals = repo.totals(project, self.base, done.tip)
        meta = record.write(
            project, parent=self.meta, previous=None, run=run, totals=totals,
            session=self._session(),
            state=State.EXITED, files=files or {},
        )  # fmt: skip
        refs.transact(project, [refs.RefUpdate(refs.META + self.name, self.meta, meta)], "test")
        self.tip, self.meta = done.tip, meta
        self.runs.append(run)

    def _session(self) -> Session:
        known = {"base": self.base, "id": self.id, "project": str(self.repo.path)}
        return session(self.name, conversation=self.conversation, **known)

    def _move(self, to: str) -> None:
        self.repo.git("update-ref", refs.CODE + self.name, to)


def _change(place: Path, files: Files) -> None:
    for name, content in files.items():
        path = place / name
        if content is None:
            path.unlink()
            with suppress(OSError):
                path.parent.rmdir()
        elif isinstance(content, Path):
            path.unlink(missing_ok=True)
            path.symlink_to(content)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


COMMAND = [sys.executable, "-m", "realm"]
"""How this checkout's realm is run."""


def realm(where: Path, *arguments: str, env: Mapping[str, str] | None = None, stdin: str = "") -> Ended:
    """Run this checkout's realm in ``where``, without a terminal."""
    command = [*COMMAND, *arguments]
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        command, cwd=where, env={**os.environ, "PYTHONPATH": root, **(env or {})},
        input=stdin.encode(), capture_output=True, check=False,
    )  # fmt: skip
    return Ended(
        done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    )
