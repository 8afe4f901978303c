"""What the files of a project ask for, and reading them: they may be anything."""

from __future__ import annotations

import stat
import tomllib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.features import Features

_LIMIT = 1024**2
"""Bytes of a file that is looked at."""


class Proposal(NamedTuple):
    """Packages of Debian's, an image, commands and variables; ``notes`` is what the user is to know.

    ``kept`` and ``in_memory`` are directories of a container that are to be written to; with ``features``
    the image has to be built.
    """

    packages: tuple[str, ...] = ()
    image: str = ""
    setup: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    in_memory: tuple[str, ...] = ()
    features: Features | None = None

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
            (*self.kept, *other.kept),
            (*self.in_memory, *other.in_memory),
            self.features or other.features,
        )


class Files(NamedTuple):
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
                return (self.root / name).read_text("utf-8-sig", "replace")
        return ""

    def toml(self, name: str) -> dict[str, Any]:
        """Return what a file of TOML says; nothing where it is none."""
        try:
            return tomllib.loads(self.text(name))
        except (tomllib.TOMLDecodeError, RecursionError):
            return {}
