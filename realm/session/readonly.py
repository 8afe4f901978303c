"""Finds read-only places that a run tried to write to, and names the setting that helps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realm.sandbox import caches, layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST = 3
"""The most places that are reported."""
_SIGN = b"ead-only file system"
_NEAR, _SIGNS = 300, 1000
"""Bytes before such words that are searched, and the most such words in a text."""
# Messages of the C library, node and Go; the path is before or after them, for cargo a line above.
_BEFORE = re.compile(rb"[^/]{0,60}?([\w./@+~-]{0,200}[\w.@+~-]/)(?=[0-9a-f]{4}u\\|[^\w.@+~-]|$)", re.ASCII)
"""An absolute path before them, matched backwards so that each search starts at one position."""
_BEHIND = re.compile(rb"[:,][\w ]{0,10}[^/\w]{1,4}(/[\w.@+~-][\w./@+~-]{0,200})", re.ASCII)
_CONDA = re.compile(
    rb"EnvironmentNotWritableError.{0,200}environment location: (/[\w./@+~-]{1,200})", re.DOTALL
)
"""What conda says in such a case."""
_OTHERS = (
    layout.WORK, layout.STATE, layout.HISTORY, layout.BASE, layout.EGRESS, layout.CACHE,
    "/tmp", "/var/tmp", "/proc", "/sys", "/dev",  # noqa: S108
)  # fmt: skip
"""Places that are not part of the image."""
_SYSTEM = ("/usr", "/etc", "/bin", "/sbin", "/lib", "/lib64", "/var/lib", "/var/cache")


def notes(texts: Iterable[bytes]) -> list[str]:
    """Return a line about each place that could not be written to, from texts and screens (untrusted)."""
    texts, found = list(texts), dict[str, None]()
    for place in (_place(path) for text in texts for path in _paths(text)):
        found |= {place: None} if place else {}
        if len(found) == _MOST:
            break
    lines = [f"{place} is read-only in the container: {_advice(place)}" for place in found]
    conda = {match[1].decode() for text in texts if (match := _CONDA.search(text))}
    lines += [
        f"conda's {place} is read-only in the container: realm.setup 'conda create …' makes another "
        "environment, once, or realm.image names an image with all that it needs"
        for place in sorted(conda)[:1]
    ]
    return lines


def _paths(text: bytes) -> Iterator[str]:
    end = 0
    for _ in range(_SIGNS):
        at = text.find(_SIGN, end)
        if at < 0:
            return
        before = _BEFORE.match(text[max(end, at - _NEAR) : max(at - 1, 0)][::-1])
        end = at + len(_SIGN)
        if before:
            yield before[1][::-1].decode()
        elif behind := _BEHIND.match(text, end):
            end = behind.end()
            yield behind[1].decode()


def _place(path: str) -> str | None:
    """Return the advice about a path that could not be written to; ``None`` if it is not the image's."""
    known = layout.normal(path)
    if any(f"{known}/".startswith(f"{top}/") for top in _OTHERS):
        return None
    parts = known.split("/")
    above = "/".join(parts[: max(3, len(parts) - 1)])
    return next((top for top in _SYSTEM if f"{known}/".startswith(f"{top}/")), above)


def _advice(place: str) -> str:
    if place in _SYSTEM:
        return "realm.packages installs what Debian has, realm.image names an image that has more"
    if caches.can_be(place):
        return (
            f"git config --add realm.cachePath {place} has a copy there that can be written to, and is kept"
        )
    return f"realm.dockerArgs '--tmpfs {place}:exec' has an empty directory in memory there"
