"""The submodules of a commit, the host's clones of them, and the ids that a sandbox's commits may name.

``.gitmodules`` is untrusted: unusual names and paths are ignored, and only paths that are submodules of the
session's base are looked for in the user's work tree.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import RealmError
from realm.git import git
from realm.model import Project
from realm.store.repo import is_there, project_name
from realm.store.stores import ensure_readable, object_stores

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

MOST = 1000
"""Limit for the submodules of one project."""
_DEPTH = 10
_SECONDS = 20.0
_SETTINGS_LIMIT = 1024 * 1024
"""Largest ``.gitmodules`` that is read, in bytes."""
_SETTING = re.compile(r"submodule\.(.*)\.(path|url)", re.DOTALL)
_FAR = r"(https?|ssh|git)://(?P<user>[^/@]*@)?[^\s\"\\\\]+|[A-Za-z0-9._-]+@[A-Za-z0-9._-]+:[^\s\"\\\\]+"


class Submodule(NamedTuple):
    """A submodule of a commit."""

    key: str
    """A short stand-in for the path."""
    parent: str
    """The key of the submodule that it lies in, empty for the project."""
    path: str
    """Its path in the project."""
    below: str
    """Its path in its parent."""
    link: str
    """The commit that the parent's commit names."""
    base: str
    """The commit that the session's base names."""
    name: str = ""
    url: str = ""
    """Empty unless it is a remote address."""
    place: str = ""
    """Where git keeps its repository, below the project's ``.git``."""
    clone: Project | None = None
    """The host's clone; ``None`` if there is none with that commit."""


def find(project: Project, base: str, commit: str) -> list[Submodule]:
    """Return the submodules of ``commit``, at any depth, parents first; ``base`` is the session's base."""
    found: list[Submodule] = []
    _add(found, _Above(project, project.root, base, commit), 0)
    return found


def gitlinks(project: Project, commit: str) -> dict[str, str]:
    """Return the ids of a commit's submodules by path; empty if it has no ``.gitmodules``."""
    asked = git("cat-file", "-t", "--end-of-options", f"{commit}:.gitmodules", project=project, check=False)
    if asked.text != "blob":
        return {}
    listed = git("ls-tree", "-r", "-z", "--full-tree", "--end-of-options", commit, project=project).out
    rows = (row.partition(b"\t") for row in listed.split(b"\0") if row.startswith(b"160000 "))
    return {os.fsdecode(path): words.split(b" ")[2].decode() for words, _, path in rows}


class _Above(NamedTuple):
    """A parent of submodules: its repository, the root of its files, and the two commits to compare."""

    project: Project
    root: Path
    base: str
    commit: str
    key: str = ""
    prefix: str = ""
    place: str = ""


def _add(found: list[Submodule], above: _Above, depth: int) -> None:
    links = gitlinks(above.project, above.commit)
    if not links:
        return
    before = gitlinks(above.project, above.base) if above.base != above.commit else links
    declared = _declared(above.project, above.base)
    for below, link in links.items():
        if len(found) >= MOST or not _is_plain(below):
            continue
        path = above.prefix + below
        key = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        name, url = declared.get(below, ("", ""))
        one = Submodule(key, above.key, path, below, link, before.get(below, ""), name, url)
        if one.base and name:
            one = _with_clone(above, one)
            if one.clone and any(one.place == other.place for other in found):
                one = one._replace(clone=None, place="")
        found.append(one)
        if one.clone is not None and depth < _DEPTH:
            inner = _Above(one.clone, above.root / below, one.base, link, key, f"{path}/", one.place)
            _add(found, inner, depth + 1)


def _is_plain(path: str) -> bool:
    """Tell whether a path, or a name like one, stays inside and needs no quoting."""
    from realm.store.names import name_problem  # most projects have no submodules

    parts = path.split("/")
    odd = path.startswith("-") or '"' in path
    return not odd and not any(name_problem(os.fsencode(part)) or part.startswith("-") for part in parts)


def _declared(project: Project, commit: str) -> dict[str, tuple[str, str]]:
    """Return names and addresses by path from the ``.gitmodules`` of ``commit``."""
    at = f"{commit}:.gitmodules"
    size = git("cat-file", "-s", "--end-of-options", at, project=project, check=False).text
    if not size.isdigit() or int(size) > _SETTINGS_LIMIT:
        return {}
    asked = ("config", "-z", "--blob", at, "--get-regexp", r"^submodule\..*\.(path|url)$")
    listed = git(*asked, project=project, check=False, timeout=_SECONDS).out
    names: dict[str, dict[str, str]] = {}
    for row in listed.split(b"\0"):
        key, _, value = os.fsdecode(row).partition("\n")
        if match := _SETTING.fullmatch(key):
            names.setdefault(match[1], {})[match[2]] = value
    return {
        values["path"]: (name, _address(values.get("url", "")))
        for name, values in names.items()
        if "path" in values and _is_plain(name)
    }


def _address(url: str) -> str:
    """Return an address as a sandbox may see it: without login, and empty unless it is a remote one."""
    match = re.fullmatch(_FAR, url)
    if match is None or not url.isprintable():
        return ""
    return url.replace(match["user"], "", 1) if match["user"] and url.startswith("http") else url


# -- the host's clones ---------------------------------------------------------------


def _with_clone(above: _Above, one: Submodule) -> Submodule:
    for directory in _candidates(above, one):
        clone = _opened(directory, above, above.root / one.below)
        # A clone without the base's commit was never given to a sandbox.
        if clone is None or not all(is_there(clone, f"{oid}^{{commit}}") for oid in {one.base, one.link}):
            continue
        with suppress(RealmError):
            ensure_readable(clone, one.link)
            place = f"{above.place}/modules/{one.name}" if above.place else f"modules/{one.name}"
            return one._replace(clone=clone, place=place)
    return one


def is_known(above: Project, one: Submodule, oid: str) -> bool:
    """Tell whether any clone of a submodule of ``above``, even one that is not used, has the commit."""
    place = _Above(above, above.root, one.base, one.link)
    clones = (_opened(directory, place, above.root / one.below) for directory in _candidates(place, one))
    return any(clone is not None and is_there(clone, oid) for clone in clones)


def _candidates(above: _Above, one: Submodule) -> Iterator[Path]:
    """Yield the possible directories of a submodule's repository, first the one that its work tree names."""
    top = above.root / one.below
    if not any((above.root / part).is_symlink() for part in _prefixes(one.below)):
        dot = top / ".git"
        with suppress(OSError):
            if dot.is_symlink():
                pass
            elif dot.is_dir():
                yield dot.resolve()
            elif dot.is_file():
                head = dot.read_bytes()[:4096].removesuffix(b"\n")
                if head.startswith(b"gitdir: "):
                    yield (top / os.fsdecode(head.removeprefix(b"gitdir: "))).resolve()
    for own in dict.fromkeys((above.project.git_dir, above.project.common_dir)):
        yield own / "modules" / one.name


def _prefixes(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[: at + 1]) for at in range(len(parts))]


def _opened(directory: Path, above: _Above, root: Path) -> Project | None:
    """Return the repository at ``directory``; ``None`` unless it is the user's, in the project's format."""
    try:
        if directory.stat().st_uid not in (os.getuid(), above.project.common_dir.stat().st_uid):
            return None
        is_one = (directory / "HEAD").is_file()
        pointed = directory / "commondir"
        common = (directory / pointed.read_text().strip()).resolve() if pointed.is_file() else directory
    except (OSError, UnicodeDecodeError):
        return None
    if not is_one or not (common / "objects").is_dir():
        return None
    root = root if root.is_dir() else directory
    asked = git(f"--git-dir={directory}", "rev-parse", "--show-object-format", cwd=directory, check=False)
    if asked.code != 0 or asked.text != above.project.object_format:
        return None
    try:
        shallow = tuple((common / "shallow").read_text("ascii").split())
    except (OSError, UnicodeDecodeError):
        shallow = ()
    return Project(
        root=root,
        git_dir=directory,
        common_dir=common,
        name=project_name(root, directory, directory),
        object_format=above.project.object_format,
        object_stores=tuple(object_stores(common / "objects")),
        shallow=shallow,
    )


# -- which ids may be named ------------------------------------------------------------


class Links:
    """Decides which submodule commits a tree from a sandbox may name.

    ``commits`` are those that the sandbox began with: it may name what their trees name.  ``twins`` maps, by
    path, the sandbox's commits to the host's.  ``published`` are ids and paths of commits that, as the
    sandbox says, a remote of the submodule has.
    """

    def __init__(
        self, project: Project, commits: Sequence[str], twins: Mapping[str, Mapping[str, str]] = {},
        published: Sequence[tuple[str, str]] = (),
    ) -> None:  # fmt: skip
        self._project = project
        self._commits = commits
        self._twins = twins
        self._published = frozenset(published)
        self._known: set[str] | None = None

    def resolve(self, path: bytes, oid: str) -> tuple[str, str]:
        """Return the id to name and a note, or an empty id and why it may not be named."""
        shown = os.fsdecode(path)
        twins = self._twins.get(shown, {})
        if oid in twins or oid in twins.values():
            return twins.get(oid, oid), ""
        if oid in self._given():
            return oid, ""
        if (oid, shown) not in self._published or is_there(self._project, oid):
            return "", f"a submodule at {oid[:12]}, a commit that is not here"
        said = f"is a submodule at {oid[:12]}, which its remote has"
        return oid, f"{said}: git submodule update --init fetches it"

    def _given(self) -> set[str]:
        if self._known is None:
            found = [gitlinks(self._project, commit) for commit in self._commits]
            self._known = {oid for links in found for oid in links.values()}
            ends = [*self._commits[1:], *(f"^{oid}" for oid in self._commits[:1])]
            if self._known and len(ends) > 1:
                asked = ("log", "--format=", "--raw", "--no-abbrev", "--no-renames", "-m", *ends, "--")
                for line in git(*asked, project=self._project, check=False).lines:
                    words = line.split(" ")
                    if len(words) > 3 and words[1] == "160000":  # noqa: PLR2004 - modes and ids
                        self._known.add(words[3])
        return self._known


class There(NamedTuple):
    """A submodule on the host: its clone, the session's name there, and what its trees may name."""

    one: Submodule
    clone: Project
    name: str
    links: Links
