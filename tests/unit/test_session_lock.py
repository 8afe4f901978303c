from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest

from realm.errors import RunningError
from realm.session.lock import RunLock, forget, holder

ID = "5f0c5e0e-0000-4000-8000-000000000000"

HOLD = f"""
import sys, time
from realm.session.lock import RunLock
with RunLock({ID!r}, "fix", int(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def hold_elsewhere(run: int = 3) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(run)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_nobody_holds_a_run_that_never_was() -> None:
    assert holder(ID) is None


def test_a_second_holder_is_refused_and_told_since_when() -> None:
    process = hold_elsewhere()
    try:
        found = holder(ID)
        assert found is not None
        assert (found.pid, found.run) == (process.pid, 3)
        assert abs(found.started - time.time()) < 60
        with (
            pytest.raises(RunningError, match=rf"fix is still running, since .* \(process {process.pid}\)"),
            RunLock(ID, "fix", 4),
        ):
            pass
    finally:
        end(process)


def test_a_command_that_holds_a_session_is_no_run() -> None:
    process = hold_elsewhere(run=0)
    try:
        with (
            pytest.raises(RunningError, match="another realm is at work on session fix"),
            RunLock(ID, "fix", 4),
        ):
            pass
    finally:
        end(process)


def test_a_lock_that_was_removed_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    first = RunLock(ID, "fix", 0).__enter__()
    flock = fcntl.flock

    def removed(handle: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        forget(ID)
        first.close()
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", removed)
    with RunLock(ID, "fix", 4):
        found = holder(ID)
        assert found is not None
        assert found.run == 4
        with pytest.raises(RunningError), RunLock(ID, "fix", 5):
            pass


def test_a_killed_holder_holds_nothing() -> None:
    end(hold_elsewhere())
    assert holder(ID) is None
    with RunLock(ID, "fix", 4):
        found = holder(ID)
        assert found is not None
        assert found.pid == os.getpid()
    assert holder(ID) is None


def test_a_run_that_changes_hands_keeps_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    with RunLock(ID, "fix", 1) as lock:
        before = holder(ID)
        monkeypatch.setattr(time, "time", lambda: 4e9)
        RunLock.adopt(lock.fileno(), ID, "fix", 1).write(attached=False)
        after = holder(ID)
        assert before is not None
        assert after is not None
        assert (before.attached, after.attached) == (True, False)
        assert after.started == before.started


def test_a_lock_file_that_says_nothing_still_locks() -> None:
    from realm.session.lock import run_directory

    with RunLock(ID, "fix", 1):
        (run_directory(ID) / "lock").write_text("not json")
        assert holder(ID) is not None


def test_whoever_asks_for_the_holder_does_not_hold_the_run() -> None:
    with RunLock(ID, "fix", 1):
        pass
    asking = f"from realm.session.lock import holder\nprint('asks', flush=True)\nwhile True: holder({ID!r})"
    process = subprocess.Popen([sys.executable, "-c", asking], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "asks\n"
        for _ in range(200):
            with RunLock(ID, "fix", 1):
                pass
    finally:
        end(process)
