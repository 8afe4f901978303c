"""What a project needs to run its tests, as far as its files tell: packages, an image, a command.

Nothing here runs anything of the project's, and nothing counts that the user did not approve:
``realm init`` shows it, and writes it into the user's git configuration.  All commands but the one of
``devcontainer.json`` (https://containers.dev/implementors/json_reference) are realm's own words.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
import stat
import tomllib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_LIMIT = 1024**2
"""Bytes of a file that is looked at."""
_DEBIAN_GO, _DEBIAN_NODE = (1, 19), 18
"""What Debian has, in the release that realm's image is made of."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class Proposal(NamedTuple):
    """Packages of Debian's, an image, commands and variables; ``notes`` is what the user is to know."""

    packages: tuple[str, ...] = ()
    image: str = ""
    setup: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def and_(self, other: Proposal) -> Proposal:
        """Return both; of two images the first."""
        notes = other.notes
        if self.image and other.image and self.image != other.image:
            notes = (*notes, f"{other.image} would be the image otherwise, and there is only one")
        return Proposal(
            tuple(dict.fromkeys((*self.packages, *other.packages))),
            self.image or other.image,
            tuple(dict.fromkeys((*self.setup, *other.setup))),
            tuple(dict((*other.variables, *self.variables)).items()),
            (*self.notes, *notes),
        )


def propose(root: Path) -> Proposal:
    """Return what the files at the top of a project ask for."""
    found = Proposal()
    for look in (_devcontainer, _tools, _python, _node, _go, _rust, _java, _ruby, _dockerfile):
        found = found.and_(look(_Files(root)))
    return found


class _Files(NamedTuple):
    """The files of a project, which may be anything: only regular ones of a sensible size are read."""

    root: Path

    def has(self, name: str) -> bool:
        """Tell whether there is a regular file of that name."""
        with suppress(OSError):
            return stat.S_ISREG((self.root / name).lstat().st_mode)
        return False

    def first(self, *names: str) -> str:
        """Return the first of ``names`` that is there."""
        return next(filter(self.has, names), "")

    def text(self, name: str) -> str:
        """Return what a file says; nothing where it is none."""
        with suppress(OSError):
            if self.has(name) and (self.root / name).stat().st_size <= _LIMIT:
                return (self.root / name).read_text("utf-8", "replace")
        return ""

    def toml(self, name: str) -> dict[str, Any]:
        """Return what a file of TOML says; nothing where it is none."""
        try:
            return tomllib.loads(self.text(name))
        except (tomllib.TOMLDecodeError, RecursionError):
            return {}


# -- languages -------------------------------------------------------------------


def _python(files: _Files) -> Proposal:
    if files.has("uv.lock"):
        return Proposal(setup=("pip install -q uv", "uv sync -q"))
    if files.has("poetry.lock"):
        return Proposal(setup=("pip install -q poetry", "poetry install -q"))
    if files.has("Pipfile.lock"):
        return Proposal(setup=("pip install -q pipenv", "pipenv sync -q --dev"))
    names = sorted(
        path.name for path in files.root.glob("*requirements*.txt")
        if files.has(path.name) and re.fullmatch(r"[\w.-]+", path.name)
    )  # fmt: skip
    commands = [f"pip install -q {' '.join(f'-r {name}' for name in names)}"] if names else []
    project = files.toml("pyproject.toml")
    if files.has("setup.py") or "build-system" in project or "project" in project:
        about = project.get("project", {})
        extras = about.get("optional-dependencies", {}) if isinstance(about, dict) else {}
        extras = extras if isinstance(extras, dict) else {}
        wanted = ",".join(name for name in ("dev", "test", "tests") if name in extras)
        commands.append(f'pip install -q -e ".[{wanted}]"' if wanted else "pip install -q -e .")
    return Proposal(setup=tuple(commands))


def _node(files: _Files) -> Proposal:
    if not files.has("package.json"):
        return Proposal()
    image = ""
    wanted = re.match(r"v?(\d{1,3})", files.text(files.first(".nvmrc", ".node-version") or ".nvmrc").strip())
    if wanted and int(wanted[1]) != _DEBIAN_NODE:
        image = f"node:{wanted[1]}"
    commands: tuple[str, ...] = ("npm install --silent",)
    if files.has("pnpm-lock.yaml"):
        commands = ("npm install -g --silent pnpm", "pnpm install --silent --frozen-lockfile")
    elif files.has("yarn.lock"):
        commands = ("npm install -g --silent yarn", "yarn install --silent --frozen-lockfile")
    elif files.first("package-lock.json", "npm-shrinkwrap.json"):
        commands = ("npm ci --silent",)
    return Proposal(image=image, setup=commands)


def _go(files: _Files) -> Proposal:
    if not files.has("go.mod"):
        return Proposal()
    found = re.search(r"^go (\d{1,2})\.(\d{1,3})", files.text("go.mod"), re.MULTILINE)
    version = (int(found[1]), int(found[2])) if found else _DEBIAN_GO
    if version > _DEBIAN_GO:
        return Proposal(image="golang:{}.{}".format(*version), setup=("go mod download",))
    return Proposal(packages=("golang",), setup=("go mod download",))


def _rust(files: _Files) -> Proposal:
    return Proposal(image="rust:1", setup=("cargo fetch -q",)) if files.has("Cargo.toml") else Proposal()


def _java(files: _Files) -> Proposal:
    if files.has("pom.xml"):
        own = files.has("mvnw")
        command = f"{'sh ./mvnw' if own else 'mvn'} -q -B dependency:go-offline"
        return Proposal(("default-jdk-headless", *(() if own else ("maven",))), setup=(command,))
    if files.first("build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"):
        own = files.has("gradlew")
        command = f"{'sh ./gradlew' if own else 'gradle'} -q --no-daemon dependencies"
        return Proposal(("default-jdk-headless", *(() if own else ("gradle",))), setup=(command,))
    return Proposal()


def _ruby(files: _Files) -> Proposal:
    if not files.has("Gemfile"):
        return Proposal()
    commands = ('bundle config set --global path "$HOME/.bundle/gems"', "bundle install --quiet")
    return Proposal(("ruby-full", "ruby-bundler"), setup=commands)


_IMAGES = {"nodejs": "node", "python": "python", "golang": "golang", "ruby": "ruby", "rust": "rust"}


def _tools(files: _Files) -> Proposal:
    """Return the image for what ``.tool-versions`` wants (https://asdf-vm.com), line by line."""
    found = Proposal()
    for line in files.text(".tool-versions").splitlines():
        words = line.split("#")[0].split()
        if len(words) < 2:  # noqa: PLR2004
            continue
        if words[0] in _IMAGES and re.fullmatch(r"\d[\w.-]{0,30}", words[1], re.ASCII):
            found = found.and_(Proposal(image=f"{_IMAGES[words[0]]}:{words[1]}"))
        else:
            found = found.and_(Proposal(notes=(f".tool-versions wants {words[0]} {words[1]}",)))
    return found


def _dockerfile(files: _Files) -> Proposal:
    if not files.has("Dockerfile"):
        return Proposal()
    advice = "docker build -t NAME . && git config realm.image NAME"
    return Proposal(notes=(f"there is a Dockerfile: {advice} lets containers be of its image",))


# -- devcontainer.json -------------------------------------------------------------

_HARMLESS = {"name", "$schema", "customizations", "remoteUser", "containerUser", "workspaceFolder"}
"""What means nothing here, and is missed by nobody."""


_PLACES = (".devcontainer/devcontainer.json", ".devcontainer.json")


def devcontainer(root: Path) -> str:
    """Return what ``devcontainer.json`` says; nothing where there is none."""
    files = _Files(root)
    name = files.first(*_PLACES)
    return files.text(name) if name else ""


def _devcontainer(files: _Files) -> Proposal:
    name = files.first(*_PLACES)
    if not name:
        return Proposal()
    try:
        found = json.loads(_without_comments(files.text(name)))
        command = _command(found.pop("postCreateCommand", "")) if isinstance(found, dict) else ""
    except (ValueError, RecursionError):
        found, command = None, ""
    if not isinstance(found, dict):
        return Proposal(notes=(f"{name} cannot be read",))
    image = found.pop("image", "")
    image = image if isinstance(image, str) and re.fullmatch(r"[A-Za-z0-9][\w.:/@-]*", image) else ""
    variables, rest = _variables([found.pop(key, {}) for key in ("containerEnv", "remoteEnv")])
    notes = [
        f"{name}: {variable} is ignored: " + (
            "it says where logins or programs come from" if _LEADING.fullmatch(variable)
            else "its value is not one that is known before"
        )
        for variable in rest
    ]  # fmt: skip
    build = found.pop("build", None)
    if isinstance(file := found.pop("dockerFile", None), str):
        build = {"dockerfile": file, "context": found.pop("context", ".")}
    if isinstance(build, dict):
        notes.append(f"{name} builds an image: {_build(name, build)} && git config realm.image NAME")
    if found.get("features"):
        notes.append(
            f"{name}: features is ignored, but npx @devcontainers/cli build --workspace-folder . "
            "--image-name NAME && git config realm.image NAME makes an image with them"
        )
        del found["features"]
    notes += [f"{name}: {key} is ignored" for key in found if key not in _HARMLESS]
    return Proposal((), image, (command,) if command else (), tuple(variables.items()), tuple(notes))


def _build(name: str, build: dict[str, Any]) -> str:
    """Return the command that builds an image as ``devcontainer.json``, at ``name``, says."""

    def at(path: object) -> str:
        return posixpath.normpath(posixpath.join(posixpath.dirname(name), str(path)))

    given = build.get("args")
    target = build.get("target")
    return shlex.join([
        "docker", "build", "-t", "NAME", "-f", at(build.get("dockerfile", "Dockerfile")),
        *(["--target", target] if isinstance(target, str) else []),
        *(f"--build-arg={key}={text}" for key, text in (given.items() if isinstance(given, dict) else ())),
        "--", at(build.get("context", ".")),
    ])  # fmt: skip


def _command(value: object) -> str:
    """Return a command that may be a line of shell, a list of words, or several of these by name."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return shlex.join(map(str, value))
    return " && ".join(filter(None, map(_command, value.values()))) if isinstance(value, dict) else ""


_LEADING = re.compile(
    r"(ANTHROPIC|CLAUDE|AWS|GOOGLE|CLOUD_ML|VERTEX|REALM|GIT|LD|DOCKER)_.*|.*_(PROXY|CA_CERTS|CA_BUNDLE|CAINFO)"
    r"|NODE_OPTIONS|SSL_CERT_.*|JAVA_TOOL_OPTIONS|PATH|HOME|BASH_ENV|ENV",
    re.IGNORECASE,
)
"""Variables that say where a login goes, or what runs: no project may choose them for its user."""


def _variables(values: list[Any]) -> tuple[dict[str, str], list[str]]:
    """Return the variables that have plain values and lead nowhere, and the names of the others."""
    given = {str(name): text for value in values if isinstance(value, dict) for name, text in value.items()}
    plain = {
        name: text for name, text in given.items()
        if isinstance(text, str) and "${" not in text and _VARIABLE.fullmatch(name)
        and not _LEADING.fullmatch(name)
    }  # fmt: skip
    return plain, [name for name in given if name not in plain]


_PARTS = re.compile(
    r'"(?:[^"\\\n]|\\.)*(?:"|\Z|\n)|//[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/|\Z)|[^"/,]+|.', re.DOTALL
)


def _without_comments(text: str) -> str:
    """Return JSON without comments and without commas before what closes, as editors write it."""
    parts = [part for part in _PARTS.findall(text) if not part.startswith(("//", "/*"))]
    kept = [part for part in parts if part.strip()]
    after = [*kept[1:], ""]
    return "".join(
        part for part, following in zip(kept, after, strict=True)
        if part != "," or following.lstrip()[:1] not in ("]", "}")
    )  # fmt: skip
