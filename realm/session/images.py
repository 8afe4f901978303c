"""Building the box's image on request."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from realm.config import Config
from realm.errors import UsageError
from realm.text import clean

if TYPE_CHECKING:
    from realm.session.ui import UI

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
"""A version or a tag of a package; more than that would be a search to npm."""


def build(claude_version: str | None, base: str | None, ca_file: Path | None, no_cache: bool, ui: UI) -> str:
    """Build ``realm:latest`` and return its id; the settings fill in what is not given.

    Raises :class:`ImageError` with the end of the build's output when it fails.
    """
    from realm.sandbox import building, docker

    if claude_version and not _VERSION.fullmatch(claude_version):
        raise UsageError(
            f"'{clean(claude_version)}' is no version of Claude Code", "realm build --claude-version 2.1.330"
        )
    config = Config(Path.cwd())
    authority = ca_file or (Path(config.get("caFile")) if config.get("caFile") else None)
    if authority is not None and not authority.is_file():
        raise UsageError(f"there is no file {authority}", "--ca-file wants a file of certificates (PEM)")
    return building.build(
        docker.connect(),
        claude_version=claude_version or config.get("claudeVersion") or None,
        base=base or config.get("baseImage"),
        ca_file=authority,
        no_cache=no_cache,
        progress=ui.info,
    )
