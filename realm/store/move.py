"""Moving verified objects from a quarantine into the project, and cleaning up after crashes."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from realm.errors import GitError, RejectedError
from realm.git import command, environment, failure, reason
from realm.store.quarantine import sweep_quarantine

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Project
    from realm.store.quarantine import Quarantine

STALE = 86400.0
"""Seconds after which a ``.keep`` of another machine's realm is taken for forgotten."""

_MARK = re.compile(r"realm pid=(\d+) host=(\S+) time=(\d+)\n?")


def keep_text() -> str:
    """Return what realm writes into a ``.keep``: who holds the pack, and since when."""
    return f"realm pid={os.getpid()} host={_host()} time={int(time.time())}"


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()) or "unknown"


def move(held: Quarantine, old: str, new: str) -> Path | None:
    """Move what ``new`` reaches and ``old`` does not into the project, as one pack.

    Returns the pack's ``.keep``, ``None`` when another one holds the same pack
    already.  Raises :class:`GitError` when the project cannot be written.
    """
    missing = ["--missing=allow-any"] if held.partial else []
    packing = [
        *held.prefix,
        "pack-objects",
        "--revs",
        "--thin",
        "--stdout",
        "--delta-base-offset",
        "-q",
        *missing,
    ]
    indexing = command("index-pack", "--stdin", "--fix-thin", f"--keep={keep_text()}", project=held.project)
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(
            packing, cwd=held.path, env=held.env, stdin=pipe, stdout=pipe, stderr=pipe
        ) as source,
        subprocess.Popen(
            indexing, cwd=held.project.root, env=environment(), stdin=source.stdout, stdout=pipe, stderr=pipe
        ) as target,
    ):
        if source.stdin is None or source.stdout is None or source.stderr is None:
            raise GitError("git pack-objects has no pipes")
        source.stdout.close()  # so that the first learns when the second ends
        with suppress(BrokenPipeError):
            source.stdin.write(f"{new}\n^{old}\n".encode())
            source.stdin.close()
        out, err = target.communicate()
        trouble = source.stderr.read()
    if source.returncode != 0 and b"early EOF" in err:
        raise RejectedError(
            f"the box's work cannot be packed: {reason(trouble) or 'git pack-objects failed'}"
        )
    if target.returncode != 0:
        problem = failure("index-pack", err)
        raise GitError(f"the repository cannot be written: {problem.message}", problem.hint)
    kind, _, name = out.decode("ascii", "replace").strip().partition("\t")
    keep = held.project.object_stores[0] / "pack" / f"pack-{name}.keep"
    return keep if kind == "keep" else None


def sweep(project: Project) -> int:
    """Remove what realms that were killed left behind; return the number of things removed.

    These are quarantines that nobody holds, and ``.keep`` files of processes
    that are gone.  Nothing that is in use is touched.
    """
    removed = sweep_quarantine()
    for path in (project.object_stores[0] / "pack").glob("*.keep"):
        if _is_forgotten(path):
            with suppress(OSError):
                path.unlink()
                removed += 1
    return removed


def _is_forgotten(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            mark = _MARK.fullmatch(file.read(1000).decode("utf-8", "replace"))
    except OSError:
        return False
    if mark is None:
        return False
    if mark[2] == _host() and not _is_alive(int(mark[1])):
        return True
    return time.time() - int(mark[3]) > STALE


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
