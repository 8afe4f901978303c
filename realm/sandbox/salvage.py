"""The work of a box that died before it could report, taken by a second container on its volumes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from realm.errors import EngineError
from realm.sandbox import archive, files, image, policy
from realm.sandbox.box import Box
from realm.sandbox.policy import STATE, WORK, BoxSpec, Volumes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realm.sandbox.docker import Engine


def salvage(engine: Engine, box: Box, spec: BoxSpec) -> None:
    """Take the end-of-run snapshot of a dead box.

    ``spec`` says where the object stores are now; the box's own container may be
    gone, or unreadable because they were elsewhere.  ``box.collect`` works afterwards.
    ``EngineError`` when the snapshot failed: the box must not be removed then.
    """
    if not box.volumes:
        raise EngineError("nothing is left of the box to salvage")
    work, state, *others = box.volumes
    owned = Volumes(state, work, tuple(others))
    spec = spec._replace(command=("snapshot",), network="none", tty=False, stdin=False,
        labels={**box.labels, "realm.role": "salvage"},
    )  # fmt: skip
    box.forget()
    second = Box(engine, _create_again(engine, spec, owned), dict(box.labels), ())
    try:
        entry = archive.entries(STATE, [files.entry_script()], policy.DIRECTORIES, spec.uid, spec.gid)
        files.put(engine, second.id, STATE, entry)
        second.start()
        second.wait()
        second.hand_over(box)
    finally:
        second.remove()
    if not box.reported():
        raise EngineError(box.complaint(), "the container was kept; free disk space or memory and retry")


@contextlib.contextmanager
def readable(engine: Engine, box: Box) -> Iterator[Box]:
    """Give a container to read the files of a box from: its own, or one on the volumes that are left.

    Nothing runs in that one.  Raises ``EngineError`` when nothing is left of the box.
    """
    if box.state() != "gone":
        yield box
        return
    if not box.volumes:
        raise EngineError("nothing is left of the box to salvage")
    work, state, *others = box.volumes
    spec = BoxSpec(
        image=image.REFERENCE, command=("snapshot",), uid=0, gid=0, workspace=WORK, network="none",
        labels={**box.labels, "realm.role": "salvage"},
    )  # fmt: skip
    container = _create_again(engine, spec, Volumes(state, work, tuple(others)))
    second = Box(engine, container, dict(box.labels), ())
    try:
        yield second
    finally:
        second.remove()


def _create_again(engine: Engine, spec: BoxSpec, owned: Volumes) -> str:
    """Return a new container on a dead box's volumes, of realm's own image where the box's is gone."""
    for name in dict.fromkeys((spec.image, image.REFERENCE)):
        options = policy.create_options(spec._replace(image=name), owned)
        try:
            return engine.create(options)
        except EngineError as error:
            if error.kind != "not found":
                raise
            missing = error
    raise EngineError(f"no image to save the box's work with: {missing.message}", "realm build")
