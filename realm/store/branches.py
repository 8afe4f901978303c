"""What else an agent left in its repository: other branches, tags, stashes, detached commits, work trees.

They are ``refs/realm-branches/<session>/<kind>/<name>`` in the project, each verified and rewritten like
the session's own commits.  Kinds are ``heads``, ``tags``, ``stash`` (numbered, 1 is the oldest),
``detached`` (commits that no ref pointed to) and ``worktree`` (linked work trees without a branch).  A
name has its bytes other than ``a-z 0-9 - _ .`` as ``%`` and two hex digits, so that ``alt`` and ``alt/x``
may both be there, and ``Alt`` too.

In a sandbox they are at their own names again, where these are free, else below ``refs/kept``.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from realm.git import git
from realm.store.refs import BRANCHES, below
from realm.text import clean, first_line, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from realm.model import Kept, Project

KINDS = ("heads", "tags", "stash", "detached", "worktree")
ASIDE = "refs/kept/"
"""Their place in a sandbox where their own names are taken."""

_LONGEST = 200
"""Bytes of an escaped name; a file's name has 255, and git needs some."""
_CUT = 150
_NAMED, _NAME_SHOWN = 8, 100
"""The most branches named in a summary, and the characters of their names."""
_PART = r"[a-z0-9._%-]{1,250}"
_BAD = r"[\0-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)|\.$|/$|^[/.]|^@$"


def escape(name: str) -> str:
    """Escape a ref's name for use as one part of another's; different names stay different."""
    raw = os.fsencode(name)
    plain = re.sub(rb"[^a-z0-9._-]|\.(?=\.|$)|^\.|\.(?=lock$)", lambda found: b"%%%02x" % found[0][0], raw)
    if len(plain) <= _LONGEST:
        return plain.decode("ascii")
    import hashlib  # takes milliseconds, and only a very long name needs it

    return f"{plain[:_CUT].decode('ascii')}%-{hashlib.sha256(raw).hexdigest()[:32]}"


def unescape(part: str) -> str | None:
    """Return the name that :func:`escape` turned into ``part``; ``None`` if there is none."""
    name = os.fsdecode(re.sub(rb"%([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), part.encode()))
    return name if escape(name) == part and not re.search(_BAD, name) else None


def listed(project: Project, session: str) -> dict[str, str]:
    """Return the refs kept beside a session, and their commits; stashes in their order."""
    found = below(project, f"{BRANCHES}{session}/")
    return in_order({ref: oid for ref, oid in found.items() if parts(ref) is not None})


def in_order(found: Mapping[str, str]) -> dict[str, str]:
    """Return refs sorted by kind and name, numbers by value."""

    def order(ref: str) -> tuple[int, int, str]:
        kind, part = parts(ref) or (KINDS[-1], "")
        return KINDS.index(kind), len(part) if kind == "stash" else 0, part

    return {ref: found[ref] for ref in sorted(found, key=order)}


def parts(ref: str) -> tuple[str, str] | None:
    """Return kind and escaped name of a ref, ``None`` for any other ref."""
    words = ref.removeprefix(BRANCHES).split("/")
    if len(words) != 3 or words[1] not in KINDS or not re.fullmatch(_PART, words[2]):  # noqa: PLR2004
        return None
    return words[1], words[2]


# -- back into a sandbox ---------------------------------------------------------


class RefsInside(NamedTuple):
    """What a sandbox gets: refs, and stashes with their messages, the oldest first."""

    refs: Mapping[str, str]
    stashes: Sequence[tuple[str, str]]


def inside(project: Project, kept: Mapping[str, str], laid: Iterable[str]) -> RefsInside:
    """Return how ``kept``, from :func:`listed`, is laid out beside the refs ``laid``."""
    taken = set(laid)
    found: dict[str, str] = {}
    stashes = []
    for ref, oid in kept.items():
        kind, part = parts(ref) or ("", "")
        if kind == "stash":
            asked = git("log", "-1", "--format=%s", "--end-of-options", oid, "--", project=project)
            stashes.append((oid, first_line(asked.text)))
            continue
        name = unescape(part)
        own = f"refs/{kind}/{name}"
        if kind not in ("heads", "tags") or name is None or not _is_free(own, taken):
            own = f"{ASIDE}{kind}/{part}"
        taken.add(own)
        found[own] = oid
    return RefsInside(found, stashes)


def _is_free(name: str, taken: set[str]) -> bool:
    """Tell whether git can have a ref ``name`` beside those ``taken``: none may be another's directory."""
    parents = {name[:at] for at, char in enumerate(name) if char == "/"}
    return name not in taken and not parents & taken and not any(n.startswith(f"{name}/") for n in taken)


def place(name: str) -> str:
    """Return kind and escaped name of a ref in a sandbox, empty where it cannot be one of git's."""
    kind, _, rest = name.removeprefix("refs/").partition("/")
    if not rest or re.search(_BAD, name):
        return ""
    if kind in ("heads", "tags"):
        return f"{kind}/{escape(rest)}"
    kind, _, part = rest.partition("/")
    if not name.startswith(ASIDE) or kind not in KINDS or kind == "stash" or not part:
        return ""
    return f"{kind}/{part if re.fullmatch(_PART, part) else escape(part)}"


def describe(kept: Sequence[Kept]) -> str:
    """Describe in a few words the kept commits that only the agent had; empty if there are none."""
    places = described(kept).items()
    return "; ".join(f"in {path}: {text}" if path else text for path, text in places)


def described(kept: Sequence[Kept]) -> dict[str, str]:
    """Return that for each repository by path, the project first with an empty one."""
    found = {path: _words([row for row in kept if row.path == path]) for path in {row.path for row in kept}}
    return {path: found[path] for path in sorted(found) if found[path]}


def _words(kept: Sequence[Kept]) -> str:
    """Return the summary for one repository; an agent may have made many branches, with long names."""
    said = [
        f"{word} {clean(row.name, limit=_NAME_SHOWN)} ({plural(row.commits, 'commit')})"
        for kind, word in (("heads", "branch"), ("worktree", "work tree"), ("tags", "tag"))
        for row in kept
        if row.kind == kind and row.commits
    ]
    if len(said) > _NAMED:
        said[_NAMED:] = [f"{len(said) - _NAMED} more"]
    stashes, detached = ([row for row in kept if row.kind == kind] for kind in ("stash", "detached"))
    if stashes:
        said.append("1 stash" if len(stashes) == 1 else f"{len(stashes)} stashes")
    if detached:
        said.append(plural(len(detached), "detached commit"))
    return ", ".join(said)
