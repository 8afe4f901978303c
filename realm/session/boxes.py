"""Making the box of a run."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from realm.box.container import Box
from realm.paths import scratch
from realm.session import launch as launching
from realm.store import repo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from realm.box.engine import Engine
    from realm.session.launch import Launch


def create(engine: Engine, launch: Launch, image: str) -> Box:
    """Make the box of a run, ready to be started."""
    spec = launching.spec(launch, image, ["run", *launching.argv(launch)])
    with packs(launch, launch.run.before) as history:
        return Box.create(engine, spec, launching.files(launch, history), args=launch.args, attended=True)


@contextmanager
def packs(launch: Launch, *tips: str) -> Iterator[list[Path]]:
    """Give the history of ``tips`` as files, for a box without the object store; else nothing."""
    if not launch.history:
        yield []
        return
    directory = scratch("history")
    try:
        yield repo.history_pack(launch.project, tips, directory)
    finally:
        import shutil

        shutil.rmtree(directory, ignore_errors=True)
