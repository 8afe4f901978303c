"""Settings: flag, then environment, then ``git config realm.*``, then default.

A setting that names a command to run is never read from a file that a project
carries: only the user's own git configuration (``--global``/``--system`` and
the repository's private ``.git/config``) is asked, which git never clones.
"""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from typing import NamedTuple


class Setting(NamedTuple):
    """One setting: its git key below ``realm.``, its environment variable, its default."""

    key: str
    variable: str
    default: str
    help: str
    many: bool = False
    own: bool = False
    """Whether only the user's own files are asked, and no repository's."""


class Value(NamedTuple):
    """A setting's value and where it came from (``environment``, ``git config``, ``default``)."""

    text: str
    source: str


SETTINGS: tuple[Setting, ...] = (
    Setting("agent", "REALM_AGENT", "", "program to run in place of Claude Code"),
    Setting("dockerArgs", "REALM_DOCKER_ARGS", "", "docker run flags for every box"),
    Setting("image", "REALM_IMAGE", "", "image of the box in place of realm:latest"),
    Setting("include", "REALM_INCLUDE", "", "ignored files to copy into every box", many=True),
    Setting("claudeVersion", "REALM_CLAUDE_VERSION", "", "version of Claude Code in realm:latest"),
    Setting("baseImage", "REALM_BASE_IMAGE", "debian:bookworm-slim", "base image of realm:latest"),
    Setting("caFile", "REALM_CA_FILE", "", "extra certificate authorities for realm:latest"),
    Setting("objects", "REALM_OBJECTS", "all", "what the box sees of git: all (the object store) or history"),
    Setting("detachKeys", "REALM_DETACH_KEYS", "ctrl-p,ctrl-q", "keys that leave a running agent"),
    Setting("record", "REALM_RECORD", "on", "record what agents show on a terminal: on or off"),
    Setting("recordLimit", "REALM_RECORD_LIMIT", "8m", "size of a run's recording; the newest is kept"),
    Setting("memory", "REALM_MEMORY", "", "memory limit of a box, such as 8g"),
    Setting("pids", "REALM_PIDS", "4096", "limit on the number of processes in a box"),
    Setting("workspace", "REALM_WORKSPACE", "auto", "volume of the workspace: auto, overlay or plain"),
    Setting("network", "REALM_NETWORK", "open", "network of a box: open or none"),
    Setting(
        "bell", "REALM_BELL", "unfocused", "when your terminal rings for an agent: unfocused, always, off"
    ),
    Setting(
        "notify",
        "REALM_NOTIFY",
        "",
        "command to run when an agent that nobody looks at has news",
        own=True,
    ),
    Setting("remote", "REALM_REMOTE", "origin", "remote that --remote and push use"),
)

_BY_KEY = {setting.key: setting for setting in SETTINGS}


_ASKED = r"^(realm\.[^.]*|core\.excludesfile|(user|author)\.(name|email))$"
"""What git is asked for: realm's own keys, and git's that a run needs, which spares other processes."""


def read_git_config(directory: Path | None) -> dict[str, list[str]]:
    """Return what the git configuration has for realm: keys in lower case, ``realm.*`` without that.

    ``directory`` is where git looks for a repository; ``None`` reads the
    user's files only, wherever we stand.
    """
    command = ["git", "config", "-z", "--get-regexp", _ASKED]
    environment = {
        k: v for k, v in os.environ.items() if k not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    }
    where = directory if directory is not None and directory.is_dir() else Path("/")
    if directory is None:
        environment["GIT_DIR"] = os.devnull  # no repository: there may be one at / too
    try:
        done = subprocess.run(command, cwd=where, env=environment, capture_output=True, check=False)
    except FileNotFoundError:
        return {}
    found: dict[str, list[str]] = {}
    for entry in done.stdout.decode("utf-8", "replace").split("\0"):
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

    def _from_git(self, setting: Setting) -> list[str]:
        return self._read(own=setting.own).get(setting.key.lower(), [])

    def _read(self, *, own: bool) -> dict[str, list[str]]:
        with self._lock:
            if own not in self._git:
                self._git[own] = read_git_config(None if own else self._directory)
            return self._git[own]

    def of_git(self) -> dict[str, str]:
        """Return those of git's own settings that were read with realm's, such as ``user.name``."""
        return {key: values[-1] for key, values in self._read(own=False).items() if "." in key}

    def lookup(self, key: str) -> Value:
        """Return the value of setting ``key`` and its source; ``KeyError`` for an unknown key."""
        setting = _BY_KEY[key]
        if setting.variable in os.environ:
            return Value(os.environ[setting.variable], "environment")
        values = self._from_git(setting)
        if values:
            return Value(values[-1], "git config")
        return Value(setting.default, "default")

    def get(self, key: str) -> str:
        """Return the text of setting ``key``."""
        return self.lookup(key).text

    def get_all(self, key: str) -> list[str]:
        """Return every value of a setting that may be given many times, without empty ones."""
        setting = _BY_KEY[key]
        if setting.variable in os.environ:
            return os.environ[setting.variable].split()
        return [value for value in self._from_git(setting) if value]
