"""The names that files and links from a sandbox may have, so that they are safe to check out anywhere."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME_LIMIT = 255
_TARGET_LIMIT = 4095

# Characters that HFS+ ignores in names, so that ".g\u200cit" is ".git" there.
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
# C0, DEL and C1, also as single bytes that are not UTF-8, and characters that reorder text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\udc80-\udc9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Shown as nothing or as a space; joiners and selectors, which emoji need, are checked separately.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2028\u2029\u2060-\u2065\u206a-\u206f\u2800"
    "\u3164\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_JOINING = re.compile("[\u200c\u200d\ufe00-\ufe0f]")
_NEEDLESS = re.compile(
    "(^|[\x00-\x22\x24-\x29\x2b-\x2f\x3a-\x7f])[\u200c\u200d\ufe00-\ufe0f]|[\u200c\u200d](?=[\x00-\x7f]|$)"
)
"""A joiner or selector that joins nothing; a keycap emoji is a digit with a selector."""
_DEVICES = re.compile(
    r"(con|prn|aux|nul|com[0-9\xb9\xb2\xb3]|lpt[0-9\xb9\xb2\xb3]|conin\$|conout\$) *(\..*)?", re.IGNORECASE
)
"""Names that are devices on Windows, with any extension."""
_PLAIN = re.compile(
    rb"(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$))[a-z0-9_][a-z0-9_-]*(?:\.[a-z0-9_-]+)*", re.IGNORECASE
)
"""Most names: ASCII that passes every check below, which can be skipped."""
# Files that git reads for itself and must never follow a link to.
_GITS_OWN = frozenset({".gitattributes", ".gitignore", ".gitmodules", ".mailmap"})

ABSOLUTE = "a link to an absolute path"


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def folded(name: bytes) -> str:
    """Return the name in the form that the most lenient file system would compare."""
    if _PLAIN.fullmatch(name):
        return name.decode("ascii").lower()
    text = _IGNORED.sub("", name.decode("utf-8", "replace")).casefold()
    return text.partition(":")[0].rstrip(". ")


def is_taken_for_git(name: bytes) -> bool:
    """Tell whether a name is invalid for a file, or some file system takes it for git's own directory."""
    return name in (b"", b".", b"..") or b"/" in name or folded(name) in (".git", "git~1")


def name_problem(name: bytes) -> str:
    """Return why a file may not have this name; empty when it may."""
    if len(name) <= _NAME_LIMIT and _PLAIN.fullmatch(name):
        return ""
    if is_taken_for_git(name):
        return "a name that some file system takes for .git"
    if b"\\" in name:
        return "a backslash in the name"
    text = _text(name)
    if _CONTROL.search(text):
        return "a control character in the name"
    if _UNSEEN.search(text) or _JOINING.sub("", text) == "":
        return "an invisible character in the name"
    return "a name too long for a file system" if len(name) > _NAME_LIMIT else ""


def oddity(name: bytes) -> str:
    """Return a note on an accepted name: a system that cannot have it, or invisible characters; or empty."""
    if _PLAIN.fullmatch(name):
        return ""
    text = _text(name)
    if _DEVICES.fullmatch(text) or text.endswith((".", " ")) or re.search('[<>:"|?*]', text):
        return "a name that Windows cannot have"
    if _NEEDLESS.search(text):
        return "an invisible character in the name"
    return ""


def seen(name: bytes) -> str:
    """Return the name in a form without case and Unicode composition, for comparison."""
    if _PLAIN.fullmatch(name):
        return name.decode("ascii").lower()
    text = _JOINING.sub("", _text(name))
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def is_repository(names: Iterable[bytes]) -> bool:
    """Tell whether git would treat a directory with files of these names as a bare repository."""
    found = {folded(name) for name in names}
    return "head" in found and ("commondir" in found or {"objects", "refs"} <= found)


def is_gits_own(name: bytes) -> bool:
    """Tell whether git itself reads files of this name, including Windows' short names."""
    text = folded(name)
    return (
        text in _GITS_OWN
        or re.fullmatch(r"(gitatt|gitign|gitmod|mailma|gi[0-9a-f]{4}|ma[0-9a-f]{4})~[0-9]+", text) is not None
    )


def link_problem(name: bytes, target: bytes, depth: int) -> str:
    """Return why a symbolic link may not be taken in; empty when it may.

    ``depth`` is the number of directories above the link.  ``..`` is allowed only at a target's start:
    after a name it would count from wherever that name links to.
    """
    if is_gits_own(name):
        return "a link in place of a file that git reads"
    if not target or len(target) > _TARGET_LIMIT or b"\\" in target or _CONTROL.search(_text(target)):
        return "a link with an odd target"
    if target.startswith(b"/"):
        return ABSOLUTE
    parts = [part for part in target.split(b"/") if part not in (b"", b".")]
    ups = next((at for at, part in enumerate(parts) if part != b".."), len(parts))
    if ups > depth or b".." in parts[ups:]:
        return "a link that leads out of the project"
    if any(folded(part) in (".git", "git~1") for part in parts):
        return "a link into git's own directory"
    return ""
