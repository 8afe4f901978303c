"""An engine's errors, with advice on what to do.

Only this module knows the texts of engines' errors.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from realm.errors import EngineError
from realm.text import clean

if TYPE_CHECKING:
    from realm.errors import EngineTrouble
    from realm.sandbox.endpoint import Endpoint


def message(body: bytes) -> object:
    """Return the message in the body of a refusal."""
    try:
        return json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        return body


_PASSING = ("quota", "cannot allocate memory", "too many", "input/output error", "busy")
"""Words in errors of mounts that may succeed later."""


def _kind(status: int, text: str) -> EngineTrouble:
    text = text.lower()
    if "no space left" in text:
        return "no space"
    # A container that is being removed has no layer any more, which the engine reports as an error.
    if "not running" in text or "rwlayer" in text:
        return "not running"
    # "failed to mount local volume: mount overlay:/…/volumes/…: invalid argument" or,
    # if the engine does not support options of volumes, "invalid option".
    if "no quota support" in text:
        return "unsupported"
    no_overlay = all(word in text for word in ("mount", "overlay", "volume")) or "invalid option" in text
    if no_overlay and not any(word in text for word in _PASSING):
        return "unsupported"
    kinds: dict[int, EngineTrouble] = {401: "denied", 403: "denied", 404: "not found", 409: "conflict"}
    return kinds.get(status, "refused")


_RUNTIME = r"[Uu]nknown (?:or invalid )?runtime (?:name|specified):? ([\w.+/-]{1,100})"
_PAUSED = r"[Cc]ontainer ([0-9a-f]{12})[0-9a-f]* is paused"


def refusal(status: int, message: object) -> EngineError:
    """Return the error for a refusal, with the engine's own message."""
    text = clean(message if isinstance(message, (str, bytes)) else "", limit=1000).strip()
    if paused := re.search(_PAUSED, text):
        return EngineError("the container is paused", f"docker unpause {paused[1]}", kind=_kind(status, text))
    if runtime := re.search(_RUNTIME, text):
        return EngineError(
            f"the Docker engine has no runtime {runtime[1]}",
            "docker info --format '{{json .Runtimes}}' lists its own; realm config shows the docker flags",
            kind=_kind(status, text),
        )
    return EngineError(
        f"the Docker engine refused: {text or f'HTTP status {status}'}",
        "realm doctor shows how the engine is, realm config the settings and docker flags of the sandboxes",
        kind=_kind(status, text),
    )


def cause(error: BaseException) -> BaseException:
    """Return the system's error inside one that the SDK's libraries raised."""
    seen = error
    for _ in range(10):
        inner = [getattr(seen, "reason", None), *reversed(seen.args), seen.__cause__, seen.__context__]
        found = next((one for one in inner if isinstance(one, BaseException)), None)
        if found is None or (isinstance(seen, OSError) and seen.errno is not None):
            return seen
        seen = found
    return seen


def _start_hint(platform: str) -> str:
    if platform == "darwin":
        return "start Docker Desktop (open -a Docker), OrbStack, or Colima (colima start)"
    return "sudo systemctl start docker"


def _install_hint(platform: str) -> str:
    if platform == "darwin":
        return "install Docker Desktop, OrbStack or Colima; or point DOCKER_HOST to an engine"
    return (
        "sudo apt-get install docker.io (or your distribution's package); or point DOCKER_HOST to an engine"
    )


def _where(endpoint: Endpoint) -> str:
    place = f"the Docker engine at {endpoint.url}"
    return place if endpoint.source == "default" else f"{place} ({endpoint.source})"


def nonsense(endpoint: Endpoint) -> EngineError:
    """Return the error for an answer that cannot be understood."""
    return EngineError(
        f"{_where(endpoint)} does not answer as an engine does", "docker version", kind="unreachable"
    )


def unreachable(endpoint: Endpoint, error: BaseException, platform: str = sys.platform) -> EngineError:
    """Return the error for an ``endpoint`` that does not answer, with advice that fits the reason."""
    where = _where(endpoint)
    own = _own_engine() if endpoint.source == "default" else ""
    if isinstance(error, PermissionError):
        hint = "sudo usermod -aG docker $USER, then log in again"
        return EngineError(
            f"no permission to use {where}",
            own or (hint if platform != "darwin" else _start_hint(platform)),
            kind="denied",
        )
    if not endpoint.local:
        reason = clean(getattr(error, "strerror", None) or str(error), limit=200)
        return EngineError(
            f"cannot reach {where}: {reason}",
            "check the address, or unset DOCKER_HOST and DOCKER_CONTEXT",
            kind="unreachable",
        )
    if isinstance(error, FileNotFoundError) and endpoint.source == "default" and not own and not _installed():
        return EngineError("Docker is not installed", _install_hint(platform), kind="unreachable")
    if isinstance(error, TimeoutError):
        hint = "docker version asks it, too; restart it if that hangs as well"
        return EngineError(f"{where} does not answer", hint, kind="unreachable")
    closed = isinstance(error, (ConnectionResetError, BrokenPipeError))
    if closed or not isinstance(error, OSError) or error.errno is None:
        text = clean(str(error), limit=200) or "it closed the connection"
        return EngineError(f"{where} broke the connection: {text}", "docker version", kind="unreachable")
    hint = own or _start_hint(platform)
    if endpoint.source != "default":
        hint = f"start it, or choose another engine: check {endpoint.source} (docker context ls lists them)"
    return EngineError(f"{where} is not running", hint, kind="unreachable")


def _own_engine() -> str:
    """Return how to select this user's own rootless engine; empty if there is none."""
    path = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}", "docker.sock")
    return f"export DOCKER_HOST=unix://{path} chooses your own, rootless one" if path.is_socket() else ""


def _installed() -> bool:
    places = ("/usr/bin/dockerd", "/usr/sbin/dockerd", "/Applications/Docker.app")
    return shutil.which("docker") is not None or any(Path(place).exists() for place in places)
