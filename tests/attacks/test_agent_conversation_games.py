"""The conversation's id and transcript are the agent's words: they lead to no other file of the host."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.agent import replace_claude
from tests.support.user import KEY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine

# Runs after the agent: the report is written by hand and realm's own is kept away by it.
FORGED = """
exec 2>/dev/null
{hostile}
[ -e /realm/out/transcript ] || [ -h /realm/out/transcript ] || echo '{{}}' >/realm/out/transcript
head=$(git rev-parse HEAD)
echo "$head $head $(date +%s)" >/realm/out/end.point
printf 'exit 0\\ndone yes\\n' >/realm/out/report
"""

GAMES = {
    "a path": "echo ../../../../etc/cron.d/x >/realm/out/conversation",
    "an absolute path": "echo /etc/passwd >/realm/out/conversation",
    "an option": "echo --dangerous >/realm/out/conversation",
    "a link": "ln -s /etc/passwd /realm/out/transcript; ln -s /etc/passwd /realm/out/conversation",
    "a pipe": "mkfifo /realm/out/transcript /realm/out/conversation /realm/out/pack",
    "a directory": "mkdir -p /realm/out/transcript/../pack /realm/out/conversation",
    "other files": "mkdir -p /realm/out/a/b; echo x >/realm/out/a/b/c; echo x >'/realm/out/..evil'",
    "an escape": r"printf '\033[2J\033]0;x\007' >/realm/out/conversation",
    "hard links": "ln /realm/entry /realm/out/transcript; echo x >/realm/out/conversation",
    "a large file": "truncate -s 600M /realm/out/transcript",
    "many files": "i=0; while [ $i -lt 3000 ]; do : >/realm/out/turns/$i.point; i=$((i+1)); done",
}


@pytest.mark.parametrize("game", GAMES)
def test_games(user: User, tmp_path: Path, sealed: Path, game: str) -> None:
    user.extra["ANTHROPIC_API_KEY"] = KEY
    replace_claude(user, tmp_path / "fake", FORGED.format(hostile=GAMES[game]))
    before = {path: path.stat().st_mtime_ns for path in sealed.rglob("*") if ".realm" not in path.parts}
    done = user.realm("new", "game", "--no-input", code=None)
    assert done.code in (0, 125), done.err
    assert "Traceback" not in done.err
    assert "bug" not in done.err, done.err
    assert "\x1b" not in done.err
    after = {path: path.stat().st_mtime_ns for path in sealed.rglob("*") if ".realm" not in path.parts}
    assert after == before
    record = user.repo.files("refs/realm-meta/game")
    assert {name.split("/")[0] for name in record} == {"session.json", "runs"}
    session = json.loads(user.repo.git("show", "refs/realm-meta/game:session.json"))
    assert re.fullmatch("[0-9a-f-]{36}", session["conversation"])
    assert all("passwd" not in name for name in record)
    again = user.realm("resume", "game", "--no-input", code=None)
    assert "bug" not in again.err, again.err
