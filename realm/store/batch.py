"""Reads objects through one ``git cat-file --batch`` process.

The process answers ``<oid> <type> <size>``, the content and a line feed for an object that exists, and
``<spec> missing`` (or ``ambiguous``) for others.
"""

from __future__ import annotations

import subprocess
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Self

from realm.errors import GitError
from realm.git import command, environment, missing, reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from realm.model import Project


class TooLargeError(GitError):
    """An object is larger than the reader allowed; the process has been ended."""


class RawObject(NamedTuple):
    """An object as git stores it: ``kind`` is blob, tree, commit or tag."""

    oid: str
    kind: str
    data: bytes


class CatFile:
    """A running ``git cat-file --batch``; use it in a ``with`` statement.

    It is started by the first :meth:`get`.  ``argv`` and ``env`` default to the
    user's git in ``project``.
    """

    def __init__(
        self,
        project: Project | None = None,
        *,
        argv: list[str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._argv = argv or command("cat-file", "--batch", project=project)
        self._env = dict(env) if env is not None else environment()
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: deque[str] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            try:
                self._process = subprocess.Popen(
                    self._argv,
                    env=self._env,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
            except OSError as problem:
                raise missing(problem, None) from problem
        return self._process

    def ask(self, specs: Iterable[str]) -> None:
        """Have git read these objects next, in this order, while the first is processed.

        All of ``specs`` must fit in a pipe: git may stop reading until its output is read.
        """
        stdin = self._start().stdin
        assert stdin is not None  # noqa: S101 - a pipe
        try:
            for spec in specs:
                if "\n" in spec:
                    raise GitError(f"cannot read {spec!r}")
                stdin.write(spec.encode("utf-8", "surrogateescape") + b"\n")
                self._asked.append(spec)
            stdin.flush()
        except BrokenPipeError:
            raise self._broken(" ".join(self._asked)) from None

    def get(self, spec: str, limit: int) -> RawObject | None:
        """Return the object that ``spec`` names, ``None`` when there is none.

        Raises :class:`TooLargeError` above ``limit`` bytes and
        :class:`GitError` when git cannot read the object.
        """
        if not self._asked or self._asked[0] != spec:
            self._forget()
            self.ask([spec])
        self._asked.popleft()
        process = self._start()
        assert process.stdout is not None  # noqa: S101 - a pipe
        words = process.stdout.readline().split()
        if len(words) != 3 or not words[2].isdigit():  # noqa: PLR2004 - id, kind, size
            if words and words[-1] in (b"missing", b"ambiguous"):
                return None
            raise self._broken(spec)
        size = int(words[2])
        if size > limit:
            self._end()
            raise TooLargeError(f"{spec} has {size} bytes, more than the {limit} allowed")
        data = process.stdout.read(size + 1)
        if len(data) != size + 1:
            raise self._broken(spec)
        return RawObject(words[0].decode(), words[1].decode(), data[:-1])

    def _broken(self, spec: str) -> GitError:
        process = self._process
        self._process = None
        self._asked.clear()
        err = process.communicate()[1] if process else b""
        return GitError(f"git cannot read {spec}: {reason(err) or 'it gave no answer'}", "git fsck")

    def close(self) -> None:
        """End the process."""
        self._forget()
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def _forget(self) -> None:
        """Drop the outstanding answers."""
        if self._asked:
            self._end()

    def _end(self) -> None:
        self._asked.clear()
        if self._process is not None:
            self._process.kill()
        self.close()
