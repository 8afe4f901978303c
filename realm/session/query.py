"""What sessions there are; nothing heavier than git is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.errors import GitError, NotARepositoryError
from realm.model import SessionRow, State
from realm.paths import current_directory
from realm.session import registry
from realm.session.lock import holder
from realm.session.requests import Listing
from realm.store import listing
from realm.store.repo import discover

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Project
    from realm.store.listing import MetaRow


def list_sessions(directory: Path | None, all_projects: bool = False) -> Listing:
    """Return the sessions of the repository at ``directory`` (default: here), newest first.

    Outside any repository, and with ``all_projects``, those of every project
    realm was used in; remembered projects that are gone are named in the
    warnings.  Raises :class:`NotARepositoryError` when ``directory`` was given
    and is no repository.
    """
    warnings: list[str] = []
    projects = _projects(directory, all_projects, warnings)
    gone = sum(registry.is_gone(root) for root in registry.known()) if warnings else 0
    rows = [row for project in projects for row in _rows(project, warnings, others=len(projects) > 1)]
    rows.sort(key=lambda row: (-row.created, row.name))
    return Listing(tuple(rows), tuple(warnings), gone)


def forget_gone() -> list[Path]:
    """Forget the projects that are not there any more, and return where they were.

    No session is lost: one whose project is found again is there again.
    """
    gone = [root for root in registry.known() if registry.is_gone(root)]
    registry.forget(*gone)
    return gone


def _projects(directory: Path | None, all_projects: bool, warnings: list[str]) -> list[Project]:
    if directory is not None and not all_projects:
        return [discover(directory)]
    found: dict[Path, Project] = {}
    try:
        here = discover(directory or current_directory())
        found[here.common_dir] = here
    except NotARepositoryError:
        all_projects = True
    if all_projects:
        for project in _remembered(warnings):
            found.setdefault(project.common_dir, project)
    return list(found.values())


def _remembered(warnings: list[str]) -> list[Project]:
    projects: list[Project] = []
    for root in registry.known():
        try:
            projects.append(discover(root))
        except (NotARepositoryError, GitError) as error:
            gone = registry.is_gone(root)
            warnings.append(f"{root} is not there any more: skipped" if gone else f"skipped: {error.message}")
    return projects


def _rows(project: Project, warnings: list[str], *, others: bool) -> list[SessionRow]:
    rows: list[SessionRow] = []
    try:
        found = listing.rows(project)
    except GitError as error:
        if not others:
            raise
        warnings.append(f"skipped {project.root}: {error.message}")
        return []
    for meta in found:
        if meta.problem:
            warnings.append(f"session {meta.name} in {project.root}: {meta.problem}")
        rows.append(_row(project, meta))
    return rows


def _row(project: Project, meta: MetaRow) -> SessionRow:
    return SessionRow(
        name=meta.name,
        project=project.root,
        created=meta.created,
        state=_state(meta),
        totals=meta.totals,
        base=meta.base,
        tip=meta.code or "",
        runs=meta.runs,
        id=meta.id,
        started=meta.started,
    )


def _state(meta: MetaRow) -> State:
    """Return what a session is doing: "running" in the record without a holder is work left in a sandbox."""
    if meta.id and holder(meta.id) is not None:
        return State.RUNNING
    return State.SALVAGE if meta.state is not State.EXITED else State.EXITED
