"""The user's terminal, language and time zone in a sandbox, as people have them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine


def test_no_program_stumbles_over_the_users_terminal_and_language(user: User) -> None:
    """kitty's TERM and a German locale: no image has them."""
    user.extra |= {"TERM": "xterm-kitty", "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8", "TZ": "Asia/Tokyo"}
    script = "{ tput colors; locale charmap; bash -c true; perl -e 1; date +%z; } >told 2>&1"
    done = user.realm("new", "far", "--agent", "sh", "--", "-c", f"{script}; touch /opt/tool; true")
    assert "realm.dockerArgs '--tmpfs /opt/tool:exec'" in done.err, "the system is read-only"
    assert user.repo.show("refs/realm/far:told").splitlines() == ["256", "UTF-8", "+0900"]


def test_proxies_that_docker_gives_containers(user: User, sealed: Path) -> None:
    (sealed / ".docker").mkdir()
    given = {"httpProxy": "http://me:secret@proxy.test:3128", "noProxy": "localhost,.test"}
    (sealed / ".docker/config.json").write_text(json.dumps({"proxies": {"default": given}}))
    user.extra |= {"REALM_NETWORK": "open"}
    user.realm("new", "behind", "--agent", "sh", "--", "-c", 'echo "$HTTP_PROXY $http_proxy $NO_PROXY" >told')
    assert user.repo.show("refs/realm/behind:told").split() == [
        "http://me:secret@proxy.test:3128", "http://me:secret@proxy.test:3128", "localhost,.test",
    ]  # fmt: skip


def test_a_picture_that_is_dropped_on_the_terminal_is_there_for_the_agent(user: User, tmp_path: Path) -> None:
    (tmp_path / "a shot.png").write_bytes(b"picture")
    script = "printf '\\033[?2004h'; echo ready; read -r path; cp $(expr $path : '[^/]*\\(.*g\\)') shot.png"
    with user.terminal("new", "drop", "--agent", "sh", "--", "-c", script) as terminal:
        terminal.wait_for("ready")
        terminal.paste(f"'{tmp_path}/a shot.png'")
        terminal.wait_for("/realm/home/dropped-")
        terminal.press("Enter")
        assert terminal.wait() == 0
        assert "was dropped on the terminal" in terminal.history()
    assert user.repo.show("refs/realm/drop:shot.png") == "picture"
