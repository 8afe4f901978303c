"""Runs that are cut off while they begin: only what had begun stays, and the next command cleans up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from realm.paths import realm_home
from tests.support import engines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine

# A holder that is killed, as by the kernel, when its sandbox is made and not yet started.
KILLED = """
import os, signal, sys
from realm.sandbox.sandbox import Sandbox
Sandbox.start = lambda self: os.kill(os.getpid(), signal.SIGKILL)
from realm.cli.app import run
run(sys.argv[1:])
"""
# One that is killed elsewhere: when its overlay's base volume is there (before, with and in the container
# that fills it), or while the history is put into its volume.
KILLED_AT = """
import os, signal, sys
from realm.sandbox import spec, transfer
from realm.sandbox.docker import Engine
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
PLACE
from realm.cli.app import run
run(sys.argv[1:])
"""
PLACES = {
    "volume": "spec.create_options = die",
    "container": """
def put(engine, container, path, entries, put=transfer.put):
    die() if path == "/realm" else put(engine, container, path, entries)
transfer.put = put
""",
    "running": "Engine.wait = die",
}
UPLOADS = {
    "nothing came": "Engine.put = die",
    "half came": """
def half(self, container, path, archive, put=Engine.put):
    def pieces():
        for piece in archive:
            yield piece
            die()
    put(self, container, path, pieces())
Engine.put = half
""",
    "all came": """
def late(self, container, path, archive, put=Engine.put):
    put(self, container, path, archive)
    die()
Engine.put = late
""",
}
IGNORED = "*.log\n"


def sandboxes(user: User) -> list[str]:
    return engines.labelled("container", f"realm.project={user.repo.path}", "realm.role=box")


def is_clear(user: User) -> None:
    """Check that no sandbox, volume, lock or scratch directory of the project is left."""
    assert user.leftovers() == []
    volumes = engines.labelled("volume", f"realm.project={user.repo.path}")
    assert [name for name in volumes if not name.startswith(engines.SHARED)] == []
    assert list((user.repo.path / ".git").rglob("*.lock")) == []
    assert list((realm_home() / "tmp").glob("*")) == []


@pytest.mark.parametrize("delay", [0.03, 0.08, 0.13, 0.18, 0.23, 0.28, 0.33, 0.38])
def test_interrupted_at_its_terminal(user: User, delay: float) -> None:
    """Ctrl-C goes to realm and to every git that it runs; the second one comes from somebody impatient."""
    head = user.repo.head()
    process = user.start(
        "new", "--agent", "sh", "cut", "-c", "echo early >early; sleep 30", start_new_session=True
    )
    for pause in (delay, 0.03):
        time.sleep(pause)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    # Before its first line of Python realm is the interpreter's, which dies of the signal or says so.
    early = process.returncode == -signal.SIGINT or err.startswith("Fatal Python error: init_")
    assert early or process.returncode == 130, (process.returncode, out, err)
    assert "bug" not in err
    assert early or "Traceback" not in err, err
    if "refs/realm/cut" in user.repo.refs():
        user.scripted("cut", "true", verb="resume")
        assert user.repo.files("refs/realm/cut") in (["README.md"], ["README.md", "early"])
    else:
        assert "refs/realm-meta/cut" not in user.repo.refs()
        user.scripted("cut", "true")
        assert user.tip("cut") == head
    is_clear(user)


def test_a_name_that_is_taken_meanwhile(user: User) -> None:
    started = [
        user.start("new", "--agent", "sh", "twin", "-c", f"echo {number} >file") for number in range(2)
    ]
    ended = [(process.communicate(timeout=120)[1], process.returncode) for process in started]
    assert sorted(code for _, code in ended) == [0, 125], ended
    (refused,) = [text for text, code in ended if code == 125]
    assert any(words in refused for words in ("exists already", "changed by somebody else")), refused
    assert "hint: " in refused
    assert [row["name"] for row in user.listed()] == ["twin"]
    assert user.repo.files("refs/realm/twin") == ["README.md", "file"]
    assert len(list((realm_home() / "runs").glob("*"))) <= 1
    is_clear(user)


def test_a_sandbox_that_never_ran_goes_with_the_next_run(user: User) -> None:
    words = [str(user.installed.python), "-c", KILLED, "new", "--agent", "true", "cut"]
    done = subprocess.run(words, cwd=user.repo.path, env=user.env, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(sandboxes(user)) == 1
    user.scripted("other", "true")
    is_clear(user)


# One whose terminal is closed, or that is told to end, while its sandbox is made.
TOLD = """
import os, signal, sys
from realm.sandbox import workspace
def made(*args, make=workspace.make):
    make(*args)
    os.kill(os.getpid(), NUMBER)
workspace.make = made
from realm.__main__ import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_end_while_it_begins(user: User, number: signal.Signals) -> None:
    program = TOLD.replace("NUMBER", str(int(number)))
    words = [str(user.installed.python), "-c", program, "new", "--agent", "true", "cut"]
    done = subprocess.run(
        words, cwd=user.repo.path, env=user.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 128 + number, done.stderr
    assert "Traceback" not in done.stderr
    assert user.listed() == []
    is_clear(user)


# One that is killed before its sandbox's container is there, or when that is gone again.
KILLED_BESIDE = {
    "before": """
from realm.sandbox import workspace
def made(*args, make=workspace.make):
    make(*args)
    die()
workspace.make = made
""",
    "after": """
from realm.sandbox import workspace
def settled(*args, remove=Engine.remove):
    remove(*args)
    die()
def end(*_):
    Engine.remove = settled
    raise KeyboardInterrupt
from realm.sandbox.sandbox import Sandbox
Sandbox.attach = end
""",
}


@pytest.mark.parametrize("place", KILLED_BESIDE)
def test_volumes_that_nobody_worked_in_go_with_the_next_run(user: User, place: str) -> None:
    user.repo.make_files(250)
    user.scripted("first", "true")
    program = KILLED_AT.replace("PLACE", KILLED_BESIDE[place])
    words = [str(user.installed.python), "-c", program, "new", "--agent", "true", "cut"]
    done = subprocess.run(words, cwd=user.repo.path, env=user.env, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done
    assert user.leftovers() == []
    volumes = engines.labelled("volume", f"realm.project={user.repo.path}")
    assert [name for name in volumes if not name.startswith(engines.SHARED)] != []
    user.scripted("other", "true")
    is_clear(user)


@pytest.mark.parametrize("place", PLACES)
def test_a_base_volume_that_is_not_filled_goes_with_the_next_run(user: User, place: str) -> None:
    user.repo.make_files(250)
    program = KILLED_AT.replace("PLACE", PLACES[place])
    words = [str(user.installed.python), "-c", program, "new", "--agent", "true", "cut"]
    done = subprocess.run(words, cwd=user.repo.path, env=user.env, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done
    left = engines.labelled("volume", f"realm.project={user.repo.path}", "realm.role=base")
    assert len(left) == (1 if place == "volume" else 2)
    assert len(user.leftovers()) == (0 if place == "volume" else 1)
    user.scripted("other", "true")
    is_clear(user)
    (base,) = engines.labelled("volume", f"realm.project={user.repo.path}", "realm.role=base")
    assert base not in left
    user.scripted("third", "true")
    assert engines.labelled("volume", f"realm.project={user.repo.path}", "realm.role=base") == [base]


@pytest.mark.parametrize("place", UPLOADS)
def test_a_history_that_did_not_come_whole_is_seen_by_nobody(user: User, place: str) -> None:
    program = KILLED_AT.replace("PLACE", UPLOADS[place])
    words = [str(user.installed.python), "-c", program, "new", "--agent", "true", "cut"]
    done = subprocess.run(words, cwd=user.repo.path, env=user.env, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done
    assert user.scripted("other", "git log --format=%s && git fsck").out.split() == ["Start"]
    is_clear(user)
    assert len(engines.labelled("volume", f"realm.project={user.repo.path}", "realm.role=history")) == 1


# --- the process ends at once -------------------------------------------------


def test_all_output_arrives_in_a_slow_pipe_and_in_a_file(user: User, tmp_path: Path) -> None:
    count = 150_000
    script = f"seq {count}"
    expected = "".join(f"{number}\n" for number in range(1, count + 1))
    process = user.start("new", "--agent", "sh", "pipe", "-c", script, stdin=subprocess.DEVNULL)
    time.sleep(2)  # the pipe is full long since
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, expected), err
    with (tmp_path / "out").open("w") as file:
        process = user.start("new", "--agent", "sh", "file", "-c", script, stdout=file)
        process.communicate(timeout=60)
    assert (tmp_path / "out").read_text() == expected


def test_output_that_cannot_be_written_costs_no_work(user: User) -> None:
    script = "echo 1 >one; echo said; sleep 1; echo 2 >two; sleep 60"
    with open("/dev/full", "w") as full:  # noqa: PTH123
        process = user.start("new", "--agent", "sh", "out", "-c", script, stdout=full)
        err = process.communicate(timeout=60)[1]
        assert process.returncode == 128 + signal.SIGPIPE
        assert "the agent was ended: the output cannot be written: No space left on device" in err
        assert "one" in user.repo.files("refs/realm/out")
        process = user.start("new", "--agent", "sh", "err", "-c", "echo 1 >one; exit 7", stderr=full)
        process.communicate(timeout=60)
        assert process.returncode == 7
    assert user.repo.show("refs/realm/err:one") == "1"


def test_a_list_fills_a_pipe_that_is_read_late(user: User) -> None:
    user.scripted("made", "true")
    tip, meta = user.tip("made"), user.repo.head("refs/realm-meta/made")
    names = [f"copy{number}" for number in range(400)]
    orders = "".join(
        f"create refs/realm/{name} {tip}\ncreate refs/realm-meta/{name} {meta}\n" for name in names
    )
    subprocess.run(["git", "update-ref", "--stdin"], cwd=user.repo.path, input=orders, text=True, check=True)
    process = user.start("list", "--json")
    time.sleep(1)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert len(out) > 65536
    answer = json.loads(out)
    rows = answer if isinstance(answer, list) else answer["sessions"]
    assert {row["name"] for row in rows} >= set(names)
