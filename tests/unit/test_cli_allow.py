"""``realm allow`` changes the user's own git configuration and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from realm.errors import EngineError, UsageError
from realm.model import Refusal
from realm.sandbox import docker
from realm.session import net, refusals
from tests.support.cli import CommandLine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


@pytest.fixture
def place(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project, on a machine without an engine."""

    def connect() -> None:
        raise EngineError("there is none", kind="unreachable")

    monkeypatch.setattr(docker, "connect", connect)
    monkeypatch.chdir(repo.path)
    return repo.path


@pytest.fixture
def realm(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


def test_hosts_come_and_go(place: Path, repo: Repo) -> None:
    net.allow(["A.example", "a.example", "*.b.example"], place, everywhere=False)
    assert repo.git("config", "--local", "--get-all", "realm.allow").split() == ["a.example", ".b.example"]
    net.allow(["a.example", "10.1.2.3:80"], place, everywhere=False)
    assert [str(host) for host in net.allowed(place)] == ["a.example", ".b.example", "10.1.2.3:80"]
    net.refuse([".b.example", "a.example"], place, everywhere=False)
    assert [str(host) for host in net.allowed(place)] == ["10.1.2.3:80"]


def test_what_the_user_wrote_otherwise_is_found(place: Path, repo: Repo) -> None:
    repo.git("config", "realm.allow", "*.Example.com.")
    net.refuse([".example.com"], place, everywhere=False)
    assert net.allowed(place) == []


def test_globally_it_holds_elsewhere(place: Path, tmp_path: Path) -> None:
    net.allow(["a.example"], place, everywhere=True)
    assert [str(host) for host in net.allowed(tmp_path)] == ["a.example"]
    assert net.policy(place) == "allow"


def test_the_project_has_no_say(place: Path, repo: Repo) -> None:
    repo.write(".gitconfig", "[realm]\n\tallow = evil.example\n")
    repo.write("realm.allow", "evil.example\n")
    repo.commit("Ask for more")
    assert net.allowed(place) == []


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("allow", 2, "no host was given"),
        ("allow https://a.example", 2, "without https:// or a path"),
        ("allow 1.2.3.4.5", 2, "it is not the name of a host"),
        ("allow --list a.example", 2, "--list lists all hosts"),
        ("allow --remove a.example", 1, "a.example is not allowed by this project's git configuration"),
        ("allow --remove --global a.example", 1, "by the global git configuration"),
    ],
)
def test_mistakes_are_said(realm: CommandLine, line: str, code: int, words: str) -> None:
    done = realm(*line.split())
    assert done.code == code
    assert words in done.err


def test_the_list_has_both_kinds(realm: CommandLine, place: Path) -> None:
    net.allow(["a.example"], place, everywhere=False)
    rows = json.loads(realm("allow", "--list", "--json").out)
    assert rows[0] == {"host": "a.example", "usual": False}
    assert {"host": "pypi.org", "usual": True} in rows


def test_the_container_itself_needs_no_permission(place: Path, repo: Repo) -> None:
    for word in ("localhost:3000", "127.0.0.1", "127.0.0.0/8", "[::1]:80"):
        with pytest.raises(UsageError, match="the container itself"):
            net.allow(["a.example", word], place, everywhere=False)
    assert repo.git("config", "--local", "--get-all", "realm.allow", check=False) == ""
    here = [Refusal("localhost", 3000, "name"), Refusal("127.0.0.1", 443, "address")]
    assert not any(map(refusals.may_be_allowed, here))
    assert refusals.may_be_allowed(Refusal("127.example.com", 443, "name"))
