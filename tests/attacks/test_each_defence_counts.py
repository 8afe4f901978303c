"""Where a defence is switched off, the attack on it gets through: its test proves something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import engines
from tests.support.switches import SWITCHES

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
FAILED = 1
"""pytest's exit code for a failed test, as opposed to no test or an internal error."""


@pytest.fixture(scope="module")
def attacks(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """Return a process that runs attacks (:func:`tests.support.switched.serve`)."""
    shared = (
        {}
        if engines.missing()
        else {"REALM_TEST_SHARED": str(request.getfixturevalue("installed").home.parent)}
    )
    env = {**os.environ, **shared, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.support.switched"]
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


@pytest.mark.parametrize("name", SWITCHES)
def test_the_attack_gets_through_without_it(attacks: subprocess.Popen[str], name: str) -> None:
    if SWITCHES[name].engine:
        engines.require()
    assert attacks.stdin is not None
    assert attacks.stdout is not None
    print(name, file=attacks.stdin, flush=True)
    code, _, output = attacks.stdout.readline().strip().partition(" ")
    said = Path(output).read_text()
    Path(output).unlink()
    assert int(code) == FAILED, said[-4000:]
    assert "failed" in said
    assert "Traceback (most recent" not in said, said[-4000:]
