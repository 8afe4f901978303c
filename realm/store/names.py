"""What a session may be called, and where its refs lie."""

from __future__ import annotations

import os
import re
import time

from realm.errors import UsageError
from realm.text import clean

CODE = "refs/realm/"
META = "refs/realm-meta/"
TRASH = "refs/realm-trash/"
TEMPORARY = "refs/realm-tmp/"
"""What was taken in and no session's ref points to yet: ``<machine>@<process>@<since>/<object id>``."""

LONGEST = 64
"""Characters in a name, at most."""

STALE = 86400.0
"""Seconds after which what another machine's realm was holding is taken for forgotten."""

_SINCE = int(time.time())

_HINT = "letters, digits, '-', '_' and '.' make a name, such as fix-login"


def check_name(name: str) -> None:
    """Raise :class:`UsageError` when ``name`` cannot be a session's; it says why in one sentence.

    What passes is also a valid branch name and a valid last part of a ref.
    """
    problem = _problem(name)
    if problem:
        raise UsageError(problem, _HINT)


def is_name(name: str) -> bool:
    """Tell whether ``name`` can be a session's."""
    return not _problem(name)


def _problem(name: str) -> str:  # noqa: C901, PLR0911 - one sentence for each kind of bad name
    readable = re.sub("[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", name)
    shown = f"the session name '{clean(readable, limit=80)}'"
    if not name:
        return "the session name is empty"
    if re.search("[\ud800-\udfff]", name):
        return f"{shown} is not valid UTF-8"
    if re.search(r"[\x00-\x1f\x7f-\x9f]", name):
        return f"{shown} holds a control character"
    if len(name) > LONGEST:
        return f"{shown} has {len(name)} characters, more than {LONGEST}"
    if "/" in name:
        return f"{shown} holds a '/'"
    if name[0] in "-.":
        return f"{shown} starts with '{name[0]}'"
    if ".." in name:
        return f"{shown} holds '..'"
    if name.endswith(".") or name.lower().endswith(".lock"):
        return f"{shown} ends with '{'.' if name.endswith('.') else '.lock'}', which git does not allow"
    bad = re.search(r"[^A-Za-z0-9._-]", name)
    if bad:
        return f"{shown} holds {'a space' if bad.group() == ' ' else repr(clean(bad.group()))}"
    if name == "HEAD" or re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name):
        return f"{shown} means something else to git"
    return ""


def temporary(oid: str) -> str:
    """Return the ref by which this process keeps the object ``oid`` from git's garbage collection."""
    return f"{TEMPORARY}{machine()}@{os.getpid()}@{_SINCE}/{oid}"


def machine() -> str:
    """Return this machine's name with letters, digits and ``-`` only."""
    return re.sub(r"[^A-Za-z0-9]", "-", os.uname().nodename) or "unknown"


def is_forgotten(host: str, pid: int, since: float) -> bool:
    """Tell whether what a process marked as its own is left over: it is gone, or it is long ago."""
    if host == machine():
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return True
        except PermissionError:
            pass
    return time.time() - since > STALE
