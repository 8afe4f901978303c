"""What a project's files ask for, and reading these files (untrusted)."""

from __future__ import annotations

import stat
import tomllib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.features import Features

_LIMIT = 1024**2
"""Bytes of the largest file that is read."""


class Proposal(NamedTuple):
    """Debian packages, an image, commands and variables; ``notes`` are for the user.

    ``kept`` and ``in_memory`` are directories in a container that must be writable; with ``features`` the
    image has to be built.
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
        """Return both combined; of two images the first."""
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
    """The files of a project (untrusted): only regular ones up to a size are read."""

    root: Path

    def has(self, name: str) -> bool:
        """Tell whether there is a regular file of that name."""
        with suppress(OSError):
            return stat.S_ISREG((self.root / name).lstat().st_mode)
        return False

    def first(self, *names: str) -> str:
        """Return the first of ``names`` that exists."""
        return next(filter(self.has, names), "")

    def text(self, name: str) -> str:
        """Return a file's text; empty if there is none."""
        with suppress(OSError):
            if self.has(name) and (self.root / name).stat().st_size <= _LIMIT:
                return (self.root / name).read_text("utf-8-sig", "replace")
        return ""

    def toml(self, name: str) -> dict[str, Any]:
        """Return a TOML file's content; empty if there is none."""
        try:
            return tomllib.loads(self.text(name))
        except (tomllib.TOMLDecodeError, RecursionError):
            return {}
