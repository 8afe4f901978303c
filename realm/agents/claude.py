"""Claude Code in a box: its arguments and its configuration directory.

The keys that make it start straight into its screen, without first-run
questions, were found by trying version 2.1: ``.claude.json`` with
``hasCompletedOnboarding``, ``bypassPermissionsModeAccepted``,
``customApiKeyResponses.approved`` (a key's last 20 characters) and
``projects[<directory>].hasTrustDialogAccepted``; ``settings.json`` with
``skipDangerousModePermissionPrompt``.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from realm.agents.login import Login, host_config_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROGRAM = "claude"

ENVIRONMENT = {"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
"""The image is what updates Claude Code, and a box tells nobody what it does."""

_CONVERSATION_FLAGS = ("--resume", "-r", "--continue", "-c", "--session-id", "--from-pr", "--fork-session")

_COPIED = ("CLAUDE.md", "commands", "agents", "skills", "output-styles", "rules")

_HOST_ONLY_SETTINGS = (
    "apiKeyHelper",
    "awsAuthRefresh",
    "awsCredentialExport",
    "enabledPlugins",
    "extraKnownMarketplaces",
    "fileSuggestion",
    "forceLoginMethod",
    "gcpAuthRefresh",
    "hooks",
    "otelHeadersHelper",
    "permissions",
    "sandbox",
    "statusLine",
)
"""Settings that name programs of the host, or that only make sense there."""

_SIZE_LIMIT = 16 * 1024 * 1024
_COUNT_LIMIT = 4000


class ConfigFile(NamedTuple):
    """One file of the configuration directory: path below it, content, permission bits."""

    path: str
    content: bytes
    mode: int = 0o600


def command(conversation: str | None, arguments: Sequence[str], *, resume: bool) -> list[str]:
    """Return the argument list that starts Claude Code on a conversation.

    The user's ``arguments`` follow verbatim; when they choose a conversation
    themselves, ours is left out.
    """
    start = [PROGRAM, "--dangerously-skip-permissions"]
    chosen = any(argument.split("=", 1)[0] in _CONVERSATION_FLAGS for argument in arguments)
    if conversation and not chosen:
        start += ["--resume" if resume else "--session-id", conversation]
    return [*start, *arguments]


def transcript_path(directory: str, conversation: str) -> str:
    """Return where, below the configuration directory, a conversation held in ``directory`` lies."""
    return f"projects/{re.sub(r'[^A-Za-z0-9]', '-', directory)}/{conversation}.jsonl"


def config_files(login: Login, directory: str, environ: Mapping[str, str] = os.environ) -> list[ConfigFile]:
    """Return the configuration directory of a box whose agent starts in ``directory``.

    The user's own settings, instructions, commands, agents and skills are
    copies without write permission; nothing of them is ever read back.
    """
    host = host_config_dir(environ)
    files = [
        ConfigFile(".claude.json", _dump(_global_state(login, directory, _read_state(host, environ)))),
        ConfigFile("settings.json", _dump(_settings(_read_object(host / "settings.json"))), 0o644),
        *_copies(host),
    ]
    if login.credentials is not None:
        files.append(ConfigFile(".credentials.json", login.credentials))
    return files


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "replace")


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _read_state(host: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    inside = bool(environ.get("CLAUDE_CONFIG_DIR"))
    return _read_object(host / ".claude.json" if inside else Path.home() / ".claude.json")


def _global_state(login: Login, directory: str, host: Mapping[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = {
        key: host[key] for key in ("theme", "editorMode") if isinstance(host.get(key), str)
    }
    state |= {
        "hasCompletedOnboarding": True,
        "bypassPermissionsModeAccepted": True,
        "autoUpdates": False,
        "preferredNotifChannel": "terminal_bell",
        "projects": {directory: {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}},
    }
    key = login.variables.get("ANTHROPIC_API_KEY")
    if key:
        state["customApiKeyResponses"] = {"approved": [key[-20:]], "rejected": []}
    if login.credentials is not None and isinstance(host.get("oauthAccount"), dict):
        state["oauthAccount"] = host["oauthAccount"]
    return state


def _settings(host: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in host.items() if key not in _HOST_ONLY_SETTINGS}
    return kept | {"skipDangerousModePermissionPrompt": True}


def _copies(host: Path) -> list[ConfigFile]:
    found: list[ConfigFile] = []
    size = 0
    for path, relative in _walk(host):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        size += len(content)
        if size > _SIZE_LIMIT or len(found) >= _COUNT_LIMIT:
            break
        mode = 0o555 if os.access(path, os.X_OK) else 0o444
        found.append(ConfigFile(relative, content, mode))
    return found


def _walk(host: Path) -> Iterator[tuple[Path, str]]:
    """Yield the regular files to copy; links are followed, as skills are often linked in."""
    for name in _COPIED:
        top = host / name
        if top.is_file():
            yield top, name
        seen: set[str] = set()
        for directory, children, names in os.walk(top, followlinks=True):
            real = os.path.realpath(directory)
            if real in seen or ".git" in Path(directory).parts[len(host.parts) :]:
                children.clear()
                continue
            seen.add(real)
            children.sort()
            for file in sorted(names):
                path = Path(directory) / file
                if path.is_file() and path.stat().st_size <= _SIZE_LIMIT:
                    yield path, path.relative_to(host).as_posix()
