"""Finds what a project needs to run its tests, by its files: packages, an image, a command.

Nothing of the project's is run here, and nothing takes effect without the user's approval: ``realm init``
shows it, and writes it into the user's git configuration.  All commands but the one of ``devcontainer.json``
(https://containers.dev/implementors/json_reference) are realm's own.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from realm.session import devcontainer
from realm.session.proposal import Files, Proposal

if TYPE_CHECKING:
    from pathlib import Path

_DEBIAN_GO, _DEBIAN_NODE, _DEBIAN_PYTHON, _DEBIAN_RUBY = (1, 19), 18, 11, "3.1"
"""Versions in Debian, in the release of realm's image; of Python 3 the minor version."""


def propose(root: Path) -> Proposal:
    """Return what the files at the project's top ask for."""
    found = Proposal()
    for look in (devcontainer.propose, _tools, _python, _node, _go, _rust, _java, _ruby, _php, _dockerfile):
        found = found.and_(look(Files(root)))
    return found


# -- languages -------------------------------------------------------------------


_MANAGERS = (
    ("uv", "uv.lock", "uv sync -q"),
    ("poetry", "poetry.lock", "poetry install --no-interaction"),
    ("pdm", "pdm.lock", "pdm sync -q"),
    ("pipenv", "Pipfile.lock", "pipenv sync -q --dev"),
)
"""What installs a Python project, as it is called on PyPI, its lock file, and its command."""


def _python(files: Files) -> Proposal:
    whole = files.toml("pyproject.toml")
    project, tools = _table(whole, "project"), _table(whole, "tool")
    manager = next((one for one in _MANAGERS if files.has(one[1])), None)
    if manager is None and "poetry" in tools:
        manager = ("poetry", "", "poetry install --no-interaction")
    elif manager is None and ("uv" in tools or "dependency-groups" in whole):
        manager = ("uv", "", "uv sync -q")
    if manager and manager[0] == "uv":  # it fetches the Python that the project wants
        return Proposal(setup=("pip install -q uv", manager[2]))
    asked = _table(_table(tools, "poetry"), "dependencies").get("python")
    asked = files.text(".python-version").strip() or project.get("requires-python") or asked
    wanted = re.match(r"[\s>=~^]*3\.(\d{1,2})", f"{asked}")
    image = f"python:3.{wanted[1]}" if wanted and int(wanted[1]) > _DEBIAN_PYTHON else ""
    if manager:
        return Proposal(image=image, setup=(f"pip install -q {manager[0]}", manager[2]))
    names = sorted(
        path.name for path in files.root.glob("*requirements*.txt")
        if files.has(path.name) and re.fullmatch(r"[\w.-]+", path.name)
    )  # fmt: skip
    commands = [f"pip install -q {' '.join(f'-r {name}' for name in names)}"] if names else []
    if files.has("setup.py") or "build-system" in whole or "project" in whole:
        extras = _table(project, "optional-dependencies")
        wished = ",".join(name for name in ("dev", "test", "tests") if name in extras)
        commands.append(f'pip install -q -e ".[{wished}]"' if wished else "pip install -q -e .")
    return Proposal(image=image, setup=tuple(commands))


def _table(found: dict[str, Any], name: str) -> dict[str, Any]:
    part = found.get(name)
    return part if isinstance(part, dict) else {}


def _node(files: Files) -> Proposal:
    if not files.has("package.json"):
        return Proposal()
    try:
        project = _table({"": json.loads(files.text("package.json"))}, "")
    except (ValueError, RecursionError):
        project = {}
    image = ""
    exact = files.text(files.first(".nvmrc", ".node-version") or ".nvmrc").strip()
    exact = exact or str(_table(project, "volta").get("node", ""))
    wanted = re.match(r"[\s>=~^v]*(\d{1,3})", exact or f"{_table(project, 'engines').get('node')}")
    if wanted and (int(wanted[1]) > _DEBIAN_NODE or (exact and int(wanted[1]) != _DEBIAN_NODE)):
        image = f"node:{wanted[1]}"
    return Proposal(image=image, setup=_node_setup(files, f"{project.get('packageManager')}"))


_LOCKED_BY = (("'5.", "7"), ("5.", "7"), ("'6.", "8"), ("'9.", "10"))
"""How a format of pnpm's lock file begins, and the pnpm for it that runs on Debian's Node."""


def _node_setup(files: Files, chosen: str) -> tuple[str, ...]:
    """Return the commands of the package manager; ``chosen`` is what ``package.json`` says of it."""
    exact = re.match(r"(pnpm|yarn|bun)@((\d{1,3})[\w.-]*)", chosen, re.ASCII)
    name, version, major = exact.groups() if exact else ("", "", "")
    if files.has("pnpm-lock.yaml") or name == "pnpm":
        lock = re.match(r"lockfileVersion: (.*)", files.text("pnpm-lock.yaml"))
        known = [it for begins, it in _LOCKED_BY if lock and lock[1].startswith(begins)]
        which = version if name == "pnpm" else next(iter(known), "latest")
        frozen = " --frozen-lockfile" if files.has("pnpm-lock.yaml") else ""
        return f"npm install -g --loglevel=error pnpm@{which}", f"pnpm install --silent{frozen}"
    if files.has("yarn.lock") or name == "yarn":
        is_first = major == "1" if name == "yarn" else "\n__metadata:" not in files.text("yarn.lock")
        if is_first:
            return "npm install -g --loglevel=error yarn", "yarn install --silent --frozen-lockfile"
        which = version if name == "yarn" else "latest"
        return f"npm install -g --loglevel=error @yarnpkg/cli-dist@{which}", "yarn install --immutable"
    if files.first("bun.lock", "bun.lockb") or name == "bun":
        return "npm install -g --loglevel=error bun", "bun install"
    if files.first("package-lock.json", "npm-shrinkwrap.json"):
        return ("npm ci --loglevel=error",)
    return ("npm install --loglevel=error",)


def _go(files: Files) -> Proposal:
    if not files.has("go.mod"):
        return Proposal()
    found = re.search(r"^go (\d{1,2})\.(\d{1,3})", files.text("go.mod"), re.MULTILINE)
    version = (int(found[1]), int(found[2])) if found else _DEBIAN_GO
    if version > _DEBIAN_GO:
        return Proposal(image="golang:{}.{}".format(*version), setup=("go mod download",))
    return Proposal(packages=("golang",), setup=("go mod download",))


def _rust(files: Files) -> Proposal:
    return Proposal(image="rust:1", setup=("cargo fetch -q",)) if files.has("Cargo.toml") else Proposal()


def _java(files: Files) -> Proposal:
    if files.has("pom.xml"):
        own = files.has("mvnw")
        command = f"{'sh ./mvnw' if own else 'mvn'} -q -B dependency:go-offline"
        return Proposal(("default-jdk-headless", *(() if own else ("maven",))), setup=(command,))
    if files.first("build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"):
        own = files.has("gradlew")
        command = f"{'sh ./gradlew' if own else 'gradle'} -q --no-daemon dependencies"
        return Proposal(("default-jdk-headless", *(() if own else ("gradle",))), setup=(command,))
    return Proposal()


def _ruby(files: Files) -> Proposal:
    if not files.has("Gemfile"):
        return Proposal()
    commands = ('bundle config set --global path "$HOME/.bundle/gems"', "bundle install --quiet")
    wanted = re.match(r"(?:ruby-)?(\d\.\d{1,2})", files.text(".ruby-version").strip())
    if wanted and wanted[1] != _DEBIAN_RUBY:
        return Proposal(image=f"ruby:{wanted[1]}", setup=commands)
    return Proposal(("ruby-full", "ruby-bundler"), setup=commands)


def _php(files: Files) -> Proposal:
    if not files.has("composer.json"):
        return Proposal()
    packages = ("composer", "php-cli", "php-curl", "php-mbstring", "php-xml")
    return Proposal(packages, setup=("composer install --no-interaction --no-progress",))


_IMAGES = {"nodejs": "node", "python": "python", "golang": "golang", "ruby": "ruby", "rust": "rust"}


def _tools(files: Files) -> Proposal:
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


def _dockerfile(files: Files) -> Proposal:
    if not files.has("Dockerfile"):
        return Proposal()
    advice = "docker build -t NAME . && git config realm.image NAME"
    return Proposal(notes=(f"there is a Dockerfile: {advice} lets containers be of its image",))
