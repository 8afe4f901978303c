"""Listing sessions with one ``git for-each-ref``, however many there are."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import GitError, RealmError
from realm.git import GitResult, Place, Started, git
from realm.model import Summary
from realm.store.batch import CatFile
from realm.store.refs import CODE, META, is_name
from realm.store.schema import read_summary
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from realm.model import Project

_MESSAGE_LIMIT = 1_000_000
_HEAD_LIMIT = 4096
_MAIN = "refs/remotes/origin/HEAD"
_FIELDS = "%(refname)%00%(objectname)%00%(symref)%00"
_BROKEN = r"ignoring broken ref (refs/realm(?:-meta)?/[^\n]+)"


class MetaRow(NamedTuple):
    """A session as read from its refs: ``code`` and ``meta`` are the commits that they point to.

    ``problem`` is empty or a sentence about what is wrong; fields that could not be read have their defaults.
    """

    name: str
    code: str | None
    meta: str | None
    summary: Summary = Summary()
    problem: str = ""


class _Ref(NamedTuple):
    name: str
    oid: str
    symbolic: str
    message: str | None


def rows(
    project: Project, names: Sequence[str] | None = None, answer: GitResult | None = None
) -> list[MetaRow]:
    """Return every session of the project, or those called ``names``, sorted by name.

    ``answer`` is the result of :func:`begin` for these names.  Never raises because of a faulty ref or
    record: such a session is a row with a ``problem``.
    """
    patterns = [CODE, META] if names is None else _patterns(names)
    if not patterns:
        return []
    found = _rows(project, *_read(project, patterns, answer))
    return found if names is None else [row for row in found if row.name in names]


def begin(at: Place, names: Sequence[str]) -> Started:
    """Start asking git for sessions, for :func:`rows`, before the repository at ``at`` is known."""
    return Started(*_question(_patterns(names)), at=at)


def begin_survey(at: Place) -> Started | None:
    """Start asking git for all sessions, for :func:`survey`; not in a linked work tree."""
    head = _head(at.cwd / ".git")
    return None if head is None else Started(*_question([CODE, META, *head, _MAIN]), at=at)


def _question(patterns: Sequence[str]) -> list[str]:
    return ["for-each-ref", f"--format={_FIELDS}%(contents)%00", *patterns]


def _patterns(names: Sequence[str]) -> list[str]:
    return [space + name for name in names for space in (CODE, META)]


def survey(project: Project, answer: GitResult | None = None) -> tuple[list[MetaRow], dict[str, str]]:
    """Return every session, and by name the commits of branches that its work may have been merged into.

    These are the checked-out branch and the default branch of the remote ``origin``.  ``answer`` is the
    result of :func:`begin_survey`.
    """
    refs, broken = _read(project, [CODE, META, *(_head(project.git_dir) or []), _MAIN], answer)
    main = refs.pop(_MAIN, None)
    heads = [refs.pop(name) for name in list(refs) if name.startswith("refs/heads/")]
    branches = {clean(ref.name.removeprefix("refs/heads/")): ref.oid for ref in heads}
    if main is not None and main.oid not in branches.values():
        branches[clean(main.symbolic.removeprefix("refs/remotes/")) or "origin"] = main.oid
    return _rows(project, refs, broken), branches


def _head(git_dir: Path) -> list[str] | None:
    """Return the ref of the branch checked out there, if one is; ``None`` when it cannot be read."""
    try:
        with (git_dir / "HEAD").open("rb") as file:
            text = file.read(_HEAD_LIMIT).decode("utf-8", "surrogateescape").strip()
    except OSError:
        return None
    return [text.removeprefix("ref: ")] if text.startswith("ref: refs/heads/") else []


def _rows(project: Project, refs: dict[str, _Ref], broken: list[str]) -> list[MetaRow]:
    known = {ref.split("/", 2)[2] for ref in [*refs, *broken]}
    if (".git", "modules") in pairwise(project.common_dir.parts):
        # A submodule has the work of sessions whose records are in the parent.
        known -= {name for name in known if CODE + name in refs and META + name not in refs}
    return [
        _row(name, refs.get(CODE + name), refs.get(META + name), broken, project.object_format)
        for name in sorted(known)
    ]


def _read(
    project: Project, patterns: list[str], answer: GitResult | None = None
) -> tuple[dict[str, _Ref], list[str]]:
    """Return the refs by full name, and the names of those that git cannot read."""
    result = answer or git(*_question(patterns), project=project, check=False)
    if result.code == 0:
        refs = {ref.name: ref for ref in _parse(result, with_message=True)}
    else:  # one missing object ends the whole listing: read only the refs, then each record separately
        result = git("for-each-ref", f"--format={_FIELDS}", *patterns, project=project)
        refs = {ref.name: ref for ref in _with_messages(project, _parse(result, with_message=False))}
    return refs, re.findall(_BROKEN, result.err.decode("utf-8", "replace"))


def _parse(result: GitResult, *, with_message: bool) -> Iterable[_Ref]:
    width = 4 if with_message else 3
    cells = result.out.decode("utf-8", "replace").split("\0")
    for start in range(0, len(cells) - width, width):
        name, oid, symbolic = cells[start].removeprefix("\n"), cells[start + 1], cells[start + 2]
        yield _Ref(name, oid, symbolic, cells[start + 3] if with_message else None)


def _with_messages(project: Project, refs: Iterable[_Ref]) -> Iterable[_Ref]:
    with CatFile(project) as objects:
        for ref in refs:
            try:
                found = objects.get(ref.oid, _MESSAGE_LIMIT)
            except GitError:
                found = None
            text = found.data.decode("utf-8", "replace").partition("\n\n")[2] if found else None
            yield ref._replace(message=text)


def _row(name: str, code: _Ref | None, meta: _Ref | None, broken: list[str], object_format: str) -> MetaRow:
    row = MetaRow(clean(name), code.oid if code else None, meta.oid if meta else None)
    problem = _problem(name, code, meta, broken)
    if problem:
        return row._replace(problem=problem)
    try:
        summary = read_summary(meta.message if meta and meta.message else "", object_format)
    except RealmError as damage:
        return row._replace(problem=damage.message)
    return row._replace(summary=summary)


def _problem(name: str, code: _Ref | None, meta: _Ref | None, broken: list[str]) -> str:
    if not is_name(name):
        return f"'{clean(name)}' is not a name that realm gives"
    for space, ref in ((CODE, code), (META, meta)):
        if space + name in broken:
            return f"{space}{name} is broken"
        if ref and ref.symbolic:
            return f"{ref.name} is a symbolic ref to {clean(ref.symbolic)}"
        if ref and ref.message is None:
            return f"{ref.name} points to {ref.oid[:12]}, which is missing"
    if code is None:
        return "the record has no code beside it"
    return "" if meta else "the session has no record"
