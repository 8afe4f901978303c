"""Several new sessions at once, in the background, all from the same commit."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from realm.errors import RealmError, UsageError
from realm.paths import itself
from realm.session.requests import FURTHER
from realm.store import refs, repo
from realm.text import clean, listed, plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from realm.session.requests import UI, NewRequest

MOST = 100
_AT_ONCE = 4
"""Sessions that are being started at the same time."""
_TASKS_LIMIT = 1_000_000
_TASKS = "give a file of tasks, one per line"
_ITEM = re.compile(r"^[-*+]\s+(?:\[ \]\s+)?")
_DONE = re.compile(r"[-*+]\s+\[[xX]\]\s")


def read_tasks(file: str) -> list[str]:
    """Return the tasks in a file, or for ``-`` on standard input: a line each.

    Comments, empty lines and list items that are ticked off are left out.  The marker of an item is removed,
    as the agent would take it for an option.
    """
    try:
        data = sys.stdin.buffer.read(_TASKS_LIMIT + 1) if file == "-" else _read(Path(file))
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{clean(file)} cannot be read: {error.strerror}", _TASKS) from None
    except UnicodeDecodeError:
        raise UsageError(f"{clean(file)} is not UTF-8", _TASKS) from None
    if "\0" in text:
        raise UsageError(f"{clean(file)} is not text", _TASKS)
    if len(data) > _TASKS_LIMIT:
        raise UsageError(f"{clean(file)} has more than {_TASKS_LIMIT:,} bytes", _TASKS)
    lines = (line.strip() for line in text.splitlines())
    found = [_ITEM.sub("", line) for line in lines if not _DONE.match(line)]
    tasks = [line for line in found if line and not line.startswith("#")]
    if not tasks:
        raise UsageError(f"there is no task in {clean(file)}", _TASKS)
    return tasks


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_TASKS_LIMIT + 1)


def several(request: NewRequest, tasks: Sequence[tuple[str, ...]], ui: UI) -> int:
    """Start a session in the background for each of ``tasks``, the agent's arguments; return the exit code.

    They are called ``<name>-1`` and so on.  All names are checked before the first one is started.  If that
    one cannot be started, none is: the reason mostly holds for all.  If a further one cannot be started the
    others still are, and then :class:`RealmError` is raised.
    """
    if len(tasks) > MOST:
        raise UsageError(f"{len(tasks)} sessions at once are more than {MOST}", "start fewer of them")
    project = repo.discover(request.directory)
    names = [f"{request.name}-{number}" for number in range(1, len(tasks) + 1)]
    for name in names:
        refs.check_new(project, name)
    base = repo.resolve_commit(project, "HEAD" if request.base is None else request.base)
    commands = {name: _command(request, name, base, task) for name, task in zip(names, tasks, strict=True)}
    ended = dict.fromkeys(names, (1, ""))
    try:
        first = {names[0]: commands.pop(names[0])}  # alone, it asks, warns, and makes what the others share
        _start(first, ended, apart=False)
        if code := ended[names[0]][0]:
            return code
        with ui.progress(f"starting {len(commands)} more"):
            _start(commands, ended)
    except OSError as error:
        raise RealmError(f"realm cannot start itself: {error.strerror}", "realm doctor") from error
    except KeyboardInterrupt as wish:
        if begun := _begun(ended):
            count = plural(len(begun), "session")
            them = "it" if len(begun) == 1 else "them"
            wish.add_note(
                f"{count} in the background: {listed(begun)}; realm stop {' '.join(begun)} ends {them}"
            )
        raise
    finally:
        for _, said in ended.values():
            sys.stderr.write(said)
    begun = _begun(ended)
    # The session's own process has reported the reason.
    failed = [name for name in names if name not in begun]
    ui.info(f"{plural(len(begun), 'session')} in the background: {listed(begun)}")
    ui.info(f"  realm list --watch   realm compare {' '.join(begun)}")
    if failed:
        raise RealmError(f"{listed(failed)} could not be started", "the messages above say why")
    return 0


def _command(request: NewRequest, name: str, base: str, task: Sequence[str]) -> tuple[str, ...]:
    options = ["--detach", "--quiet", f"--base={base}"]
    options += ["--wip"] if request.wip else []
    options += ["--no-record"] if request.no_record else []
    options += ["--no-input"] if request.no_input else []
    options += [f"--include={path}" for path in request.include]
    options += [f"--with={path}" for path in request.neighbours]
    options += [f"--image={request.image}"] if request.image else []
    options += [f"--agent={request.agent}"] if request.agent else []
    return (*itself(), "-C", str(request.directory), "new", *options, name, "--", *task)


def _begun(ended: Mapping[str, tuple[int, str]]) -> list[str]:
    return [name for name, (code, _) in ended.items() if code == 0]


def _start(
    commands: Mapping[str, Sequence[str]], ended: dict[str, tuple[int, str]], *, apart: bool = True
) -> None:
    """Run the sessions' commands, some at a time; note in ``ended`` each one's exit code and what it said.

    Those ``apart`` ask nothing, do not repeat the first one's warnings, and get no Ctrl-C: after one, those
    that are being started are waited for, and the rest are not started.
    """
    env = {**os.environ, FURTHER: "1"} if apart else None
    stdin, stderr = (subprocess.DEVNULL, subprocess.PIPE) if apart else (None, None)

    def start(name: str) -> None:
        done = subprocess.run(
            commands[name], env=env, check=False, stdin=stdin, stderr=stderr, text=True, errors="replace",
            start_new_session=apart,
        )  # fmt: skip
        ended[name] = done.returncode, done.stderr or ""

    # In threads, where no interrupt kills what has begun.
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        list(pool.map(start, commands))
    finally:
        pool.shutdown(cancel_futures=True)
