"""Building the sandbox's image: with the docker command's BuildKit, else through the Docker SDK.

The SDK supports only the engine's older builder, which is enough on a machine without the docker command.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Self

from realm.errors import EngineError, ImageError
from realm.sandbox import transfer
from realm.sandbox.image.recipe import REFERENCE, Inputs, context, context_dir
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realm.sandbox.answers import Image
    from realm.sandbox.docker import Engine


Progress = Callable[[str], AbstractContextManager[object]]
"""Shows progress during a ``with`` statement."""
_COLOURS = r"\x1b\[[\d;]*m"
_STEP = r"(?:#\d+ \[(?:\S+ +)?|Step |(?:\[\d+/\d+\] )?STEP )(\d+)/(\d+)\b(.*)"
"""A step of BuildKit, the engine's builder or Podman's: its number, and the number of steps."""
_ABOUT = {"apt-get install": "Debian packages", "npm install": "Claude Code"}
"""Descriptions of steps that take long."""
_REFERENCE = re.compile(r"[A-Za-z0-9][\w.:/@-]*", re.ASCII)


class Steps:
    """Shows one step of a build after the other."""

    def __init__(self, progress: Progress, name: str = REFERENCE) -> None:
        self._progress, self._name = progress, name
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def show(self, line: str) -> None:
        """Show a step if this line of the build's output begins one."""
        if found := re.match(_STEP, line):
            about = "".join(f", {words}" for part, words in _ABOUT.items() if part in found[3])
            self._stack.close()
            text = f"building {self._name}: step {found[1]} of {found[2]}{about}"
            self._stack.enter_context(self._progress(text))


def build_own(
    engine: Engine, inputs: Inputs, progress: Callable[[str], object] = lambda _: None, *,
    no_cache: bool = False,
) -> str:  # fmt: skip
    """Build ``realm:latest`` with BuildKit if the docker command has it, else with the engine; return its id.

    ``progress`` is called with each line of the build's output, cleaned.  Raises ``ImageError`` with the end
    of the output when the build fails.
    """
    directory = context_dir(inputs)
    command = ["docker", "buildx", "build", "--progress=plain", "--load", "--tag", REFERENCE]
    command += ["--no-cache"] if no_cache else []
    lines = (
        with_command([*command, str(directory)])
        if has_buildx() and not engine.is_podman  # Podman has no BuildKit, whatever the command says
        else with_engine(engine, context(inputs), REFERENCE, {}, no_cache=no_cache)
    )
    return follow(engine, REFERENCE, lines, progress)


def inspect(engine: Engine, reference: str) -> Image | None:
    """Return an image from the engine, ``None`` when there is none of that name."""
    if not _REFERENCE.fullmatch(reference):
        raise ImageError(f"'{clean(reference)}' is not the name of an image", "docker image ls")
    return engine.image(reference)


def follow(engine: Engine, name: str, lines: Iterator[str], progress: Callable[[str], object]) -> str:
    """Read the output ``lines`` of a build to the end; return the id of the image ``name``.

    ``progress`` is called with each line, cleaned; an ``ImageError`` has the last ones.
    """
    last: deque[str] = deque(maxlen=20)
    try:
        for line in lines:
            text = clean(re.sub(_COLOURS, "", line)).rstrip()
            if text:
                last.append(text)
                progress(text)
    except ImageError as error:
        tail = "\n".join(last)
        raise ImageError(f"{error.message}\n{tail}" if tail else error.message, error.hint) from error
    found = inspect(engine, name)
    if found is None:
        raise ImageError(f"{name} is not there after its build", "realm build --no-cache")
    return found.id


def has_buildx() -> bool:
    """Return whether the docker command can build with BuildKit."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode == 0


_FAILED = "the image could not be built"
_HINT = "behind a proxy that inspects TLS: realm build --ca-file FILE"


def with_command(command: Sequence[str], hint: str = _HINT) -> Iterator[str]:
    """Run a command that builds an image; yield its output line by line."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        for line in process.stdout or ():
            yield line.decode("utf-8", "replace")
    if process.returncode != 0:
        raise ImageError(_FAILED, hint)


def with_engine(
    engine: Engine, files: dict[str, bytes], tag: str, arguments: dict[str, str], *, no_cache: bool = False
) -> Iterator[str]:
    """Build an image of the context ``files`` with the engine's own builder; yield its output by lines."""
    members = [transfer.entry(name, (0, 0), 0o644, data) for name, data in files.items()]
    try:
        yield from engine.build(b"".join(transfer.write(members)), tag, arguments, no_cache=no_cache)
    except EngineError as error:
        raise ImageError(
            f"{_FAILED}: {error.message}" if error.kind != "refused" else _FAILED, _HINT
        ) from error
