"""What saves a dead sandbox's work never comes to an end: it is given up after a time, and the work stays."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from realm.errors import EngineError
from tests.support.sandbox import Laboratory, laboratory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.repos import Repo

pytestmark = pytest.mark.engine


@pytest.fixture
def lab(repo: Repo, tmp_path: Path) -> Iterator[Laboratory]:
    yield from laboratory(repo, tmp_path)


def test_it_is_given_up_and_can_be_taken_again(lab: Laboratory) -> None:
    stuck = lab.create("sh", "-c", "trap '' TERM INT; sleep 10")
    stuck.start()
    began = time.monotonic()
    with pytest.raises(EngineError, match=r"realm\.limit\.seconds"):
        stuck.wait_at_most(0.5)
    assert time.monotonic() - began < 20
    stuck.wait_at_most(20)
    assert stuck.state() == "exited"
    lab.snapshot(stuck)
    assert stuck.reported()


PIPES = """
rm README.md; mkfifo README.md fifo; mkdir sub; mkfifo sub/.gitignore .gitattributes .gitmodules
ln -s /dev/zero zeros; truncate -s 40M sparse; echo ok > kept; touch /tmp/ready; sleep 60
"""


def test_pipes_and_holes_in_the_place_of_files(lab: Laboratory, tmp_path: Path) -> None:
    dead = lab.create("sh", "-c", PIPES)
    dead.start()
    lab.engine.exec(dead.id, ["sh", "-c", "until [ -e /tmp/ready ]; do sleep 0.1; done"], print, patience=20)
    dead.signal("SIGKILL")
    dead.wait_at_most(20)
    began = time.monotonic()
    lab.snapshot(dead)
    assert time.monotonic() - began < 30
    (tmp_path / "report").mkdir()
    assert dead.collect(tmp_path / "report").complete
