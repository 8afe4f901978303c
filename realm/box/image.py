"""The box's image: built from what realm ships, rebuilt when that has changed.

``realm:latest`` carries a label, ``realm.fingerprint``, which is a digest of
everything that it was made of but the version of Claude Code, and one with
that.  The context (``~/.realm``) has the settings written into its Dockerfile,
so that a plain ``docker build`` of it gives the same image.  The version counts
only where a setting fixes it: otherwise the one that was built stays.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from realm.box import archive
from realm.box.engine import ApiError
from realm.config import Config
from realm.errors import ImageError
from realm.paths import data_dir, make_private, realm_home
from realm.text import clean

if TYPE_CHECKING:
    from realm.box.engine import Engine

REFERENCE = "realm:latest"
FINGERPRINT = "realm.fingerprint"
VERSION = "realm.claude-version"
WORKSPACE_LABEL = "realm.workspace"
"""``open`` on an image whose ``/workspace`` anybody may write to."""
DEFAULT_BASE = "debian:bookworm-slim"
_NOT_FOUND = 404
_CA_VARIABLES = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE")
_IGNORE = "*\n!Dockerfile\n!hooks\n!hooks/claude\n!ca.crt\n"

Progress = Callable[[str], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
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


def fingerprint(inputs: Inputs) -> str:
    """Return the digest of everything that the image is made of but Claude Code's version."""
    digest = hashlib.sha256()
    parts = {
        "Dockerfile": (data_dir("container") / "Dockerfile").read_bytes(),
        "ca.crt": _authorities(inputs),
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


@dataclass(frozen=True, slots=True)
class Status:
    """An image as it is on the engine; ``stale`` when its inputs changed since it was built."""

    reference: str
    missing: bool = False
    stale: bool = False
    detail: str = ""


def _inspect(engine: Engine, reference: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = engine.call("GET", f"/images/{reference}/json")
    except ApiError as error:
        if error.status == _NOT_FOUND:
            return None
        raise
    labels = found["Config"].get("Labels") or {}
    engine.open_workspaces[found["Id"]] = labels.get(WORKSPACE_LABEL) == "open"
    return found


def opens_workspace(engine: Engine, image: str) -> bool:
    """Return whether the box's user can make its work tree itself in a volume that comes from ``image``."""
    if image not in engine.open_workspaces:
        found = _inspect(engine, image)
        engine.open_workspaces[image] = bool(found and engine.open_workspaces[found["Id"]])
    return engine.open_workspaces[image]


def _is_stale(found: dict[str, Any], inputs: Inputs) -> bool:
    labels = found["Config"].get("Labels") or {}
    if inputs.claude_version not in {"", labels.get(VERSION)}:
        return True
    return bool(labels.get(FINGERPRINT) != fingerprint(inputs))


def status(engine: Engine, image: str | None = None, config: Config | None = None) -> Status:
    """Return how the user's image ``image``, or realm's own, stands."""
    reference = image or REFERENCE
    found = _inspect(engine, reference)
    if found is None:
        return Status(reference, missing=True)
    stale = image is None and _is_stale(found, Inputs.of(config or Config(Path.cwd())))
    return Status(
        reference,
        stale=stale,
        detail=f"{found.get('Size', 0) / 1e6:.0f} MB, {str(found.get('Created'))[:10]}",
    )


def ensure(engine: Engine, image: str | None, progress: Progress, config: Config | None = None) -> str:
    """Return the id of the user's image ``image``, or of realm's own, which is built when it must be.

    Raises ``ImageError`` when the user's is missing or the build failed.
    """
    found = _inspect(engine, image or REFERENCE)
    if image is not None:
        if found is None:
            raise ImageError(f"there is no image {image} on the engine", f"docker pull {image}")
        return str(found["Id"])
    inputs = Inputs.of(config or Config(Path.cwd()))
    if found is not None and not _is_stale(found, inputs):
        return str(found["Id"])
    why = "building" if found is None else "rebuilding (its inputs changed)"
    with progress(f"{why} {REFERENCE}: the first time takes some minutes"), _Steps(progress) as steps:
        return _build(engine, inputs, "", steps.show, no_cache=False)


class _Steps:
    """Shows one step of a build after the other."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def show(self, line: str) -> None:
        if re.match(r"(#\d+ \[|Step \d)", line):
            self._stack.close()
            self._stack.enter_context(self._progress(f"building {REFERENCE}: {line}"))


# -- building ------------------------------------------------------------------


def build(
    engine: Engine,
    *,
    claude_version: str | None = None,
    base: str | None = None,
    ca_file: Path | None = None,
    no_cache: bool = False,
    progress: Callable[[str], object] = lambda _: None,
    config: Config | None = None,
) -> str:
    """Build ``realm:latest`` and return its id; the settings fill in what is not given.

    ``progress`` gets each line of the build's output, cleaned.  Raises
    ``ImageError`` with the end of the output when it fails.
    """
    settled = Inputs.of(config or Config(Path.cwd()))
    inputs = Inputs(base or settled.base, settled.claude_version, ca_file or settled.ca_file)
    return _build(engine, inputs, claude_version or "", progress, no_cache=no_cache)


def _build(
    engine: Engine, inputs: Inputs, version: str, progress: Callable[[str], object], *, no_cache: bool
) -> str:
    directory = context_dir(inputs)
    arguments = {"CLAUDE_CODE_VERSION": version} if version else {}
    lines = (
        _with_cli(directory, arguments, no_cache=no_cache)
        if has_buildx()
        else _with_engine(engine, inputs, arguments, no_cache=no_cache)
    )
    last: deque[str] = deque(maxlen=20)
    try:
        for line in lines:
            text = clean(line).rstrip()
            if text:
                last.append(text)
                progress(text)
    except ImageError as error:
        tail = "\n".join(last)
        raise ImageError(f"{error.message}\n{tail}" if tail else error.message, error.hint) from error
    found = _inspect(engine, REFERENCE)
    if found is None:
        raise ImageError(f"{REFERENCE} is not there after its build", "realm build --no-cache")
    return str(found["Id"])


def has_buildx() -> bool:
    """Return whether the docker command can build with BuildKit."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode == 0


_FAILED = "the image could not be built"
_HINT = "behind a proxy that inspects TLS: realm build --ca-file FILE"


def _with_cli(directory: Path, arguments: dict[str, str], *, no_cache: bool) -> Iterator[str]:
    command = ["docker", "buildx", "build", "--progress=plain", "--load", "--tag", REFERENCE]
    command += ["--no-cache"] if no_cache else []
    for name, value in arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    with subprocess.Popen(
        [*command, str(directory)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        for line in process.stdout or ():
            yield line.decode("utf-8", "replace")
    if process.returncode != 0:
        raise ImageError(_FAILED, _HINT)


def _with_engine(
    engine: Engine, inputs: Inputs, arguments: dict[str, str], *, no_cache: bool
) -> Iterator[str]:
    """Build with the engine's own, older builder: where there is an engine and nothing else."""
    members = [
        archive.Entry(name.encode(), 0o644, 0, 0, data, len(data)) for name, data in context(inputs).items()
    ]
    query: dict[str, str | int | bool] = {
        "t": REFERENCE,
        "nocache": no_cache,
        "rm": True,
        "forcerm": True,
        "buildargs": json.dumps(arguments),
    }
    _, pieces = engine.stream(
        "POST", "/build", query, b"".join(archive.write(members)), {"Content-Type": "application/x-tar"}
    )
    for message in _messages(pieces):
        if "error" in message:
            yield str(message["error"])
            raise ImageError(_FAILED, _HINT)
        yield from str(message.get("stream", "")).splitlines()


def _messages(pieces: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the JSON lines of the builder's answer."""
    held = b""
    for piece in pieces:
        *lines, held = (held + piece).split(b"\n")
        for line in [*lines]:
            if line.strip():
                yield json.loads(line)
    if held.strip():
        yield json.loads(held)
