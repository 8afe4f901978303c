"""The sidecar's image: named by its ingredients, and built if there is none of that name."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from realm.errors import EngineError, ImageError
from realm.paths import shipped
from realm.sandbox.image.build import Steps, follow, inspect, with_engine
from realm.sandbox.image.recipe import authorities

if TYPE_CHECKING:
    from realm.sandbox.docker import Engine
    from realm.sandbox.image.build import Progress
    from realm.sandbox.image.recipe import Inputs

LABEL = "realm.egress-fingerprint"
_FILES = ("Dockerfile", "serve", "lend", "fetch.cjs", "spent.js")


def ensure(engine: Engine, inputs: Inputs, progress: Progress) -> str:
    """Return the id of the image; raises ``ImageError`` when it could not be built."""
    context, fingerprint = _context(inputs)
    name = f"realm-egress:{fingerprint}"
    found = inspect(engine, name)
    if found is not None:
        return found.id
    arguments = {"BASE": inputs.base, "EGRESS_FINGERPRINT": fingerprint}
    text = f"building {name}, the proxies between containers and the network: once"
    with progress(text), Steps(progress, name) as steps:
        try:
            return follow(engine, name, with_engine(engine, context, name, arguments), steps.show)
        except ImageError as error:
            raise ImageError(
                f"the image of the proxies cannot be built: {error.message}",
                error.hint or "git config realm.network open runs agents without them",
            ) from error


def is_built(engine: Engine, inputs: Inputs) -> bool:
    """Tell whether the image is there."""
    return inspect(engine, f"realm-egress:{_context(inputs)[1]}") is not None


def remove_others(engine: Engine, inputs: Inputs) -> None:
    """Remove the images of earlier versions and settings that no sidecar uses."""
    _, fingerprint = _context(inputs)
    for image in engine.images(LABEL):
        if image.labels.get(LABEL) != fingerprint:
            for tag in image.tags:
                if tag.startswith("realm-egress:"):
                    with suppress(EngineError):
                        engine.remove_image(tag)


def _context(inputs: Inputs) -> tuple[dict[str, bytes], str]:
    """Return the build's files, and a digest of all its inputs."""
    carried = shipped("container/egress")
    files = {name: carried[name] for name in _FILES} | {"ca.crt": authorities(inputs)}
    digest = hashlib.sha256(inputs.base.encode())
    for name, content in files.items():
        digest.update(b"%s %d " % (name.encode(), len(content)) + content)
    return files, digest.hexdigest()[:16]
