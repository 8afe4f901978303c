"""However a run ends, the terminal is left as a fresh one is, and the last picture can still be read.

The terminal is tmux's, which knows what is switched on in it; the line settings
are what ``stty`` says of them before and after.
"""

from __future__ import annotations

import os
import shlex
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import engines
from tests.support.left import left_on
from tests.support.terminal import Judge
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.driver import Terminal
    from tests.support.user import User

pytestmark = pytest.mark.engine

FLAGS = [flag for flag in Judge.FLAGS if not flag.startswith("cursor_") or flag == "cursor_flag"]
PICTURE = (
    r"printf '\033[?1049h\033[?1000h\033[?1002h\033[?1003h\033[?1006h\033[?1004h\033[?2004h\033[>1u\033[?25l"
    r"\033[?1h\033=\033[?7l\033[4h\033[2J\033[3;9r\033[5;5Hthe last picture'; echo kept >kept; "
)
"""An agent's beginning: everything that a full-screen program switches on, and a file."""
WAIT = "while :; do sleep 0.1; done"


def switched_on(terminal: Terminal) -> dict[str, str]:
    return {flag: terminal.flag(flag) for flag in FLAGS}


@pytest.fixture
def fresh(user: User) -> Iterator[dict[str, str]]:
    """Return the modes that are on in an unused terminal."""
    with user.shell("echo fresh; sleep 600") as terminal:
        terminal.wait_for("fresh")
        yield switched_on(terminal)


def begin(user: User, script: str, command: str = "realm") -> Terminal:
    """Run a session called ``x`` from a shell that notes the line settings before it and after it."""
    agent = shlex.join(["new", "x", "--agent", "sh", "-c", script])
    terminal = user.shell(
        f"stty sane; stty -g >../before; {command} {agent}; echo code=$?; stty -g >../after; "
        'while read line; do eval "$line"; done'
    )
    terminal.wait_for("the last picture")
    return terminal


def check(user: User, terminal: Terminal, fresh: dict[str, str], code: int, *, picture: bool = True) -> None:
    terminal.wait_for(rf"^code={code}\b")
    after = user.repo.path.parent / "after"
    terminal.wait_until(lambda: after.exists() and after.read_text() != "", "the line settings")
    assert after.read_text() == (user.repo.path.parent / "before").read_text()
    assert switched_on(terminal) == fresh
    if picture:
        lines = terminal.history().splitlines()
        shown = next(place for place, line in enumerate(lines) if line.startswith("    the last picture"))
        assert shown < lines.index(f"code={code}")


def sandbox(user: User) -> str:
    (found,) = engines.labelled("container", f"realm.project={user.repo.path}", "realm.role=box")
    return found


def holder(user: User) -> int:
    from realm.session.lock import holder as _holder

    found = _holder(str(user.listed()[0]["id"]))
    assert found is not None
    return found.pid


def saved(user: User) -> bool:
    return "kept" in user.repo.files("refs/realm/x")


@pytest.mark.parametrize(
    ("end", "code"),
    [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -SEGV $$", 139)],
    ids=["well", "with a code", "killed", "crashed"],
)
def test_the_agent_ends(user: User, fresh: dict[str, str], end: str, code: int) -> None:
    with begin(user, f"{PICTURE} sleep 1; {end}") as terminal:
        check(user, terminal, fresh, code)
        assert saved(user)


def test_ctrl_c(user: User, fresh: dict[str, str]) -> None:
    with begin(user, f"{PICTURE} sleep 600; {WAIT}") as terminal:
        terminal.press("C-c")
        check(user, terminal, fresh, 130)
        assert saved(user)


def test_the_container_is_killed(user: User, fresh: dict[str, str]) -> None:
    with begin(user, PICTURE + WAIT) as terminal:
        engines.docker("kill", sandbox(user))
        check(user, terminal, fresh, 137)
        assert saved(user)


def test_the_container_is_removed(user: User, fresh: dict[str, str]) -> None:
    with begin(user, PICTURE + WAIT) as terminal:
        engines.docker("rm", "--force", sandbox(user))
        check(user, terminal, fresh, 137)
        assert saved(user)


def test_the_engine_goes_away_and_comes_back(user: User, fresh: dict[str, str], tmp_path: Path) -> None:
    with engines.Passage(tmp_path / "s") as passage:
        with begin(user, PICTURE + WAIT, f"DOCKER_HOST={passage.address} realm") as terminal:
            passage.cut()
            check(user, terminal, fresh, 125)
            said = terminal.history()
            assert "is not running" in said
            assert "Traceback" not in said
            said = " ".join(said.split())
            assert "the work of run 1 of x is still in its container" in said
            assert all(f"realm {way} x" in said for way in ("attach", "stop", "resume"))
        assert [row["state"] for row in user.listed()] == ["salvage"]
        user.realm("stop", "x")
        assert saved(user)
        assert list(user.leftovers()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_realm_is_told_to_end(user: User, fresh: dict[str, str], number: signal.Signals) -> None:
    with begin(user, PICTURE + WAIT) as terminal:
        os.kill(holder(user), number)
        check(user, terminal, fresh, 128 + number)
        assert saved(user)


def test_realm_is_told_that_the_terminal_hung_up(user: User, fresh: dict[str, str]) -> None:
    with begin(user, PICTURE + WAIT) as terminal:
        os.kill(holder(user), signal.SIGHUP)
        check(user, terminal, fresh, 128 + signal.SIGHUP, picture=False)
        assert [row["state"] for row in user.listed()] == ["running"]
        user.realm("stop", "x")
        assert saved(user)


RAISES = """
import signal, sys

def fail(*_):
    raise RuntimeError("made by a test")

signal.signal(signal.SIGUSR1, fail)
sys.argv[0] = "realm"
from realm.__main__ import main
main()
"""


def test_an_exception_in_realm(user: User, fresh: dict[str, str]) -> None:
    program = user.repo.path.parent / "realm-that-fails"
    program.write_text(RAISES)
    with begin(user, PICTURE + WAIT, f"{user.installed.python} {program}") as terminal:
        os.kill(holder(user), signal.SIGUSR1)
        check(user, terminal, fresh, 125)
        assert "this is a bug in realm: RuntimeError: made by a test" in terminal.history()
        assert [row["state"] for row in user.listed()] == ["salvage"]
        user.realm("stop", "x")
        assert saved(user)


def test_it_is_stopped_from_another_terminal(user: User, fresh: dict[str, str]) -> None:
    with begin(user, PICTURE + WAIT) as terminal:
        user.realm("stop", "x")
        check(user, terminal, fresh, 130)
        assert saved(user)


def says_exit(_: User, terminal: Terminal) -> None:
    terminal.send("/exit")
    terminal.wait_for("/exit")
    terminal.press("Enter")


def interrupts_twice(_: User, terminal: Terminal) -> None:
    terminal.press("C-c")
    terminal.wait_for("Interrupted|again to exit")
    if "again to exit" not in terminal.screen():  # the turn was still going on
        terminal.press("C-c")
        terminal.wait_for("again to exit")
    terminal.press("C-c")


def kills_the_container(user: User, _: Terminal) -> None:
    engines.docker("kill", sandbox(user))


def ends_realm(user: User, _: Terminal) -> None:
    os.kill(holder(user), signal.SIGTERM)


def hangs_up(user: User, _: Terminal) -> None:
    os.kill(holder(user), signal.SIGHUP)


ENDS = {says_exit: 0, interrupts_twice: 0, kills_the_container: 137, ends_realm: 143, hangs_up: 129}


@pytest.mark.parametrize("end", ENDS)
def test_the_real_agent(
    claude: User, fresh: dict[str, str], tmp_path: Path, end: Callable[[User, Terminal], None]
) -> None:
    written = tmp_path / "written"
    script = (
        "stty sane; stty -g >../before; read go; realm new x; echo code=$?; stty -g >../after; "
        'while read line; do eval "$line"; done'
    )
    with claude.shell(script) as terminal:
        terminal.keep(written)
        terminal.press("Enter")
        terminal.wait_for("bypass permissions on", timeout=120)
        terminal.send("write kept with it")
        terminal.wait_for("write kept with it")
        terminal.press("Enter")
        terminal.wait_for("Wrote kept")
        assert left_on(written.read_bytes()) >= SWITCHED_ON
        for size in ((100, 30), (120, 40)):
            terminal.resize(*size)
            time.sleep(0.5)
        end(claude, terminal)
        check(claude, terminal, fresh, ENDS[end], picture=False)
        terminal.wait_until(lambda: b"code=" in written.read_bytes(), "all that was written")
        assert left_on(written.read_bytes()) == set()
    judged(written.read_bytes(), tmp_path)
    if end is hangs_up:
        claude.realm("stop", "x")
    assert saved(claude)


SWITCHED_ON = {"alternate screen", "title", "mode 1000", "mode 1006", "mode 1004", "mode 2004", "mode 25"}


def judged(written: bytes, directory: Path) -> None:
    """Feed the same bytes to a terminal without answers and input."""
    with Judge(directory, rows=40, columns=120) as judge:
        judge.show(b"", directory)
        before = judge.state()
        judge.show(written, directory)
        after = judge.state()
    assert {flag: after[flag] for flag in FLAGS} == {flag: before[flag] for flag in FLAGS}


def killed(user: User, script: str) -> Terminal:
    """Kill realm with SIGKILL in a terminal, which is left as the agent had it."""
    terminal = begin(user, script)
    os.kill(holder(user), signal.SIGKILL)
    after = user.repo.path.parent / "after"
    terminal.wait_until(lambda: after.exists() and after.read_text() != "", "realm's end")
    assert after.read_text() != (user.repo.path.parent / "before").read_text()
    assert switched_on(terminal)["alternate_on"] == "1"
    after.unlink()
    return terminal


def test_doctor_repairs_after_realm_was_killed(user: User, fresh: dict[str, str]) -> None:
    with killed(user, PICTURE + WAIT) as terminal:
        # The line is raw: what ends it is what the enter key is to a program then.
        terminal.send("realm doctor --terminal; echo code=$?; stty -g >../after\n")
        check(user, terminal, fresh, 0, picture=False)
        user.realm("stop", "x")


@pytest.mark.parametrize("end", ["exit 4", "kill -9 $$"], ids=["well", "killed"])
def test_attach_repairs_after_realm_was_killed(user: User, fresh: dict[str, str], end: str) -> None:
    script = f"{PICTURE} until [ -e go ]; do sleep 0.1; done; {end}"
    with killed(user, script) as terminal:
        terminal.send("realm attach x; echo code=$?; stty -g >../after\n")
        terminal.wait_for("still running: attached|the last picture")
        eventually(lambda: user.listed()[0]["state"] == "running")
        time.sleep(1)
        engines.touch(sandbox(user))
        check(user, terminal, fresh, 4 if end == "exit 4" else 137, picture=False)
        assert saved(user)


def test_the_window_is_called_after_the_session_and_by_its_own_name_afterwards(user: User) -> None:
    script = r"printf '\033_Gi=31,s=1\033\\\\\033]0;the agent\007the last picture'; read x; exit 0"
    agent = shlex.join(["new", "x", "--agent", "sh", "-c", script])
    with user.shell(rf"printf '\033]0;mine\007'; realm {agent}; echo code=$?; sleep 600") as terminal:
        terminal.wait_for("the last picture")
        assert terminal.flag("pane_title") == "x: the agent"
        terminal.press("Enter")
        terminal.wait_for("^code=0")
        assert terminal.flag("pane_title") == "mine"
