"""Work that is still in a box: finding it and bringing it home.

A box stays until its last state is in git.  Whatever ended the run (the power,
``kill -9``, the engine) the next command that touches the session comes here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.box import container
from realm.errors import RejectedError
from realm.session import finish
from realm.session import launch as launching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from realm.box.container import Box
    from realm.box.engine import Engine
    from realm.session.finish import Outcome, Started
    from realm.session.launch import Launch


def save(
    engine: Engine,
    started: Started,
    launch: Launch,
    box: Box,
    code: int,
    files: Mapping[str, bytes] | None = None,
) -> Outcome:
    """Take in the work of a stopped box, also of one that was killed before it could report."""
    included = [item.path for item in launch.include]
    try:
        if not box.reported():
            container.salvage(engine, box, launching.spec(launch, box.image, ["snapshot"]))
        return finish.take_in(started, box, code, files, included)
    except RejectedError as error:
        name, workspace = started.session.name, started.session.workspace
        error.hint = error.hint or (
            f"the box is kept: docker cp {box.id[:12]}:{workspace} DIRECTORY gets the files, "
            f"realm remove {name} gives them up"
        )
        raise
