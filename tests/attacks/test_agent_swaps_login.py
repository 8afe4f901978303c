"""An agent that writes another login into its sandbox must not log the host into another account."""

from __future__ import annotations

import json
import shlex
import time
from typing import TYPE_CHECKING, Any

import pytest

from realm.paths import realm_home
from tests.support.agent import replace_claude

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine

HOUR = 3600


def login(access: str, expires_in: float, **more: Any) -> str:
    part = {
        "accessToken": access,
        "refreshToken": f"refresh-{access}",
        "expiresAt": int((time.time() + expires_in) * 1000),
        "scopes": ["user:inference"],
        "subscriptionType": "max",
    }
    return json.dumps({"claudeAiOauth": part | more})


def run(user: User, sealed: Path, tmp_path: Path, host: str, boxed: str) -> tuple[dict[str, Any], str]:
    """Run an agent that leaves ``boxed`` as its login; return the host's login afterwards and messages."""
    file = sealed / ".claude/.credentials.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(host)
    replace_claude(
        user, tmp_path / "fake", f"printf %s {shlex.quote(boxed)} >$CLAUDE_CONFIG_DIR/.credentials.json"
    )
    user.extra["REALM_CREDENTIALS"] = "share"
    done = user.realm("new", "swap", "--no-input")
    found: dict[str, Any] = json.loads(file.read_text())["claudeAiOauth"]
    return found, done.err


@pytest.mark.parametrize(
    ("left", "new"),
    [
        (5 * HOUR, login("evil", 8 * HOUR)),
        (60, login("evil", 365 * 24 * HOUR)),
        (60, login("evil", 8 * HOUR, scopes=["user:inference", "org:create_api_key"])),
        (60, login("evil", 8 * HOUR, subscriptionType="enterprise")),
        (5 * HOUR, login("evil", 9e12)),
    ],
    ids=["not due", "lives too long", "other scopes", "other subscription", "the end of time"],
)
def test_what_is_no_renewal_is_refused_and_said(
    user: User, sealed: Path, tmp_path: Path, left: float, new: str
) -> None:
    found, said = run(user, sealed, tmp_path, login("mine", left), new)
    assert found["accessToken"] == "mine"
    assert "does not renew yours" in said


@pytest.mark.parametrize("new", ["", "{", "[]", '{"claudeAiOauth": {"hooks": 1}}', login("a\nb", 8 * HOUR)])
def test_garbage_is_not_taken(user: User, sealed: Path, tmp_path: Path, new: str) -> None:
    found, _ = run(user, sealed, tmp_path, login("mine", 60), new)
    assert found["accessToken"] == "mine"


def test_a_renewal_changes_tokens_only_and_the_login_before_is_kept(
    user: User, sealed: Path, tmp_path: Path
) -> None:
    found, said = run(
        user, sealed, tmp_path, login("mine", 60), login("renewed", 8 * HOUR, hooks={"Stop": "evil"})
    )
    assert found["accessToken"] == "renewed"
    assert set(found) == {"accessToken", "refreshToken", "expiresAt", "scopes", "subscriptionType"}
    assert "was renewed from the container" in said
    before = json.loads((realm_home() / "login-before.json").read_text())
    assert before["claudeAiOauth"]["accessToken"] == "mine"
