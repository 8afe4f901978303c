"""The work of a sandbox that died before it could report, taken by a second container on its volumes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from realm.errors import EngineError
from realm.sandbox import creation, layout, spec, transfer, workspace
from realm.sandbox.flags import DockerArgs
from realm.sandbox.image import recipe
from realm.sandbox.sandbox import Sandbox
from realm.sandbox.spec import SandboxSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realm.sandbox.docker import Engine
    from realm.sandbox.transfer import SandboxFile


class UnsavedError(EngineError):
    """The second container has run, but could not take the snapshot."""


def salvage(engine: Engine, dead: Sandbox, wanted: SandboxSpec, inside: Sequence[SandboxFile] = ()) -> None:
    """Take the end-of-run snapshot of a dead sandbox.

    ``inside`` are the files that lay out its repositories, as they were or anew.
    ``dead.collect`` works afterwards.
    ``EngineError`` when that failed, :class:`UnsavedError` when the snapshot did: the
    sandbox must not be removed then.
    """
    if not dead.volumes:
        raise EngineError("nothing is left of the container to save")
    uid, gid = wanted.user
    wanted = wanted._replace(
        command=("snapshot",), network="none", tty=False, stdin=False, args=DockerArgs(), uid=uid, gid=gid,
        owner=dead.owner._replace(role="salvage"),
    )  # fmt: skip
    dead.forget()
    second = Sandbox(engine, _create_again(engine, wanted, dead), wanted.owner, ())
    try:
        inside = [transfer.entry_script(), *inside]
        state = transfer.entries(layout.STATE, inside, layout.DIRECTORIES, wanted.user)
        transfer.put(engine, second.id, layout.STATE, state)
        second.start()
        second.wait()
        second.hand_over(dead)
    finally:
        second.remove()
    if not dead.reported():
        raise UnsavedError(dead.complaint(), "the container was kept; free disk space or memory and retry")


@contextlib.contextmanager
def readable(engine: Engine, dead: Sandbox) -> Iterator[Sandbox]:
    """Give a container to read a sandbox's files from: its own, or one on the volumes that are left.

    Nothing runs in that one.  Raises ``EngineError`` when nothing is left of the sandbox.
    """
    if dead.state() != "gone":
        yield dead
        return
    if not dead.volumes:
        raise EngineError("nothing is left of the container to save")
    owner = dead.owner._replace(role="salvage")
    wanted = SandboxSpec(recipe.REFERENCE, ("snapshot",), 0, 0, layout.WORK, owner, network="none")
    second = Sandbox(engine, _create_again(engine, wanted, dead), owner, ())
    try:
        yield second
    finally:
        second.remove()


def _create_again(engine: Engine, wanted: SandboxSpec, dead: Sandbox) -> str:
    """Return a new container on a dead one's volumes, of realm's own image where the dead one's is gone."""
    owned = workspace.of(dead.volumes)
    name = creation.container_name(wanted)
    labels = {"": workspace.labels(wanted.owner, name, ())[""]}
    for reference in dict.fromkeys((wanted.image, recipe.REFERENCE)):
        try:
            return engine.create(spec.create_options(wanted._replace(image=reference), owned, labels), name)
        except EngineError as error:
            if error.kind != "not found":
                raise
            missing = error
    raise EngineError(f"no image to save the container's work with: {missing.message}", "realm build")
