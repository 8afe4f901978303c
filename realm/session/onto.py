"""Puts the user's own commits on top of a session, so that their fixes reach the agent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realm.errors import RealmError
from realm.store import merging, refs, repo
from realm.store.commits import tree_of
from realm.store.quarantine import quarantine
from realm.text import plural

if TYPE_CHECKING:
    from realm.model import Project
    from realm.session.requests import UI

_OWN = re.compile(r"^Realm-(?:Session|Run|Turn): .*\n?", re.MULTILINE)
"""The trailers that would make a commit copied from a session count as one of its turns."""


def put(project: Project, name: str, rev: str, ui: UI) -> None:
    """Put the commits of ``rev`` that the session lacks on top of it; the caller holds the run's lock.

    Commits that build on the session's last one are taken as they are, others are made again where
    they change anything there; merges among these become one commit of all.  Raises
    :class:`RealmError`, and changes nothing, when ``rev`` is no commit or conflicts with the session.
    """
    wanted = repo.resolve_commit(project, rev)
    tip = refs.tips(project, name).code
    if tip is None:
        raise RealmError(f"session {name} is gone", "realm restore brings a removed session back")
    commits = merging.missing(project, wanted, tip)
    try:
        with quarantine(project) as held:
            new = _on_top(held.aside, commits, wanted, tip)
            if new == tip:
                ui.info(f"{name} has all of {rev} already")
                return
            held.give(new, [tip])
    except merging.ConflictError as conflict:
        raise RealmError(
            f"{rev} does not apply to {name}: {conflict.message}",
            f"nothing was changed; git switch -c NAME refs/realm/{name}, bring it in there, then --take NAME",
        ) from None
    refs.transact(project, [refs.RefUpdate(refs.CODE + name, tip, new)], "realm: take")
    count = repo.count_commits(project, new, [tip])
    ui.info(f"{plural(count, 'commit')} of {rev} on top of {name}, which was at {tip[:10]}")


def _on_top(project: Project, commits: list[merging.Missing], wanted: str, tip: str) -> str:
    if not commits:
        return tip
    chain = [tip, *(commit.oid for commit in commits)]
    follows = all(commit.parents == (below,) for commit, below in zip(commits, chain, strict=False))
    if follows and not any(_OWN.search(commit.message) for commit in commits):
        return wanted
    if any(len(commit.parents) != 1 for commit in commits):
        base = repo.merge_base(project, wanted, tip)
        if base is None:
            raise RealmError("they have no history in common", "git log --oneline --all")
        tree = merging.merge(project, base, tip, wanted)
        if tree == tree_of(project, tip):
            return tip
        return merging.again(project, commits[-1].oid, tree, tip, _OWN.sub("", commits[-1].message))
    for commit in commits:
        tree = merging.merge(project, commit.parents[0], tip, commit.oid)
        if tree == tree_of(project, tip):  # as when it was put there before
            continue
        tip = merging.again(project, commit.oid, tree, tip, _OWN.sub("", commit.message))
    return tip
