"""Settings: flag, then environment, then ``git config realm.*``, then default.

Each :class:`Setting` has one parser.  It raises :class:`ValueError` with what is wrong with the text; whoever
asks for the value gets a :class:`UsageError` with the setting's name, the text's source and how to correct
it.

A setting that names a command to run is never read from a file that a project carries: it comes only from the
user's own git configuration (``--global``/``--system`` and the repository's private ``.git/config``), which
git never clones.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from realm import hosts, parsers
from realm.errors import GitError, UsageError
from realm.git import Place, git, place

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Setting(NamedTuple, Generic[T]):
    """One setting: its git key below ``realm.``, its environment variable, its default, its parser."""

    key: str
    variable: str
    default: str
    parse: Callable[[str], T]
    help: str
    many: bool = False
    own: bool = False
    """Whether it is read only from the user's own files, and no repository's."""

    def read(self, text: str, name: str = "") -> T:
        """Return the value of ``text``, which the user wrote for ``name`` (default: the git key).

        Raises :class:`UsageError` when it is invalid.
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


# fmt: off
AGENT = Setting(
    "agent", "REALM_AGENT", "", parsers.words,
    "program to run instead of Claude Code",
)
DOCKER_ARGS = Setting(
    "dockerArgs", "REALM_DOCKER_ARGS", "", parsers.quoted,
    "docker run flags for every container",
)
IMAGE = Setting(
    "image", "REALM_IMAGE", "", parsers.image,
    "image of the containers (default: realm:latest)",
)
CACHE = Setting(
    "cache", "REALM_CACHE", "on", parsers.switch,
    "keep what tools download and compile in a volume of the project: on or off",
)
CACHE_PATH = Setting(
    "cachePath", "REALM_CACHE_PATH", "",
    parsers.shaped(r"/[\w.@+/-]+", "it is not an absolute directory path"),
    "more directories in containers that outlive them, each in a volume of the project", many=True,
)
PACKAGES = Setting(
    "packages", "REALM_PACKAGES", "", parsers.package,
    "Debian packages to install in the image", many=True,
)
SETUP = Setting(
    "setup", "REALM_SETUP", "", parsers.plain,
    "command that prepares the project in its container, run once",
)
INCLUDE = Setting(
    "include", "REALM_INCLUDE", "", parsers.below_project,
    "ignored files to copy into every container", many=True,
)
HOME = Setting(
    "home", "REALM_HOME_FILES", "", parsers.below_home,
    "files of your home to copy into every container, without logins", many=True,
)
CLAUDE_VERSION = Setting(
    "claudeVersion", "REALM_CLAUDE_VERSION", "", parsers.version,
    "version of Claude Code in realm:latest",
)
BASE_IMAGE = Setting(
    "baseImage", "REALM_BASE_IMAGE", "debian:bookworm-slim", parsers.image,
    "base image of realm:latest",
)
SLIM = Setting(
    "slim", "REALM_SLIM", "off", parsers.switch,
    "leave compilers and languages out of realm:latest: on or off",
)
CA_FILE = Setting(
    "caFile", "REALM_CA_FILE", "", parsers.file,
    "extra certificate authorities for realm:latest",
)
HISTORY = Setting(
    "history", "REALM_HISTORY", "all", parsers.history,
    "history that a container sees: all, or a number of commits",
)
HISTORY_REFS = Setting(
    "historyRefs", "REALM_HISTORY_REFS", "", parsers.pattern,
    "more branches and tags that a container sees, as git patterns", many=True,
)
DETACH_KEYS = Setting(
    "detachKeys", "REALM_DETACH_KEYS", "ctrl-p,ctrl-q", parsers.keys,
    "keys that leave a running agent in the background",
)
RECORD = Setting(
    "record", "REALM_RECORD", "on", parsers.switch,
    "put the recordings of runs into the record: on or off",
)
RECORD_LIMIT = Setting(
    "recordLimit", "REALM_RECORD_LIMIT", "8m", parsers.bound,
    "size of a run's recording; the newest part is kept",
)
MEMORY = Setting(
    "memory", "REALM_MEMORY", "auto", parsers.memory,
    "memory limit of a container: auto, none, or a size such as 8g",
)
CPUS = Setting(
    "cpus", "REALM_CPUS", "auto", parsers.cpus,
    "processors of a container: auto, all, or a number",
)
PIDS = Setting(
    "pids", "REALM_PIDS", "4096", parsers.processes,
    "limit on the number of processes in a container",
)
DISK_RESERVE = Setting(
    "diskReserve", "REALM_DISK_RESERVE", "2g", parsers.reserve,
    "free space on the engine's disk below which a run is paused, or none",
)
WORKSPACE_SIZE = Setting(
    "workspaceSize", "REALM_WORKSPACE_SIZE", "auto", parsers.workspace_size,
    "most space that a workspace may take, where the engine can limit it: auto, none, or a size such as 20g",
)
LIMIT_FILE = Setting(
    "limit.file", "REALM_LIMIT_FILE", "1g", parsers.bound,
    "largest file that is taken out of a container",
)
LIMIT_TOTAL = Setting(
    "limit.total", "REALM_LIMIT_TOTAL", "64g", parsers.bound,
    "total size of everything that a run changed, unpacked",
)
LIMIT_OBJECTS = Setting(
    "limit.objects", "REALM_LIMIT_OBJECTS", "5000000", parsers.positive,
    "git objects that a run may make",
)
LIMIT_ENTRIES = Setting(
    "limit.entries", "REALM_LIMIT_ENTRIES", "2000000", parsers.positive,
    "files and directories that a run may change",
)
LIMIT_COMMITS = Setting(
    "limit.commits", "REALM_LIMIT_COMMITS", "10000", parsers.positive,
    "commits of a run that are kept one by one",
)
LIMIT_RESULTS = Setting(
    "limit.results", "REALM_LIMIT_RESULTS", "4g", parsers.bound,
    "bytes that a container hands over at a time",
)
LIMIT_TRANSCRIPT = Setting(
    "limit.transcript", "REALM_LIMIT_TRANSCRIPT", "256m", parsers.transcript,
    "longest conversation that is kept in a session's record",
)
LIMIT_MEMORY = Setting(
    "limit.memory", "REALM_LIMIT_MEMORY", "4g", parsers.bound,
    "memory for a git that checks what came out of a container",
)
LIMIT_SECONDS = Setting(
    "limit.seconds", "REALM_LIMIT_SECONDS", "1800", parsers.positive,
    "seconds that each step of saving work may take",
)
WORKSPACE = Setting(
    "workspace", "REALM_WORKSPACE", "auto", parsers.one_of("auto", "overlay", "plain"),
    "volume of the workspace: auto, overlay or plain",
)
NETWORK = Setting(
    "network", "REALM_NETWORK", "allow", parsers.one_of("allow", "open", "none"),
    "network of a container: open, allow (by name) or none",
)
DOCKER = Setting(
    "docker", "REALM_DOCKER", "off", parsers.one_of("off", "rootless"),
    "a Docker engine in each container: off, or rootless",
)
LOGIN = Setting(
    "login", "REALM_LOGIN", "", parsers.directory,
    "Claude Code's configuration directory, with its login (default: ~/.claude)",
)
MCP = Setting(
    "mcp", "REALM_MCP", "", parsers.shaped(r"[\w.:-]+", "it is not the name of an MCP server"),
    "your MCP servers that agents have in containers, too", many=True,
)
CREDENTIALS = Setting(
    "credentials", "REALM_CREDENTIALS", "proxy", parsers.one_of("proxy", "env", "share"),
    "where the agent's key or login is: proxy (outside its container), env (inside), or share (inside, "
    "and renewed there)",
)
GIT_CREDENTIALS = Setting(
    "gitCredentials", "REALM_GIT_CREDENTIALS", "", parsers.server,
    "git hosts that containers may fetch from with your login, which stays outside", many=True,
)
REGISTRY_CREDENTIALS = Setting(
    "registryCredentials", "REALM_REGISTRY_CREDENTIALS", "", parsers.server,
    "package registries that containers may read with your tools' logins, which stay outside", many=True,
)
SSH_AGENT = Setting(
    "sshAgent", "REALM_SSH_AGENT", "", parsers.ssh_host,
    "hosts where containers may log in with your ssh agent, whose keys stay outside", many=True,
)
BUDGET = Setting(
    "budget", "REALM_BUDGET", "", parsers.budget,
    "what a run may cost before it is stopped: tokens, such as 500k, or dollars, such as $5",
)
ALLOW = Setting(
    "allow", "REALM_ALLOW", "", hosts.parse,
    "hosts that containers may reach besides the usual ones", many=True,
)
BELL = Setting(
    "bell", "REALM_BELL", "unfocused", parsers.one_of("unfocused", "always", "off"),
    "when your terminal rings for an agent: unfocused, always, off",
)
CLIPBOARD = Setting(
    "clipboard", "REALM_CLIPBOARD", "off", parsers.one_of("off", "write"),
    "what agents may do with your terminal's clipboard: off, write",
)
NOTIFY = Setting(
    "notify", "REALM_NOTIFY", "", parsers.plain,
    "command to run when an agent that you are not looking at has news", own=True,
)
REMOTE = Setting(
    "remote", "REALM_REMOTE", "origin", parsers.remote,
    "remote for realm push and new --remote",
)
# fmt: on

SETTINGS: tuple[Setting[Any], ...] = (
    AGENT, DOCKER_ARGS, IMAGE, INCLUDE, HOME, CLAUDE_VERSION, BASE_IMAGE, SLIM, CA_FILE, HISTORY,
    HISTORY_REFS, DETACH_KEYS, RECORD, RECORD_LIMIT, MEMORY, CPUS, PIDS,
    DISK_RESERVE, WORKSPACE_SIZE, LIMIT_FILE, LIMIT_TOTAL, LIMIT_OBJECTS, LIMIT_ENTRIES, LIMIT_COMMITS,
    LIMIT_RESULTS, LIMIT_TRANSCRIPT, LIMIT_MEMORY, LIMIT_SECONDS,
    WORKSPACE, CACHE, CACHE_PATH, PACKAGES, SETUP, NETWORK, DOCKER, LOGIN, MCP, CREDENTIALS,
    GIT_CREDENTIALS, REGISTRY_CREDENTIALS, SSH_AGENT, BUDGET, ALLOW, BELL, CLIPBOARD, NOTIFY, REMOTE,
)  # fmt: skip
REMOVED: tuple[tuple[str, str], ...] = (("objects", "REALM_OBJECTS"),)
"""Keys and variables of an earlier version's settings."""


_ASKED = (
    r"^(realm\.(limit\.)?[^.]*|core\.(excludesfile|sparsecheckout(cone)?)|init\.defaultbranch|remote\.pushdefault"
    r"|remote\..*\.fetch|(user|author)\.(name|email))$"
)
"""The keys that are read: realm's own, and git's that a run needs, which saves further processes."""


def read_git_config(directory: Path | None) -> dict[str, list[str]]:
    """Return git's configuration for realm: keys in lower case, ``realm.*`` without that prefix.

    Git looks for a repository at ``directory``; ``None`` reads only the user's files, whatever the current
    directory.
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
    """Settings for one directory; git is asked once, when first needed."""

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
        """Return git's own settings that were read with realm's, such as ``user.name``."""
        found = self._read(own=False)
        return {key: found[key][-1] for key in found if "." in key and not key.startswith("limit.")}

    def mirrors(self) -> list[str]:
        """Return the remotes whose ``git fetch --prune`` would delete sessions: they may fetch any ref."""
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
        """Return a setting's value; raises :class:`UsageError` when it is invalid."""
        found = self.lookup(setting)
        return setting.read(found.text, setting.variable if found.source == "environment" else "")

    def values(self, setting: Setting[T]) -> list[T]:
        """Return every value of a setting that may be given several times; raises as :meth:`value`."""
        return [setting.read(text) for text in self.texts(setting)]

    def check(self) -> None:
        """Raise :class:`UsageError` for the first invalid setting, whether it is needed or not."""
        for problem in self.problems().values():
            raise problem

    def problems(self) -> dict[str, UsageError]:
        """Return the invalid settings' errors by key."""
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
        """Return every text of a setting that may be given several times, without empty ones."""
        if setting.variable in os.environ:
            return os.environ[setting.variable].split()
        return [value for value in self._from_git(setting) if value]
