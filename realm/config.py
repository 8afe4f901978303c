"""Settings: flag, then environment, then ``git config realm.*``, then default.

Each :class:`Setting` has one parser.  It raises :class:`ValueError` that says
what is wrong with the text; who asks for the value gets a :class:`UsageError`
with the setting's name, where the text came from and how to set it right.

A setting that names a command to run is never read from a file that a project
carries: only the user's own git configuration (``--global``/``--system`` and
the repository's private ``.git/config``) is asked, which git never clones.
"""

from __future__ import annotations

import os
import posixpath
import re
import shlex
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from realm import hosts
from realm.errors import GitError, UsageError
from realm.git import Place, git, place

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+) *([kmgt]?)(?:i?b)?", re.ASCII)
_SMALLEST = 64 * 1024
LONGEST_TRANSCRIPT = 512 * 1024**2
"""Bytes of a conversation that are brought out of a container at most."""
_MOST_PROCESSES = 2**22
"""The most process ids that Linux has."""


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds a NUL character")
    return text


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(_text(text)))
    except ValueError as error:
        raise ValueError(f"{str(error).lower()}; quote it as for a shell") from None


def _quoted(text: str) -> str:
    _words(text)
    return text


def _shaped(pattern: str, problem: str) -> Callable[[str], str]:
    """Return a parser of texts that are empty or match; it raises with ``problem`` for others."""

    def parse(text: str) -> str:
        if text and not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(problem)
        return text

    return parse


_image = _shaped(r"[A-Za-z0-9][\w.:/@-]*", "it is not the name of an image")
# A version or a tag of a package; more than that would be a search to npm.
_version = _shaped(r"[A-Za-z0-9][A-Za-z0-9.+-]*", "it is not a version")


_package = _shaped(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+:~-]+)?", "it is not the name of a Debian package")


def _file(text: str) -> Path | None:
    if not text:
        return None
    try:
        path = Path(_text(text)).expanduser()
    except RuntimeError:
        raise ValueError("there is no such home directory") from None
    if not path.is_file():
        raise ValueError("there is no such file")
    return path


def _directory(text: str) -> str:
    """Return a directory's whole path; none for none."""
    if not text:
        return ""
    try:
        path = Path(_text(text)).expanduser()
    except RuntimeError:
        raise ValueError("there is no such home directory") from None
    if not path.is_absolute() or not path.is_dir():
        raise ValueError("it is not a directory, with its whole path")
    return str(path)


def _below_home(text: str) -> str:
    """Return the path of a file below the home directory, without that."""
    path = posixpath.normpath(_text(text).removeprefix("~/"))
    if path.startswith(("/", "..")) or path == ".":
        raise ValueError("it is not a file below your home directory, such as .npmrc")
    return path


def _switch(text: str) -> bool:
    word = text.strip().lower()
    if word in ("on", "true", "yes", "1"):
        return True
    if word in ("off", "false", "no", "0", ""):
        return False
    raise ValueError("it is neither on nor off")


def size(text: str) -> int:
    """Return the bytes of a size such as ``512m`` or ``1.5gib``; :class:`ValueError` when it is not one."""
    found = _SIZE.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError("it is not a valid size: write a number with b, k, m or g, such as 8g")
    return int(float(found[1]) * _UNITS[found[2]])


def _git_host(text: str) -> str:
    """Return the address of a git host without a path, such as ``https://github.com``."""
    word = text.strip().lower().rstrip("/")
    scheme, slashes, rest = word.partition("://")
    host = hosts.parse(rest if slashes else word)
    if host.name.startswith(".") or "/" in host.name or (slashes and scheme not in ("http", "https")):
        raise ValueError("it is not the name of one git host, such as github.com")
    return f"{scheme if slashes else 'https'}://{host}"


class Budget(NamedTuple):
    """What a run may cost: tokens, and dollars; 0 for no limit."""

    tokens: int = 0
    dollars: float = 0.0


_BUDGET = re.compile(r"(\$)? *(\d+(?:\.\d*)?) *([km]?)")


def _budget(text: str) -> Budget:
    word = text.strip().lower()
    if word in ("", "none"):
        return Budget()
    found = _BUDGET.fullmatch(word)
    if found is None or (found[1] and found[3]) or not float(found[2]):
        raise ValueError("it is neither a number of tokens, such as 500k, nor dollars, such as $5")
    amount = float(found[2])
    if found[1]:
        return Budget(dollars=amount)
    return Budget(tokens=round(amount * {"": 1, "k": 1000, "m": 1_000_000}[found[3]]))


def _memory(text: str) -> int | None:
    """Return bytes, 0 for no limit, ``None`` for what suits the engine."""
    word = text.strip().lower()
    if word in ("", "auto"):
        return None
    return 0 if word == "none" else size(text)


def _most(least: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from ``least`` on."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text) or int(text) < least:
            raise ValueError(f"it is not a number from {least} on")
        return int(text)

    return parse


def _bound(text: str) -> int:
    found = size(text)
    if found < _SMALLEST:
        raise ValueError("64k is the least")
    return found


def _transcript(text: str) -> int:
    found = _bound(text)
    if found > LONGEST_TRANSCRIPT:
        raise ValueError("512m is the most")
    return found


def _reserve(text: str) -> int:
    return 0 if text.strip().lower() in ("none", "0") else _bound(text)


def _cpus(text: str) -> float | None:
    """Return processors, 0 for all, ``None`` for what suits the engine."""
    word = text.strip().lower()
    if word in ("", "auto", "all"):
        return 0 if word == "all" else None
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", word) or float(word) == 0:
        raise ValueError("it is neither auto, nor all, nor a number such as 2 or 1.5")
    return float(word)


def _processes(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,7}", text) or not 0 < int(text) <= _MOST_PROCESSES:
        raise ValueError(f"it is not a number from 1 to {_MOST_PROCESSES}")
    return int(text)


def _history(text: str) -> int:
    """Return a number of commits, 0 for all."""
    if text.strip().lower() == "all":
        return 0
    if not re.fullmatch(r"[0-9]{1,9}", text.strip()) or int(text) == 0:
        raise ValueError("it is neither all nor a number of commits")
    return int(text)


def _pattern(text: str) -> str:
    if text.startswith("-"):
        raise ValueError("it is not a pattern of branches or tags")
    return _text(text)


def _keys(text: str) -> tuple[int, ...]:
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


def _remote(text: str) -> str:
    if not text or text.startswith("-"):
        raise ValueError("it is neither a remote's name nor a URL")
    return _text(text)


def _one_of(*values: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in values:
            raise ValueError(f"it must be one of {', '.join(values)}")
        return word

    return parse


class Setting(NamedTuple, Generic[T]):
    """One setting: its git key below ``realm.``, its environment variable, its default, its parser."""

    key: str
    variable: str
    default: str
    parse: Callable[[str], T]
    help: str
    many: bool = False
    own: bool = False
    """Whether only the user's own files are asked, and no repository's."""

    def read(self, text: str, name: str = "") -> T:
        """Return what ``text`` means, ``name`` being what the user wrote it for (default: the git key).

        Raises :class:`UsageError` when it means nothing.
        """
        try:
            return self.parse(text)
        except ValueError as error:
            is_option = name.startswith("--")
            advice = "" if is_option else "realm config shows every setting and where it comes from"
            raise UsageError(f"{name or f'realm.{self.key}'} is {text!r}: {error}", advice) from None


class Value(NamedTuple):
    """A setting's value and where it came from (``environment``, ``git config``, ``default``)."""

    text: str
    source: str


AGENT = Setting("agent", "REALM_AGENT", "", _words, "program to run in place of Claude Code")
DOCKER_ARGS = Setting("dockerArgs", "REALM_DOCKER_ARGS", "", _quoted, "docker run flags for every container")
IMAGE = Setting("image", "REALM_IMAGE", "", _image, "image of the containers in place of realm:latest")
CACHE = Setting(
    "cache", "REALM_CACHE", "on", _switch,
    "keep what tools download and compile in a volume of the project: on or off",
)  # fmt: skip
PACKAGES = Setting(
    "packages", "REALM_PACKAGES", "", _package, "Debian packages to install in the image", many=True
)
SETUP = Setting(
    "setup", "REALM_SETUP", "", _text, "command that makes the project ready in its container, done once"
)
INCLUDE = Setting(
    "include", "REALM_INCLUDE", "", _text, "ignored files to copy into every container", many=True
)
HOME = Setting(
    "home", "REALM_HOME_FILES", "", _below_home,
    "files of your home to copy into every container, without logins", many=True,
)  # fmt: skip
CLAUDE_VERSION = Setting(
    "claudeVersion", "REALM_CLAUDE_VERSION", "", _version, "version of Claude Code in realm:latest"
)
BASE_IMAGE = Setting(
    "baseImage", "REALM_BASE_IMAGE", "debian:bookworm-slim", _image, "base image of realm:latest"
)
SLIM = Setting("slim", "REALM_SLIM", "off", _switch, "no compilers and languages in realm:latest: on or off")
CA_FILE = Setting("caFile", "REALM_CA_FILE", "", _file, "extra certificate authorities for realm:latest")
HISTORY = Setting(
    "history", "REALM_HISTORY", "all", _history, "history that a container sees: all, or a number of commits"
)
HISTORY_REFS = Setting(
    "historyRefs", "REALM_HISTORY_REFS", "", _pattern,
    "more branches and tags that a container sees, as patterns", many=True,
)  # fmt: skip
DETACH_KEYS = Setting(
    "detachKeys", "REALM_DETACH_KEYS", "ctrl-p,ctrl-q", _keys, "keys that leave a running agent"
)
RECORD = Setting("record", "REALM_RECORD", "on", _switch, "record what agents show on a terminal: on or off")
RECORD_LIMIT = Setting(
    "recordLimit", "REALM_RECORD_LIMIT", "8m", _bound, "size of a run's recording; the newest is kept"
)
MEMORY = Setting(
    "memory", "REALM_MEMORY", "auto", _memory, "memory limit of a container: auto, none, or a size such as 8g"
)
CPUS = Setting("cpus", "REALM_CPUS", "auto", _cpus, "processors of a container: auto, all, or a number")
PIDS = Setting("pids", "REALM_PIDS", "4096", _processes, "limit on the number of processes in a container")
DISK_RESERVE = Setting(
    "diskReserve", "REALM_DISK_RESERVE", "2g", _reserve,
    "free space on the engine's disk below which a run is paused, or none",
)  # fmt: skip
LIMIT_FILE = Setting(
    "limit.file", "REALM_LIMIT_FILE", "1g", _bound, "largest file that is taken out of a container"
)
LIMIT_TOTAL = Setting(
    "limit.total", "REALM_LIMIT_TOTAL", "64g", _bound, "bytes of all that a run changed, unpacked"
)
LIMIT_OBJECTS = Setting(
    "limit.objects", "REALM_LIMIT_OBJECTS", "5000000", _most(1), "git objects that a run may make"
)
LIMIT_ENTRIES = Setting(
    "limit.entries", "REALM_LIMIT_ENTRIES", "2000000", _most(1), "files and directories that a run may change"
)
LIMIT_COMMITS = Setting(
    "limit.commits", "REALM_LIMIT_COMMITS", "10000", _most(1), "commits of a run that are kept one by one"
)
LIMIT_RESULTS = Setting(
    "limit.results",
    "REALM_LIMIT_RESULTS",
    "4g",
    _bound,
    "bytes that a container hands over at a time",
)
LIMIT_TRANSCRIPT = Setting(
    "limit.transcript", "REALM_LIMIT_TRANSCRIPT", "256m", _transcript,
    "longest conversation that is kept in a session's record",
)  # fmt: skip
LIMIT_MEMORY = Setting(
    "limit.memory", "REALM_LIMIT_MEMORY", "4g", _bound, "memory of a git that checks what came of a container"
)
LIMIT_SECONDS = Setting(
    "limit.seconds", "REALM_LIMIT_SECONDS", "1800", _most(1), "seconds that each step of saving work may take"
)
WORKSPACE = Setting(
    "workspace", "REALM_WORKSPACE", "auto", _one_of("auto", "overlay", "plain"),
    "volume of the workspace: auto, overlay or plain",
)  # fmt: skip
NETWORK = Setting(
    "network", "REALM_NETWORK", "allow", _one_of("allow", "open", "none"),
    "network of a container: open, allow (by name) or none",
)  # fmt: skip
LOGIN = Setting(
    "login", "REALM_LOGIN", "", _directory,
    "directory of Claude Code's configuration, with its login, in place of ~/.claude",
)  # fmt: skip
MCP = Setting(
    "mcp", "REALM_MCP", "", _shaped(r"[\w.:-]+", "it is not the name of an MCP server"),
    "MCP servers of your own that agents have, too", many=True,
)  # fmt: skip
CREDENTIALS = Setting(
    "credentials", "REALM_CREDENTIALS", "proxy", _one_of("proxy", "env", "share"),
    "where an agent's key or login is: proxy (in the sidecar alone), env (in its container), or share "
    "(there, and renewed there)",
)  # fmt: skip
GIT_CREDENTIALS = Setting(
    "gitCredentials", "REALM_GIT_CREDENTIALS", "", _git_host,
    "git hosts that containers may fetch from with your login, which stays outside", many=True,
)  # fmt: skip
BUDGET = Setting(
    "budget", "REALM_BUDGET", "", _budget,
    "what a run may cost before it is stopped: tokens, such as 500k, or dollars, such as $5",
)  # fmt: skip
ALLOW = Setting(
    "allow",
    "REALM_ALLOW",
    "",
    hosts.parse,
    "hosts that containers may reach besides the usual ones",
    many=True,
)
BELL = Setting(
    "bell", "REALM_BELL", "unfocused", _one_of("unfocused", "always", "off"),
    "when your terminal rings for an agent: unfocused, always, off",
)  # fmt: skip
CLIPBOARD = Setting(
    "clipboard", "REALM_CLIPBOARD", "off", _one_of("off", "write"),
    "what agents may do with your terminal's clipboard: off, write",
)  # fmt: skip
NOTIFY = Setting(
    "notify",
    "REALM_NOTIFY",
    "",
    _text,
    "command to run when an agent that nobody looks at has news",
    own=True,
)
REMOTE = Setting("remote", "REALM_REMOTE", "origin", _remote, "remote that --remote and push use")

SETTINGS: tuple[Setting[Any], ...] = (
    AGENT, DOCKER_ARGS, IMAGE, INCLUDE, HOME, CLAUDE_VERSION, BASE_IMAGE, SLIM, CA_FILE, HISTORY,
    HISTORY_REFS, DETACH_KEYS, RECORD, RECORD_LIMIT, MEMORY, CPUS, PIDS,
    DISK_RESERVE, LIMIT_FILE, LIMIT_TOTAL, LIMIT_OBJECTS, LIMIT_ENTRIES, LIMIT_COMMITS,
    LIMIT_RESULTS, LIMIT_TRANSCRIPT, LIMIT_MEMORY, LIMIT_SECONDS,
    WORKSPACE, CACHE, PACKAGES, SETUP, NETWORK, LOGIN, MCP, CREDENTIALS, GIT_CREDENTIALS, BUDGET, ALLOW,
    BELL, CLIPBOARD, NOTIFY, REMOTE,
)  # fmt: skip
REMOVED: tuple[tuple[str, str], ...] = (("objects", "REALM_OBJECTS"),)
"""Keys and variables of settings that an earlier version had."""


_ASKED = (
    r"^(realm\.(limit\.)?[^.]*|core\.(excludesfile|sparsecheckout(cone)?)|init\.defaultbranch|remote\.pushdefault"
    r"|remote\..*\.fetch|(user|author)\.(name|email))$"
)
"""What git is asked for: realm's own keys, and git's that a run needs, which spares other processes."""


def read_git_config(directory: Path | None) -> dict[str, list[str]]:
    """Return what the git configuration has for realm: keys in lower case, ``realm.*`` without that.

    ``directory`` is where git looks for a repository; ``None`` reads the
    user's files only, wherever we stand.
    """
    found_at = place(directory) if directory is not None and directory.is_dir() else None
    where = found_at or Place(Path("/"), {"GIT_DIR": os.devnull})  # no repository: there may be one at / too
    try:
        done = git("config", "-z", "--get-regexp", _ASKED, cwd=where.cwd, env=where.env, check=False)
    except GitError:
        return {}
    found: dict[str, list[str]] = {}
    for entry in done.out.decode("utf-8", "replace").split("\0"):
        key, newline, value = entry.partition("\n")
        if key:
            bare = "true" if key.startswith("realm.") else ""
            found.setdefault(key.removeprefix("realm."), []).append(value if newline else bare)
    return found


class Config:
    """Settings as seen from one directory; git is asked once, when first needed."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._git: dict[bool, dict[str, list[str]]] = {}
        self._lock = threading.Lock()

    def _from_git(self, setting: Setting[Any]) -> list[str]:
        return self._read(own=setting.own).get(setting.key.lower(), [])

    def _read(self, *, own: bool) -> dict[str, list[str]]:
        with self._lock:
            if own not in self._git:
                self._git[own] = read_git_config(None if own else self._directory)
            return self._git[own]

    def of_git(self) -> dict[str, str]:
        """Return those of git's own settings that were read with realm's, such as ``user.name``."""
        found = self._read(own=False)
        return {key: found[key][-1] for key in found if "." in key and not key.startswith("limit.")}

    def mirrors(self) -> list[str]:
        """Return the remotes of which ``git fetch --prune`` would delete sessions: their refs may be any."""
        found = []
        for key, values in self._read(own=False).items():
            name = key.removeprefix("remote.").removesuffix(".fetch")
            if key == f"remote.{name}.fetch" and not any(value.startswith("^refs/realm") for value in values):
                places = [value.partition(":")[2] for value in values]
                found += [name] if any(place.startswith(("refs/*", "refs/realm")) for place in places) else []
        return found

    def lookup(self, setting: Setting[Any]) -> Value:
        """Return the text of a setting and its source."""
        if setting.variable in os.environ:
            return Value(os.environ[setting.variable], "environment")
        values = self._from_git(setting)
        if values:
            return Value(values[-1], "git config")
        return Value(setting.default, "default")

    def value(self, setting: Setting[T]) -> T:
        """Return what a setting means; :class:`UsageError` when it means nothing."""
        found = self.lookup(setting)
        return setting.read(found.text, setting.variable if found.source == "environment" else "")

    def values(self, setting: Setting[T]) -> list[T]:
        """Return every value of a setting that may be given many times; errors as :meth:`value`."""
        return [setting.read(text) for text in self.texts(setting)]

    def check(self) -> None:
        """Raise :class:`UsageError` for the first setting that means nothing, whether it is needed or not."""
        for problem in self.problems().values():
            raise problem

    def problems(self) -> dict[str, UsageError]:
        """Return what is wrong with which setting, by its key."""
        found = {}
        for setting in SETTINGS:
            try:
                _ = self.values(setting) if setting.many else self.value(setting)
            except UsageError as error:
                found[setting.key] = error
        return found

    def removed(self) -> list[str]:
        """Return the settings of an earlier version that are still set, as the user wrote them."""
        known = self._read(own=False)
        return [
            variable if variable in os.environ else f"realm.{key}"
            for key, variable in REMOVED
            if variable in os.environ or key.lower() in known
        ]

    def for_agents(self) -> dict[str, str]:
        """Return the environment with the settings that agents know, by the names of their variables."""
        own = {LOGIN.variable: self.lookup(LOGIN).text, MCP.variable: " ".join(self.texts(MCP))}
        return {**os.environ, **own}

    def texts(self, setting: Setting[Any]) -> list[str]:
        """Return every text of a setting that may be given many times, without empty ones."""
        if setting.variable in os.environ:
            return os.environ[setting.variable].split()
        return [value for value in self._from_git(setting) if value]
