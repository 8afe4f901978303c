"""Claude Code's configuration directory in a sandbox.

These keys make version 2.1 start without first-run questions (found by trying): in ``.claude.json``
``hasCompletedOnboarding``, ``customApiKeyResponses.approved`` (the last 20 characters of a key) and
``projects[<directory>].hasTrustDialogAccepted``; in ``settings.json`` ``skipDangerousModePermissionPrompt``,
which older versions kept in ``.claude.json`` and 2.1 would move.
"""

from __future__ import annotations

import functools
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from realm import hosts
from realm.agents.base import HomeFile
from realm.agents.claude.api import ADDRESSES, ANTHROPIC, SECRETS
from realm.agents.claude.helper import TTL, ask
from realm.agents.claude.login import PASSED_VARIABLES, chosen, host_config_dir, json_object
from realm.config import MCP
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from realm.agents.base import Login

_COPIED = ("CLAUDE.md", "commands", "agents", "skills", "output-styles", "rules")

_HOST_ONLY_SETTINGS = frozenset({
    "apiKeyHelper", "awsAuthRefresh", "awsCredentialExport", "enabledPlugins", "env",
    "extraKnownMarketplaces", "fileSuggestion", "forceLoginMethod", "gcpAuthRefresh", "hooks",
    "mcpServers", "otelHeadersHelper", "permissions", "sandbox", "statusLine",
})  # fmt: skip
"""Settings that name programs on the host, or that make sense only there."""

_FIT = (
    r"ANTHROPIC_(API_KEY|AUTH_TOKEN|BASE_URL|BETAS|CUSTOM_HEADERS|MODEL|SMALL_FAST_MODEL(_AWS_REGION)?)"
    r"|ANTHROPIC_(DEFAULT|CUSTOM)_[A-Z]+_(MODEL|OPTION)(_NAME|_DESCRIPTION|_SUPPORTED_CAPABILITIES)?"
    r"|ANTHROPIC_DEFAULT_MODEL|ANTHROPIC_CUSTOM_MODEL_OPTION(_NAME|_DESCRIPTION|_SUPPORTED_CAPABILITIES)?"
    r"|ANTHROPIC_(BEDROCK|VERTEX|FOUNDRY)_(BASE_URL|PROJECT_ID|RESOURCE|REGION_PREFIX|SERVICE_TIER)"
    r"|AWS_(DEFAULT_)?REGION|AWS_BEARER_TOKEN_BEDROCK|CLOUD_ML_REGION|VERTEX_REGION_[A-Z0-9_]+"
    r"|CLAUDE_CODE_(USE|SKIP)_(BEDROCK|VERTEX|FOUNDRY)(_AUTH)?|CLAUDE_CODE_OAUTH_TOKEN"
    r"|CLAUDE_CODE_(SUBAGENT_MODEL|EFFORT_LEVEL|MAX_OUTPUT_TOKENS|MAX_RETRIES|ATTRIBUTION_HEADER|NO_FLICKER)"
    r"|(CLAUDE_CODE_)?DISABLE_[A-Z0-9_]+|CLAUDE_AUTOCOMPACT_PCT_OVERRIDE"
    r"|MAX_(THINKING|MCP_OUTPUT)_TOKENS|MCP_(TOOL_)?TIMEOUT|API_TIMEOUT_MS|ENABLE_TOOL_SEARCH"
    r"|BASH_(DEFAULT_TIMEOUT_MS|MAX_TIMEOUT_MS|MAX_OUTPUT_LENGTH)|CLAUDE_BASH_MAINTAIN_PROJECT_WORKING_DIR"
    r"|(HTTPS?|NO)_PROXY|(https?|no)_proxy|FORCE_COLOR|NO_COLOR|TZ|LANG|LC_[A-Z]+"
)
"""A pattern for the variables in the settings' ``env`` that go into a sandbox.

Compiled only when there are any.
"""

_SIZE_LIMIT = 16 * 1024 * 1024
_COUNT_LIMIT = 4000


_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy")
_ADDRESSES = ("ANTHROPIC_BASE_URL", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")


class Environment(NamedTuple):
    """The ``env`` of the user's settings: the variables that go in, and the names of the others."""

    kept: dict[str, str]
    left_out: list[str]


def settings_environment(environ: Mapping[str, str] = os.environ) -> Environment:
    """Return the variables of the user's settings, split by whether they may go into a sandbox.

    What chooses a model and the way to it may, and limits of its tools; others may be secrets, or paths and
    programs of this machine.
    """
    given = _read_object(host_config_dir(environ) / "settings.json").get("env")
    pairs = given.items() if isinstance(given, dict) else ()
    texts = {name: value for name, value in pairs if isinstance(value, str)}
    kept = {name: value for name, value in texts.items() if re.fullmatch(_FIT, name)}
    return Environment(kept, sorted(texts.keys() - kept.keys()))


def lent_key(environ: Mapping[str, str] = os.environ) -> str:
    """Return the key that the user's ``apiKeyHelper`` prints; empty when the settings name none.

    Raises :class:`RealmError` when the program fails.
    """
    settings = _read_object(host_config_dir(environ) / "settings.json")
    command, env = settings.get("apiKeyHelper"), settings.get("env")
    if not isinstance(command, str) or not command.strip():
        return ""
    known = {**environ, **(env if isinstance(env, dict) else {})}
    milliseconds = str(known.get("CLAUDE_CODE_API_KEY_HELPER_TTL_MS", ""))
    return ask(command, int(milliseconds) / 1000 if milliseconds.isdecimal() else TTL)


def servers(environ: Mapping[str, str] = os.environ) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the user's MCP servers that ``realm.mcp`` names, and notes for the user about them."""
    names = environ.get(MCP.variable, "").split()
    if not names:
        return {}, []
    from realm.agents.claude.mcp import servers as fitting

    return fitting(_host_state(environ).get("mcpServers"), names)


def _host_state(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return Claude Code's state file; it is beside the default directory, but inside a chosen one."""
    path = (Path(chosen(environ)) if chosen(environ) else Path.home()) / ".claude.json"
    try:
        known = path.stat()
    except OSError:
        return {}
    return _known_state(path, known.st_mtime_ns, known.st_size)


@functools.lru_cache(maxsize=1)
def _known_state(path: Path, _changed: int, _size: int) -> dict[str, Any]:
    """Return the state file, cached until it changes: it may be megabytes large and is read several times."""
    return _read_object(path)


def warnings(login: Login, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return warnings: what cannot work in a sandbox, and what of the settings' ``env`` is left out."""
    kept, left_out = settings_environment(environ)
    found = servers(environ)[1]
    addresses = {**kept, **login.variables}
    found += [
        f"{name} is {addresses[name]}: in the container that is the container itself, not this machine "
        "(name an address that it can reach)"
        for name in _ADDRESSES
        if hosts.is_here(addresses.get(name, ""))
    ]
    if left_out:
        names = ", ".join(clean(name, limit=80) for name in left_out)
        found.append(
            f"left out of the env in Claude Code's settings: {names} "
            "(to pass one on: git config --global realm.dockerArgs '-e NAME=VALUE')"
        )
    return found


def reaches(login: Login, given: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the URLs of the model's API and of the servers that grant access to it."""
    known = {**settings_environment(environ).kept, **login.variables, **given}

    def is_on(name: str) -> bool:
        return known.get(name) not in {None, "", "0", "false"}

    found = [known.get("ANTHROPIC_BASE_URL") or ANTHROPIC]
    if is_on("CLAUDE_CODE_USE_BEDROCK"):
        region = known.get("AWS_REGION") or known.get("AWS_DEFAULT_REGION") or "us-east-1"
        found = [known.get("ANTHROPIC_BEDROCK_BASE_URL") or f"https://bedrock-runtime.{region}.amazonaws.com"]
        # To list models, and to get temporary keys.
        own = ("bedrock", "sts", "oidc", "portal.sso")
        found += ["https://sts.amazonaws.com", *(f"https://{name}.{region}.amazonaws.com" for name in own)]
    elif is_on("CLAUDE_CODE_USE_VERTEX"):
        region = known.get("CLOUD_ML_REGION") or "global"
        place = "aiplatform" if region == "global" else f"{region}-aiplatform"
        found = [known.get("ANTHROPIC_VERTEX_BASE_URL") or f"https://{place}.googleapis.com"]
        found += ["https://oauth2.googleapis.com", "https://sts.googleapis.com"]
    elif is_on("CLAUDE_CODE_USE_FOUNDRY"):
        name = known.get("ANTHROPIC_FOUNDRY_RESOURCE", "")
        found = [known.get("ANTHROPIC_FOUNDRY_BASE_URL") or f"https://{name}.services.ai.azure.com"]
        found.append("https://login.microsoftonline.com")
    return found


def files(
    login: Login, directory: str, environ: Mapping[str, str] = os.environ, *, sealed: bool = False,
    more: Sequence[str] = (),
) -> list[HomeFile]:  # fmt: skip
    """Return the files of a sandbox's configuration directory, their paths relative to it.

    The agent starts in ``directory``.  The user's own settings, instructions, commands, agents and skills are
    copied without write permission and never read back.  With ``sealed`` the settings' proxies are left out.
    ``more`` are further directories to work in.
    """
    host = host_config_dir(environ)
    state = {**_global_state(login, directory, _host_state(environ)), "mcpServers": servers(environ)[0]}
    settings = _settings(host, environ, login, sealed=sealed)
    if more:
        settings["permissions"] = {"additionalDirectories": list(more)}
    found = [
        HomeFile(".claude.json", _dump(state)),
        HomeFile("settings.json", _dump(settings), 0o644),
        *_copies(host),
    ]
    if login.credentials is not None:
        found.append(HomeFile(".credentials.json", login.credentials))
    return found


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "replace")


def _read_object(path: Path) -> dict[str, Any]:
    try:
        return json_object(path.read_bytes())
    except OSError:
        return {}


def _global_state(login: Login, directory: str, host: Mapping[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = {
        key: host[key] for key in ("theme", "editorMode") if isinstance(host.get(key), str)
    }
    state |= {
        "hasCompletedOnboarding": True,
        "projects": {directory: {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}},
    }
    key = login.variables.get("ANTHROPIC_API_KEY")
    if key:
        state["customApiKeyResponses"] = {"approved": [key[-20:]], "rejected": []}
    if login.credentials is not None and isinstance(host.get("oauthAccount"), dict):
        state["oauthAccount"] = host["oauthAccount"]
    return state


def _settings(host: Path, environ: Mapping[str, str], login: Login, *, sealed: bool) -> dict[str, Any]:
    given = _read_object(host / "settings.json")
    kept = {key: value for key, value in given.items() if key not in _HOST_ONLY_SETTINGS}
    fit = settings_environment(environ).kept
    out = {*PASSED_VARIABLES, *(_PROXIES if sealed else ())}
    if login.is_placeholder:
        out |= {*SECRETS, *ADDRESSES}
    inside = {name: value for name, value in fit.items() if name not in out}
    own = {"skipDangerousModePermissionPrompt": True, "preferredNotifChannel": "terminal_bell"}
    return kept | ({"env": inside} if inside else {}) | own


def _copies(host: Path) -> list[HomeFile]:
    found: list[HomeFile] = []
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
        found.append(HomeFile(relative, content, mode))
    return found


def _walk(host: Path) -> Iterator[tuple[Path, str]]:
    """Yield the regular files to copy and their paths; links are followed, as skills are often linked."""
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
