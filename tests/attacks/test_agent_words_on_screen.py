"""Escape sequences in names that an agent chose never reach the user's terminal in realm's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import engines

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine

EVIL = r"\033[2J\033]0;pwned\007\302\233[31m\342\200\256"

SCRIPT = f"""
e=$(printf '{EVIL}x')
git commit -q --allow-empty -m "$e"
printf x >"file$e"; mkdir "dir$e"; ln -s "/etc/$e" link
git init -q "nested$e"; : >"nested$e/file"
printf x >one; git add one; git commit -qm "Message $e

body $e"
git update-index --add --cacheinfo "160000,$(git rev-parse HEAD),sub$e"
git config user.name "$e"; git commit -qm last
"""


def is_plain(text: str) -> bool:
    return all(char.isprintable() or char in "\n\t" for char in text) and "\u202e" not in text


def test_nothing_of_it_is_shown(user: User) -> None:
    new = user.scripted("esc", SCRIPT)
    assert "warning: " in new.err
    resumed = user.realm("resume", "esc", "-c", "true")
    listed = user.realm("list")
    as_json = user.realm("list", "--json")
    for text in (new.err, resumed.err, listed.out, listed.err, as_json.out):
        assert is_plain(text), text
    log = user.repo.git("log", "-z", "--format=%an%n%ae%n%B", "--name-only", "main..refs/realm/esc")
    assert is_plain(log.replace("\0", "")), log


def test_nor_of_a_forged_report(user: User) -> None:
    script = rf"""
        h=$(git rev-parse HEAD)
        echo "$h $h 1" >/realm/out/end.point
        printf 'exit 0\nerror {EVIL}\nnested {EVIL}\nconflict {EVIL}\ndone yes\n' >/realm/out/report
    """
    done = user.scripted("report", script)
    assert "the container reported" in done.err
    assert is_plain(done.err)
    assert list(user.leftovers()) == []


def test_nor_on_a_terminal(user: User) -> None:
    script = "git commit -q --allow-empty -m \"$(printf '\\033[2Jx')\"; printf x >\"$(printf 'a\\033[2J')\""
    user.scripted("term", script)
    with user.shell("echo before; realm list; realm resume term -c true; echo after") as terminal:
        terminal.wait()
        assert "before" in terminal.history()
        assert "after" in terminal.history()
    assert engines.labelled("container", f"realm.project={user.repo.path}") == []
