"""Creating containers: a run's sandbox with volumes and files, or one on a dead sandbox's volumes."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from realm.errors import EngineError
from realm.sandbox import docker_inside, flags, image, layout, spec, transfer, workspace
from realm.sandbox.egress import ticket
from realm.sandbox.flags import DockerArgs
from realm.sandbox.image import recipe
from realm.sandbox.sandbox import Sandbox
from realm.sandbox.spec import SandboxSpec
from realm.sandbox.transfer import SandboxFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from realm.sandbox.docker import Engine
    from realm.sandbox.spec import Volumes
    from realm.sandbox.workspace import Checkout

_MANY = 100
"""Number of files from which the sandbox unpacks them itself: the engine takes 0.5 ms for each."""


def create(
    engine: Engine, wanted: SandboxSpec, given: Sequence[SandboxFile] = (), checkout: Checkout | None = None
) -> Sandbox:
    """Create a sandbox with the files ``given`` in it, ready to be attached and started.

    With a ``checkout`` its workspace may use a base volume.  Raises ``EngineError`` when the engine refuses,
    and then leaves nothing.
    """
    inside = _with_environment(wanted, given)
    name = container_name(wanted)
    with workspace.unsettled(engine, wanted.owner, workspace.possible(name)):
        owned = workspace.make(engine, wanted, name, checkout)
        try:
            return _create(engine, wanted, name, owned, inside)
        except EngineError as error:
            if not owned.base or wanted.volumes == "overlay":
                raise
            # Only now does an engine report that it cannot mount an overlay.
            workspace.note_failure(engine, error)
            return _create(engine, wanted, name, workspace.make(engine, wanted, name, None), inside)


def container_name(wanted: SandboxSpec) -> str:
    """Return a free name for a container, which says what it belongs to."""
    session = wanted.owner.session
    kept = "".join(char if char.isascii() and (char.isalnum() or char in "_.-") else "-" for char in session)
    return f"realm-{kept[:40]}-{wanted.owner.run}-{os.urandom(4).hex()}"


def _with_environment(wanted: SandboxSpec, given: Iterable[SandboxFile]) -> list[SandboxFile]:
    """Return the files with the entry script, and with the values of ``-e`` beside the agent's login.

    Placeholders of a login that stays outside, and variables for the sidecar, take precedence.
    """
    found = [transfer.entry_script(), SandboxFile(f"{layout.GIT}/unready", b"yes\n", 0o600)]
    chosen = flags.environment(wanted.args)
    found += docker_inside.files() if wanted.mapper_image else []
    secret = spec.secrets(ticket.besides(wanted.environment, chosen) if wanted.egress else chosen)
    for file in given:
        if file.path == layout.ENVIRONMENT and isinstance(file.data, bytes):
            secret += file.data
        else:
            found.append(file)
    if secret:
        found.append(SandboxFile(layout.ENVIRONMENT, secret, 0o600))
    return found


def _create(
    engine: Engine, wanted: SandboxSpec, name: str, owned: Volumes, inside: list[SandboxFile]
) -> Sandbox:
    # By the name a container is removed even if its id never arrived.
    made = Sandbox(engine, name, wanted.owner, owned.all, tty=wanted.tty, mapper_image=wanted.mapper_image)
    try:
        options = spec.create_options(wanted, owned, workspace.labels(wanted.owner, name, owned.all))
        made.id = engine.create(options, name)
        _put_all(made, wanted, owned, inside)
    except BaseException:
        with contextlib.suppress(EngineError):
            made.remove()
        raise
    return made


def _put_all(made: Sandbox, wanted: SandboxSpec, owned: Volumes, inside: list[SandboxFile]) -> None:
    """Put the files into the new container, and make its mounted directories accessible to its user."""
    engine, user = made.engine, wanted.user
    mounted = list(layout.parents(wanted.args.targets))
    state = transfer.entries(layout.STATE, inside, [*layout.DIRECTORIES, *mounted], user)
    below = [
        path for path in (*mounted, *(file.path for file in inside)) if path.startswith(f"{layout.WORK}/")
    ]
    own = {file.path for file in inside if file.path.startswith(f"{wanted.workspace}/")}
    if len(own) > _MANY and _has_tar(engine, made.id):
        given = transfer.entries(wanted.workspace, inside, (), user)
        state.append(transfer.packed(layout.GIVEN.removeprefix(f"{layout.STATE}/"), user, given))
        inside = [file for file in inside if file.path not in own]
    transfer.put(engine, made.id, layout.STATE, state)
    work = transfer.entries(layout.WORK, inside, [wanted.workspace, *mounted], user)
    if below or not (owned.open or image.opens_workspace(engine, wanted.image)):
        transfer.put(engine, made.id, layout.WORK, work)


def _has_tar(engine: Engine, container: str) -> bool:
    for path in ("/bin/tar", "/usr/bin/tar"):
        with contextlib.suppress(EngineError), engine.get(container, path):
            return True
    return False


# -- on what a dead one left -------------------------------------------------------


class UnsavedError(EngineError):
    """The second container ran, but could not take the snapshot."""


def snapshot(
    engine: Engine, dead: Sandbox, wanted: SandboxSpec, inside: Sequence[SandboxFile], seconds: float = 1800
) -> None:
    """Take the last snapshot of a dead sandbox, by a second container on its volumes, within ``seconds``.

    ``inside`` are the files that lay out its repositories, unchanged or anew.  ``dead.collect`` works
    afterwards. Raises ``EngineError`` on failure, :class:`UnsavedError` if the snapshot itself failed: the
    sandbox must then not be removed.
    """
    if not dead.volumes:
        raise EngineError("nothing is left of the container to save")
    uid, gid = wanted.user
    wanted = wanted._replace(
        command=("snapshot",), network="none", tty=False, stdin=False, args=DockerArgs(), mapper_image="",
        uid=uid, gid=gid, owner=dead.owner._replace(role="salvage"),
    )  # fmt: skip
    dead.forget()
    second = _create_again(engine, wanted, dead)
    try:
        inside = [transfer.entry_script(), *inside]
        state = transfer.entries(layout.STATE, inside, layout.DIRECTORIES, wanted.user)
        transfer.put(engine, second.id, layout.STATE, state)
        second.start()
        second.wait_at_most(seconds)
        second.hand_over(dead)
    finally:
        second.remove()
    if not dead.reported():
        raise UnsavedError(dead.complaint(), "the container was kept; free disk space or memory and retry")


@contextlib.contextmanager
def readable(engine: Engine, dead: Sandbox) -> Iterator[Sandbox]:
    """Yield a container from which a sandbox's files can be read: its own, or one on the remaining volumes.

    Nothing runs in the latter.  Raises ``EngineError`` when nothing is left of the sandbox.
    """
    if dead.state() != "gone":
        yield dead
        return
    if not dead.volumes:
        raise EngineError("nothing is left of the container to save")
    owner = dead.owner._replace(role="salvage")
    wanted = SandboxSpec(recipe.REFERENCE, ("snapshot",), 0, 0, layout.WORK, owner, network="none")
    second = _create_again(engine, wanted, dead)
    try:
        yield second
    finally:
        second.remove()


def _create_again(engine: Engine, wanted: SandboxSpec, dead: Sandbox) -> Sandbox:
    """Return a new container on a dead one's volumes, with realm's own image if the old one is gone.

    A missing volume is created again and belongs to the new container.
    """
    owned = workspace.of(dead.volumes)
    name = container_name(wanted)
    anew = tuple(volume for volume in owned.all if volume not in dead.volumes)
    labels = workspace.labels(wanted.owner, name, anew)
    for reference in dict.fromkeys((wanted.image, recipe.REFERENCE)):
        options = spec.create_options(wanted._replace(image=reference), owned, labels)
        try:
            return Sandbox(engine, engine.create(options, name), wanted.owner, anew)
        except EngineError as error:
            if error.kind != "not found":
                raise
            missing = error
    raise EngineError(f"no image to save the container's work with: {missing.message}", "realm build")
