"""``REALM_DOCKER_ARGS`` and ``realm.dockerArgs``: docker run's own flags, understood without running a shell.

The text is split as a shell would split words and nothing more: a value with
``$(…)`` stays text.  Only the flags below are known; each means what it means
to ``docker run``.
"""

from __future__ import annotations

import shlex
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FLAGS: dict[str, str] = {
    "volume": "v",
    "mount": "",
    "env": "e",
    "env-file": "",
    "network": "",
    "add-host": "",
    "dns": "",
    "publish": "p",
    "memory": "m",
    "cpus": "",
    "pids-limit": "",
    "shm-size": "",
    "gpus": "",
    "device": "",
    "cap-add": "",
    "security-opt": "",
    "tmpfs": "",
    "ulimit": "",
    "label": "l",
    "user": "u",
    "hostname": "h",
    "privileged": "",
}
"""Every supported flag, and its short form."""

_ALIASES = {"net": "network"}
_BOOLEAN = frozenset({"privileged"})
_SHORT = {short: name for name, short in FLAGS.items() if short}
_SHOWN = "realm config shows where the docker flags come from"
_TRUE, _FALSE = frozenset({"1", "t", "true"}), frozenset({"0", "f", "false"})


class DockerArgs(NamedTuple):
    """The flags as given: name and value, in order.  Empty when there are none."""

    given: tuple[tuple[str, str], ...] = ()

    def all(self, name: str) -> list[str]:
        """Return every value of flag ``name``."""
        return [value for flag, value in self.given if flag == name]

    def last(self, name: str) -> str | None:
        """Return the value of flag ``name`` that counts, ``None`` when it was not given."""
        return next((value for flag, value in reversed(self.given) if flag == name), None)

    @property
    def privileged(self) -> bool:
        """Whether every protection of the box is off."""
        return self.last("privileged") == "true"


def parse(text: str) -> DockerArgs:
    """Return the flags in ``text``; ``UsageError`` for one that is unknown, incomplete or misquoted."""
    if not text.strip():
        return DockerArgs()
    try:
        words = iter(shlex.split(text))
    except ValueError as error:
        message = f"docker flags: {str(error).lower()} in {text!r}"
        raise UsageError(message, "quote REALM_DOCKER_ARGS as for a shell") from None
    args = DockerArgs(tuple(_flags(words)))
    _check(args)
    return args


def _flags(words: Iterator[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        name, value = _flag(word)
        if name in _BOOLEAN:
            yield name, _boolean(name, value)
        elif value is not None:
            yield name, value
        else:
            try:
                yield name, next(words)
            except StopIteration:
                raise UsageError(f"docker flag {word} needs a value", _SHOWN) from None


def _flag(word: str) -> tuple[str, str | None]:
    """Return the long name of the flag that ``word`` begins, and its value if that is in the word."""
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        name = _ALIASES.get(name, name)
        if name in FLAGS:
            return name, value if equals else None
    elif word.startswith("-") and word[1:2] in _SHORT:
        rest = word[2:]
        return _SHORT[word[1]], (rest.removeprefix("=") if rest else None)
    shown = word.partition("=")[0]
    what = "flag" if word.startswith("-") else "argument"
    raise UsageError(f"docker {what} {shown!r} is not supported", f"supported are {supported()}")


def _boolean(name: str, value: str | None) -> str:
    text = "true" if value is None else value.lower()
    if text not in _TRUE | _FALSE:
        raise UsageError(f"docker flag --{name} is true or false, not {value!r}", _SHOWN)
    return "true" if text in _TRUE else "false"


def supported() -> str:
    """Return the list of supported flags for people."""
    return ", ".join(f"-{short}/--{name}" if short else f"--{name}" for name, short in FLAGS.items())


_BYTES = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


def setting(name: str, text: str) -> int:
    """Return the bytes of a setting that is a size; ``UsageError`` naming the setting when it is none."""
    try:
        return size(text)
    except UsageError as error:
        raise UsageError(f"realm.{name}: {error.message}", error.hint) from None


def size(text: str) -> int:
    """Return the bytes of a size such as ``512m`` or ``1.5gib``; ``UsageError`` when it is none."""
    word = text.strip().lower()
    number = word.rstrip("bikmgt")
    unit = word[len(number) :].removesuffix("ib") or word[len(number) :]
    unit = unit[:-1] if len(unit) > 1 and unit.endswith("b") else unit
    found = -1
    with suppress(KeyError, ValueError, OverflowError):
        found = int(float(number) * _BYTES[unit])
    if found < 0:
        raise UsageError(f"{text!r} is not a valid size", "sizes are numbers with b, k, m or g, such as 8g")
    return found


def number(text: str) -> float:
    """Return a number; ``UsageError`` when it is none."""
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{text!r} is no number", "numbers are such as 2 or 1.5") from None


def fields(text: str) -> dict[str, str]:
    """Return ``a=b,c`` as a mapping; a word without ``=`` has the value ``""``."""
    pairs = (word.partition("=") for word in _csv(text))
    return {key.strip().lower(): value for key, _, value in pairs}


def _csv(text: str) -> list[str]:
    import csv

    return next(csv.reader([text]), [])


def _check(args: DockerArgs) -> None:
    """Find what is malformed now, before anything is started."""
    from realm.sandbox import flags, targets

    checks: dict[str, Callable[[str], object]] = {
        "memory": size,
        "shm-size": size,
        "cpus": number,
        "pids-limit": lambda text: int(number(text)),
        "mount": flags.mount,
        "volume": flags.volume,
        "publish": flags.port,
        "ulimit": flags.ulimit,
        "gpus": flags.gpus,
        "device": flags.device,
    }
    for name, value in args.given:
        if name in checks:
            try:
                checks[name](value)
            except UsageError as error:
                if name in error.message:
                    raise
                raise UsageError(f"docker flag --{name}: {error.message}", error.hint) from None
    targets.check(args)


def warnings(args: DockerArgs, project_root: Path) -> list[str]:
    """Return one line for everything in ``args`` that weakens the box."""
    if not args.given:
        return []
    from realm.sandbox import weaknesses

    return list(weaknesses.found(args, project_root))
