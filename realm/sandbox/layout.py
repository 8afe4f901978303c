"""Every path inside a sandbox, and every label and variable that realm sets, each said once."""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from realm.model import WORKSPACE_ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

STATE = "/realm"
"""Where the state volume is: entry script, agent's home, results."""
WORK = WORKSPACE_ROOT
"""Where the workspace's volume is."""
HISTORY = "/history"
"""Where the volume of the project's history is, read-only."""
BASE = "/base"
"""Where the volume below an overlay is, so that the engine knows it to be in use."""
EGRESS = "/egress"
"""Where the sidecar's volume is, read-only, in a sandbox that reaches out through it."""
CACHE = "/cache"
"""Where the volume of the project's caches is, which outlives sandboxes."""
HOME = f"{STATE}/home"
AGENT_HOME = f"{STATE}/claude"
ENTRY = f"{STATE}/entry"
"""The script that every container of realm's runs."""
ENVIRONMENT = f"{STATE}/env"
"""Lines of shell that set what no inspection of the container may show."""
LAYOUT = f"{STATE}/layout"
"""What the host wrote for the entry script (:mod:`realm.sandbox.repositories`)."""
SETUP = f"{LAYOUT}/setup"
"""The user's command that makes the work tree ready, as a script of the shell's."""
CONVERSATIONS = f"{LAYOUT}/conversations"
"""Which files below the state volume are the agent's conversations, as a pattern of the shell's."""
RESUMES = f"{LAYOUT}/resumes"
"""What the JSON of the agent's hook has in it where a turn goes on, of an agent that has such."""
SAID = f"{LAYOUT}/said"
"""Bytes of the conversation that is gone on with, and its file below the state volume."""
WORKTREE = f"{LAYOUT}/worktree"
"""The linked work tree that is to be there when the agent starts: path and branch."""
OBJECTS = f"{STATE}/objects"
"""An object directory with what of the history is not in the volume."""
GIVEN = f"{STATE}/git/given.tar"
"""Files for the work tree that the entry script unpacks."""
SETUP_SAID = f"{STATE}/out/setup"
"""What that command printed."""
LARGE = f"{STATE}/lfs"
"""Files that Git LFS keeps, by their SHA-256."""
GIT = f"{STATE}/git"
OUT = f"{STATE}/out"
"""What the host fetches when the sandbox has stopped."""
NOW = f"{OUT}/now"
"""What the agent's hook said last, as it came, while the agent runs."""
LIVE = f"{OUT}/live"
"""What is handed over at the ends of turns, a directory each, while the sandbox runs."""
OPEN_NETWORK = "realm-open"
"""The network of sandboxes with an open one: a bridge on which they do not reach each other."""
TRUSTING = (
    "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO", "DENO_CERT",
)  # fmt: skip
"""Variables of files with the certificate authorities that programs trust."""
DIRECTORIES = (HOME, AGENT_HOME, GIT, OUT)
"""What the sandbox's user owns below the state volume."""

_OPEN = (HOME, AGENT_HOME)
"""Directories of realm's in which there may be others' mounts, for caches and the like."""
_OWN = (STATE, HISTORY, BASE, EGRESS)
_DEPTH = len(PurePosixPath(WORK).parts) + 1
"""Parts of a work tree's path in a sandbox."""


def is_own(target: str) -> bool:
    """Return whether a mount at ``target`` hides the work tree, its ``.git`` or a place of realm's own."""
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
    """Yield the directories on the way to mounts below the user's own: the engine would make them root's."""
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
"""On a volume the name of the container that it was made for."""
PROOF = "realm.proof"
"""What only this REALM_HOME can say of this very container or volume (:mod:`realm.sandbox.proof`)."""
HISTORY_VOLUME = "realm.history"
"""On a sandbox the name of the volume with its history."""
SIDECAR = "realm.egress"
"""On a sandbox the name of the sidecar through which it reaches out, which is its volume's too."""
KEY, MAKER = "realm.key", "realm.maker"
"""On a volume that sandboxes share: its use, and the session that it was made for."""


class Owner(NamedTuple):
    """The owner of a container: session, run, and the project's root.

    ``tip`` is the commit that it starts on, ``started`` seconds since the epoch,
    ``role`` what it is for: ``box`` for an agent's, ``history`` the volume of its history,
    ``egress`` its sidecar.
    """

    id: str
    session: str
    run: int
    project: str
    tip: str
    started: int
    role: str = "box"
    history: str = ""
    egress: str = ""

    def labels(self, home: str) -> dict[str, str]:
        """Return what says so on the engine; ``home`` is the digest of the REALM_HOME."""
        volumes = {HISTORY_VOLUME: self.history, SIDECAR: self.egress}
        more = {name: volume for name, volume in volumes.items() if volume}
        return {
            ID: self.id, SESSION: self.session, RUN: str(self.run), PROJECT: self.project, REALM_HOME: home,
            ROLE: self.role, TIP: self.tip, STARTED: str(self.started), **more,
        }  # fmt: skip


def owner(labels: Mapping[str, str]) -> Owner:
    """Return what :meth:`Owner.labels` said."""
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


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 20 else 0  # noqa: PLR2004
