"""Debian packages that the user wants in a project's containers, installed on top of their image.

The result is named after that image's id and the packages, so that rebuilding the image creates a new one,
and the previous one is removed.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from realm.errors import ImageError
from realm.paths import shipped
from realm.sandbox.image.build import Progress, Steps, follow, inspect, with_engine
from realm.sandbox.image.derived import note_use, remove_others
from realm.text import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realm.sandbox.docker import Engine

LABEL = "realm.with"
"""A digest of the packages and of the name of the image below."""
_DOCKERFILE = "packages.Dockerfile"
_TAG = "realm:with-"


def ensure(engine: Engine, reference: str, image: str, packages: Sequence[str], progress: Progress) -> str:
    """Return the id of an image with ``packages`` on top of ``reference``, whose id is ``image``.

    Raises ``ImageError`` with the end of the build's output when they cannot be installed.
    """
    wanted = sorted(set(packages))
    dockerfile = shipped("container")[_DOCKERFILE]
    name = _TAG + _digest([image, dockerfile.decode(), *wanted])
    note_use(name)
    found = inspect(engine, name)
    if found is not None:
        return found.id
    label = _digest([reference, *wanted])
    arguments = {"BASE": image, "PACKAGES": " ".join(wanted), "REALM_WITH": label}
    text = f"building {name} with {listed(wanted)}: once"
    with progress(text), Steps(progress, name) as steps:
        try:
            lines = with_engine(engine, {"Dockerfile": dockerfile}, name, arguments)
            built = follow(engine, name, lines, steps.show)
        except ImageError as error:
            raise ImageError(
                f"the packages of realm.packages cannot be installed: {error.message}",
                "git config --get-all realm.packages shows them, and realm.docker rootless adds to them; "
                "they are Debian's, by apt-get's names",
            ) from error
    remove_others(engine, f"{LABEL}={label}", name)
    return built


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
