"""Finds and removes what killed commands left behind, also in passing by other commands.

Nothing that may be somebody's work is touched: a sandbox is removed only when its run is over in the record,
and git's own files are left to git.
"""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, NamedTuple

from realm import clock
from realm.config import Config
from realm.errors import EngineError, RealmError
from realm.git import git
from realm.paths import realm_home, remove_tree, tidy, tidy_files
from realm.sandbox.egress import image as egress_image
from realm.sandbox.image import derived
from realm.session import account, images, registry, remove, sandboxes
from realm.session.lock import holder, noted_of, run_directory
from realm.store import listing, quarantine, record, refs
from realm.store.repo import discover
from realm.text import clean, plural

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from realm.model import Project
    from realm.sandbox.docker import Engine
    from realm.sandbox.sandbox import Sandbox
    from realm.session.requests import UI

_STUCK = 60.0
"""Seconds after which a ref's lock file counts as left by a killed git."""


class _Known(NamedTuple):
    """The existing projects, and the sessions by id."""

    projects: list[Project]
    sessions: dict[str, tuple[Project, str]]


def collect(directory: Path | None, ui: UI) -> list[str]:
    """Remove leftovers of all known projects and on the engine; return a line about each kind."""
    known = _known(directory)
    found = [_of_git(project) for project in known.projects]
    removed = tidy() + tidy_files() + sum(count for count, _ in found)
    expired = [name for _, names in found for name in names]
    containers: list[str] = []
    try:
        from realm.sandbox import docker

        with closing(docker.connect()) as engine, ui.progress("looking at the engine"):
            sandboxes.sweep(engine)
            containers = list(_finished(engine, known))
            _clear_tools(engine)
            _forget_lost(engine, known)
            egress_image.remove_others(engine, images.inputs(Config(directory)))
            derived.prune(engine, lambda: _named(known))
        sandboxes.prune()
    except EngineError as error:
        ui.warn(f"containers and volumes were not checked: {error.message}")
    lines = [f"removed {plural(removed, 'leftover')} of commands that were killed"] if removed else []
    lines += [f"removed the container of {name}, whose work is in git" for name in containers]
    lines += [f"forgot the removed session {name}, after {refs.KEEP_DAYS} days" for name in expired]
    lines += [f"finished removing {name}" for name in _half_removed(known)]
    return lines + [f"removed the files of a run of {name}" for name in _old_runs(known)]


def _known(directory: Path | None) -> _Known:
    projects, sessions = [], {}
    for root in dict.fromkeys([*([directory] if directory else []), *registry.known()]):
        with suppress(RealmError):
            project = discover(root)
            projects.append(project)
            rows = [row for row in listing.rows(project) if row.summary.id]
            sessions.update({row.summary.id: (project, row.name) for row in rows})
    return _Known(projects, sessions)


def _named(known: _Known) -> set[str]:
    """Return the images that projects, and sessions that may be continued, name."""
    asked = ("config", "--get-all", "realm.image")
    found = {name for project in known.projects for name in git(*asked, project=project, check=False).lines}
    for project, name in known.sessions.values():
        with suppress(RealmError):
            found.add(record.read_session(project, name).image or "")
    return found


def _of_git(project: Project) -> tuple[int, list[str]]:
    """Remove temporary refs and marks, and what was in the trash long enough."""
    with suppress(RealmError):
        expired = refs.expire_trash(project, refs.list_trash(project))
        return quarantine.sweep(project), [trash.name for trash in expired if trash.code or trash.meta]
    return 0, []


def _finished(engine: Engine, known: _Known) -> Iterator[str]:
    """Remove sandboxes whose run is over in the record: their holder was killed before it could."""
    from realm.sandbox import lookup

    for sandbox in lookup.find(engine):
        if holder(sandbox.owner.id) is None and sandbox.state() in ("exited", "gone"):
            with suppress(RealmError):
                if _is_over(sandbox, known):
                    sandbox.remove()
                    yield clean(sandbox.owner.session)


def _is_over(sandbox: Sandbox, known: _Known) -> bool:
    project, name = known.sessions.get(sandbox.owner.id, (None, ""))
    if project is None or not sandbox.owner.run:
        return False
    with record.Record(project, name) as found:
        if sandbox.owner.run not in found.numbers():
            return False
        return found.run(sandbox.owner.run).ended is not None


def _forget_lost(engine: Engine, known: _Known) -> None:
    """Forget what agents did of which neither a session nor a container is left."""
    from realm.sandbox import lookup

    there = {sandbox.owner.id for sandbox in lookup.find(engine)} | known.sessions.keys()
    for path in _runs():
        if path.name not in there and holder(path.name) is None:
            account.forget(path.name)


def _clear_tools(engine: Engine) -> None:
    from realm.sandbox import lookup

    for role in ("tool", "salvage"):
        for sandbox in lookup.find(engine, role=role):
            if holder(sandbox.owner.id) is None:
                with suppress(EngineError):
                    sandbox.remove()


def _half_removed(known: _Known) -> Iterator[str]:
    """Finish removals that were killed: the session is in the trash, but not its other files."""
    repositories = {str(project.common_dir.resolve()): project for project in known.projects}
    for path in _runs():
        owner = noted_of(path.name) if path.name not in known.sessions else None
        if owner is not None and owner.repository in repositories and refs.is_name(owner.name):
            with suppress(RealmError):
                if remove.finish(repositories[owner.repository], path.name, owner.name):
                    yield owner.name


def _old_runs(known: _Known) -> Iterator[str]:
    for path in _runs():
        is_used = path.name in known.sessions or holder(path.name) is not None
        if not is_used and path.stat().st_mtime < clock.before(refs.KEEP_DAYS):
            remove_tree(run_directory(path.name))
            yield f"a session that is gone ({clean(path.name[:8])})"


def _runs() -> list[Path]:
    try:
        return sorted(path for path in (realm_home() / "runs").iterdir() if path.is_dir())
    except OSError:
        return []


def locks(project: Project) -> list[tuple[Path, float]]:
    """Return lock files of realm's refs left by a killed git, with their age in seconds."""
    now = time.time()
    tops = (refs.CODE, refs.META, refs.BRANCHES, refs.TRASH, refs.TEMPORARY)
    paths = [path for top in tops for path in (project.common_dir / top).rglob("*.lock")]
    paths.append(project.common_dir / "packed-refs.lock")
    found = []
    for path in paths:
        with suppress(OSError):
            found.append((path, now - path.stat().st_mtime))
    return [(path, age) for path, age in found if age > _STUCK]


def left_over() -> str:
    """Return in words how many scratch directories are in use or left over; empty for none."""
    count = 0
    with suppress(OSError):
        count = sum(path.is_dir() for path in (realm_home() / "tmp").iterdir())
    return plural(count, "scratch directory") if count else ""
