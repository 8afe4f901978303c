"""Images that are made on top of another one, ``realm:<what>-<digest>``: they go when nobody uses them.

A file ``REALM_HOME/images/<what>-<digest>`` has the time at which a sandbox was last made of one.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from realm.errors import EngineError
from realm.paths import make_private, realm_home

if TYPE_CHECKING:
    from realm.sandbox.docker import Engine

_NAME = "realm:"
_KINDS = ("with", "on")
"""What there is; each has a label ``realm.<what>``."""
_LIFETIME = 30 * 24 * 3600.0
"""Seconds after which one goes that no sandbox was made of."""


def note_use(tag: str) -> None:
    """Note that a sandbox is about to be made of the image ``tag``."""
    path = realm_home() / "images" / tag.removeprefix(_NAME)
    with suppress(OSError):
        make_private(path.parent)
        path.touch(mode=0o600)
        os.utime(path)


def remove_others(engine: Engine, label: str, tag: str) -> None:
    """Remove what has the same label as the image ``tag`` and is older; what a sandbox uses stays."""
    kind = tag.partition("-")[0]
    with suppress(EngineError):
        for image in engine.images(label):
            for other in image.tags:
                if other != tag and other.startswith(f"{kind}-"):
                    with suppress(EngineError):
                        engine.remove_image(other)


def prune(engine: Engine) -> None:
    """Remove the images that no sandbox was made of for long; what one uses stays.

    One that is not noted, as before there were notes, counts as used now.
    """
    for kind in _KINDS:
        for tag in (tag for image in engine.images(f"realm.{kind}") for tag in image.tags):
            name = tag.removeprefix(_NAME)
            if name.startswith(f"{kind}-") and not (realm_home() / "images" / name).exists():
                note_use(tag)
    with suppress(OSError):
        for note in (realm_home() / "images").iterdir():
            if note.stat().st_mtime < time.time() - _LIFETIME:
                try:
                    engine.remove_image(f"{_NAME}{note.name}")
                except EngineError as error:
                    if error.kind != "not found":
                        continue
                note.unlink()
