"""The user's terminal, language and time zone in a sandbox, as people have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine


def test_no_program_stumbles_over_the_users_terminal_and_language(user: User) -> None:
    """kitty's TERM and a German locale: no image has them."""
    user.extra |= {"TERM": "xterm-kitty", "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8", "TZ": "Asia/Tokyo"}
    script = "{ tput colors; locale charmap; bash -c true; perl -e 1; date +%z; } >told 2>&1"
    user.realm("new", "far", "--agent", "sh", "--", "-c", script)
    assert user.repo.show("refs/realm/far:told").splitlines() == ["256", "UTF-8", "+0900"]
