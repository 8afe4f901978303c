"""Where a defence is switched off, the attack on it gets through: its test proves something."""

from __future__ import annotations

import os
import re
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


def test_every_attack_has_its_switch() -> None:
    here = Path(__file__)
    files = {path.name for path in here.parent.glob("test_*.py")} - {here.name}
    assert files - {switch.attack.partition("::")[0] for switch in SWITCHES.values()} == set()


def test_every_promise_has_its_switch() -> None:
    """Each line of the README's table names a test whose defence is switched off here."""
    table = (ROOT / "README.md").read_text().partition("\n## Security\n")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "`tests/" in line]
    proved = {f"tests/attacks/{switch.attack.partition('::')[0]}" for switch in SWITCHES.values()}
    proved = {path.replace("attacks/../", "") for path in proved}
    assert len(rows) > 20
    assert [row for row in rows if not proved & set(re.findall(r"`(tests/[a-z0-9_/]+\.py)`", row))] == []


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
    assert "Skipped: " not in said, said[-4000:]  # which fails, too, where nothing may be skipped
    assert "Traceback (most recent" not in said, said[-4000:]
