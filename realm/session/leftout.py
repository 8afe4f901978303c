"""Contents of files that an intake left out, in the run's directory under names that nothing obeys."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import quote

from realm.paths import make_private, replace
from realm.session.lock import run_directory
from realm.store.verify import LEFT_ROOM
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realm.session.run import Plan

_LONGEST = 150
"""The longest name that is kept whole; file systems allow 255 bytes."""
_MOST = 1000
"""The most files of a run."""


def keep(plan: Plan, left: Mapping[bytes, bytes], below: str = "") -> list[str]:
    """Write the contents of files by their paths ``below`` a repository in the workspace; return a note.

    A name has the run's number and the path, with ``%`` and two hex digits in place of odd characters.  An
    agent can hand over again and again: a run has :data:`LEFT_ROOM` bytes here.
    """
    if not left:
        return []
    place = run_directory(plan.session.id) / "left-out"
    try:
        make_private(place)
        begin = f"{plan.run.number:04d}-"
        sizes = {file.name: file.stat().st_size for file in place.glob(f"{begin}*")}
        for path, content in left.items():
            full = f"{below}/".encode("utf-8", "surrogateescape") + path if below else path
            name = quote(full, safe="")
            if len(name) > _LONGEST:
                name = f"{name[:_LONGEST]}-{hashlib.sha256(full).hexdigest()[:12]}"
            sizes[begin + name] = len(content)
            if len(sizes) > _MOST or sum(sizes.values()) > LEFT_ROOM:
                return [f"not all that was left out is in {clean(str(place))}: it is too much"]
            replace(place / f"{begin}{name}", content)
    except OSError as error:
        return [f"what was left out could not be kept in {clean(str(place))}: {error.strerror}"]
    return [f"files and links that were left out are in {clean(str(place))}"]
