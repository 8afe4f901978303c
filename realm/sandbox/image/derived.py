"""Images built on top of others, which are removed when no longer used.

They are called ``realm:<what>-<digest>`` and, with the features of a ``devcontainer.json``,
``realm-features:<digest>``.  The time of the file ``REALM_HOME/images/<what>-<digest>`` is that of the last
sandbox created from one.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from realm.errors import EngineError
from realm.paths import make_private, realm_home

if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from pathlib import Path

    from realm.sandbox.docker import Engine

_NAME = "realm:"
FEATURES = "realm-features:"
_FEATURES = "features-"
_KINDS = ("with", "on")
"""The values of ``<what>``; each has a label ``realm.<what>``."""
_LIFETIME = 30 * 24 * 3600.0
"""Seconds after which an unused one is removed."""


def note_use(tag: str) -> None:
    """Note that a sandbox is about to be created from the image ``tag``."""
    path = _note(tag)
    with suppress(OSError):
        make_private(path.parent)
        path.touch(mode=0o600)
        os.utime(path)


def _note(tag: str) -> Path:
    name = tag.removeprefix(_NAME)
    if tag.startswith(FEATURES):
        name = _FEATURES + tag.removeprefix(FEATURES)
    return realm_home() / "images" / name


def remove_others(engine: Engine, label: str, tag: str) -> None:
    """Remove older images with the same label as the image ``tag``, except those that a sandbox uses."""
    kind = tag.partition("-")[0]
    with suppress(EngineError):
        for image in engine.images(label):
            for other in image.tags:
                if other != tag and other.startswith(f"{kind}-"):
                    with suppress(EngineError):
                        engine.remove_image(other)


def prune(engine: Engine, named: Callable[[], Container[str]] = tuple) -> None:
    """Remove images unused for long, except those that a sandbox uses or that are ``named``.

    An image without a note, from an earlier version, counts as used now.
    """
    found = [(f"{_NAME}{kind}-", engine.images(f"realm.{kind}")) for kind in _KINDS]
    found.append((FEATURES, engine.images(f"{FEATURES}*", "reference")))
    tags = [tag for begin, images in found for one in images for tag in one.tags if tag.startswith(begin)]
    kept = named() if tags else ()  # only then, as it reads every session's record
    for tag in tags:
        if tag in kept or not _note(tag).exists():
            note_use(tag)
    with suppress(OSError):
        for note in (realm_home() / "images").iterdir():
            if note.stat().st_mtime < time.time() - _LIFETIME:
                try:
                    engine.remove_image(_tag(note.name))
                except EngineError as error:
                    if error.kind != "not found":
                        continue
                note.unlink()


def _tag(note: str) -> str:
    is_features = note.startswith(_FEATURES)
    return FEATURES + note.removeprefix(_FEATURES) if is_features else f"{_NAME}{note}"
