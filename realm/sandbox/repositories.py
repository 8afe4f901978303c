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
    which refs of ``workspace`` are those of earlier runs, an id and a name a line
``rebase``
    the script that runs in an agent's place to replay commits
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
"""No hooks, no filters, no clean-up."""


class Repositories(NamedTuple):
    """What the repositories of a sandbox are made of.

    ``tip`` is the commit that it starts on, on ``branch``, or detached where that
    is empty.  ``refs`` maps full names to ids, ``symbolic`` to other names;
    ``peeled`` has the ids of the commits that annotated tags of ``refs`` point
    to.  ``objects`` are the object directories inside, ``shallow`` the commits
    whose parents are not there.  ``exclude`` are rules of gitignore.  ``known``
    are further commits that the host has.  ``kept`` are those of ``refs`` that earlier runs
    left, ``stashes`` their stashes with what these are about, the oldest first.  ``instead`` are
    addresses that git goes to in the place of others.
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


def files(given: Repositories) -> list[SandboxFile]:
    """Return the files of the layout, and of the agent's home what names who commits."""
    own = _configuration(given.object_format)
    alone = given._replace(refs={}, symbolic={}, branch="", stashes=())
    known = "".join(f"^{oid}\n" for oid in (given.tip, *given.known))
    found = {
        f"{LAYOUT}/known": known.encode(),
        f"{LAYOUT}/kept": _listed(given.kept),
        **_repository("workspace", own + _identity(given.identity), given),
        **_repository("snapshots", own + _SNAPSHOTS.encode(), alone),
    }
    laid = [SandboxFile(path, data, 0o644, owner="root") for path, data in found.items()]
    laid.append(SandboxFile(f"{LAYOUT}/rebase", shipped("container")["rebase"], 0o555, owner="root"))
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
    for ref, target in given.symbolic.items():
        found[f"{top}/{ref}"] = f"ref: {target}\n".encode()
    return found


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


def _configuration(object_format: str) -> bytes:
    lines = ["[core]", "bare = false", "checkStat = minimal", "trustctime = false"]
    if object_format == "sha1":
        lines += ["repositoryformatversion = 0"]
    else:
        lines += ["repositoryformatversion = 1", "[extensions]", f"objectformat = {object_format}"]
    return "".join(f"{line}\n" for line in lines).encode()


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
