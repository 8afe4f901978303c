"""Files that are put into a container before it starts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from realm.paths import data_dir
from realm.sandbox import archive
from realm.sandbox.archive import BoxFile
from realm.sandbox.policy import STATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realm.sandbox.docker import Engine


def entry_script() -> BoxFile:
    """Return what every container of realm's runs, for an image that does not bring it."""
    return BoxFile(f"{STATE}/entry", data_dir("container") / "entry", 0o555, owner="root")


def put(engine: Engine, container: str, path: str, entries: Sequence[archive.Entry]) -> None:
    """Unpack ``entries`` into directory ``path`` of a container."""
    engine.put(container, path, archive.write(entries, int(time.time())))
