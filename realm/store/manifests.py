"""The files that declare a project's dependencies: when they change, the setup must run again."""

from __future__ import annotations

import hashlib
import re
import shlex
from typing import TYPE_CHECKING

from realm.git import git

if TYPE_CHECKING:
    from realm.model import Project

_NAMES = (
    r"package(-lock)?\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-(lock|workspace)\.yaml|bun\.lockb?"
    r"|\.npmrc|\.yarnrc(\.yml)?|deno\.(json|lock)"
    r"|pyproject\.toml|setup\.(py|cfg)|[\w.-]*requirements[\w.-]*\.(txt|in)|(uv|poetry|pdm)\.lock|Pipfile(\.lock)?"
    r"|environment\.ya?ml|go\.(mod|sum|work)|Cargo\.(toml|lock)|rust-toolchain(\.toml)?"
    r"|pom\.xml|(build|settings)\.gradle(\.kts)?|gradle(-wrapper)?\.properties|libs\.versions\.toml"
    r"|Gemfile(\.lock)?|[\w.-]+\.gemspec|composer\.(json|lock)|mix\.(exs|lock)"
    r"|[\w.-]+\.(cs|fs|vb)proj|Directory\.\w+\.props|packages\.(config|lock\.json)|global\.json"
    r"|[Nn]u[Gg]et\.[Cc]onfig"
    r"|\.tool-versions|mise\.toml|\.(nvmrc|node-version|python-version|ruby-version|java-version)"
)


def digest(project: Project, commit: str, command: str) -> str:
    """Return a digest of the manifests, lock files and the like in ``commit``.

    Files that ``command`` names by path, a script say, count as well.
    """
    named = _words(command)
    found = hashlib.sha256()
    for line in git("ls-tree", "-r", "-z", "--full-tree", commit, project=project).out.split(b"\0"):
        path = line.partition(b"\t")[2].decode("utf-8", "surrogateescape")
        if path in named or re.fullmatch(_NAMES, path.rpartition("/")[2]):
            found.update(line + b"\0")
    return found.hexdigest()


def _words(command: str) -> set[str]:
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    # A script for another shell (sh -c '…') is one word.
    return {word.removeprefix("./") for one in words for word in (one, *re.split(r"[\s'\"`;&|()<>]+", one))}
