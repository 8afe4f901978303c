"""The box's image: built from what realm ships, rebuilt when that has changed.

``realm:latest`` carries a label, ``realm.fingerprint``, which is a digest of
everything that it was made of but the version of Claude Code, and one with
that.  The context (``~/.realm``) has the settings written into its Dockerfile,
so that a plain ``docker build`` of it gives the same image.  The version counts
only where a setting fixes it: otherwise the one that was built stays.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from realm.config import Config
from realm.errors import ImageError
from realm.paths import data_dir, make_private, realm_home
from realm.text import clean

if TYPE_CHECKING:
    from realm.sandbox.docker import Engine, Image

REFERENCE = "realm:latest"
FINGERPRINT = "realm.fingerprint"
VERSION = "realm.claude-version"
WORKSPACE_LABEL = "realm.workspace"
"""``open`` on an image whose ``/workspace`` anybody may write to."""
DEFAULT_BASE = "debian:bookworm-slim"
_REFERENCE = re.compile(r"[A-Za-z0-9][\w.:/@-]*", re.ASCII)
_CA_VARIABLES = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE")
_IGNORE = "*\n!Dockerfile\n!entry\n!hooks\n!hooks/claude\n!ca.crt\n"

Progress = Callable[[str], AbstractContextManager[object]]


@dataclass(frozen=True)
class Inputs:
    """What an image is made of, besides what realm ships.

    ``claude_version`` empty is the latest there is.  ``ca_file`` has extra
    certificate authorities (PEM).  ``uid`` and ``gid`` get a name in the image.
    """

    base: str = DEFAULT_BASE
    claude_version: str = ""
    ca_file: Path | None = None
    uid: int = field(default_factory=lambda: os.getuid() or 1000)
    gid: int = field(default_factory=lambda: os.getgid() if os.getuid() else 1000)

    @classmethod
    def of(cls, config: Config) -> Inputs:
        """Return what the settings say."""
        return cls(config.get("baseImage") or DEFAULT_BASE, config.get("claudeVersion"), ca_file(config))


def ca_file(config: Config | None = None) -> Path | None:
    """Return the file of extra authorities: the setting's, else one that the environment names."""
    chosen = config.get("caFile") if config else ""
    names = [chosen] if chosen else [os.environ.get(name, "") for name in _CA_VARIABLES]
    return next((Path(name).expanduser() for name in names if name), None)


def _authorities(inputs: Inputs) -> bytes:
    if inputs.ca_file is None:
        return b""
    try:
        return inputs.ca_file.read_bytes()
    except OSError as error:
        message = f"the certificate authorities in {inputs.ca_file} cannot be read: {error.strerror}"
        raise ImageError(message, "git config --global realm.caFile FILE") from error


def _hooks() -> dict[str, bytes]:
    directory = data_dir("hooks") / "claude"
    return {
        f"hooks/claude/{path.name}": path.read_bytes()
        for path in sorted(directory.iterdir())
        if path.is_file()
    }


def _entry() -> bytes:
    return (data_dir("container") / "entry").read_bytes()


def entry_digest() -> str:
    """Return the digest of the entry script that realm ships."""
    return hashlib.sha256(_entry()).hexdigest()


def fingerprint(inputs: Inputs) -> str:
    """Return the digest of everything that the image is made of but Claude Code's version."""
    digest = hashlib.sha256()
    parts = {
        "Dockerfile": (data_dir("container") / "Dockerfile").read_bytes(),
        "ca.crt": _authorities(inputs),
        "entry": _entry(),
    }
    settings = f"{inputs.base}\n{inputs.uid}:{inputs.gid}".encode()
    for name, content in {**parts, **_hooks(), "settings": settings}.items():
        digest.update(b"%d %b %d\n" % (len(name), name.encode(), len(content)))
        digest.update(content)
    return digest.hexdigest()


def _rendered(inputs: Inputs) -> bytes:
    """Return the Dockerfile with the settings as its arguments' defaults."""
    text = (data_dir("container") / "Dockerfile").read_text()
    values = {
        "BASE": inputs.base,
        "CLAUDE_CODE_VERSION": inputs.claude_version or "latest",
        "USER_UID": str(inputs.uid),
        "USER_GID": str(inputs.gid),
        "REALM_FINGERPRINT": fingerprint(inputs),
        "REALM_ENTRY": entry_digest(),
    }
    for name, value in values.items():
        if not re.fullmatch(r"[\w.:/@+-]+", value, re.ASCII):
            raise ImageError(f"{value!r} cannot be the image's {name}", "realm config shows the settings")
        text = re.sub(rf"^ARG {name}=.*$", f"ARG {name}={value}", text, flags=re.MULTILINE)
    return text.encode()


def context(inputs: Inputs) -> dict[str, bytes]:
    """Return the build's context: relative paths and contents."""
    return {
        "Dockerfile": _rendered(inputs),
        ".dockerignore": _IGNORE.encode(),
        "ca.crt": _authorities(inputs),
        "entry": _entry(),
        **_hooks(),
    }


def context_dir(inputs: Inputs | None = None) -> Path:
    """Write the context into realm's directory, for ``docker build`` by hand, and return that."""
    home = make_private(realm_home())
    for name, content in context(inputs or Inputs.of(Config(None))).items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
    return home


# -- what is there -------------------------------------------------------------


class Status(NamedTuple):
    """An image as it is on the engine; ``stale`` when its inputs changed since it was built."""

    reference: str
    missing: bool = False
    stale: bool = False
    detail: str = ""


def inspect(engine: Engine, reference: str) -> Image | None:
    """Return what the engine says of an image, ``None`` when it has none of that name."""
    if not _REFERENCE.fullmatch(reference):
        raise ImageError(f"'{clean(reference)}' is no name of an image", "docker image ls")
    return engine.image(reference)


def _label(engine: Engine, image: str, name: str) -> str:
    if image not in engine.image_labels:
        found = inspect(engine, image)
        engine.image_labels[image] = found.labels if found else {}
    return str(engine.image_labels[image].get(name, ""))


def opens_workspace(engine: Engine, image: str) -> bool:
    """Return whether the box's user can make its work tree itself in a volume that comes from ``image``."""
    return _label(engine, image, WORKSPACE_LABEL) == "open"


def _is_stale(found: Image, inputs: Inputs) -> bool:
    if inputs.claude_version not in {"", found.labels.get(VERSION)}:
        return True
    return found.labels.get(FINGERPRINT) != fingerprint(inputs)


def status(engine: Engine, image: str | None = None, config: Config | None = None) -> Status:
    """Return how the user's image ``image``, or realm's own, stands."""
    reference = image or REFERENCE
    found = inspect(engine, reference)
    if found is None:
        return Status(reference, missing=True)
    stale = image is None and _is_stale(found, Inputs.of(config or Config(Path.cwd())))
    return Status(
        reference,
        stale=stale,
        detail=f"{found.size / 1e6:.0f} MB, {found.created}",
    )


def ensure(
    engine: Engine,
    image: str | None,
    progress: Progress,
    config: Config | None = None,
    *,
    part: str | None = None,
) -> str:
    """Return the id of the user's image ``image``, or of realm's own, which is built when it must be.

    ``part`` names what an agent needs in it; one of the user's that lacks it gets it
    from realm's own (:mod:`realm.sandbox.ontop`).  Raises ``ImageError`` when the user's is
    missing or a build failed.
    """
    if image is None:
        return _own(engine, progress, config)
    found = inspect(engine, image)
    if found is None:
        raise ImageError(f"there is no image {image} on the engine", f"docker pull {image}")
    if part is None or found.labels.get(f"realm.{part}-version"):
        return found.id
    from realm.sandbox import ontop

    own = _own(engine, progress, config)
    inputs = Inputs.of(config or Config(Path.cwd()))
    return ontop.ensure(engine, image, found.id, own, inputs, progress)


def _own(engine: Engine, progress: Progress, config: Config | None) -> str:
    inputs = Inputs.of(config or Config(Path.cwd()))
    found = inspect(engine, REFERENCE)
    if found is not None and not _is_stale(found, inputs):
        return found.id
    from realm.sandbox.building import Steps, build_image

    why = "building" if found is None else "rebuilding (its inputs changed)"
    with progress(f"{why} {REFERENCE}: the first time takes some minutes"), Steps(progress) as steps:
        return build_image(engine, inputs, "", steps.show, no_cache=False)
