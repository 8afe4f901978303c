"""Where a defence is switched off, the attack on it gets through: its test proves something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import engines
from tests.support.switches import SWITCHES

ROOT = Path(__file__).resolve().parents[2]
FAILED = 1
"""pytest's exit code for a failed test, as opposed to no test or an internal error."""


@pytest.mark.parametrize("name", SWITCHES)
def test_the_attack_gets_through_without_it(name: str) -> None:
    switch = SWITCHES[name]
    if switch.engine:
        engines.require()
    file, _, test = switch.attack.partition("::")
    words = [
        sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.support.switches", "-p", "no:cacheprovider",
        "-p", "no:xdist", f"tests/attacks/{file}", *(["-k", test] if test else []),
    ]  # fmt: skip
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, "REALM_SWITCH_OFF": name, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == FAILED, done.stdout[-2000:] + done.stderr[-2000:]
    assert "failed" in done.stdout
