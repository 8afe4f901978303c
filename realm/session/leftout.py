"""Contents of files that an intake left out, in the run's directory under names that nothing obeys."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import quote

from realm.paths import make_private, replace
from realm.session.lock import run_directory
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realm.session.run import Plan

_LONGEST = 150
"""The longest name that is kept whole; file systems allow 255 bytes."""


def keep(plan: Plan, left: Mapping[bytes, bytes], below: str = "") -> list[str]:
    """Write the contents of files by their paths ``below`` a repository in the workspace; return a note.

    A name has the run's number and the path, with ``%`` and two hex digits in place of odd characters.
    """
    if not left:
        return []
    place = run_directory(plan.session.id) / "left-out"
    try:
        make_private(place)
        for path, content in left.items():
            full = f"{below}/".encode("utf-8", "surrogateescape") + path if below else path
            name = quote(full, safe="")
            if len(name) > _LONGEST:
                name = f"{name[:_LONGEST]}-{hashlib.sha256(full).hexdigest()[:12]}"
            replace(place / f"{plan.run.number:04d}-{name}", content)
    except OSError as error:
        return [f"what was left out could not be kept in {clean(str(place))}: {error.strerror}"]
    return [f"files and links that were left out are in {clean(str(place))}"]
