"""What a run could not write to because it is part of the image, told with the setting that helps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realm.sandbox import layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST = 3
"""Places that are told of at a time."""
_PATH = rb"(/[\w.@+~-][\w./@+~-]{0,200})"
# The C library's words, node's and Go's; the path stands before or behind them, and cargo's a line above.
_FAILED = re.compile(
    _PATH
    + rb"[^/]{0,60}?[Rr]ead-only file system|[Rr]ead-only file system[:,][\w ]{0,10}[^/\w]{1,4}"
    + _PATH,
    re.ASCII,
)
_SIGN = b"ead-only file system"
_OTHERS = (
    layout.WORK, layout.STATE, layout.HISTORY, layout.BASE, layout.EGRESS, layout.CACHE,
    "/tmp", "/var/tmp", "/proc", "/sys", "/dev",  # noqa: S108
)  # fmt: skip
"""Places that are no part of the image."""
_SYSTEM = ("/usr", "/etc", "/bin", "/sbin", "/lib", "/lib64", "/var/lib", "/var/cache")


def notes(texts: Iterable[bytes]) -> list[str]:
    """Return a line on each place that could not be written to, by what was said and shown (untrusted)."""
    found = dict.fromkeys(place for text in texts if _SIGN in text for place in _places(text))
    return [f"{place} is read-only in the container: {_advice(place)}" for place in [*found][:_MOST]]


def _places(text: bytes) -> Iterator[str]:
    for match in _FAILED.finditer(text):
        path = layout.normal((match[1] or match[2]).decode())
        if not any(f"{path}/".startswith(f"{top}/") for top in _OTHERS):
            system = next((top for top in _SYSTEM if f"{path}/".startswith(f"{top}/")), None)
            parts = path.split("/")
            yield system or "/".join(parts[: max(3, len(parts) - 1)])


def _advice(place: str) -> str:
    if place in _SYSTEM:
        return "realm.packages installs what Debian has, realm.image names an image that has more"
    return f"realm.dockerArgs '--tmpfs {place}:exec' has an empty directory in memory there"
