"""Making a box on the engine: its volumes, its container, the files in it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from realm.errors import EngineError, UsageError
from realm.sandbox import archive, files, flags, image, parcel, policy, volumes
from realm.sandbox.archive import BoxFile
from realm.sandbox.box import TOKEN_LABEL, Box
from realm.sandbox.dockerargs import DockerArgs
from realm.sandbox.policy import STATE, WORK, BoxSpec, Volumes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from realm.sandbox.docker import Engine

_MADE_THERE = (f"{STATE}/entry", f"{STATE}/git/unready")
"""Files that a box of an image with an entry script has, or makes itself."""


def create(
    engine: Engine,
    spec: BoxSpec,
    given: Sequence[BoxFile] = (),
    *,
    args: DockerArgs | None = None,
    attended: bool = False,
) -> Box:
    """Make a box with the files ``given`` in it, ready to be attached and started.

    One that is ``attended`` may get them later: by :meth:`Box.deliver`, which
    its maker promises to call when it has started.
    Raises ``EngineError`` when the engine refuses; nothing is left then.
    """
    args = args or DockerArgs()
    spec = _user(spec, args)
    inside = _with_environment(given, args)
    contents = _parcel(engine, spec, inside) if attended else None
    if contents is not None:
        token = os.urandom(8).hex()
        spec = spec._replace(token=token, waits=bool(contents), entry=parcel.ENTRY)
        spec = spec._replace(labels={**spec.labels, TOKEN_LABEL: token})
    name = volumes.box_name(spec)
    owned = volumes.make(engine, spec, name)
    try:
        return _create(engine, spec, name, owned, inside, args, contents)
    except EngineError as error:
        if not owned.base or spec.volumes == "overlay":
            raise
        # An engine that cannot mount an overlay tells only now.
        volumes.note_failure(engine, error)
        return _create(engine, spec, name, volumes.plain(name), inside, args, contents)


def _user(spec: BoxSpec, args: DockerArgs) -> BoxSpec:
    """Return the box with the user that the docker flags ask for, since files belong to it."""
    wanted = args.last("user")
    if wanted is None:
        return spec
    first, _, second = wanted.replace("root", "0").partition(":")
    if not first.isdigit() or (second and not second.isdigit()):
        raise UsageError(f"docker flag --user {wanted}: a box's user is a number", "--user UID:GID")
    return spec._replace(uid=int(first), gid=int(second or (0 if first == "0" else spec.gid)))


def _with_environment(given: Iterable[BoxFile], args: DockerArgs) -> list[BoxFile]:
    """Return the files with the entry script, and with ``-e`` values behind the other secrets."""
    path = f"{STATE}/env"
    found = [files.entry_script(), BoxFile(f"{STATE}/git/unready", b"yes\n", 0o600)]
    secret = policy.secrets(flags.environment(args))
    for file in given:
        if file.path == path:
            secret = (file.data if isinstance(file.data, bytes) else file.data.read_bytes()) + secret
        else:
            found.append(file)
    if secret:
        found.append(BoxFile(path, secret, 0o600))
    return found


def _parcel(engine: Engine, spec: BoxSpec, inside: Sequence[BoxFile]) -> bytes | None:
    """Return the files as a box takes them that waits for them; ``None`` when it could not."""
    if not spec.stdin or not image.brings_entry(engine, spec.image):
        return None
    own = [file for file in inside if file.path not in _MADE_THERE]
    return parcel.pack(own, spec.uid, spec.gid)


def _create(
    engine: Engine, spec: BoxSpec, name: str, owned: Volumes, inside: list[BoxFile], args: DockerArgs,
    contents: bytes | None,
) -> Box:  # fmt: skip
    labels = volumes.labels(spec, owned)
    spec = spec._replace(labels=labels)
    # By its name a container is removed whose id we were not told any more.
    box = Box(engine, name, labels, owned.all, contents, tty=spec.tty)
    try:
        options = policy.create_options(spec, owned, args)
        box.id = engine.create(options, name)
        if contents is None:
            _put_all(box, spec, owned, inside)
    except BaseException:
        with contextlib.suppress(EngineError):
            box.remove()
        raise
    return box


def _put_all(box: Box, spec: BoxSpec, owned: Volumes, inside: list[BoxFile]) -> None:
    """Put the files into the box that was made."""
    state = archive.entries(STATE, inside, policy.DIRECTORIES, spec.uid, spec.gid)
    files.put(box.engine, box.id, STATE, state)
    work = [file for file in inside if file.path.startswith(WORK + "/")]
    if work or not (owned.open or image.opens_workspace(box.engine, spec.image)):
        files.put(box.engine, box.id, WORK, archive.entries(WORK, work, [spec.workspace], spec.uid, spec.gid))
