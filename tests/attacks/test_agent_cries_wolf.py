"""An agent that forges the marks of turns causes only a few notifications, and none with text of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.seated import FOCUS_OUT, events, seat, settle, tell
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine

CRIES = r"""
printf '\033[?1004hready'; read -r _
i=0
while [ $i -lt 1000 ]; do
  printf '\026\033[?7325l\026\033[?7325h;evil$(touch evil)\026\033[?7325hevil\a\026\033[?7325'
  printf 'h\026\026\033[?7325;evilh'; i=$((i + 1))
done
printf over; read -r _
"""


def test_in_a_terminal_without_the_focus(user: User, tmp_path: Path) -> None:
    told = tell(user, tmp_path)
    with seat(user, "new", "wolf", "--agent", "sh", "-c", CRIES) as terminal:
        terminal.read_until(b"ready", 60)
        terminal.type(FOCUS_OUT + b"\r")
        terminal.read_until(b"over", 60)
        settle(terminal, 2)
        notices = [part.partition(b"\x07")[0] for part in terminal.output.split(b"\x1b]")[1:]]
        assert [notice for notice in notices if notice != b"0;wolf"] == [b"9;realm: wolf finished a turn"]
        terminal.type(b"\r")
        assert terminal.finish(60) == 0
    assert events(told) == ["turn wolf", "ended wolf"]


def test_without_a_terminal(user: User, tmp_path: Path) -> None:
    told = tell(user, tmp_path)
    script = CRIES.replace("read -r _", ":")
    with seat(user, "new", "wolf", "--detach", "--agent", "sh", "-c", script) as terminal:
        assert terminal.finish(60) == 0
    eventually(lambda: "ended wolf" in events(told), 60)
    assert events(told) == ["turn wolf", "ended wolf"]
    assert user.repo.files("refs/realm/wolf") == user.repo.files("HEAD")
