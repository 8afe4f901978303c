"""Checks whether a session's commits look as realm writes them (:mod:`realm.store.commits`).

Anybody can write such commits: only signatures prove more (:mod:`realm.store.signing`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import GitError
from realm.git import failure, git, reason
from realm.paths import scratched
from realm.store.batch import CatFile
from realm.store.commits import COMMIT_LIMIT
from realm.store.refs import is_name
from realm.store.stores import is_partial, lend
from realm.store.turns import WIP
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realm.model import Project

_HEADER = re.compile(r"(tree|parent|author|committer|gpgsig(?:-sha256)?) (.*)", re.DOTALL)
_PERSON = re.compile(r"(.* <.*>) \d{1,12} [+-]\d{4}")
_LAST = re.compile(r"Realm-Session: (\S+)\nRealm-Run: ([1-9]\d{0,8})\nRealm-Turn: (\d{1,9})\n")
_LAST_OF_WIP = re.compile(r"Realm-Session: (\S+)\n")
_GOOD = "GU"
_WRONG = {
    "B": "its signature is wrong",
    "X": "its signature has expired",
    "Y": "it was signed with a key that has expired",
    "R": "it was signed with a key that was revoked",
    "E": "its signature cannot be checked here",
    "N": "it is not signed",
}
"""The meanings of git's ``%G?``."""


class Written(NamedTuple):
    """A commit of a session's chain.

    ``key`` are run and turn, ``None`` where it belongs to no turn; ``problem`` says why realm cannot
    have written it; ``signed`` is whether there is a signature, good or not.
    """

    oid: str
    tree: str
    parents: tuple[str, ...]
    key: tuple[int, int] | None
    problem: str
    signed: bool


def read(project: Project, base: str, tip: str) -> list[Written]:
    """Return the commits from ``base`` (not itself) to ``tip``, the oldest first."""
    order = ("rev-list", "--reverse", "--topo-order", "--end-of-options", f"{base}..{tip}", "--")
    listed = git(*order, project=project).lines if base != tip else []
    found = []
    below = base
    with CatFile(project) as objects:
        for oid in listed:
            commit = objects.get(oid, COMMIT_LIMIT)
            found.append(_written(oid, commit.data if commit else b"", below))
            below = oid
    return found


def _written(oid: str, data: bytes, below: str) -> Written:
    raw, _, body = data.partition(b"\n\n")
    head, message = raw.decode("utf-8", "replace"), body.decode("utf-8", "replace")
    fields = [_HEADER.fullmatch(field) for field in re.split(r"\n(?! )", head)]
    known = [(match[1], match[2]) for match in fields if match]
    parents = tuple(value for name, value in known if name == "parent")
    trees = [value for name, value in known if name == "tree"]
    people = [_PERSON.fullmatch(value) for name, value in known if name in ("author", "committer")]
    whole, wip = _LAST.search(message), _LAST_OF_WIP.search(message)
    key = None
    problem = ""
    if whole and message.endswith(whole[0]) and is_name(whole[1]):
        key = int(whole[2]), int(whole[3])
    elif not (wip and message.startswith(WIP) and message.endswith(f"\n\n{wip[0]}") and is_name(wip[1])):
        problem = "it does not say of which session, run and turn it is"
    if message != clean(message, multiline=True):
        problem = "its message holds characters that realm leaves out"
    if not all(fields) or not all(people) or len({match[1] for match in people if match}) != 1:
        problem = "its header is not one that realm writes"
    if parents != (below,):
        problem = "its only parent is not the commit before it"
    signed = any(name.startswith("gpgsig") for name, _ in known)
    return Written(oid, trees[0] if trees else "", parents, key, problem, signed)


def signatures(project: Project, base: str, tip: str) -> dict[str, str]:
    """Return the problem with each commit's signature in the eyes of the user's git, empty for a good one."""
    if base == tip:
        return {}
    order = ("log", "--no-show-signature", "--format=%H %G?", "--end-of-options", f"{base}..{tip}", "--")
    rows = (line.split(" ") for line in git(*order, project=project).lines)
    return {oid: "" if mark in _GOOD else _WRONG.get(mark, _WRONG["E"]) for oid, mark in rows}


def unsound(project: Project, base: str, tips: Sequence[str]) -> str:
    """Return what git's strict check finds wrong with what ``tips`` reach beyond ``base``, if anything.

    Raises :class:`GitError` where a full disk leaves no room to look.
    """
    with scratched("verify") as directory:
        wanted = "".join(f"{oid}\n" for oid in [*tips, f"^{base}"]).encode()
        lend(directory, project.object_stores)
        env = {"GIT_OBJECT_DIRECTORY": str(directory)}  # which may be on another disk than the project's
        try:
            partial = is_partial(project)
            if partial:
                # Objects that no promisor has are lost; packing would silently skip them.
                walk = ("rev-list", "--objects", "--quiet", "--missing=allow-promisor", "--stdin")
                git(*walk, project=project, stdin=wanted)
            packing = ("pack-objects", "--quiet", "--revs", "--missing=allow-any", "--delta-base-offset")
            name = git(*packing, str(directory / "pack"), project=project, env=env, stdin=wanted).text
            how = "--fsck-objects" if partial else "--strict"
            checking = ("index-pack", how, "-o", str(directory / "again.idx"))
            done = git(*checking, str(directory / f"pack-{name}.pack"), project=project, env=env, check=False)
        except GitError as error:
            if error.hint:
                raise
            return error.message
    if (refused := failure("index-pack", done.err)).hint:
        raise refused
    if done.code == 0:
        return ""
    lines = (line.removeprefix(b"error: ") for line in done.err.splitlines() if line.startswith(b"error: "))
    return "; ".join(clean(line, limit=200) for line in lines) or reason(done.err)
