"""The user's terminal, language and time zone in a sandbox, as people have them."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import MessagesApi
    from tests.support.user import User

pytestmark = pytest.mark.engine

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""The smallest PNG there is."""


def test_no_program_stumbles_over_the_users_terminal_and_language(user: User) -> None:
    """kitty's TERM and a German locale, which no image has; browsers share memory, Java wants an address."""
    user.extra |= {"REALM_NETWORK": "none"}
    user.extra |= {"TERM": "xterm-kitty", "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8", "TZ": "Asia/Tokyo"}
    script = "{ tput colors; locale charmap; bash -c true; perl -e 1; date +%z; } >told 2>&1"
    script += "; { getent hosts $(hostname); df --output=size /dev/shm; } >>told"
    done = user.realm("new", "far", "--agent", "sh", "--", "-c", f"{script}; touch /opt/tool; true")
    assert "git config --add realm.cachePath /opt/tool" in done.err, "the system is read-only"
    told = user.repo.show("refs/realm/far:told").split()
    assert told == ["256", "UTF-8", "+0900", "127.0.0.1", "far", "1K-blocks", str(1024**2)]


def test_proxies_that_docker_gives_containers(user: User, sealed: Path) -> None:
    (sealed / ".docker").mkdir()
    given = {"httpProxy": "http://me:secret@proxy.test:3128", "noProxy": "localhost,.test"}
    (sealed / ".docker/config.json").write_text(json.dumps({"proxies": {"default": given}}))
    user.extra |= {"REALM_NETWORK": "open"}
    user.realm("new", "behind", "--agent", "sh", "--", "-c", 'echo "$HTTP_PROXY $http_proxy $NO_PROXY" >told')
    assert user.repo.show("refs/realm/behind:told").split() == [
        "http://me:secret@proxy.test:3128", "http://me:secret@proxy.test:3128", "localhost,.test",
    ]  # fmt: skip


def test_pictures_that_are_dropped_or_in_the_clipboard_reach_the_agent(
    claude: User, api: MessagesApi, tmp_path: Path
) -> None:
    (tmp_path / "a shot.png").write_bytes(PIXEL)
    program = tmp_path / "bin" / "wl-paste"
    program.parent.mkdir()
    kinds = "case $* in *--list-types*) echo image/png ;; *image/png*) exec cat"
    program.write_text(f"#!/bin/sh\n{kinds} '{tmp_path}/a shot.png' ;; esac\n")
    program.chmod(0o755)
    claude.extra |= {
        "PATH": f"{program.parent}{os.pathsep}{claude.env['PATH']}", "WAYLAND_DISPLAY": "wayland-0",
    }  # fmt: skip
    with claude.terminal("new", "pictures") as terminal:
        terminal.wait_for("bypass permissions on", timeout=120)
        terminal.send("both are here: ")
        terminal.paste(f"'{tmp_path}/a shot.png'")
        terminal.wait_for(r"here: \[Image #1\]")
        terminal.press("C-v")
        terminal.wait_for(r"\[Image #2\]")
        terminal.press("Enter")
        terminal.wait_for("● Done")
        terminal.send("/exit")
        terminal.wait_for("/exit")
        terminal.press("Enter")
        assert terminal.wait() == 0
        said = terminal.history()
    assert "was dropped on the terminal, and came in as /realm/home/dropped-" in said
    assert "the image in your clipboard was pasted, and came in as /realm/home/dropped-" in said
    sent = json.dumps(api.asked[-1].body["messages"])
    assert sent.count(base64.b64encode(PIXEL).decode()) == 2
