"""All paths inside a sandbox, and all labels and variables that realm sets, each defined once."""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from realm.model import WORKSPACE_ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

STATE = "/realm"
"""The state volume's mount point: entry script, agent's home, results."""
WORK = WORKSPACE_ROOT
"""The work volume's mount point."""
HISTORY = "/history"
"""The mount point of the volume with the project's history, read-only."""
BASE = "/base"
"""The mount point of the volume below an overlay, which lets the engine know that it is in use."""
EGRESS = "/egress"
"""The mount point of the sidecar's volume, read-only, in a sandbox that uses a sidecar."""
CACHE = "/cache"
"""The mount point of the volume with the project's caches, which outlives sandboxes."""
HOME = f"{STATE}/home"
AGENT_HOME = f"{STATE}/claude"
ENTRY = f"{STATE}/entry"
"""The script that every container made by realm runs."""
ENVIRONMENT = f"{STATE}/env"
"""Shell lines that set variables which no inspection of the container may show."""
LAYOUT = f"{STATE}/layout"
"""Files that the host writes for the entry script (:mod:`realm.sandbox.repositories`)."""
SETUP = f"{LAYOUT}/setup"
"""The user's setup command, as a shell script."""
CONVERSATIONS = f"{LAYOUT}/conversations"
"""A shell pattern for the agent's conversations, relative to the state volume."""
RESUMES = f"{LAYOUT}/resumes"
"""The text in the JSON of the agent's hook that means that a turn goes on, for agents with such a text."""
SAID = f"{LAYOUT}/said"
"""The continued conversation: its length in bytes, and its file relative to the state volume."""
WORKTREE = f"{LAYOUT}/worktree"
"""The linked work tree to recreate before the agent starts: path and branch."""
OBJECTS = f"{STATE}/objects"
"""An object directory with the part of the history that is not in the volume."""
GIVEN = f"{STATE}/git/given.tar"
"""Files for the work tree that the entry script unpacks."""
AUTHORITIES = f"{LAYOUT}/authorities"
"""The user's certificate authorities, for an image without them (PEM)."""
TRUSTED = f"{STATE}/git/authorities.crt"
"""Those and the image's own, put together by the entry script."""
SETUP_SAID = f"{STATE}/out/setup"
"""The setup command's output."""
LARGE = f"{STATE}/lfs"
"""Files managed by Git LFS, by SHA-256."""
GIT = f"{STATE}/git"
OUT = f"{STATE}/out"
"""Results that the host fetches when the sandbox has stopped."""
NOW = f"{OUT}/now"
"""The latest JSON from the agent's hook, unchanged, while the agent runs."""
LIVE = f"{OUT}/live"
"""Results handed over at the ends of turns, one directory each, while the sandbox runs."""
OPEN_NETWORK = "realm-open"
"""The bridge for sandboxes with an open network; they cannot reach each other on it."""
TRUSTING = (
    "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO", "DENO_CERT",
)  # fmt: skip
"""Variables that name a file with the certificate authorities that programs trust."""
DIRECTORIES = (HOME, AGENT_HOME, GIT, OUT)
"""Directories of the sandbox's user in the state volume."""

_OPEN = (HOME, AGENT_HOME)
"""realm's directories that may contain the user's mounts, for caches and the like."""
_OWN = (STATE, HISTORY, BASE, EGRESS)
_DEPTH = len(PurePosixPath(WORK).parts) + 1
"""Number of parts in a work tree's path in a sandbox."""


def is_own(target: str) -> bool:
    """Return whether a mount at ``target`` would hide the work tree, its ``.git`` or a path of realm's."""
    path = PurePosixPath(normal(target))
    if any(PurePosixPath(place) in path.parents for place in _OPEN):
        return False
    if any(path.is_relative_to(place) for place in _OWN):
        return True
    return path.is_relative_to(WORK) and (len(path.parts) <= _DEPTH or path.parts[_DEPTH] == ".git")


def normal(target: str) -> str:
    """Return a path in a sandbox without ``..``, ``.`` and needless slashes."""
    return "/" + posixpath.normpath(target).lstrip("/")


def parents(targets: Iterable[str]) -> Iterator[str]:
    """Yield parents of mounts inside the user's directories, which the engine would create for root."""
    for target in targets:
        path = PurePosixPath(normal(target))
        for parent in reversed(path.parents):
            if any(parent != PurePosixPath(top) and parent.is_relative_to(top) for top in (*_OPEN, WORK)):
                yield str(parent)


# -- labels --------------------------------------------------------------------

ID, SESSION, RUN, PROJECT = "realm.id", "realm.session", "realm.run", "realm.project"
ROLE, TIP, STARTED = "realm.role", "realm.tip", "realm.started"
REALM_HOME = "realm.home"
"""A digest of the REALM_HOME that a container or volume belongs to."""
SANDBOX = "realm.sandbox"
"""On a volume: the name of the container that it was made for."""
PROOF = "realm.proof"
"""A code that only this REALM_HOME can make, for this container or volume (:mod:`realm.sandbox.proof`)."""
HISTORY_VOLUME = "realm.history"
"""On a sandbox: the name of the volume with its history."""
SIDECAR = "realm.egress"
"""On a sandbox: the name of its sidecar, and of the sidecar's volume."""
WORKSPACE_SIZE = "realm.workspace-size"
"""On a sandbox: the most bytes of its workspace, 0 for no limit."""
KEY, MAKER = "realm.key", "realm.maker"
"""On a volume that sandboxes share: its use, and the session that it was made for."""


class Owner(NamedTuple):
    """The owner of a container."""

    id: str
    """The session's id."""
    session: str
    """The session's name."""
    run: int
    """The run's number."""
    project: str
    """The root of the project's work tree."""
    tip: str
    """The commit that the run starts on."""
    started: int
    """Seconds since the epoch."""
    role: str = "box"
    """The container's purpose; ``box`` is an agent's."""
    history: str = ""
    """The volume of its history."""
    egress: str = ""
    """The container of its sidecar."""

    def labels(self, home: str) -> dict[str, str]:
        """Return the labels for the engine; ``home`` is the digest of the REALM_HOME."""
        volumes = {HISTORY_VOLUME: self.history, SIDECAR: self.egress}
        more = {name: volume for name, volume in volumes.items() if volume}
        return {
            ID: self.id, SESSION: self.session, RUN: str(self.run), PROJECT: self.project, REALM_HOME: home,
            ROLE: self.role, TIP: self.tip, STARTED: str(self.started), **more,
        }  # fmt: skip


def owner(labels: Mapping[str, str]) -> Owner:
    """Return the owner from the labels that :meth:`Owner.labels` made."""
    return Owner(
        id=labels.get(ID) or labels.get(MAKER, ""),
        session=labels.get(SESSION, ""),
        run=_number(labels.get(RUN)),
        project=labels.get(PROJECT, ""),
        tip=labels.get(TIP, ""),
        started=_number(labels.get(STARTED)),
        role=labels.get(ROLE, ""),
        history=labels.get(HISTORY_VOLUME, ""),
        egress=labels.get(SIDECAR, ""),
    )


def workspace_size(labels: Mapping[str, str]) -> int:
    """Return the most bytes of a sandbox's workspace, 0 for no limit."""
    return _number(labels.get(WORKSPACE_SIZE))


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 20 else 0  # noqa: PLR2004
