"""Which names, links and modes of a sandbox's files may enter the project (pure)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME_LIMIT = 255
_TARGET_LIMIT = 4095

# Characters that HFS+ ignores in names, so that ".g\u200cit" is ".git" there.
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
# Control characters: C0 and DEL as bytes, C1 and those that reorder text in UTF-8.
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]")
# Files that git reads for itself and must never follow a link to.
_GITS_OWN = frozenset({".gitattributes", ".gitignore", ".gitmodules", ".mailmap"})


def folded(name: bytes) -> str:
    """Return the name as the most lenient file system would compare it."""
    text = _IGNORED.sub("", name.decode("utf-8", "replace")).casefold()
    return text.partition(":")[0].rstrip(". ")


def name_problem(name: bytes) -> str:
    """Return why a file may not have this name; empty when it may."""
    if name in (b"", b".", b"..") or b"/" in name:
        return "not a file's name"
    if folded(name) in (".git", "git~1"):
        return "a name that some file system takes for .git"
    if b"\\" in name:
        return "a backslash in the name"
    if _CONTROL.search(name):
        return "a control character in the name"
    if len(name) > _NAME_LIMIT:
        return "a name too long for a file system"
    return ""


def is_repository(names: Iterable[bytes]) -> bool:
    """Tell whether git takes a directory with files of these names for a bare repository, and obeys it."""
    found = {folded(name) for name in names}
    return "head" in found and ("commondir" in found or {"objects", "refs"} <= found)


def is_gits_own(name: bytes) -> bool:
    """Tell whether git itself reads files of this name, short names of Windows included."""
    text = folded(name)
    return (
        text in _GITS_OWN
        or re.fullmatch(r"(gitatt|gitign|gitmod|mailma|gi[0-9a-f]{4}|ma[0-9a-f]{4})~[0-9]+", text) is not None
    )


def link_problem(name: bytes, target: bytes, depth: int) -> str:
    """Return why a symbolic link may not be taken in; empty when it may.

    ``depth`` is the number of directories above the link.  ``..`` may only
    stand at a target's start, since behind a name it would start from wherever
    that name links to.
    """
    if is_gits_own(name):
        return "a link in place of a file that git reads"
    if not target or len(target) > _TARGET_LIMIT or b"\\" in target or _CONTROL.search(target):
        return "a link with an odd target"
    if target.startswith(b"/"):
        return "a link to an absolute path"
    parts = [part for part in target.split(b"/") if part not in (b"", b".")]
    ups = next((at for at, part in enumerate(parts) if part != b".."), len(parts))
    if ups > depth or b".." in parts[ups:]:
        return "a link that leads out of the project"
    if any(folded(part) in (".git", "git~1") for part in parts):
        return "a link into git's own directory"
    return ""
