"""Changed files that programs run or obey without being asked, and their kinds.

A change to one of these is seldom asked for, and easily overlooked.  The user is shown the kinds before
taking a session's work, and can look at just these files.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections import Counter
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import GitError
from realm.git import git
from realm.store.batch import CatFile
from realm.store.objects import GITLINK, SYMLINK
from realm.store.unusual import changes
from realm.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realm.model import Project
    from realm.store.unusual import Change


class Risk(NamedTuple):
    """A changed file, relative to the project's top, and its kind."""

    kind: str
    path: str


_RULES = {
    "git hooks": """
        /.githooks/ /githooks/ /.hooks/ /hooks/ .husky/ .pre-commit-config.yaml .pre-commit-config.yml
        lefthook.* .lefthook.* lefthook-local.*
        """,
    "CI workflows": """
        /.github/workflows/ /.github/actions/ /.gitea/ /.forgejo/ /.gitlab/ /.gitlab-ci* /.circleci/
        /.buildkite/ /.woodpecker/ /.woodpecker.y* /.travis.y* /.drone.y* /.cirrus.y* /appveyor.y*
        /.appveyor.y* /azure-pipelines* /bitbucket-pipelines.y* /cloudbuild.y* jenkinsfile jenkinsfile.*
        action.yml action.yaml
        """,
    "agent settings": """
        .claude/ .claude.json .mcp.json claude.md claude.local.md agents.md .cursor/ .cursorrules .gemini/
        gemini.md .codex/ .aider* .windsurf/ .windsurfrules .clinerules .clinerules/ .continue/
        /.github/copilot-instructions.md /.github/prompts/ /.github/instructions/ /.github/agents/
        """,
    "editor settings": """
        .vscode/ .idea/ .fleet/ .zed/ *.code-workspace .devcontainer/ .devcontainer.json devcontainer.json
        .exrc .vimrc .gvimrc .nvimrc .nvim.lua .lvimrc .ycm_extra_conf.py .dir-locals.el .dir-locals-2.el
        """,
    "shell environment": """
        .envrc .env mise.toml .mise.toml mise.*.toml .mise/ .tool-versions .autoenv .bashrc .bash_profile
        .profile .zshrc .zshenv .inputrc .gdbinit .lldbinit
        """,
    "package scripts": """
        .npmrc .yarnrc .yarnrc.yml .yarn/plugins/ .yarn/releases/ .pnpmfile.cjs .pnpmfile.js binding.gyp
        setup.py setup.cfg conftest.py sitecustomize.py usercustomize.py *.pth pip.conf build.rs .cargo/
        composer.json gemfile *.gemspec .bundle/config extconf.rb gradlew gradlew.bat mvnw mvnw.cmd .mvn/
        gradle/wrapper/ *.gradle *.gradle.kts pom.xml package.swift mix.exs directory.build.*
        """,
    "build files": """
        makefile makefile.* gnumakefile *.mk *.mak justfile .justfile *.just taskfile.y* rakefile
        cmakelists.txt *.cmake sconstruct tox.ini noxfile.py dodo.py tasks.py gruntfile.* gulpfile.*
        build.zig module.bazel build.bazel workspace.bazel .bazelrc
        """,
    "authors' names": ".mailmap",
    "submodules": ".gitmodules",
}
"""Lower-case names of files at any depth, with a leading ``/`` only at the top; with a trailing ``/``
everything below such directories.  ``*`` is any part of a name."""


def _pattern(text: str) -> str:
    name = re.escape(text.strip("/")).replace(r"\*", "[^/]*")
    return ("" if text.startswith("/") else "(.*/)?") + name + ("/.+" if text.endswith("/") else "")


@cache
def _compiled() -> dict[str, re.Pattern[str]]:
    """Compile the rules' patterns only when needed, as this takes 5 ms."""
    return {
        kind: re.compile("|".join(map(_pattern, text.split())), re.DOTALL) for kind, text in _RULES.items()
    }


_CONFIG = (
    r"core\.(hookspath|attributesfile|excludesfile|fsmonitor|editor|pager|sshcommand|askpass|gitproxy)"
    r"|(include|includeif\..*)\.path|mailmap\.file|commit\.template|sequence\.editor|alias\..*|pager\..*"
    r"|diff\.external|diff\..*\.(command|textconv)|merge\..*\.driver|filter\..*\.(clean|smudge|process)"
    r"|(difftool|mergetool)\..*\.cmd|credential(\..*)?\.helper|gpg(\..*)?\.program|sendemail\..*cmd"
)
"""Git's settings that name a file to run or to obey, in lower case."""
_HIDING = rb"(^|\s)(-diff|binary|-text|(diff|merge|filter|linguist-generated)\b)"
_READ = 1024 * 1024
"""Largest file, in bytes, that is read."""
_SCRIPTS = ("scripts", "bin", "workspaces", "husky", "lint-staged", "simple-git-hooks", "gypfile")


def find(project: Project, old: str, new: str) -> list[Risk]:
    """Return the risky files that differ between two commits, in the rules' order."""
    if old == new:
        return []
    found = list(changes(project, old, new))
    named = _named_by_git(project)
    with CatFile(project) as objects:
        risks = {Risk(kind, change.path) for change in found for kind in _kinds(change, named, objects)}
    order = [*_RULES, *_OTHERS]
    return sorted(risks, key=lambda risk: (order.index(risk.kind), risk.path))


_SETTINGS, _HIDDEN, _LINKS = "files that your git obeys", "attributes that hide changes", "symlinks"
_OTHERS = (_SETTINGS, _HIDDEN, _LINKS)


def kinds(risks: Sequence[Risk]) -> tuple[str, ...]:
    """Return the kinds of these, each with the number of its files if there are several."""
    counted = Counter(risk.kind for risk in risks)
    return tuple(f"{kind} ({plural(count, 'file')})" for kind, count in counted.items())


def _kinds(change: Change, named: Sequence[str], objects: CatFile) -> Iterator[str]:
    path = change.path
    yield from (kind for kind, pattern in _compiled().items() if pattern.fullmatch(path.lower()))
    if any(path == place or path.startswith(f"{place}/") for place in named):
        yield _SETTINGS
    if change.mode == GITLINK:
        yield "submodules"
    if change.mode == SYMLINK:
        yield _LINKS
    name = PurePosixPath(path).name.casefold()
    if name == ".gitattributes" and _hides(change, objects):
        yield _HIDDEN
    if name == "package.json" and _scripts(objects, change.before) != _scripts(objects, change.after):
        yield "package scripts"


def _content(objects: CatFile, oid: str) -> bytes | None:
    """Return a file's content, empty for a missing one, ``None`` for one that is too large."""
    if not oid.strip("0"):
        return b""
    with suppress(GitError):
        found = objects.get(oid, _READ)
        return found.data if found is not None else None
    return None


def _hides(change: Change, objects: CatFile) -> bool:
    before, after = _content(objects, change.before), _content(objects, change.after)
    if before is None or after is None:
        return True
    return any(re.search(_HIDING, line) for line in set(after.splitlines()) - set(before.splitlines()))


def _scripts(objects: CatFile, oid: str) -> object:
    """Return the parts of a ``package.json`` that are run; an unreadable one equals no other."""
    data = _content(objects, oid)
    try:
        found = json.loads(data or b"{}") if data is not None else None
    except (ValueError, RecursionError):
        return data
    return [found.get(key) for key in _SCRIPTS] if isinstance(found, dict) else oid


def _named_by_git(project: Project) -> list[str]:
    """Return the project's files and directories that the user's git is configured to run or obey."""
    listed = git("config", "--list", "-z", "--show-origin", project=project, check=False)
    fields = listed.out.decode("utf-8", "surrogateescape").split("\0")
    places = set()
    for origin, entry in zip(fields[::2], fields[1::2], strict=False):
        key, _, value = entry.partition("\n")
        if not re.fullmatch(_CONFIG, key.lower()):
            continue
        beside = project.root
        if key.lower().startswith("include") and origin.startswith("file:"):
            beside = (project.root / origin.removeprefix("file:")).parent
        for word in _words(value):
            path = Path(os.path.normpath(beside / os.path.expanduser(word)))  # noqa: PTH111 - may have no home
            if path.is_relative_to(project.root) and path != project.root:
                places.add(path.relative_to(project.root).as_posix())
    return sorted(place for place in places if place.partition("/")[0] != ".git")


_TOP = r"\$\((git )?rev-parse --show-toplevel\)/|\$\{?PWD\}?/"


def _words(value: str) -> list[str]:
    """Return possible paths in a setting: its value, and the words of a command."""
    command = re.sub(_TOP, "", value.removeprefix("!"))
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    return [value, *(word.partition("=")[2] or word for word in words)]
