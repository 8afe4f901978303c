"""From Enter to Claude Code's first painted prompt, against docker with the same configuration."""

from __future__ import annotations

import json
import os
import shutil
import statistics
from typing import TYPE_CHECKING

from tests.bench.measure import Figure
from tests.bench.outer import Outer
from tests.bench.setting import IMAGE
from tests.support.repos import Repo
from tests.support.user import KEY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.bench.setting import Setting

PAINTED = b"bypass permissions on"
BAR = 1.3
_WORK = "/workspace/project"
_USER = 1000
"""The image's own user, whom the files of the plain container belong to."""


def first_prompt(setting: Setting, files: int, pairs: int) -> Figure:
    """Measure ``pairs`` interleaved starts; each program is told to exit once it has painted."""
    setting.env |= {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
    plain = _plain_container(setting, files)
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(pairs + 1):
        ours = [str(setting.realm), "new", f"prompt-{os.urandom(4).hex()}"]
        _configure(_place(setting) / "config")
        for command, times in zip((ours, plain), taken, strict=True):
            took = _until_painted(command, setting)
            if number:  # the first of each is to warm up
                times.append(took)
    rival = "docker run --rm -it claude"
    name = f"first prompt painted, {files} files"
    return Figure(name, statistics.median(taken[0]), rival, statistics.median(taken[1]), BAR)


def _until_painted(command: Sequence[str], setting: Setting) -> float:
    with Outer(command, setting) as outer:
        took = outer.expect(PAINTED, seconds=120) - outer.began
        outer.type(b"/exit\r")
        outer.finish()
    return took


def _plain_container(setting: Setting, files: int) -> list[str]:
    """Return docker's command for Claude Code in a checkout of the same size, configured as realm does."""
    place = _place(setting)
    if not place.exists():
        Repo.init(place / "project").make_files(files)
        _give(place)
    environment = {
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": setting.env["ANTHROPIC_BASE_URL"],
        "CLAUDE_CONFIG_DIR": "/config",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "HOME": "/tmp",
        "TERM": setting.env["TERM"],
    }
    return [
        "docker", "run", "--rm", "-it", "--init", "--user", f"{_USER}:{_USER}",
        "-v", f"{place / 'config'}:/config", "-v", f"{place / 'project'}:{_WORK}", "-w", _WORK,
        *(word for pair in environment.items() for word in ("-e", "=".join(pair))),
        "--entrypoint", "claude", IMAGE, "--dangerously-skip-permissions",
    ]  # fmt: skip


def _place(setting: Setting) -> Path:
    return setting.directory.parent / "plain"


def _give(place: Path) -> None:
    """Make all below ``place`` the container's user's."""
    for directory, names, found in os.walk(place):
        for name in (".", *names, *found):
            os.chown(os.path.join(directory, name), _USER, _USER, follow_symlinks=False)  # noqa: PTH118


def _configure(directory: Path) -> None:
    """Give the plain container what a new session has: a configuration in which nothing has run yet."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    state = {
        "hasCompletedOnboarding": True,
        "bypassPermissionsModeAccepted": True,
        "customApiKeyResponses": {"approved": [KEY[-20:]], "rejected": []},
        "projects": {_WORK: {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}},
    }
    (directory / ".claude.json").write_text(json.dumps(state))
    (directory / "settings.json").write_text(json.dumps({"skipDangerousModePermissionPrompt": True}))
    _give(directory)
