"""Reads what a project's ``devcontainer.json`` asks for (https://containers.dev/implementors/json_reference).

Its content comes from the project: nothing takes effect that the user was not shown.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from typing import TYPE_CHECKING, Any

from realm.sandbox import caches
from realm.session import features
from realm.session.proposal import Files, Proposal
from realm.text import clean

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.features import Features

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_HARMLESS = {"name", "$schema", "customizations", "remoteUser", "containerUser", "workspaceFolder"}
"""Keys that have no effect here and need no warning."""
_AT_CREATION = ("onCreateCommand", "updateContentCommand", "postCreateCommand")
"""Commands that are run once, in this order."""


_PLACES = (features.FILE, ".devcontainer.json")


def text(root: Path) -> str:
    """Return the content of ``devcontainer.json``; empty when there is none."""
    files = Files(root)
    name = files.first(*_PLACES)
    return files.text(name) if name else ""


def propose(files: Files) -> Proposal:
    """Return the part of its requests that realm can fulfil."""
    name = files.first(*_PLACES)
    if not name:
        return Proposal()
    try:
        found = json.loads(_without_comments(files.text(name)))
        commands = [_command(found.pop(key, "")) for key in _AT_CREATION] if isinstance(found, dict) else []
    except (ValueError, RecursionError):
        found, commands = None, []
    if not isinstance(found, dict):
        return Proposal(notes=(f"{name} cannot be read",))
    image, built, about_image = _image(files, name, found)
    variables, rest = _variables([found.pop(key, {}) for key in ("containerEnv", "remoteEnv")])
    notes = [
        f"{name}: {variable} is ignored: " + (
            "it says where logins or programs come from" if _LEADING.fullmatch(variable)
            else "its value is not known in advance"
        )
        for variable in rest
    ]  # fmt: skip
    notes += about_image
    kept, in_memory, other = _mounts(found.pop("mounts", []), found.get("workspaceFolder"))
    notes += [f"{name}: the mount {clean(mount, limit=200)} is ignored" for mount in other]
    notes += [f"{name}: {key} is ignored" for key in found if key not in _HARMLESS]
    return Proposal(
        image=image, setup=tuple(filter(None, commands)), variables=tuple(variables.items()),
        notes=tuple(notes), kept=kept, in_memory=in_memory, features=built,
    )  # fmt: skip


def _image(files: Files, name: str, found: dict[str, Any]) -> tuple[str, Features | None, list[str]]:
    """Pop what concerns the image from ``found``; return the image, its features and notes for the user."""
    notes = []
    asked = found.pop("image", "")
    image = asked if isinstance(asked, str) and re.fullmatch(r"[A-Za-z0-9][\w.:/@-]*", asked) else ""
    if asked and not image:
        notes.append(f"{name}: the image {asked} is ignored: it is not the plain name of one")
    build, wanted = found.pop("build", None), found.pop("features", None)
    if isinstance(file := found.pop("dockerFile", None), str):
        build = {"dockerfile": file, "context": found.pop("context", ".")}
    if isinstance(build, dict):
        notes.append(f"{name} builds an image: {_build(name, build)} && git config realm.image NAME")
    elif built := features.read(files.root, image, wanted):
        return built.tag, built, notes
    if wanted:
        notes.append(
            f"{name}: features is ignored, but npx @devcontainers/cli build --workspace-folder . "
            "--image-name NAME && git config realm.image NAME makes an image with them"
        )
    return image, None, notes


def _build(name: str, build: dict[str, Any]) -> str:
    """Return the command that builds an image as ``devcontainer.json``, at ``name``, says."""

    def at(path: object) -> str:
        return posixpath.normpath(posixpath.join(posixpath.dirname(name), str(path)))

    given = build.get("args")
    target = build.get("target")
    return shlex.join([
        "docker", "build", "-t", "NAME", "-f", at(build.get("dockerfile", "Dockerfile")),
        *(["--target", target] if isinstance(target, str) else []),
        *(
            f"--build-arg={key}={text}"
            for key, text in (given.items() if isinstance(given, dict) else ())
            if "${" not in str(text)  # the Dockerfile's own default is what counts then
        ),
        "--", at(build.get("context", ".")),
    ])  # fmt: skip


def _command(value: object) -> str:
    """Return a command that may be a line of shell, a list of words, or several of these by name."""
    commands = value.values() if isinstance(value, dict) else [value]
    lines = (shlex.join(map(str, each)) if isinstance(each, list) else each for each in commands)
    return " && ".join(_alone(line.strip()) for line in lines if isinstance(line, str) and line.strip())


_DISTURBS = re.compile(
    r"#|;|<<|(?<!&)&(?!&)|[&|]\s*$|(?:^|[\s&|])(?:\w+=|(?:[.:]|alias|cd|eval|exec|exit|export|read|readonly|return"
    r"|set|shift|source|trap|ulimit|umask|unset)(?:\s|$))"
)
"""What in a line of shell may change what is run behind it."""


def _alone(line: str) -> str:
    """Return a shell command in a form that others can follow: a comment, say, would swallow them."""
    try:
        shlex.split(line)
    except ValueError:
        return shlex.join(["sh", "-c", line])
    return shlex.join(["sh", "-c", line]) if _DISTURBS.search(line) else line


_TARGET = re.compile(r"/[\w.@+/-]{1,200}", re.ASCII)
_WORKSPACE = "${containerWorkspaceFolder}"


def _mounts(mounts: Any, workspace: Any) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    """Return where volumes and in-memory file systems are requested, and the mounts that are refused.

    A volume's own name would lead to other projects' data in it.  Paths in the work tree need no mount.
    """
    kept: list[str] = []
    in_memory: list[str] = []
    other: list[str] = []
    for mount in mounts if isinstance(mounts, list) else [mounts]:
        parts = mount.split(",") if isinstance(mount, str) else []
        fields = (
            mount
            if isinstance(mount, dict)
            else {part.partition("=")[0]: part.partition("=")[2] for part in parts}
        )
        kind = fields.get("type", "volume")
        target = str(fields.get("target") or fields.get("dst") or fields.get("destination"))
        inside = [_WORKSPACE, "/workspaces", *([workspace] if isinstance(workspace, str) else [])]
        if kind in ("volume", "tmpfs") and target.startswith(tuple(f"{place}/" for place in inside)):
            continue
        if kind in ("volume", "tmpfs") and _TARGET.fullmatch(target) and caches.can_be(target):
            (kept if kind == "volume" else in_memory).append(target)
        else:
            other.append(mount if isinstance(mount, str) else json.dumps(mount))
    return tuple(kept), tuple(in_memory), other


_LEADING = re.compile(
    r"(ANTHROPIC|CLAUDE|AWS|GOOGLE|CLOUD_ML|VERTEX|REALM|GIT|LD|DOCKER)_.*|.*_(PROXY|CA_CERTS|CA_BUNDLE|CAINFO)"
    r"|NODE_OPTIONS|SSL_CERT_.*|JAVA_TOOL_OPTIONS|PATH|HOME|BASH_ENV|ENV",
    re.IGNORECASE,
)
"""Variables that choose where a login is sent, or what runs: a project may not set them for its user."""


def _variables(values: list[Any]) -> tuple[dict[str, str], list[str]]:
    """Return the harmless variables with plain values, and the names of the others."""
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
