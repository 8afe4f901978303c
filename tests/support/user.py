"""A user of the installed realm in a project, with the stand-in as the API."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support import engines
from tests.support.driver import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.install import Installed
    from tests.support.repos import Repo

KEY = "sk-ant-stand-in-0123456789-0123456789-0123456789"


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@dataclass
class User:
    """A user with ``realm`` on PATH in the directory ``repo``; ``extra`` is added to the environment."""

    installed: Installed
    repo: Repo
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """The environment of all programs that this user runs."""
        path = f"{self.installed.bin}{os.pathsep}{os.environ['PATH']}"
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return inherited | {"PATH": path} | self.extra

    def start(self, *arguments: str, cwd: Path | None = None, **options: Any) -> subprocess.Popen[str]:
        """Start realm without waiting for it; pipes everywhere unless ``options`` say otherwise."""
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        command = [str(self.installed.realm), *arguments]
        return subprocess.Popen(
            command, cwd=cwd or self.repo.path, env=self.env, text=True, **pipes | options
        )

    def realm(
        self,
        *arguments: str,
        cwd: Path | None = None,
        stdin: str = "",
        code: int | None = 0,
        limit: float = 180,
    ) -> Done:
        """Run realm to its end; fail unless it exits with ``code`` (``None``: any) in time."""
        command = [str(self.installed.realm), *arguments]
        with subprocess.Popen(
            command, cwd=cwd or self.repo.path, env=self.env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            try:
                out, err = process.communicate(stdin.encode(), limit)
            except subprocess.TimeoutExpired as late:
                process.send_signal(signal.SIGABRT)
                where = process.communicate(timeout=30)[1].decode()
                raise AssertionError(f"realm {arguments}: not done in {limit:g} s\n{where}") from late
        done = Done(process.returncode, out.decode(), err.decode())
        if code is not None and done.code != code:
            raise AssertionError(f"realm {arguments}: {done.code}\n{done.out}\n--- stderr\n{done.err}")
        return done

    def terminal(self, *arguments: str, cwd: Path | None = None, **size: int) -> Terminal:
        """Run realm in a terminal of 120 by 40, or of ``columns`` by ``rows``."""
        command = [str(self.installed.realm), *arguments]
        return Terminal(command, env=self.env, cwd=cwd or self.repo.path, **size)

    def python(self, program: str) -> str:
        """Run a Python program with the installed realm's interpreter, for what no command does."""
        command = [str(self.installed.python), "-c", program]
        done = subprocess.run(
            command, cwd=self.repo.path, env=self.env, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    def shell(self, script: str, **size: int) -> Terminal:
        """Run a shell command in a terminal."""
        return Terminal(["sh", "-c", script], env=self.env, cwd=self.repo.path, **size)

    def scripted(self, name: str, script: str, *options: str, code: int = 0, verb: str = "new") -> Done:
        """Run a session whose agent is the shell ``script``."""
        agent = ["--agent", "sh"] if verb == "new" else []
        return self.realm(verb, *agent, *options, name, "-c", script, code=code)

    def listed(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the output of ``realm list --json``."""
        answer = json.loads(self.realm("list", "--json", *arguments).out)
        rows = answer if isinstance(answer, list) else answer["sessions"]
        return list(rows)

    def tip(self, name: str) -> str:
        """Return the commit id of the session's ref."""
        return self.repo.head(f"refs/realm/{name}")

    def leftovers(self) -> Sequence[str]:
        """Return the sandboxes (containers) that exist for this user's project."""
        found = engines.with_label("container", f"realm.project={self.repo.path}")
        return [each for each, labels in found.items() if labels.get("realm.role") != "egress"]


def clean_engine(below: Path) -> None:
    """Remove every container and volume that realm made for projects below the directory ``below``."""
    # Listed, not inspected one by one: the engine would wait for busy sandboxes of others.
    for kind in ("container", "volume"):
        found = engines.with_label(kind, "realm.project")
        ours = [name for name, labels in found.items() if labels["realm.project"].startswith(f"{below}/")]
        if ours:
            engines.docker(kind, "rm", "--force", *ours, check=False)
