"""Work that is still in a box: finding it and bringing it home.

A box stays until its last state is in git.  Whatever ended the run (the power,
``kill -9``, the engine) the next command that touches the session comes here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.errors import RejectedError
from realm.sandbox.salvage import salvage
from realm.session import finish, recordings
from realm.session import launch as launching
from realm.terminal.relay.tty import FALLBACK

if TYPE_CHECKING:
    from realm.sandbox.box import Box
    from realm.sandbox.engine import Engine
    from realm.session.begin import Started
    from realm.session.finish import Outcome
    from realm.session.launch import Launch
    from realm.session.stills import Shown


def save(
    engine: Engine,
    started: Started,
    launch: Launch,
    box: Box,
    code: int,
    shown: Shown | None = None,
) -> Outcome:
    """Take in the work of a stopped box, also of one that was killed before it could report.

    Without what the terminal has ``shown`` it is made of what a killed holder
    recorded.
    """
    if shown is None and box.tty:
        shown = _recorded(started, launch)
    included = [item.path for item in launch.include]
    try:
        if not box.reported():
            salvage(engine, box, launching.spec(launch, box.image, ["snapshot"]))
        return finish.take_in(started, box, code, shown, included)
    except RejectedError as error:
        name, workspace = started.session.name, started.session.workspace
        error.hint = error.hint or (
            f"the box is kept: docker cp {box.id[:12]}:{workspace} DIRECTORY gets the files, "
            f"realm remove {name} gives them up"
        )
        raise


def _recorded(started: Started, launch: Launch) -> Shown:
    name, number = started.session.name, started.run.number
    place = recordings.place(started.session.id, number)
    return recordings.shown(place, FALLBACK, launch.config, title=f"{name}, run {number}")
