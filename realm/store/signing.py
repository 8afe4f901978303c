"""Signing a session's commits as the user signs theirs, if ``commit.gpgSign`` is on.

``git commit-tree -S`` recreates each commit in the quarantine, so that git handles every format and program
that the user has set up (``gpg.format``, ``user.signingKey``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import GitError
from realm.git import git
from realm.store.commits import COMMIT_LIMIT
from realm.text import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realm.model import Project
    from realm.store.quarantine import Quarantine

PATIENCE = 60.0
"""Seconds for one signature: a program may ask for a passphrase."""
MOST = 1000
"""Most commits signed at once."""
_PERSON = re.compile(rb"^(author|committer) (.*) <(.*)> (\d+ [+-]\d{4})$", re.MULTILINE)


class Signed(NamedTuple):
    """The tip, the signed commits' ids by the old ids, and the reason if signing failed."""

    tip: str
    anew: Mapping[str, str] = {}
    problem: str = ""


def is_wanted(project: Project) -> bool:
    """Tell whether the user signs commits."""
    asked = git("config", "--type=bool", "--get", "commit.gpgSign", project=project, check=False)
    return asked.text == "true"


def sign(project: Project, held: Quarantine, known: str, tip: str) -> Signed:
    """Sign the commits from ``known`` (exclusive) to ``tip``, if the user signs commits.

    They are a chain in the quarantine, and so are the new ones.  If one cannot be signed, all stay unsigned,
    so that no work is lost.
    """
    if tip == known or not is_wanted(project):
        return Signed(tip)
    env = {"GIT_OBJECT_DIRECTORY": str(held.path / "objects")}
    try:
        listed = git("rev-list", "--reverse", f"{known}..{tip}", "--", project=project, env=env).lines
        if len(listed) > MOST:
            return Signed(tip, {}, f"{plural(len(listed), 'commit')} at once were not signed")
        anew: dict[str, str] = {}
        parent = known
        with held.cat_file() as objects:
            for oid in listed:
                found = objects.get(oid, COMMIT_LIMIT)
                parent = anew[oid] = _again(project, found.data if found else b"", parent, env)
    except GitError as error:
        return Signed(tip, {}, f"the commits could not be signed: {error.message}")
    return Signed(parent, anew)


def _again(project: Project, data: bytes, parent: str, env: Mapping[str, str]) -> str:
    """Create a signed copy of the commit ``data`` on ``parent``; return its id."""
    head, _, message = data.partition(b"\n\n")
    people: dict[str, str] = {}
    for who, name, email, date in _PERSON.findall(head):
        of = f"GIT_{who.decode().upper()}"
        people |= {
            f"{of}_NAME": name.decode("utf-8", "surrogateescape"),
            f"{of}_EMAIL": email.decode("utf-8", "surrogateescape"),
            f"{of}_DATE": f"@{date.decode()}",
        }
    tree = head.partition(b"\n")[0].removeprefix(b"tree ").decode("ascii", "replace")
    order = ("-c", "i18n.commitEncoding=UTF-8", "commit-tree", "-S", "-p", parent, "-F", "-", tree)
    return git(*order, project=project, env={**env, **people}, stdin=message, timeout=PATIENCE).text
