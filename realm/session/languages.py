"""What a project needs to run its tests, as far as its files tell: packages, an image, a command.

Nothing here runs anything of the project's, and nothing counts that the user did not approve:
``realm init`` shows it, and writes it into the user's git configuration.  All commands but the one of
``devcontainer.json`` (https://containers.dev/implementors/json_reference) are realm's own words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realm.session import devcontainer
from realm.session.proposal import Files, Proposal

if TYPE_CHECKING:
    from pathlib import Path

_DEBIAN_GO, _DEBIAN_NODE = (1, 19), 18
"""What Debian has, in the release that realm's image is made of."""


def propose(root: Path) -> Proposal:
    """Return what the files at the top of a project ask for."""
    found = Proposal()
    for look in (devcontainer.propose, _tools, _python, _node, _go, _rust, _java, _ruby, _dockerfile):
        found = found.and_(look(Files(root)))
    return found


# -- languages -------------------------------------------------------------------


def _python(files: Files) -> Proposal:
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


def _node(files: Files) -> Proposal:
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
    return Proposal(("ruby-full", "ruby-bundler"), setup=commands)


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
