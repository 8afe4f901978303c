"""An image with the features of a ``devcontainer.json``, by ``@devcontainers/cli`` where that is installed.

A feature (https://containers.dev/implementors/features) is a script that is run as root while an image is
built, by the engine and with its network.  The program is not shown the project, whose file may ask for
more: it gets a directory with the image, the features, and the scripts of those that the project has itself.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from realm.sandbox.image.derived import FEATURES
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from realm.session.requests import UI

_PROGRAM = "devcontainer"
FILE = ".devcontainer/devcontainer.json"
_OWN = "./"
"""The beginning of the name of a feature in the project, relative to the file."""
_NAME = re.compile(r"(\./)?\w[\w.-]*([/:@]\w[\w.-]*)*", re.ASCII)
"""A feature's name that cannot lead to another directory or be an option."""
_LONGEST = 1000
"""The longest request, in characters: all of it is shown."""
_MOST, _LARGEST = 200, 1024**2
"""Files of a project's own features, and bytes of each."""


class Features(NamedTuple):
    """What is built on ``image``: ``asked`` is JSON, ``files`` are what the program gets, by their paths."""

    image: str
    asked: str
    files: Mapping[str, bytes]

    @property
    def tag(self) -> str:
        """The image's name, which depends on the content."""
        parts = [(path, hashlib.sha256(data).hexdigest()) for path, data in sorted(self.files.items())]
        return f"{FEATURES}{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]}"

    @property
    def notice(self) -> str:
        """A note for the user, shown before the build."""
        return (
            f"{self.tag} is built on {self.image} by {_PROGRAM}, with features, whose scripts run as root "
            f"then, by the engine and with its network: {self.asked}"
        )


def read(root: Path, image: str, features: object) -> Features | None:
    """Return what would be built for the project at ``root``, on top of ``image``.

    ``None`` if there is no image, no features or no program, and for features that cannot be shown in full,
    that name environment variables, or are not proper directories of the project.
    """
    if not image or not features or not isinstance(features, dict) or shutil.which(_PROGRAM) is None:
        return None
    asked = json.dumps(features)
    shown = image + asked
    if "${" in shown or not all(map(_NAME.fullmatch, features)) or clean(shown, limit=_LONGEST) != shown:
        return None
    own: dict[str, bytes] = {}
    try:
        for name in features:
            if name.startswith(_OWN):
                own |= _own(root.resolve(), name)
    except (OSError, ValueError):
        return None
    return Features(image, asked, {**own, FILE: json.dumps({"image": image, "features": features}).encode()})


def _own(root: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each file of a feature; ``ValueError`` for one that is no such."""
    top = root / Path(FILE).parent / name
    if top.resolve() != top or not top.is_dir():
        raise ValueError(name)
    for count, place in enumerate(found for found in sorted(top.rglob("*")) if not found.is_dir()):
        if place.is_symlink() or not place.is_file() or count == _MOST or place.stat().st_size > _LARGEST:
            raise ValueError(name)
        yield str(place.relative_to(root)), place.read_bytes()


def build(features: Features, ui: UI) -> None:
    """Build the image; :class:`ImageError` with the end of the output when that fails."""
    from realm.sandbox import docker
    from realm.sandbox.image.build import Steps, follow, with_command

    with (
        tempfile.TemporaryDirectory(prefix="realm-") as place,
        closing(docker.connect()) as engine,
        ui.progress(f"building {features.tag}"),
        Steps(ui.progress, features.tag) as steps,
    ):
        for path, data in features.files.items():
            file = Path(place, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        command = [_PROGRAM, "build", "--workspace-folder", place, "--image-name", features.tag]
        hint = "nothing was set; if you set realm.image yourself, realm init builds nothing"
        follow(engine, features.tag, with_command(command, hint), steps.show)
