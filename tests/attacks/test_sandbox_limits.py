"""A sandbox takes no more of the machine than its limits: memory, files, dumps; a run has them by default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.sandbox.spec import limited
from tests.support.sandbox import Laboratory, environment_of, laboratory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.repos import Repo

pytestmark = pytest.mark.engine

GREEDY = """
(ulimit -n 70000) 2>/dev/null && echo 'more files'
(ulimit -c 1) 2>/dev/null && echo 'a dump'
(tail -c 1g /dev/zero | tail -c 1g > /dev/null) 2>/dev/null && echo 'more memory'
:
"""


@pytest.fixture
def lab(repo: Repo, tmp_path: Path) -> Iterator[Laboratory]:
    yield from laboratory(repo, tmp_path)


def test_it_gets_no_more(lab: Laboratory) -> None:
    assert lab.run(GREEDY, memory=128 << 20).stdout == ""


def test_by_default(lab: Laboratory) -> None:
    machine = lab.engine.machine()
    spec = limited(lab.spec(memory=None, cpus=None), machine)
    made = lab.create("true", memory=spec.memory, cpus=spec.cpus)
    host = environment_of(made)["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == min(machine.memory * 3 // 4, 16 << 30)
    assert host["NanoCpus"] == ((machine.cpus - 1) * 10**9 if machine.cpus > 2 else 0)
    assert (host["PidsLimit"], host["Runtime"]) == (4096, "runc")
