"""Real repositories for tests, made by real git, with commits at fixed times."""

from __future__ import annotations

import itertools
import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_FIRST_COMMIT = 1_700_000_000


def git(where: Path, *arguments: str, check: bool = True, env: Mapping[str, str] | None = None) -> str:
    """Run git in ``where`` and return its standard output without the last line end."""
    done = subprocess.run(
        ["git", *arguments], cwd=where, env=os.environ | dict(env or {}), capture_output=True, check=False
    )
    if check and done.returncode != 0:
        raise AssertionError(f"git {' '.join(arguments)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")


@dataclass
class Repo:
    """A repository at ``path``; ``clock`` gives each commit made here its own second."""

    path: Path
    clock: Iterator[int] = field(default_factory=lambda: itertools.count(_FIRST_COMMIT))

    @classmethod
    def init(cls, path: Path, *, bare: bool = False, object_format: str = "sha1") -> Self:
        """Make an empty repository at ``path``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = ["--bare"] if bare else []
        git(path.parent, "init", "-q", *flags, f"--object-format={object_format}", str(path))
        return cls(path)

    def git(self, *arguments: str, check: bool = True, env: Mapping[str, str] | None = None) -> str:
        """Run git here; see :func:`git`."""
        return git(self.path, *arguments, check=check, env=env)

    def write(self, name: str, content: str | bytes = "", *, mode: int | None = None) -> Path:
        """Write a file of the work tree and return its path."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        if mode is not None:
            path.chmod(mode)
        return path

    def commit(self, message: str = "Change", *, add: bool = True) -> str:
        """Commit (with ``add`` everything that is not ignored) and return the commit's id."""
        if add:
            self.git("add", "-A")
        when = f"{next(self.clock)} +0000"
        dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        self.git("commit", "-q", "--allow-empty", "--no-verify", "-m", message, env=dates)
        return self.head()

    def head(self, rev: str = "HEAD") -> str:
        """Return the id that ``rev`` resolves to."""
        return self.git("rev-parse", "--verify", rev)

    def refs(self, prefix: str = "refs/") -> dict[str, str]:
        """Return the refs below ``prefix`` with what they point at."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)", prefix).splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def files(self, rev: str = "HEAD") -> list[str]:
        """Return the paths of every file in the tree of ``rev``."""
        return [name for name in self.git("ls-tree", "-r", "-z", "--name-only", rev).split("\0") if name]

    def show(self, spec: str) -> str:
        """Return what ``git show`` says of ``spec``, such as ``refs/realm/x:file``."""
        return self.git("show", spec)

    def make_files(self, count: int, *, per_directory: int = 100) -> str:
        """Make main one commit of ``count`` small distinct files in directories, fast; return it."""
        head = b"commit refs/heads/main\ncommitter Ada Tester <ada@example.com> 1700000000 +0000\n"
        stream = bytearray(head + b"data 5\nFiles")
        for number in range(count):
            content = f"file {number}\n".encode()
            name = f"src/d{number // per_directory:04}/f{number:06}.txt"
            stream += f"\nM 100644 inline {name}\ndata {len(content)}\n".encode() + content
        command = ["git", "fast-import", "--quiet", "--force"]
        subprocess.run(command, cwd=self.path, input=bytes(stream) + b"\n", check=True, capture_output=True)
        self.git("reset", "-q", "--hard", "refs/heads/main")
        return self.head()
