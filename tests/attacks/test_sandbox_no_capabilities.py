"""A sandbox has no capability, cannot gain privileges, cannot write outside its own places."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import Laboratory, laboratory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.repos import Repo

pytestmark = pytest.mark.engine


@pytest.fixture
def lab(repo: Repo, tmp_path: Path) -> Iterator[Laboratory]:
    yield from laboratory(repo, tmp_path)


def test_sandbox_is_powerless(lab: Laboratory) -> None:
    script = (
        "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status;"
        "for f in /x /etc/x /usr/bin/x /realm/x /realm/entry /etc/claude-code/turn; do"
        " (echo x > $f) 2>/dev/null && echo wrote $f; done; rm -f /realm/entry 2>/dev/null;"
        "ls /dev/sda /dev/vda /var/run/docker.sock 2>/dev/null; id -u; cat /proc/1/comm;"
        "mount -t tmpfs none /tmp 2>/dev/null && echo mounted; unshare -Ur true 2>/dev/null && echo unshared; test -s /realm/entry"  # noqa: E501
    )
    ran = lab.run(script)
    lines = dict(line.split(":\t") for line in ran.stdout.splitlines() if ":\t" in line)
    assert {lines[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert (lines["NoNewPrivs"], lines["Seccomp"]) == ("1", "2")
    rest = [line for line in ran.stdout.splitlines() if ":\t" not in line]
    assert rest == [str(lab.spec().uid), "docker-init"]
    assert ran.code == 0


def test_fork_bomb_hits_the_limit(lab: Laboratory) -> None:
    script = "echo 1 > new; i=0; while [ $i -lt 200 ]; do sleep 5 & i=$((i+1)); done; echo unlimited"
    ran = lab.run(script, pids=64)
    assert "fork" in ran.stderr
    assert "unlimited" not in ran.stdout
    assert ran.report().points[-1].snapshot != lab.repo.head()
