"""Parsers of settings; each raises :class:`ValueError` with what is wrong."""

from __future__ import annotations

import posixpath
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from realm import hosts
from realm.model import LONGEST_TRANSCRIPT, Budget

if TYPE_CHECKING:
    from collections.abc import Callable

_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+) *([kmgt]?)(?:i?b)?", re.ASCII)
_SMALLEST = 64 * 1024
_MOST_PROCESSES = 2**22
"""The most process ids that Linux has."""


def plain(text: str) -> str:
    """Return ``text`` as it is."""
    if "\0" in text:
        raise ValueError("it holds a NUL character")
    return text


def words(text: str) -> tuple[str, ...]:
    """Return the words of ``text`` as a shell splits them."""
    try:
        return tuple(shlex.split(plain(text)))
    except ValueError as error:
        raise ValueError(f"{str(error).lower()}; quote it as for a shell") from None


def quoted(text: str) -> str:
    """Return ``text``, which a shell can split into words."""
    words(text)
    return text


def shaped(pattern: str, problem: str) -> Callable[[str], str]:
    """Return a parser of texts that are empty or match ``pattern``; others raise with ``problem``."""

    def parse(text: str) -> str:
        if text and not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(problem)
        return text

    return parse


image = shaped(r"[A-Za-z0-9][\w.:/@-]*", "it is not the name of an image")
# A version or a tag of a package; more than that would be a search to npm.
version = shaped(r"[A-Za-z0-9][A-Za-z0-9.+-]*", "it is not a version")
package = shaped(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+:~-]+)?", "it is not the name of a Debian package")


def _expanded(text: str) -> Path:
    try:
        return Path(plain(text)).expanduser()
    except RuntimeError:
        raise ValueError("there is no such home directory") from None


def file(text: str) -> Path | None:
    """Return the path of an existing file; ``None`` for an empty text."""
    if not text:
        return None
    path = _expanded(text)
    if not path.is_file():
        raise ValueError("there is no such file")
    return path


def directory(text: str) -> str:
    """Return a directory's absolute path; empty for an empty text."""
    if not text:
        return ""
    path = _expanded(text)
    if not path.is_absolute() or not path.is_dir():
        raise ValueError("it is not a directory, with its whole path")
    return str(path)


def below_project(text: str) -> str:
    """Return a path in the project, as it is; an absolute one may lead there, too."""
    if posixpath.normpath(plain(text)).split("/")[0] in ("..", "~"):
        raise ValueError("it leads out of the project: --with gives containers what is beside it")
    return text


def below_home(text: str) -> str:
    """Return the path of a file below the home directory, without that."""
    path = posixpath.normpath(plain(text).removeprefix("~/"))
    if path.startswith(("/", "..")) or path == ".":
        raise ValueError("it is not a file below your home directory, such as .npmrc")
    return path


def switch(text: str) -> bool:
    """Return whether it is on."""
    word = text.strip().lower()
    if word in ("on", "true", "yes", "1"):
        return True
    if word in ("off", "false", "no", "0", ""):
        return False
    raise ValueError("it is neither on nor off")


def size(text: str) -> int:
    """Return the bytes of a size such as ``512m`` or ``1.5gib``."""
    found = _SIZE.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError("it is not a valid size: write a number with b, k, m or g, such as 8g")
    return int(float(found[1]) * _UNITS[found[2]])


def server(text: str) -> str:
    """Return the address of a server without a path, such as ``https://github.com``."""
    word = text.strip().lower().rstrip("/")
    scheme, slashes, rest = word.partition("://")
    host = hosts.parse(rest if slashes else word)
    if host.name.startswith(".") or "/" in host.name or (slashes and scheme not in ("http", "https")):
        raise ValueError("it is not the name of one host, such as github.com")
    return f"{scheme if slashes else 'https'}://{host}"


def ssh_host(text: str) -> hosts.Host:
    """Return one host, by name or address, with its port or not."""
    host = hosts.parse(text)
    if host.name.startswith(".") or "/" in host.name:
        raise ValueError("it is not the name of one host, such as git.example.com")
    return host


_BUDGET = r"(\$)? *(\d+(?:\.\d*)?) *([km]?)"


def budget(text: str) -> Budget:
    """Return a limit such as ``500k`` or ``$5``."""
    word = text.strip().lower()
    if word in ("", "none"):
        return Budget()
    found = re.fullmatch(_BUDGET, word)
    if found is None or (found[1] and found[3]) or not float(found[2]):
        raise ValueError("it is neither a number of tokens, such as 500k, nor dollars, such as $5")
    amount = float(found[2])
    if found[1]:
        return Budget(dollars=amount)
    return Budget(tokens=round(amount * {"": 1, "k": 1000, "m": 1_000_000}[found[3]]))


def memory(text: str) -> int | None:
    """Return bytes, 0 for no limit, ``None`` to let the engine decide."""
    word = text.strip().lower()
    if word in ("", "auto"):
        return None
    return 0 if word == "none" else size(text)


def positive(text: str) -> int:
    """Return a whole number from 1 on."""
    if not re.fullmatch(r"[0-9]{1,12}", text) or int(text) < 1:
        raise ValueError("it is not a number from 1 on")
    return int(text)


def bound(text: str) -> int:
    """Return the bytes of a limit of size."""
    found = size(text)
    if found < _SMALLEST:
        raise ValueError("64k is the least")
    return found


def transcript(text: str) -> int:
    """Return the bytes of the longest conversation."""
    found = bound(text)
    if found > LONGEST_TRANSCRIPT:
        raise ValueError("512m is the most")
    return found


def reserve(text: str) -> int:
    """Return the bytes to keep free, 0 for none."""
    return 0 if text.strip().lower() in ("none", "0") else bound(text)


def workspace_size(text: str) -> int | None:
    """Return bytes, 0 for no limit, ``None`` to let the engine decide."""
    word = text.strip().lower()
    if word in ("", "auto"):
        return None
    return 0 if word == "none" else bound(text)


def cpus(text: str) -> float | None:
    """Return processors, 0 for all, ``None`` to let the engine decide."""
    word = text.strip().lower()
    if word in ("", "auto", "all"):
        return 0 if word == "all" else None
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", word) or float(word) == 0:
        raise ValueError("it is neither auto, nor all, nor a number such as 2 or 1.5")
    return float(word)


def processes(text: str) -> int:
    """Return a number of processes."""
    if not re.fullmatch(r"[0-9]{1,7}", text) or not 0 < int(text) <= _MOST_PROCESSES:
        raise ValueError(f"it is not a number from 1 to {_MOST_PROCESSES}")
    return int(text)


def history(text: str) -> int:
    """Return a number of commits, 0 for all."""
    if text.strip().lower() == "all":
        return 0
    if not re.fullmatch(r"[0-9]{1,9}", text.strip()) or int(text) == 0:
        raise ValueError("it is neither all nor a number of commits")
    return int(text)


def pattern(text: str) -> str:
    """Return a pattern of branches or tags."""
    if text.startswith("-"):
        raise ValueError("it is not a pattern of branches or tags")
    return plain(text)


def keys(text: str) -> tuple[int, ...]:
    r"""Return the bytes that a list of keys in docker's syntax stands for; none for ``none``.

    A key is one printable ASCII character, or ``ctrl-`` and one of ``a-z @ [ \ ] ^ _``.
    """
    return () if text in ("", "none") else tuple(_key(key.strip()) for key in text.split(","))


def _key(key: str) -> int:
    if len(key) == 1 and key.isascii() and key.isprintable():
        return ord(key)
    if re.fullmatch(r"ctrl-[a-z@\[\\\]^_]", key.lower()):
        return ord(key[-1].upper()) - ord("@")
    raise ValueError(f"there is no key {key!r}: write keys as in ctrl-p,ctrl-q")


def remote(text: str) -> str:
    """Return a remote's name or URL."""
    if not text or text.startswith("-"):
        raise ValueError("it is neither a remote's name nor a URL")
    return plain(text)


def one_of(*values: str) -> Callable[[str], str]:
    """Return a parser of texts that are one of ``values``."""

    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in values:
            raise ValueError(f"it must be one of {', '.join(values)}")
        return word

    return parse
