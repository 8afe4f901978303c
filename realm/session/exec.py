"""Runs a command in the container of a running agent."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from realm.config import Config
from realm.errors import EngineError, RealmError
from realm.sandbox import docker, lookup
from realm.session import claim, surroundings
from realm.session.rewriting import changed
from realm.terminal.relay.loop import relay
from realm.terminal.relay.tty import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from realm.model import Session
    from realm.sandbox.docker import Engine
    from realm.sandbox.sandbox import Sandbox

SHELL = ("sh", "-c", "command -v bash >/dev/null && exec bash; exec sh")


def run(name: str, directory: Path | None, command: Sequence[str]) -> int:
    """Run ``command`` (default: a shell) in the workspace of a running agent; return its exit code.

    It uses this terminal, if there is one, else standard input, output and error.  Raises :class:`RealmError`
    when the session has no running container.
    """
    project, session = claim.checked(name, directory)
    engine, sandbox = running(session)
    terminal = Terminal()
    tty = terminal.interactive
    where = posixpath.join(session.workspace, session.subdir).rstrip("/")
    environment = surroundings.passed_on() if tty else {}
    process, stream = sandbox.run(command or SHELL, tty=tty, directory=where, environment=environment)
    with terminal.raw():
        ended = relay(
            changed(stream, name, Config(project.root)), terminal,
            tap=terminal.note, resize=lambda *size: engine.resize_exec(process, *size),
            alive=lambda: _is_alive(engine, process),
        )  # fmt: skip
    stream.close()
    return ended.code(lambda: engine.exec_code(process) or 0)


def running(session: Session) -> tuple[Engine, Sandbox]:
    """Return a session's running sandbox and its engine; raises :class:`RealmError` when none is running."""
    engine = docker.connect()
    if (sandbox := lookup.running(engine, session.id)) is not None:
        return engine, sandbox
    raise RealmError(f"session {session.name} is not running", f"realm resume {session.name}")


def _is_alive(engine: Engine, process: str) -> bool:
    try:
        return engine.exec_code(process) is None
    except EngineError:
        return True
