"""The repositories inside a sandbox, written by the host as files; ``container/entry`` only copies them.

Below ``/realm/layout``, which is root's, so that the agent cannot change it:

``workspace``
    what ``.git`` of the workspace begins as: the session's branch, the refs that
    the sandbox may see, and where their objects lie
``snapshots``
    the repository that snapshots are made with: it has the same objects and
    none of the settings that an agent can change
``known``
    what the host has already, for ``git pack-objects``: ``^`` and an id a line
``kept``
    which refs of ``workspace`` are those of earlier runs, an id and a name a line; of a submodule
    ``kept.KEY`` and ``known.KEY`` are the same
``largest``
    the bytes above which a file is not read, since the host would not take it
``rebase``
    the script that runs in an agent's place to replay commits
``pointers``
    files that are kept with Git LFS and are there, each ended by a NUL; ``lfs`` is what git
    has such pass through
``beyond``
    files outside of a sparse checkout that are there all the same, each ended by a NUL
``gitlinks``
    which submodules the tip has, and which of them are there, as ``container/submodules`` says
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
"""No hooks, no filters, no clean-up; sparse, without patterns: what is outside counts where it is there."""

_NOT_HERE = "left-on-the-host"
"""The remote that a sandbox's git names in a partial clone, and never reaches, where it misses an object."""


BESIDE, READ_ONLY = "beside", "read-only"
"""In :class:`Inner` what stands for the parent of a repository beside the workspace; of one that is
read-only nothing is taken."""

_LARGE = """\
[filter "lfs"]
\tclean = sh \\"${REALM_STATE_DIR:-/realm}/layout/lfs\\" clean
\tsmudge = sh \\"${REALM_STATE_DIR:-/realm}/layout/lfs\\" smudge
"""

_SCRIPTS = ("checkout", "end", "lfs", "moved", "others", "rebase", "snapshot", "submodules", "turns")
"""What ``container/entry`` consists of, and what git runs in a sandbox."""


def is_beside(path: str) -> bool:
    """Tell whether a path in a workspace, of a submodule or a repository, leads to what lies beside it."""
    return path.startswith("../")


class Inner(NamedTuple):
    """A submodule of the tip: its ``path`` in the workspace, ``below`` what it lies in, ``link`` its commit.

    ``key`` is short and stands for the path, ``parent`` is that of what it lies in, empty for the
    workspace.  ``place`` is where its repository is below ``.git``, empty where there is none; then the
    rest counts as in :class:`Repositories`.  ``name`` and ``url`` are those of ``.gitmodules``.

    A repository beside the workspace is one too: its parent is :data:`BESIDE` or :data:`READ_ONLY`, its
    path begins with ``../``, and it is on the session's branch.
    """

    key: str
    parent: str
    path: str
    below: str
    link: str
    name: str = ""
    url: str = ""
    place: str = ""
    refs: Mapping[str, str] = {}
    symbolic: Mapping[str, str] = {}
    peeled: Mapping[str, str] = {}
    objects: tuple[str, ...] = ()
    shallow: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    kept: Mapping[str, str] = {}
    stashes: tuple[tuple[str, str], ...] = ()
    large: bool = False
    partial: bool = False

    @property
    def is_beside(self) -> bool:
        """Whether it is no submodule, but lies beside the workspace."""
        return is_beside(self.path)


class Repositories(NamedTuple):
    """What the repositories of a sandbox are made of.

    ``tip`` is the commit that it starts on, on ``branch``, or detached where that
    is empty.  ``refs`` maps full names to ids, ``symbolic`` to other names;
    ``peeled`` has the ids of the commits that annotated tags of ``refs`` point
    to.  ``objects`` are the object directories inside, ``shallow`` the commits
    whose parents are not there.  ``exclude`` are rules of gitignore.  ``known``
    are further commits that the host has.  ``kept`` are those of ``refs`` that earlier runs
    left, ``stashes`` their stashes with what these are about, the oldest first.  ``instead`` are
    addresses that git goes to in the place of others.  ``inner`` are the tip's submodules, parents first.
    ``pointers`` are files that the sandbox has in the place of Git LFS's pointers; with ``large`` what it
    makes of such comes back as pointers.  Files of more than ``largest`` bytes do not come back.
    ``patterns`` are those of a sparse checkout, and ``cone`` how git reads them; ``beyond`` are files
    outside that are there all the same.  Of a ``partial`` clone objects are missing on purpose.
    """

    tip: str
    identity: Identity
    branch: str = ""
    object_format: str = "sha1"
    refs: Mapping[str, str] = {}
    symbolic: Mapping[str, str] = {}
    peeled: Mapping[str, str] = {}
    objects: tuple[str, ...] = ()
    shallow: tuple[str, ...] = ()
    exclude: bytes = b""
    known: tuple[str, ...] = ()
    kept: Mapping[str, str] = {}
    stashes: tuple[tuple[str, str], ...] = ()
    instead: Mapping[str, Sequence[str]] = {}
    inner: tuple[Inner, ...] = ()
    pointers: tuple[str, ...] = ()
    large: bool = False
    largest: int = 1 << 30
    patterns: bytes | None = None
    cone: bool = False
    beyond: tuple[str, ...] = ()
    partial: bool = False


def files(given: Repositories) -> list[SandboxFile]:
    """Return the files of the layout, and of the agent's home what names who commits."""
    own = _configuration(given) + (_LARGE.encode() if given.large else b"")
    there = [inner for inner in given.inner if inner.place]
    alone = given._replace(
        refs={}, symbolic={}, branch="", stashes=(), patterns=None,
        objects=(*given.objects, *(path for inner in there for path in inner.objects)),
        shallow=(*given.shallow, *(oid for inner in there for oid in inner.shallow)),
    )  # fmt: skip
    settings = own + _sparse(given) + _identity(given.identity) + _modules(there, "")
    found = {
        f"{LAYOUT}/known": _known(given.tip, given.known),
        f"{LAYOUT}/kept": _listed(given.kept),
        f"{LAYOUT}/largest": f"{given.largest}\n".encode(),
        **({f"{LAYOUT}/pointers": _ended(given.pointers)} if given.pointers else {}),
        **({f"{LAYOUT}/beyond": _ended(given.beyond)} if given.beyond else {}),
        **({f"{LAYOUT}/gitlinks": _gitlinks(given.inner)} if given.inner else {}),
        **_repository("workspace", settings, given),
        **_repository("snapshots", own + _SNAPSHOTS.encode(), alone),
    }
    for inner in there:
        below = own + _identity(given.identity) + _of_inner(inner) + _modules(there, inner.key)
        found |= _repository(f"workspace/{inner.place}", below, _as_repository(given, inner))
        found[f"{LAYOUT}/known.{inner.key}"] = _known(inner.link, inner.known)
        found[f"{LAYOUT}/kept.{inner.key}"] = _listed(inner.kept)
    laid = [SandboxFile(path, data, 0o644, owner="root") for path, data in found.items()]
    scripts = shipped("container")
    laid += [SandboxFile(f"{LAYOUT}/{name}", scripts[name], 0o555, owner="root") for name in _SCRIPTS]
    # For other repositories that the agent makes.
    laid.append(SandboxFile(f"{HOME}/.gitconfig", _identity(given.identity) + _urls(given.instead), 0o644))
    return laid


def _repository(name: str, configuration: bytes, given: Repositories) -> dict[str, bytes]:
    top = f"{LAYOUT}/{name}"
    head = f"ref: refs/heads/{given.branch}" if given.branch else given.tip
    found = {
        f"{top}/HEAD": f"{head}\n".encode(),
        f"{top}/config": configuration,
        f"{top}/info/exclude": given.exclude,
        f"{top}/objects/info/alternates": "".join(f"{path}\n" for path in given.objects).encode(),
    }
    if given.branch:
        found[f"{top}/refs/heads/{given.branch}"] = f"{given.tip}\n".encode()
    if given.refs:
        found[f"{top}/packed-refs"] = _packed(given)
    if given.shallow:
        found[f"{top}/shallow"] = "".join(f"{oid}\n" for oid in given.shallow).encode()
    if given.stashes:
        found[f"{top}/refs/stash"] = f"{given.stashes[-1][0]}\n".encode()
        found[f"{top}/logs/refs/stash"] = _stashes(given)
    if given.patterns is not None:
        found[f"{top}/info/sparse-checkout"] = given.patterns
    for ref, target in given.symbolic.items():
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


def _as_repository(given: Repositories, inner: Inner) -> Repositories:
    return Repositories(
        inner.link, given.identity, object_format=given.object_format, refs=inner.refs,
        symbolic=inner.symbolic, peeled=inner.peeled, objects=inner.objects, shallow=inner.shallow,
        branch=given.branch if inner.is_beside else "", stashes=inner.stashes,
    )  # fmt: skip


def _of_inner(inner: Inner) -> bytes:
    """Return where a submodule's files are, and its remote."""
    up = "../" * len(f".git/{inner.place}".split("/"))
    lines = [b"[core]\n", *_lines({"worktree": up + inner.path})]
    if inner.url:
        lines += [
            b'[remote "origin"]\n',
            *_lines({"url": inner.url, "fetch": "+refs/heads/*:refs/remotes/origin/*"}),
        ]
    return b"".join(lines)


def _modules(there: Sequence[Inner], parent: str) -> bytes:
    """Return what says that submodules are in use, as ``git submodule init`` writes it."""
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


def _stashes(given: Repositories) -> bytes:
    """Return the reflog that is git's list of stashes."""
    before, lines = "0" * len(given.tip), []
    for oid, about in given.stashes:
        lines.append(f"{before} {oid} realm <realm@localhost> {int(time.time())} +0000\t{about}\n")
        before = oid
    return "".join(lines).encode("utf-8", "surrogateescape")


def _packed(given: Repositories) -> bytes:
    """Return the refs in git's own format (gitrepository-layout, ``packed-refs``)."""
    lines = ["# pack-refs with: peeled fully-peeled sorted \n"]
    for ref, oid in sorted(given.refs.items()):
        lines.append(f"{oid} {ref}\n")
        if ref in given.peeled:
            lines.append(f"^{given.peeled[ref]}\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


def _configuration(given: Repositories) -> bytes:
    lines = ["[core]", "bare = false", "checkStat = minimal", "trustctime = false"]
    extensions = [f"objectformat = {given.object_format}"] if given.object_format != "sha1" else []
    extensions += [f"partialClone = {_NOT_HERE}"] if given.partial else []
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
