"""What is done at the same time, and Ctrl-C in the middle of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from realm import interrupts
from realm import together as module
from realm.git import git
from realm.together import together

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _once() -> Iterator[None]:
    before, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupts.once()
    yield
    signal.signal(signal.SIGINT, before)
    sys.unraisablehook = hook


def press(*after: float) -> None:
    """Press Ctrl-C some seconds from now, and again some seconds after that."""

    def work() -> None:
        for seconds in after:
            time.sleep(seconds)
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=work).start()


def test_results_come_in_order_and_the_first_problem_is_raised() -> None:
    assert together(lambda: 1, lambda: 2, lambda: 3) == [1, 2, 3]
    assert together() == []

    def fail() -> None:
        raise ValueError("first")

    def fail_too() -> None:
        raise KeyError("second")

    with pytest.raises(ValueError, match="first"):
        together(lambda: 1, fail, fail_too)


@pytest.mark.parametrize("own", [0.0, 0.4])
def test_an_impatient_user_gets_no_further_than_the_end_of_what_was_begun(own: float) -> None:
    """The second Ctrl-C comes while the first is being seen to, wherever the calling thread is by then."""
    done = []

    def moved() -> None:
        time.sleep(0.5)
        done.append("moved")

    press(0.1, 0.03, 0.03)
    with pytest.raises(KeyboardInterrupt):
        together(moved, lambda: time.sleep(own))
    assert done == ["moved"]


def test_what_does_not_end_is_waited_for_no_longer_than_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.3)
    ending = threading.Event()
    press(0.1)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        together(ending.wait, lambda: None)
    assert 0.3 < time.monotonic() - began < 2
    ending.set()


def test_a_later_interrupt_counts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "PATIENCE", 0.2)
    for _ in range(2):
        press(0.05, 0.05)
        with pytest.raises(KeyboardInterrupt):
            time.sleep(5)
        time.sleep(0.3)


def test_the_first_text_goes_with_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, interrupts.telling("outer"), interrupts.telling("inner"):
        raise KeyboardInterrupt
    assert caught.value.__notes__ == ["inner"]


def test_refs_that_move_are_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """git is in a process group of its own then, and must not be killed half-way either."""
    program = tmp_path / "git"
    program.write_text('#!/bin/sh\ncat >"$0.given"\nsleep 0.6\necho done >"$0.done"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    press(0.2, 0.03)
    with pytest.raises(KeyboardInterrupt):
        git("update-ref", "--stdin", stdin=b"x" * 200_000, cwd=tmp_path)
    assert (tmp_path / "git.done").exists()
    assert (tmp_path / "git.given").stat().st_size == 200_000
    press(0.2)
    (tmp_path / "git.done").unlink()
    time.sleep(0.1)
    monkeypatch.setattr(interrupts, "PATIENCE", 0.0)
    with pytest.raises(KeyboardInterrupt):
        git("cat-file", stdin=b"", cwd=tmp_path)
    assert not (tmp_path / "git.done").exists()
