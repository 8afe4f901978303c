"""Agents that speak to the proxy directly, byte by byte, and what the sidecar then did."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from tests.support import engines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.user import User

_SAY = """
say() {
  { exec 3<>/dev/tcp/127.0.0.1/3128; } 2>/dev/null || { echo closed; return; }
  printf %s "$2" | base64 -d >&3
  timeout 5 cat <&3 | tr -d '\\r' | grep -a -E '^HTTP/|^found' | tr '\\n' ' '
}
"""


def said(user: User, requests: Sequence[str], name: str = "x", after: str = "") -> list[str]:
    """Send each request unchanged to the proxy of a new sandbox; return the status lines (and pages) of each.

    ``after`` is a shell script that runs in the sandbox afterwards.
    """
    lines = [
        f"say {n} {base64.b64encode(request.encode('latin-1')).decode()} > /tmp/{n} &"
        for n, request in enumerate(requests)
    ]
    told = [f"cat /tmp/{n}; echo" for n in range(len(requests))]
    script = "\n".join([_SAY, *lines, "wait", *told, after])
    done = user.realm("new", name, "--agent", "bash", "--", "-c", script)
    return done.out.splitlines()


def passed(answer: str) -> bool:
    """Tell whether any of the answers lets the request through."""
    return " 200" in answer or "found" in answer or " 101" in answer


def sidecars(user: User) -> list[str]:
    """Return the ids of the sidecars of the person's project."""
    return engines.labelled("container", "realm.role=egress", f"realm.project={user.repo.path}")
