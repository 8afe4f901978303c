"""Ctrl-C while work is saved: realm ends at once with advice, and the next command saves everything."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_kill_matrix import AFTER, ALL, AT_THE_END, WORK, nothing_is_left, realm_refs

if TYPE_CHECKING:
    from tests.support.user import User

pytestmark = pytest.mark.engine

# Ctrl-C goes to realm and to every git that it runs; the second one comes from somebody impatient.
INTERRUPTED = f"""
import os, signal, sys, threading
from realm.interrupts import once
once()
def die(*_, **__):
    threading.Timer(0.03, os.killpg, (0, signal.SIGINT)).start()
    os.killpg(0, signal.SIGINT)
{AFTER}
STEP
from realm.cli.app import run
sys.exit(run(sys.argv[1:]))
"""
STEPS = (
    "before anything is taken",
    "it is in quarantine",
    "before the refs move",
    "after the refs moved",
    "a volume is gone",
)
LARGE = """
mkdir -p large && cd large && head -c 30m /dev/urandom >noise
seq 6000 | split -l 1 -a 4 - part
echo made
"""


@pytest.mark.parametrize("step", STEPS)
def test_at_each_step_of_the_end(user: User, step: str) -> None:
    program = INTERRUPTED.replace("STEP", AT_THE_END[step])
    words = [str(user.installed.python), "-c", program, "new", "--agent", "sh", "cut", "-c", WORK]
    done = subprocess.run(
        words, cwd=user.repo.path, env=user.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=60, start_new_session=True,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert "interrupted before the work of run 1 of cut was saved; nothing is lost" in done.stderr
    assert "Traceback" not in done.stderr
    user.realm("stop", "cut", code=None)
    assert realm_refs(user) == ALL
    assert user.repo.git("log", "--format=%s", "main..refs/realm/cut").splitlines() == [
        "Work of run 1", "mine",
    ]  # fmt: skip
    nothing_is_left(user)


def test_at_a_terminal_with_a_large_tree(user: User) -> None:
    """In the container, where the key goes as long as that runs."""
    with user.terminal("new", "--agent", "sh", "cut", "-c", LARGE) as terminal:
        terminal.wait_for("made")
        began = time.monotonic()
        terminal.press("C-c")
        time.sleep(0.8)
        terminal.press("C-c")  # the first one might have been meant for the agent
        assert terminal.wait() == 130, terminal.history()
        assert time.monotonic() - began < 8
        assert "nothing is lost: realm stop cut saves it" in terminal.history()
    user.realm("stop", "cut", code=None)
    assert len(user.repo.files("refs/realm/cut")) == 6002
    nothing_is_left(user)


def test_on_the_host_and_again_when_the_rest_is_taken_in(user: User) -> None:
    with user.terminal("new", "--agent", "sh", "cut", "-c", LARGE) as terminal:
        terminal.wait_for("saving the work")
        began = time.monotonic()
        terminal.press("C-c")
        assert terminal.wait() == 130, terminal.history()
        assert time.monotonic() - began < 8
        assert "nothing is lost: realm stop cut saves it" in terminal.history()
    with user.terminal("stop", "cut") as terminal:
        terminal.wait_for("saving what the last run left")
        terminal.press("C-c")
        assert terminal.wait() == 130
        assert "nothing is lost" in terminal.history()
    user.realm("stop", "cut", code=None)
    assert len(user.repo.files("refs/realm/cut")) == 6002
    nothing_is_left(user)
