"""Ctrl-C cuts off what a process does, wherever Python is at the moment."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

_CASES = {
    "in a __del__": "class Dying:\n    def __del__(self): interrupt()\nDying()",
    "in a weak reference's callback": "import weakref\nclass Dying: pass\none = Dying()\n"
    "known = weakref.ref(one, lambda _: interrupt())\ndel one",
}
_PROGRAM = """
import os, signal, time
from realm.interrupts import once
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)
once()
try:
    {case}
    time.sleep(20)
except KeyboardInterrupt as wish:
    print("interrupted", *wish.args)
"""


@pytest.mark.parametrize("case", _CASES.values(), ids=_CASES)
def test_a_signal_is_not_lost(case: str) -> None:
    program = _PROGRAM.format(case=case.replace("\n", "\n    "))
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("interrupted 2\n", "")
    assert time.monotonic() - began < 10


def test_other_errors_there_are_told() -> None:
    program = "from realm.interrupts import once\nonce()\nclass Dying:\n    def __del__(self): 1 / 0\nDying()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "ZeroDivisionError" in done.stderr
