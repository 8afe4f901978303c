"""What a background holder has to say, which nobody would see: kept for the next command about the session.

It is in the run's directory (``untold``, a JSON array of sentences).
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from realm.paths import replace
from realm.session.lock import run_directory
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from realm.model import Project
    from realm.session.requests import UI


def _path(session_id: str) -> Path:
    return run_directory(session_id) / "untold"


def keep(session_id: str, words: Sequence[str]) -> None:
    """Keep sentences; a full disk is no reason to fail."""
    with contextlib.suppress(OSError):
        if words:
            replace(_path(session_id), json.dumps(list(words)).encode())


def tell(session_id: str, ui: UI) -> None:
    """Report what is kept, once."""
    with contextlib.suppress(OSError, ValueError):
        for text in json.loads(_path(session_id).read_bytes()):
            ui.warn(clean(str(text)))
    drop(session_id)


def tell_of(project: Project, name: str, session_id: str, ui: UI) -> None:
    """Report what is kept, once, if it is of this session and not of another one with its id."""
    if _path(session_id).exists():
        from realm.session import claim  # for few

        if claim.is_own(project, name, session_id):
            tell(session_id, ui)


def drop(session_id: str) -> None:
    """Drop what is kept, as it is reported another way."""
    _path(session_id).unlink(missing_ok=True)
