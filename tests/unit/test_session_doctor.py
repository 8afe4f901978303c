"""The checks and the trial of ``realm doctor``, as far as they need no engine."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from realm.cli.app import run
from realm.cli.ui import TerminalUI
from realm.errors import RealmError
from realm.sandbox import docker
from realm.session import doctor, new, registry, remove
from tests.support.repos import git
from tests.support.store import seen

if TYPE_CHECKING:
    from pathlib import Path

    from realm.session.requests import UI, NewRequest, Removal
    from tests.support.repos import Repo


@pytest.mark.usefixtures("sealed")
def test_every_word_has_a_column_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/socket")
    run(["doctor"])
    shown = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert len(shown) == len(doctor._CHECKS)
    assert {line[5] + line[15] for line in shown} == {"  "}
    assert not any(line[16].isspace() for line in shown)


def test_trial_touches_no_other_repository(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's variables name their own repository: the trial commits to its own all the same."""
    before = seen(repo)
    with monkeypatch.context() as patched:
        patched.setenv("GIT_DIR", str(repo.path / ".git"))
        patched.setenv("GIT_WORK_TREE", str(repo.path))
        patched.setenv("GIT_INDEX_FILE", str(repo.path / ".git/index"))
        doctor._make_repository(tmp_path / "trial")
    assert seen(repo) == before
    assert (tmp_path / "trial/.git").is_dir()


def test_nothing_is_left_of_a_trial_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[Path] = []
    removed: list[str] = []

    def fail(request: NewRequest, ui: UI) -> int:
        git(request.directory, "update-ref", "refs/realm/trial", "HEAD")
        registry.remember(request.directory)
        places.append(request.directory)
        raise RealmError("the disk is full", f"realm resume trial -C {request.directory}")

    def take(removal: Removal, ui: UI) -> None:
        removed.append(removal.name)

    monkeypatch.setattr(new, "new", fail)
    monkeypatch.setattr(remove, "remove", take)
    with pytest.raises(RealmError, match="the trial failed: the disk is full") as caught:
        doctor.trial(TerminalUI())
    assert caught.value.hint == "realm doctor checks what it needs"
    assert removed == ["trial"]
    assert not places[0].exists()
    assert registry.known() == []


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("REALM_DOCKER_ARGS", "", ("warn", "Claude Code has no login that the container could use")),
        ("REALM_DOCKER_ARGS", "-e CLAUDE_CODE_USE_VERTEX=1", ("ok", "CLAUDE_CODE_USE_VERTEX is set")),
        ("REALM_AGENT", "sh", ("ok", "the program needs none")),
    ],
)
def test_the_login_is_that_of_a_run_with_these_settings(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: tuple[str, str]
) -> None:
    monkeypatch.setenv(variable, value)
    found = doctor._login("login")
    assert (found.status, found.detail) == expected


def test_an_engine_that_hangs_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()

    def hang() -> None:
        never.wait()

    monkeypatch.setattr(docker, "connect", hang)
    monkeypatch.setattr(doctor, "_PATIENCE", 0.2)
    found = {check.name: check for check in doctor.checks()}
    assert len(found) == len(doctor._CHECKS)
    assert found["engine"][1:3] == ("fail", "the engine has not answered for 0 seconds")
    for name in ("leftovers", "image"):
        assert found[name][1:3] == ("warn", "not checked: the engine does not answer")
    never.set()
