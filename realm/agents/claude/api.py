"""How a sidecar reaches the model's API for a sandbox without a key: address, headers, permitted paths.

In the sandbox the same variables are set as with a key, so that Claude Code sends the same headers; their
value is a placeholder, which the sidecar replaces with the key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.agents.base import Api, Login
from realm.agents.claude.login import KEY_VARIABLES, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

ANTHROPIC = "https://api.anthropic.com"
PATHS = r"/v1/(messages|messages/count_tokens|models|models/[A-Za-z0-9._:@-]+)"
"""What the key may be used for: asking the model."""

_BEDROCK = "AWS_BEARER_TOKEN_BEDROCK"
_BEDROCK_PATHS = r"/model/[A-Za-z0-9._:@/-]+/(invoke|invoke-with-response-stream|converse|converse-stream)"
_OTHERS = ("CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY")
_BEARERS = ("ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
SECRETS = (*KEY_VARIABLES, _BEDROCK, "ANTHROPIC_CUSTOM_HEADERS")
"""Variables whose values never go into such a sandbox."""
ADDRESSES = ("ANTHROPIC_BASE_URL", "ANTHROPIC_BEDROCK_BASE_URL")


def find(login: Login, environ: Mapping[str, str], inside: Mapping[str, str]) -> Api | None:
    """Return how the sidecar reaches the API; ``None`` for a login that it cannot use in the agent's place.

    ``inside`` are the variables that settings and docker flags give Claude Code.
    """
    known = {**environ, **inside}
    own = _custom(known.get("ANTHROPIC_CUSTOM_HEADERS", ""))
    if any(inside.get(name) not in {None, "", "0", "false"} for name in _OTHERS):
        return None
    if inside.get("CLAUDE_CODE_USE_BEDROCK") not in {None, "", "0", "false"}:
        if not known.get(_BEDROCK):
            return None
        region = known.get("AWS_REGION") or known.get("AWS_DEFAULT_REGION") or "us-east-1"
        url = known.get("ANTHROPIC_BEDROCK_BASE_URL") or f"https://bedrock-runtime.{region}.amazonaws.com"
        return Api(url, {**own, "authorization": f"Bearer {known[_BEDROCK]}"}, _BEDROCK_PATHS)
    headers = {}
    if key := login.variables.get("ANTHROPIC_API_KEY"):
        headers["x-api-key"] = key
    bearer = next((login.variables[name] for name in _BEARERS if login.variables.get(name)), "")
    if not headers and not bearer and login.credentials is not None:
        bearer = str((parse(login.credentials) or {}).get("accessToken", ""))
    if bearer:
        headers["authorization"] = f"Bearer {bearer}"
    if not headers:
        return None
    return Api(login.variables.get("ANTHROPIC_BASE_URL") or ANTHROPIC, {**own, **headers}, PATHS)


def _custom(text: str) -> dict[str, str]:
    """Return the headers in ``ANTHROPIC_CUSTOM_HEADERS``: ``Name: value``, one a line."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon and name.strip()}


def inside(login: Login, api: Api, url: str, placeholder: str, given: Mapping[str, str] = {}) -> Login:
    """Return the sandbox's login: ``url`` as the API's address, and ``placeholder`` for each key.

    Secrets among ``given``, variables that the sandbox would get anyway, are emptied.
    """
    if api.paths == _BEDROCK_PATHS:
        variables = {_BEDROCK: placeholder, "ANTHROPIC_BEDROCK_BASE_URL": url}
    else:
        variables = {name: placeholder for name in KEY_VARIABLES if login.variables.get(name)}
        variables = variables or {"CLAUDE_CODE_OAUTH_TOKEN": placeholder}
        variables["ANTHROPIC_BASE_URL"] = url
    variables = {**{name: "" for name in SECRETS if name in given}, **variables}
    return Login(variables, source=login.source, is_placeholder=True)
