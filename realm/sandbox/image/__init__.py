"""The sandbox's image: the user's own, or realm's, which is rebuilt when its inputs have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from realm.errors import ImageError
from realm.sandbox.image.build import Progress, Steps, build_own, inspect
from realm.sandbox.image.derived import FEATURES
from realm.sandbox.image.recipe import FINGERPRINT, REFERENCE, VERSION, Inputs, fingerprint

if TYPE_CHECKING:
    from realm.sandbox.answers import Image
    from realm.sandbox.docker import Engine

WORKSPACE_LABEL = "realm.workspace"
"""``open`` on an image in which anybody may write to ``/workspace``."""


class Status(NamedTuple):
    """An image's state on the engine; ``stale`` when its inputs have changed since it was built."""

    reference: str
    missing: bool = False
    stale: bool = False
    detail: str = ""


def opens_workspace(engine: Engine, image: str) -> bool:
    """Return whether the sandbox's user can create its work tree in a volume made from ``image``."""
    found = seen(engine, image)
    return found is not None and found.labels.get(WORKSPACE_LABEL) == "open"


def seen(engine: Engine, image: str) -> Image | None:
    """Return an image by its id; the engine is asked only once."""
    return engine.images_seen.get(image) or inspect(engine, image)


def _is_stale(found: Image, inputs: Inputs) -> bool:
    if inputs.claude_version not in {"", found.labels.get(VERSION)}:
        return True
    return found.labels.get(FINGERPRINT) != fingerprint(inputs)


def status(engine: Engine, image: str | None = None, inputs: Inputs | None = None) -> Status:
    """Return the state of the user's image ``image``, or of realm's own with these ``inputs``."""
    reference = image or REFERENCE
    found = inspect(engine, reference)
    if found is None:
        return Status(reference, missing=True)
    stale = image is None and _is_stale(found, inputs or Inputs())
    return Status(
        reference,
        stale=stale,
        detail=f"{found.size / 1e6:.0f} MB, {found.created}",
    )


def way(image: str) -> str:
    """Return how to get an image of the user's onto an engine that lacks it."""
    if image.startswith(FEATURES):
        return "git config --unset-all realm.image, then realm init builds it again"
    return f"docker pull {image}, or build it"


def ensure(
    engine: Engine, image: str | None, inputs: Inputs, progress: Progress, *, part: str | None = None
) -> str:
    """Return the id of the user's image ``image``, or of realm's own, which is built if necessary.

    ``part`` is what an agent needs in it; a user's image without it is extended from realm's own
    (:mod:`realm.sandbox.image.on_top`).  Raises ``ImageError`` when the user's image is missing or a build
    failed.
    """
    if image is None:
        return _own(engine, inputs, progress)
    found = inspect(engine, image)
    if found is None:
        raise ImageError(f"there is no image {image} on the engine", way(image))
    if part is None or found.labels.get(f"realm.{part}-version"):
        return found.id
    from realm.sandbox.image import on_top

    return on_top.ensure(engine, image, found.id, _own(engine, inputs, progress), inputs, progress)


def _own(engine: Engine, inputs: Inputs, progress: Progress) -> str:
    found = inspect(engine, REFERENCE)
    if found is not None and not _is_stale(found, inputs):
        return found.id
    why = "building" if found is None else "rebuilding (its inputs changed)"
    with progress(f"{why} {REFERENCE}: the first time takes some minutes"), Steps(progress) as steps:
        return build_own(engine, inputs, steps.show)
