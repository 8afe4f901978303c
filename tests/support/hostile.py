"""Hostile surroundings: full disks, users without rights; and what realm leaves behind there."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from realm.paths import realm_home
from tests.support import engines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.repos import Repo
    from tests.support.user import Done, User

POWERLESS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
"""Put before a command, so that root too may only do what file modes allow."""

LEFT_FOR_GOOD = {"Dockerfile", "bases", "ca.crt", "engines.json", "hooks", "logs", "clock", "projects.json",
                 "projects.lock", ".dockerignore", ".gitignore", "venv", "image.lock", "key"}  # fmt: skip
"""The names that may be in realm's directory at any time, as they belong to no session."""

_SHARED = (*(f"history/{prefix}" for prefix in engines.SHARED), "caches/realm-cache-", "egress/realm-egress-")
"""The notes about volumes that a project's sandboxes share, which outlive a refusal too."""


def powerless() -> tuple[str, ...]:
    """Return the prefix of a command that makes permissions count for root too."""
    if os.getuid() != 0:
        return ()
    if shutil.which(POWERLESS[0]) is None or subprocess.run([*POWERLESS, "true"], check=False).returncode:
        pytest.skip("root cannot give up its rights here")
    return POWERLESS


@contextmanager
def small_disk(place: Path, size: str = "2m") -> Iterator[Path]:
    """Mount a disk of ``size`` at ``place`` while the context lasts; skip where that is not allowed."""
    place.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(place)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount a disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """Fill the disk at ``place`` to the last byte and return the file that does it."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return ballast


@dataclass(frozen=True)
class Traces:
    """Everything that realm could have changed: refs, its own files, sandboxes, the work tree."""

    refs: str
    own: frozenset[str]
    engine: frozenset[str]
    tree: frozenset[str]

    @classmethod
    def of(cls, repo: Repo, *, engine: bool = False) -> Traces:
        """Record the state of ``repo``, realm's directory and, with ``engine``, the engine."""
        listed = subprocess.run(["git", "for-each-ref"], cwd=repo.path, capture_output=True, check=False)
        sandboxes = _sandboxes(repo) if engine else frozenset()
        files = frozenset(path.name for path in repo.path.iterdir())
        return cls(listed.stdout.decode(errors="replace"), _own(), sandboxes, files)


def _own() -> frozenset[str]:
    """Return the files of sessions and runs below realm's directory."""
    home = realm_home()
    found: set[str] = set()
    for path in home.rglob("*"):
        below = path.relative_to(home)
        if below.parts[0] not in LEFT_FOR_GOOD and not path.is_dir():
            found.add(str(below))
    return frozenset(found - {path for path in found if path.startswith(_SHARED)})


def _sandboxes(repo: Repo) -> frozenset[str]:
    label = f"realm.project={repo.path}"
    return frozenset(
        f"{kind} {identity}"
        for kind in ("container", "volume")
        for identity in engines.labelled(kind, label)
        if not (kind == "volume" and identity.startswith(engines.SHARED))
    )


def check_words(done: Done, code: int, said: str) -> None:
    """Check that a refusal is one sentence with a hint, and contains ``said``."""
    shown = f"{done.code}\n{done.out}\n---\n{done.err}"
    lines = [line for line in done.err.splitlines() if line]
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1, shown
    assert said.lower() in errors[0].lower(), shown
    assert any(line.startswith("hint: ") and line != "hint: " for line in lines), shown
    assert "Traceback" not in done.err, shown
    assert "bug" not in errors[0], shown
    assert not errors[0].rstrip().endswith("."), shown
    assert done.err.replace("\n", "").isprintable(), shown
    assert done.code == code, shown


def run_as(user: User, prefix: tuple[str, ...], *arguments: str | bytes, cwd: Path | None = None) -> Done:
    """Run realm with ``prefix`` before it; arguments may be bytes that are not valid text."""
    from tests.support.user import Done as _Done

    command = [*prefix, str(user.installed.realm), *arguments]
    where = cwd or user.repo.path
    ran = subprocess.run(
        command, cwd=where, env=user.env, input=b"", capture_output=True, timeout=120, check=False
    )
    return _Done(ran.returncode, ran.stdout.decode(errors="replace"), ran.stderr.decode(errors="replace"))
