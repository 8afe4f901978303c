from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from realm.config import Config
from realm.session.notices import Bell

if TYPE_CHECKING:
    from tests.support.repos import Repo


@pytest.mark.parametrize("data", [b"\x07", b"text\x07more", b"\x1b]0;title\x07\x07", b"\x1b[31m\x07"])
def test_a_ring_is_heard(data: bytes) -> None:
    assert Bell().rang(data)


@pytest.mark.parametrize(
    "data", [b"", b"text", b"\x1b]0;title\x07", b"\x1b]52;c;eA==\x07a\x1b]0;b\x1b\\", b"\x1bPq\x1b\\"]
)
def test_the_end_of_a_title_is_no_ring(data: bytes) -> None:
    assert not Bell().rang(data)


def test_a_title_in_pieces_is_no_ring_and_what_follows_is() -> None:
    bell = Bell()
    assert not bell.rang(b"\x1b]0;ti")
    assert not bell.rang(b"tle")
    assert not bell.rang(b"\x07")
    assert bell.rang(b"\x07")


def test_ringing_on_is_one_ring() -> None:
    bell = Bell()
    assert bell.rang(b"\x07")
    assert not bell.rang(b"\x07")


def test_the_command_comes_from_the_user_alone(repo: Repo) -> None:
    repo.git("config", "realm.notify", "echo planted")
    repo.git("config", "realm.memory", "1g")
    assert Config(repo.path).get("notify") == ""
    assert Config(repo.path).get("memory") == "1g"
    subprocess.run(["git", "config", "--global", "realm.notify", "echo mine"], check=True)
    assert Config(repo.path).get("notify") == "echo mine"
