"""The environment of a test, which hides the user and the machine that run it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

GIT_CONFIG = """\
[user]
\tname = Ada Tester
\temail = ada@example.com
[init]
\tdefaultBranch = main
[protocol "file"]
\tallow = always
[commit]
\tgpgSign = false
"""
_QUICK = """\
[realm]
\tnetwork = open
\tcredentials = env
"""
"""Spares tests of other things the container with the proxies."""

_DROPPED_PREFIXES = ("ANTHROPIC_", "CLAUDE", "COV_", "DOCKER_", "GIT_", "LC_", "REALM_", "SSH_", "XDG_")
_DROPPED = frozenset(
    ("CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "EDITOR", "EMAIL", "FORCE_COLOR", "LANGUAGE", "LESS", "LINES",
     "MAIL", "NO_COLOR", "PAGER", "STY", "TMUX", "TMUX_PANE", "VISUAL")
)  # fmt: skip
_CONTROLS = ("REALM_REQUIRE_DOCKER", "REALM_BENCH_FULL", "REALM_TEST_CACHE")
"""Variables that control the tests themselves."""
_BUILD = ("REALM_CA_FILE", "REALM_BASE_IMAGE", "REALM_CLAUDE_VERSION")
_ENGINE = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", *_BUILD)
"""Variables kept for tests that use the engine: its address, and what its images are built with."""


def _kept(name: str, *, engine: bool) -> bool:
    if name in _CONTROLS or (engine and name in _ENGINE):
        return True
    return name not in _DROPPED and not name.startswith(_DROPPED_PREFIXES)


def sealed_environment(home: Path, *, engine: bool = False, quick: bool = False) -> dict[str, str]:
    """Return the complete environment for a test whose home is the existing directory ``home``.

    A git configuration with an identity is written there.  ``engine`` keeps what is needed to reach the
    Docker engine; with ``quick`` sandboxes do without a sidecar.
    """
    kept = {name: value for name, value in os.environ.items() if _kept(name, engine=engine)}
    config = home / ".gitconfig"
    config.write_text(GIT_CONFIG + (_QUICK if quick else ""))
    return kept | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "REALM_HOME": str(home / ".realm"),
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "EDITOR": "false",
        "GIT_EDITOR": "false",
        "PAGER": "cat",
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
    }
