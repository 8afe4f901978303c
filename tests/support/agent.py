"""Replaces Claude Code by a shell script, for tests of what only its sessions have: login, conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

PROGRAM = "/usr/local/bin/claude"
"""Where the image has the program."""


def replace_claude(user: User, place: Path, script: str) -> None:
    """Make every sandbox of ``user`` run ``script`` in place of Claude Code."""
    place.mkdir(exist_ok=True)
    program = place / "claude"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    user.extra["REALM_DOCKER_ARGS"] = f"-v {program}:{PROGRAM}:ro"
