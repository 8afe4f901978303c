"""Finding merged sessions: by ancestry, or because a branch has the same changes.

The checked-out branch and the remote's default branch are searched.  A branch has a session if it contains
its last commit, or changes with the same patch ids: of each commit (a rebase), or of all together (a
squash).  Patches are compared for a short time only; results are kept in realm's directory
(``merged/<digest of the repository's path>.json``: by branch commit and session's last commit, whether it
is merged), so that the next search continues from there.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import TYPE_CHECKING

from realm.errors import GitError
from realm.git import git
from realm.paths import make_private, realm_home, replace
from realm.store.schema import is_oid
from realm.store.turns import WIP

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from realm.model import Project
    from realm.store.listing import MetaRow

PATIENCE = 0.4
"""Seconds that comparing patches may take in one listing."""
_ONE = 2.0
"""Seconds that a single git process may take."""
_COMMITS = 300
"""Commits of a branch that are compared with a session's."""
_PATHS = 200
"""Sessions that change more files are not compared."""
_LIMIT = 16 * 1024 * 1024
_PATCH = ("-p", "--binary", "--no-ext-diff", "--no-textconv", "--no-renames", "--no-color")
_LOG = ("log", "--format=commit %H", "--no-merges", *_PATCH)


def merged(project: Project, sessions: Sequence[MetaRow], branches: Mapping[str, str]) -> dict[str, str]:
    """Return the branch that has each session, by the session's name; ``branches`` are commits by name."""
    asked = {
        row.name: (row.summary.base, row.code)
        for row in sessions
        if not row.problem and row.code and row.code != row.summary.base and row.summary.totals.files
    }
    if not asked or not branches:
        return {}
    import hashlib  # takes milliseconds

    path = realm_home() / "merged" / f"{hashlib.sha256(bytes(project.common_dir)).hexdigest()[:32]}.json"
    known = _read(path, project.object_format)
    now: dict[str, dict[str, bool]] = {oid: dict(known.get(oid, {})) for oid in branches.values()}
    deadline = time.monotonic() + PATIENCE
    for oid, answers in now.items():
        with contextlib.suppress(GitError):
            _ask(project, oid, [pair for pair in asked.values() if pair[1] not in answers], answers, deadline)
    if now != known:
        with contextlib.suppress(OSError):
            make_private(path.parent)
            replace(path, json.dumps(now).encode())
    return {
        name: found
        for name, (_, tip) in asked.items()
        if (found := next((branch for branch, oid in branches.items() if now[oid].get(tip)), ""))
    }


def _read(path: Path, object_format: str) -> dict[str, dict[str, bool]]:
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(_LIMIT))
        return {
            oid: {tip: bool(value) for tip, value in tips.items()}
            for oid, tips in found.items()
            if is_oid(oid, object_format)
        }
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def _ask(
    project: Project, branch: str, sessions: Iterable[tuple[str, str]], answers: dict[str, bool],
    deadline: float,
) -> None:  # fmt: skip
    """Put into ``answers`` which tips the commit ``branch`` contains, as far as time allows."""
    wanted = dict.fromkeys(sessions)
    if not wanted:
        return
    tips = "".join(f"{tip}\n" for tip in dict.fromkeys(tip for _, tip in wanted))
    order = f"{tips}^{branch}\n".encode()
    how = ("log", "--stdin", "--no-show-signature", "--format=%H %P%x09%s")
    outside = _commits(git(*how, project=project, stdin=order, timeout=_ONE).lines)
    answers.update((tip, True) for _, tip in wanted if tip not in outside)
    left = [(_begin(base, tip, outside), tip) for base, tip in wanted if tip in outside]
    paths = _paths(project, left)
    touched = {base: _touched(project, base, branch) for base in dict.fromkeys(base for base, _ in left)}
    for base, tip in left:
        own = paths.get(tip, set())
        if not own or len(own) > _PATHS or not own <= touched[base]:
            answers[tip] = False
        elif time.monotonic() < deadline:
            answers[tip] = _has_patches(project, branch, base, tip, own)


def _commits(lines: Iterable[str]) -> dict[str, tuple[str, bool]]:
    """Return each commit's first parent, and whether it is the one that ``--wip`` made."""
    rows = (line.partition("\t") for line in lines)
    found = ((ids.split(" "), subject) for ids, _, subject in rows)
    return {ids[0]: ([*ids, ""][1], subject.startswith(WIP)) for ids, subject in found}


def _begin(base: str, tip: str, commits: Mapping[str, tuple[str, bool]]) -> str:
    """Return the commit that a session's own work begins on: its base, or the one that ``--wip`` made."""
    while tip in commits and commits[tip][0] != base:
        tip = commits[tip][0]
    return tip if tip in commits and commits[tip][1] else base


def _paths(project: Project, pairs: Sequence[tuple[str, str]]) -> dict[str, set[str]]:
    """Return the files that each session changed, by its tip; one git process for all."""
    if not pairs:
        return {}
    order = "".join(f"{tip} {base}\n" for base, tip in pairs).encode()
    done = git("diff-tree", "--stdin", "-r", "-z", "--name-only", project=project, stdin=order, timeout=_ONE)
    found: dict[str, set[str]] = {tip: set() for _, tip in pairs}
    own: set[str] = set()
    for word in map(os.fsdecode, done.out.split(b"\0")[:-1]):
        if word in found:
            own = found[word]
        else:
            own.add(word)
    return found


def _touched(project: Project, base: str, branch: str) -> set[str]:
    """Return the files changed by commits added to ``branch`` since ``base``."""
    if base == branch:
        return set()
    asked = (
        "log",
        "--format=",
        "-z",
        "--name-only",
        "--no-renames",
        "--no-merges",
        f"--max-count={_COMMITS}",
    )
    words = git(*asked, f"{base}..{branch}", "--", project=project, timeout=_ONE).out.split(b"\0")
    return {os.fsdecode(word).lstrip("\n") for word in words}


def _has_patches(project: Project, branch: str, base: str, tip: str, paths: Iterable[str]) -> bool:
    """Tell whether ``branch`` has the changes of ``base..tip``, one by one or squashed."""
    there = _patch_ids(project, *_LOG, f"--max-count={_COMMITS}", f"{base}..{branch}", "--", *paths)
    if not there:
        return False
    for own in (("diff-tree", *_PATCH, base, tip), (*_LOG, f"{base}..{tip}", "--")):
        patches = _patch_ids(project, *own)
        if patches and patches <= there:
            return True
    return False


def _patch_ids(project: Project, *command: str) -> set[str]:
    """Return the ids of the patches in a git command's output."""
    env = {"GIT_LITERAL_PATHSPECS": "1"}
    patches = git(*command, project=project, timeout=_ONE, env=env).out
    found = git("patch-id", "--stable", project=project, stdin=patches, timeout=_ONE).lines if patches else []
    return {line.partition(" ")[0] for line in found}
