"""Sets up a project: turns what its files ask for into the user's git configuration."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, NamedTuple

from realm.config import CACHE_PATH, DOCKER_ARGS, IMAGE, PACKAGES, SETUP, Config
from realm.errors import UsageError
from realm.git import git
from realm.session import approvals, devcontainer, features, languages
from realm.store.repo import discover
from realm.text import clean

if TYPE_CHECKING:
    from pathlib import Path

    from realm.config import Setting
    from realm.session.features import Features
    from realm.session.proposal import Proposal
    from realm.session.requests import UI


_SHOWN = 2000
"""The longest setting, in characters: nothing is written that was not shown."""


class Line(NamedTuple):
    """A setting to write: its key with ``realm.``, and its value."""

    key: str
    text: str

    @property
    def command(self) -> str:
        """The git command that writes it, for display."""
        add = "--add " if self.key in (f"realm.{PACKAGES.key}", f"realm.{CACHE_PATH.key}") else ""
        return f"git config {add}{self.key} {shlex.quote(self.text)}"


class Planned(NamedTuple):
    """The settings to write, notes for the user (cleaned), and the features to build."""

    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    features: Features | None = None


def plan(directory: Path) -> Planned:
    """Return what ``realm init`` would write for the project at ``directory``; existing settings stay."""
    project = discover(directory)
    config = Config(project.root)
    found = languages.propose(project.root)
    lines: list[Line] = []
    notes = [clean(note, limit=500) for note in found.notes]
    for setting, texts in _settings(found):
        if not texts:
            continue
        if config.lookup(setting).source != "default":
            notes.append(f"realm.{setting.key} is set already, and stays")
            continue
        if any(clean(text, limit=_SHOWN) != text for text in texts):
            notes.append(
                f"realm.{setting.key} is left out: what the project has for it cannot be shown whole"
            )
            continue
        try:
            for text in texts:
                setting.read(text)
        except UsageError as error:
            notes.append(clean(f"left out: {error.message}", limit=500))
            continue
        lines += [Line(f"realm.{setting.key}", text) for text in texts]
    built = found.features if found.features and Line(f"realm.{IMAGE.key}", found.image) in lines else None
    if built:
        notes.append(built.notice)
    elif found.image and any(line.key == f"realm.{IMAGE.key}" for line in lines):
        notes.append(f"realm pulls no image: docker pull {found.image}, unless the engine has it")
    return Planned(tuple(lines), tuple(notes), built)


def _settings(found: Proposal) -> list[tuple[Setting[str], list[str]]]:
    flags = [f"-e {shlex.quote(f'{name}={text}')}" for name, text in found.variables]
    flags += [f"--tmpfs {place}:exec" for place in found.in_memory]
    return [
        (IMAGE, [found.image] if found.image else []),
        (PACKAGES, [*found.packages]),
        (SETUP, [" && ".join(found.setup)] if found.setup else []),
        (CACHE_PATH, [*found.kept]),
        (DOCKER_ARGS, [" ".join(flags)] if flags else []),
    ]


def write(directory: Path, planned: Planned, ui: UI) -> None:
    """Write it to the project's own git configuration, which a clone does not bring along.

    An image with features is built before; :class:`ImageError` when it cannot be.
    """
    project = discover(directory)
    if planned.features:
        features.build(planned.features, ui)
    for line in planned.lines:
        git("config", "--local", "--add", line.key, line.text, project=project)
    if text := devcontainer.text(project.root):
        approvals.note_devcontainer(project, text.encode())
