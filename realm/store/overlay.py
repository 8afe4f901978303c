"""One commit's changes on another tree, file by file.

An agent commits some of its files and leaves others for later.  The earlier
turns' commits hold those others already: the agent's own tree, put on top of
them, would take them away for one commit and bring them back with the next.
So what its commit *changed* is put on top.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.store.objects import DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.store.objects import Entry, Objects


def overlay(
    parent: str | None,
    commit: str | None,
    last: str | None,
    read: Callable[[str], list[Entry]],
    made: Objects,
) -> str | None:
    """Return the tree ``last`` with what differs between the trees ``parent`` and ``commit``.

    ``None`` stands for a directory that is not there.  Where both changed a
    file, it is ``commit``'s.  New trees are added to ``made``.
    """
    if last in (parent, commit):
        return commit
    if commit == parent:
        return last
    before, after, now = (_entries(tree, read) for tree in (parent, commit, last))
    merged = []
    for name in sorted({*before, *after, *now}):
        entry = _entry(before.get(name), after.get(name), now.get(name), read, made)
        if entry is not None:
            merged.append(entry)
    return made.tree(merged) if merged else None


def _entries(tree: str | None, read: Callable[[str], list[Entry]]) -> dict[bytes, Entry]:
    return {entry.name: entry for entry in read(tree)} if tree is not None else {}


def _entry(
    before: Entry | None,
    after: Entry | None,
    now: Entry | None,
    read: Callable[[str], list[Entry]],
    made: Objects,
) -> Entry | None:
    if after == before:
        return now
    if now in (before, after):
        return after
    shown = after or now
    below = (_directory(before), _directory(after), _directory(now))
    if shown and (after is None or below[1]) and (now is None or below[2]):
        tree = overlay(*below, read=read, made=made)
        return shown._replace(oid=tree) if tree else None
    return after


def _directory(entry: Entry | None) -> str | None:
    """Return the tree of a directory, ``None`` for anything else."""
    return entry.oid if entry is not None and entry.mode == DIRECTORY else None
