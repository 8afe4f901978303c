"""What a record says of under what a run went, also one that somebody else wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from realm import config
from realm.agents import Login
from realm.config import Config
from realm.errors import RealmError
from realm.model import Run
from realm.sandbox import flags
from realm.sandbox.answers import Conditions, Mounted
from realm.session import audit
from realm.session.run import Plan, weakened
from tests.support.recorded import add_session
from tests.support.store import STARTED, project_of, session

if TYPE_CHECKING:
    from tests.support.repos import Repo

CONTAINER = Conditions(
    "sha256:aa", "1000:1000", "none", memory=1024**3, pids=4096, limits=("nofile=1:2",), read_only=True,
    protection=("no-new-privileges",), mounts=(Mounted("volume", "work", "/workspace", writable=True),),
    workspace=20 * 1024**3,
)  # fmt: skip


def plan(repo: Repo, args: str = "") -> Plan:
    project = project_of(repo)
    return Plan(
        project, session(), Run(1, STARTED, "a" * 40), Config(), Login({"K": "secret"}, source="K is set"),
        flags.parse(args), identity=None,  # type: ignore[arg-type]
    )  # fmt: skip


def test_what_was_decided_and_what_the_engine_says_stand_in_the_record(repo: Repo) -> None:
    before = audit.begun(
        plan(repo, "-e TOKEN=hush --env OTHER -v cache:/data"), "sha256:aa", {"realm.claude-version": "2.1"}
    )
    add_session(repo, {audit.FILE: audit.ended(before, CONTAINER)})
    (found,) = audit.audit("fix", repo.path)
    assert (found.image, found.agent, found.agent_version) == ("sha256:aa", "Claude Code", "2.1")
    assert (found.network, found.login) == ("open", "K is set")
    assert found.flags == ("--env TOKEN", "--env OTHER", "--volume cache:/data")
    assert found.container == CONTAINER


def test_limits_that_the_user_lifted_stand_in_the_record(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    lifted = {"memory": "none", "cpus": "all", "diskReserve": "none", "workspaceSize": "none"}
    for key, value in lifted.items():
        (variable,) = (setting.variable for setting in config.SETTINGS if setting.key == key)
        monkeypatch.setenv(variable, value)
    found = weakened(plan(repo))
    assert [f"realm.{key} {value}" for key, value in lifted.items()] == list(found[:4])


def test_no_secret_is_in_it(repo: Repo) -> None:
    kept = audit.ended(audit.begun(plan(repo, "-e TOKEN=hush -e=A=hush"), "sha256:aa", {}), CONTAINER)
    assert b"hush" not in kept
    assert b"secret" not in kept


def test_a_run_of_an_earlier_version_has_none_of_it(repo: Repo) -> None:
    add_session(repo, {}, {})
    found = audit.audit("fix", repo.path)
    assert [one.run.number for one in found] == [1, 2]
    assert (found[0].image, found[0].container, found[0].refused, found[0].tokens) == ("", None, None, None)
    assert [one.run.number for one in audit.audit("fix", repo.path, 2)] == [2]
    with pytest.raises(RealmError, match="session fix has no run 3"):
        audit.audit("fix", repo.path, 3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"[" * 100_000,
        b'{"container": [], "flags": {"a": 1}, "image": 7}',
        b'{"container": {"mounts": {}, "memory": "much", "cpus": 1e999, "pids": -1, "limits": [1, null]}}',
    ],
)
def test_nonsense_counts_as_missing(content: bytes, repo: Repo) -> None:
    add_session(repo, {audit.FILE: content})
    (found,) = audit.audit("fix", repo.path)
    assert (found.image, found.flags) == ("", ())
    assert found.container is None or found.container == Conditions("", "", "")


def test_what_it_shows_is_clean(repo: Repo) -> None:
    evil = "a\x1b]0;owned\x07\u202e"
    hostile: dict[str, Any] = {
        "image": evil, "flags": [evil], "container": {"user": evil, "mounts": [{"target": evil}]},
    }  # fmt: skip
    add_session(repo, {audit.FILE: json.dumps(hostile).encode()})
    (found,) = audit.audit("fix", repo.path)
    assert "\x1b" not in repr(found._replace(run=None))  # type: ignore[arg-type]
