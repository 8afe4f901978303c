"""What the figures are measured on: an installed realm, a repository of a given size, an image."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.bench.measure import Figure, run
from tests.support.install import install_once
from tests.support.repos import Repo
from tests.support.sealed import sealed_environment
from tests.support.user import clean_engine

IMAGE = "realm:latest"


class Setting:
    """A repository of ``files`` files below ``place`` and somebody who has realm there.

    Settings with the same ``name`` share it, with the sessions that were made in it.
    """

    def __init__(self, place: Path, files: int, name: str = "project") -> None:
        self._place = place / f"{name}-{files}"
        self._installed = install_once(place)
        home = self.home
        home.mkdir(parents=True, exist_ok=True)
        sealed = sealed_environment(home, engine=True, quick=True)
        path = f"{self._installed.bin}{os.pathsep}{sealed['PATH']}"
        self.env = {name: value for name, value in sealed.items() if name != "PYTHONPATH"} | {"PATH": path}
        os.environ.update({name: sealed[name] for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM")})
        self.directory = self._place / "project"
        if not self.directory.exists():
            Repo.init(self.directory).make_files(files)
        self._names = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        clean_engine(self._place)

    @property
    def realm(self) -> Path:
        """The installed program."""
        return self._installed.realm

    @property
    def python(self) -> Path:
        """The interpreter that realm runs in."""
        return self._installed.python

    @property
    def bare(self) -> Path:
        """The bare relay, a program for :attr:`python`."""
        return Path(__file__).with_name("bare.py")

    @property
    def home(self) -> Path:
        """The home directory of whoever uses realm here."""
        return self._place / "home"

    def realm_run(self, script: str, *options: str, program: str = "sh") -> list[str]:
        """Return the command that runs ``script`` as the agent of a session with a new name."""
        self._names += 1
        name = f"bench-{os.urandom(4).hex()}-{self._names}-{{}}"
        return [str(self.realm), "new", *options, "--agent", program, name, "-c", script]

    def named(self, command: list[str], number: int) -> list[str]:
        """Return the command with the run's number where its session's name has a place for it."""
        return [word.replace("{}", str(number)) if word.startswith("bench-") else word for word in command]

    def docker_run(self, script: str) -> list[str]:
        """Return docker's command for the same image and script."""
        return ["docker", "run", "--rm", "-it", "--entrypoint", "sh", IMAGE, "-c", script]

    def make_sessions(self, count: int, start: int = 0) -> None:
        """Make sessions as if they had been run, until there are ``count`` where there were ``start``."""
        program = _SESSIONS.format(root=str(self.directory), start=start, count=count)
        subprocess.run([str(self.python), "-c", program], env=self.env, check=True)

    def way_back(self, name: str, script: str, runs: int) -> Figure:
        """Measure from the script's last words (the time of day) to the prompt, against docker's."""
        ours: list[float] = []
        theirs: list[float] = []
        for number in range(runs + 1):
            realm = [word.replace("{}", str(number)) for word in self.realm_run(script)]
            pair = self._since_last_word(realm), self._since_last_word(self.docker_run(f"cd /tmp; {script}"))
            if number:
                ours.append(pair[0])
                theirs.append(pair[1])
        return Figure(
            name, statistics.median(ours), "docker run --rm -it", statistics.median(theirs), 1, "s more"
        )

    def _since_last_word(self, command: list[str]) -> float:
        written = run(command, self)
        now = time.time()
        spoken = re.findall(r"\d{10}\.\d+", written)
        return now - float(spoken[-1])


_SESSIONS = """
import time, uuid
from pathlib import Path
from realm.model import Run, Session, State, Totals
from realm.store import record, refs, repo
project = repo.discover(Path({root!r}))
base = repo.resolve_commit(project, "HEAD")
updates = []
for number in range({start}, {count}):
    name = f"session-{{number:03}}"
    if number == {start} or number < 100:  # more of them share a record: each takes a git to write
        session = Session(id=str(uuid.uuid4()), name=name, project=str(project.root),
                          workspace="/workspace/project", base=base, created=time.time())
        run = Run(1, time.time(), base, time.time(), 0, base)
        meta = record.write(project, parent=None, previous=None, session=session, run=run,
                            totals=Totals(), state=State.EXITED, files={{}})
    updates += [refs.RefUpdate(refs.CODE + name, None, base), refs.RefUpdate(refs.META + name, None, meta)]
refs.transact(project, updates, "made for a figure")
"""
