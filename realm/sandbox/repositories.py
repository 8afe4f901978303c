"""The repositories inside a sandbox, written by the host as files; ``container/entry`` only copies them.

Below ``/realm/layout``, which is root's, so that the agent cannot change it:

``workspace``
    the initial ``.git`` of the workspace: the session's branch, the refs that the sandbox may see, and
    the directories with their objects
``snapshots``
    the repository that snapshots are made with: it has the same objects, and no settings that an agent
    can change
``known``
    objects that the host has already, for ``git pack-objects``: ``^`` and an id on each line
``kept``
    the refs of ``workspace`` that earlier runs left, an id and a name on each line; for a submodule
    there are ``kept.KEY`` and ``known.KEY``
``largest``
    the size in bytes above which a file is not read, as the host would refuse it
``rebase``
    the script that replays commits, instead of an agent
``pointers``
    files managed by Git LFS whose contents are there, each ended by a NUL; ``lfs`` is git's filter for
    them
``beyond``
    files outside of a sparse checkout that are checked out all the same, each ended by a NUL
``gitlinks``
    the tip's submodules, and which of them are checked out, in the format that ``container/submodules``
    describes
``others``, ``submodules``
    parts of the entry script
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from realm.paths import shipped
from realm.sandbox.layout import HOME, LAYOUT
from realm.sandbox.transfer import SandboxFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from realm.model import Identity

_SNAPSHOTS = """\
[core]
\thooksPath = /dev/null
\tfsmonitor = false
\tautocrlf = false
\tsafecrlf = false
\tsparseCheckout = true
\twarnAmbiguousRefs = false
[user]
\tname = realm
\temail = realm@localhost
[gc]
\tauto = 0
[pack]
\tpackSizeLimit = 0
[advice]
\taddEmbeddedRepo = false
[submodule]
\trecurse = false
"""
"""No hooks, no filters, no garbage collection; sparse without patterns: files outside count if present."""

_NOT_HERE = "left-on-the-host"
"""The remote, unreachable, that git in a partial clone names when it misses an object."""


BESIDE, READ_ONLY = "beside", "read-only"
"""The parents, in :class:`Inner`, of repositories beside the workspace; read-only ones give nothing back."""

_LARGE = """\
[filter "lfs"]
\tclean = sh \\"${REALM_STATE_DIR:-/realm}/layout/lfs\\" clean
\tsmudge = sh \\"${REALM_STATE_DIR:-/realm}/layout/lfs\\" smudge
"""

_SCRIPTS = ("checkout", "end", "lfs", "moved", "others", "rebase", "snapshot", "submodules", "turns")
"""The parts of ``container/entry``, and scripts that git runs in a sandbox."""


def is_beside(path: str) -> bool:
    """Tell whether the path of a submodule or repository leads out of the workspace, to one beside it."""
    return path.startswith("../")


class Contents(NamedTuple):
    """The refs of a repository in a sandbox, and where their objects are."""

    refs: Mapping[str, str] = {}
    """Full names to object ids."""
    symbolic: Mapping[str, str] = {}
    """Full names of symbolic refs to the names that they point to."""
    peeled: Mapping[str, str] = {}
    """Full names of annotated tags to the commits that they point to."""
    objects: tuple[str, ...] = ()
    """Object directories in the sandbox."""
    shallow: tuple[str, ...] = ()
    """Commits whose parents are not there."""
    known: tuple[str, ...] = ()
    """Further commits that the host has, which no pack needs to bring back."""
    kept: Mapping[str, str] = {}
    """Those of ``refs`` that earlier runs left."""
    stashes: tuple[tuple[str, str], ...] = ()
    """Object ids and descriptions, the oldest first."""
    large: bool = False
    """Whether Git LFS is used: files that it manages come back as pointers."""
    partial: bool = False
    """Whether it is a partial clone, in which objects are missing on purpose."""


class Inner(NamedTuple):
    """A submodule of the tip, or a repository beside the workspace."""

    key: str
    """A short name made from the path."""
    parent: str
    """The key of the submodule around it, empty for the workspace; beside the workspace
    :data:`BESIDE` or :data:`READ_ONLY`."""
    path: str
    """Its directory, from the workspace; ``../NAME`` beside it."""
    below: str
    """Its directory, from its parent's."""
    link: str
    """The commit that it is on: detached, or beside the workspace on the session's branch."""
    name: str = ""
    """Its name in ``.gitmodules``."""
    url: str = ""
    """Its address in ``.gitmodules``."""
    place: str = ""
    """Its repository, from the workspace's ``.git``; empty without one, when its directory stays empty."""
    contents: Contents = Contents()

    @property
    def is_beside(self) -> bool:
        """Whether it lies beside the workspace, and is no submodule."""
        return is_beside(self.path)


class Repositories(NamedTuple):
    """The workspace's repository, and those in it and beside it."""

    tip: str
    """The commit that the sandbox starts on."""
    identity: Identity
    branch: str = ""
    """The branch that is checked out; empty for a detached HEAD."""
    object_format: str = "sha1"
    contents: Contents = Contents()
    exclude: bytes = b""
    """Rules in the format of gitignore."""
    instead: Mapping[str, Sequence[str]] = {}
    """Addresses, each with those for which git uses it (``insteadOf``)."""
    inner: tuple[Inner, ...] = ()
    """Parents first."""
    pointers: tuple[str, ...] = ()
    """Files that Git LFS manages and whose contents are in the sandbox."""
    largest: int = 1 << 30
    """Bytes; larger files do not come back."""
    patterns: bytes | None = None
    """The patterns of a sparse checkout."""
    cone: bool = False
    """Whether these patterns are in git's cone mode."""
    beyond: tuple[str, ...] = ()
    """Files that are there although the patterns leave them out."""


def files(given: Repositories) -> list[SandboxFile]:
    """Return the files of the layout, and ``.gitconfig`` for the agent's home."""
    there = [inner for inner in given.inner if inner.place]
    every = [given.contents, *(inner.contents for inner in there)]
    own = _configuration(given.object_format, is_partial=any(one.partial for one in every))
    if any(one.large for one in every):
        own += _LARGE.encode()
    # The repository for snapshots has all objects and no refs, so that the agent's branches do not matter.
    bare = Contents(
        objects=tuple(path for one in every for path in one.objects),
        shallow=tuple(oid for one in every for oid in one.shallow),
    )
    identity = _identity(given.identity)
    settings = own + _sparse(given) + identity + _modules(there, "")
    found = {
        f"{LAYOUT}/known": _known(given.tip, given.contents.known),
        f"{LAYOUT}/kept": _listed(given.contents.kept),
        f"{LAYOUT}/largest": f"{given.largest}\n".encode(),
        **({f"{LAYOUT}/pointers": _ended(given.pointers)} if given.pointers else {}),
        **({f"{LAYOUT}/beyond": _ended(given.beyond)} if given.beyond else {}),
        **({f"{LAYOUT}/gitlinks": _gitlinks(given.inner)} if given.inner else {}),
        **_repository("workspace", settings, given.contents, given.tip, given.branch),
        **_repository("snapshots", own + _SNAPSHOTS.encode(), bare, given.tip),
    }
    for place in ("workspace", "snapshots"):
        found[f"{LAYOUT}/{place}/info/exclude"] = given.exclude
    if given.patterns is not None:
        found[f"{LAYOUT}/workspace/info/sparse-checkout"] = given.patterns
    for inner in there:
        settings = own + identity + _of_inner(inner) + _modules(there, inner.key)
        branch = given.branch if inner.is_beside else ""
        found |= _repository(f"workspace/{inner.place}", settings, inner.contents, inner.link, branch)
        found[f"{LAYOUT}/known.{inner.key}"] = _known(inner.link, inner.contents.known)
        found[f"{LAYOUT}/kept.{inner.key}"] = _listed(inner.contents.kept)
    laid = [SandboxFile(path, data, 0o644, owner="root") for path, data in found.items()]
    scripts = shipped("container")
    laid += [SandboxFile(f"{LAYOUT}/{name}", scripts[name], 0o555, owner="root") for name in _SCRIPTS]
    # For other repositories that the agent makes.
    laid.append(SandboxFile(f"{HOME}/.gitconfig", identity + _urls(given.instead), 0o644))
    return laid


def _repository(
    place: str, configuration: bytes, contents: Contents, tip: str, branch: str = ""
) -> dict[str, bytes]:
    """Return the files of a repository by their paths; ``place`` is its directory in the layout."""
    top = f"{LAYOUT}/{place}"
    head = f"ref: refs/heads/{branch}" if branch else tip
    found = {
        f"{top}/HEAD": f"{head}\n".encode(),
        f"{top}/config": configuration,
        f"{top}/info/exclude": b"",
        f"{top}/objects/info/alternates": "".join(f"{path}\n" for path in contents.objects).encode(),
    }
    if branch:
        found[f"{top}/refs/heads/{branch}"] = f"{tip}\n".encode()
    if contents.refs:
        found[f"{top}/packed-refs"] = _packed(contents)
    if contents.shallow:
        found[f"{top}/shallow"] = "".join(f"{oid}\n" for oid in contents.shallow).encode()
    if contents.stashes:
        found[f"{top}/refs/stash"] = f"{contents.stashes[-1][0]}\n".encode()
        found[f"{top}/logs/refs/stash"] = _stashes(contents.stashes)
    for ref, target in contents.symbolic.items():
        found[f"{top}/{ref}"] = f"ref: {target}\n".encode()
    return found


def _ended(paths: Sequence[str]) -> bytes:
    return "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")


def _gitlinks(given: Sequence[Inner]) -> bytes:
    rows = (
        (inner.key if inner.place else "-", inner.parent or "top", inner.link, inner.place or "-",
         inner.below, inner.path)
        for inner in given
    )  # fmt: skip
    return "".join("\t".join(row) + "\n" for row in rows).encode("utf-8", "surrogateescape")


def _of_inner(inner: Inner) -> bytes:
    """Return the settings for the location of a submodule's files, and for its remote."""
    up = "../" * len(f".git/{inner.place}".split("/"))
    lines = [b"[core]\n", *_lines({"worktree": up + inner.path})]
    if inner.url:
        lines += [
            b'[remote "origin"]\n',
            *_lines({"url": inner.url, "fetch": "+refs/heads/*:refs/remotes/origin/*"}),
        ]
    return b"".join(lines)


def _modules(there: Sequence[Inner], parent: str) -> bytes:
    """Return the settings that make submodules active, as ``git submodule init`` writes them."""
    return b"".join(
        b'[submodule "%s"]\n\tactive = true\n' % inner.name.encode("utf-8", "surrogateescape")
        + b"".join(_lines({"url": inner.url} if inner.url else {}))
        for inner in there
        if inner.parent == parent
    )


def _known(tip: str, more: Sequence[str]) -> bytes:
    return "".join(f"^{oid}\n" for oid in (tip, *more)).encode()


def _listed(refs: Mapping[str, str]) -> bytes:
    return "".join(f"{oid} {ref}\n" for ref, oid in sorted(refs.items())).encode("utf-8", "surrogateescape")


def _stashes(stashes: Sequence[tuple[str, str]]) -> bytes:
    """Return the reflog that is git's list of stashes."""
    before, lines = "0" * len(stashes[0][0]), []
    for oid, about in stashes:
        lines.append(f"{before} {oid} realm <realm@localhost> {int(time.time())} +0000\t{about}\n")
        before = oid
    return "".join(lines).encode("utf-8", "surrogateescape")


def _packed(contents: Contents) -> bytes:
    """Return the refs in git's own format (gitrepository-layout, ``packed-refs``)."""
    lines = ["# pack-refs with: peeled fully-peeled sorted \n"]
    for ref, oid in sorted(contents.refs.items()):
        lines.append(f"{oid} {ref}\n")
        if ref in contents.peeled:
            lines.append(f"^{contents.peeled[ref]}\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


def _configuration(object_format: str, *, is_partial: bool) -> bytes:
    lines = ["[core]", "bare = false", "checkStat = minimal", "trustctime = false"]
    extensions = [f"objectformat = {object_format}"] if object_format != "sha1" else []
    extensions += [f"partialClone = {_NOT_HERE}"] if is_partial else []
    lines += [f"repositoryformatversion = {1 if extensions else 0}", "[extensions]", *extensions]
    return "".join(f"{line}\n" for line in lines).encode()


def _sparse(given: Repositories) -> bytes:
    if given.patterns is None:
        return b""
    return b"[core]\n" + b"".join(
        _lines({"sparseCheckout": "true", "sparseCheckoutCone": str(given.cone).lower()})
    )


def _identity(who: Identity) -> bytes:
    return b"[user]\n" + b"".join(_lines({"name": who.name, "email": who.email}))


def _urls(instead: Mapping[str, Sequence[str]]) -> bytes:
    return b"".join(
        f'[url "{url}"]\n'.encode() + b"".join(_lines({"insteadOf": other}))
        for url, others in instead.items()
        for other in others
    )


def _lines(values: Mapping[str, str]) -> Iterator[bytes]:
    for name, value in values.items():
        quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
        yield f'\t{name} = "{quoted}"\n'.encode("utf-8", "surrogateescape")
