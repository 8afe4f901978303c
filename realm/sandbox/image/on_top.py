"""Adding Claude Code to an image of the user's, by building on top of it.

The result is named after the ids of both images, so that rebuilding either creates a new one, and the
previous one is removed.  The build takes seconds and no network, as everything comes from realm's own image.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from realm.errors import ImageError
from realm.paths import shipped
from realm.sandbox.image.build import Progress, Steps, follow, inspect, with_engine
from realm.sandbox.image.derived import note_use, remove_others
from realm.sandbox.image.recipe import VERSION, Inputs
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.sandbox.docker import Engine

ON_LABEL = "realm.on"
"""The user's name of the image below."""
_DOCKERFILE = "on-top.Dockerfile"
_COMPLAINT = "realm: "


def ensure(engine: Engine, reference: str, image: str, own: str, inputs: Inputs, progress: Progress) -> str:
    """Return the id of an image with Claude Code on top of ``reference``, whose id is ``image``.

    ``own`` is the id of realm's own image.  Raises ``ImageError`` when Claude
    Code cannot run on it.
    """
    name = _name(image, own, inputs)
    note_use(name)
    found = inspect(engine, name)
    if found is not None:
        return found.id
    text = f"building {name}, Claude Code on top of {clean(reference)}"
    with progress(text), Steps(progress, name) as steps:
        built = _build(engine, name, reference, image, own, inputs, steps.show)
    remove_others(engine, f"{ON_LABEL}={reference}", name)
    return built


def _name(image: str, own: str, inputs: Inputs) -> str:
    made_of = (image, own, _dockerfile(), f"{inputs.uid}:{inputs.gid}")
    return f"realm:on-{hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:12]}"


def _dockerfile() -> str:
    return shipped("container")[_DOCKERFILE].decode()


def _build(
    engine: Engine, name: str, reference: str, image: str, own: str, inputs: Inputs,
    show: Callable[[str], object],
) -> str:  # fmt: skip
    found = inspect(engine, own)
    own_labels = found.labels if found else {}
    arguments = {
        "REALM": own,
        "BASE": image,
        "USER_UID": str(inputs.uid),
        "USER_GID": str(inputs.gid),
        "CLAUDE_CODE_VERSION": own_labels.get(VERSION, ""),
        "REALM_ON": reference,
    }
    complaints: list[str] = []

    def hear(line: str) -> None:
        if line.startswith(_COMPLAINT):
            complaints.append(line.removeprefix(_COMPLAINT))
        show(line)

    lines = with_engine(engine, {"Dockerfile": _dockerfile().encode()}, name, arguments)
    try:
        return follow(engine, name, lines, hear)
    except ImageError as error:
        shown = clean(reference)
        if complaints:
            message = f"Claude Code cannot be brought into the image {shown}: {complaints[-1]}"
            hint = "put git and a claude that runs there into the image, or build it FROM realm:latest"
            raise ImageError(message, hint) from error
        raise ImageError(
            f"Claude Code cannot be brought into the image {shown}: {error.message}",
            "build it FROM realm:latest",
        ) from error
