"""Every setting has one parser that says what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realm import config
from realm.cli.ui import TerminalUI
from realm.config import SETTINGS, Config
from realm.errors import UsageError
from realm.session.plan import mention_removed

if TYPE_CHECKING:
    from pathlib import Path

    from realm.config import Setting
    from tests.support.repos import Repo


def repr_of(value: object) -> str:
    return value.key if isinstance(value, config.Setting) else repr(value)


@pytest.mark.parametrize(
    ("setting", "text", "meaning"),
    [
        (config.AGENT, "", ()),
        (config.AGENT, "sh -c 'a b'", ("sh", "-c", "a b")),
        (config.DETACH_KEYS, "ctrl-p,ctrl-q", (16, 17)),
        (config.DETACH_KEYS, "ctrl-@,CTRL-_, a", (0, 31, 97)),
        (config.DETACH_KEYS, "ctrl-[,d", (27, 100)),
        (config.DETACH_KEYS, "none", ()),
        (config.DETACH_KEYS, "", ()),
        (config.INCLUDE, "..x/../.env", "..x/../.env"),
        (config.MEMORY, "", None),
        (config.MEMORY, "auto", None),
        (config.MEMORY, "none", 0),
        (config.WORKSPACE_SIZE, "auto", None),
        (config.WORKSPACE_SIZE, "none", 0),
        (config.WORKSPACE_SIZE, "20g", 20 * 1024**3),
        (config.CPUS, "auto", None),
        (config.CPUS, "all", 0),
        (config.CPUS, "1.5", 1.5),
        (config.MEMORY, "1.5GiB", 1536 * 1024**2),
        (config.MEMORY, "8g", 8 * 1024**3),
        (config.NETWORK, "None", "none"),
        (config.PIDS, "1", 1),
        (config.RECORD, "Off", False),
        (config.RECORD_LIMIT, "64k", 65536),
        (config.CA_FILE, "", None),
    ],
    ids=repr_of,
)
def test_what_a_text_means(setting: Setting[Any], text: str, meaning: object) -> None:
    assert setting.read(text) == meaning


@pytest.mark.parametrize(
    ("setting", "text", "wrong"),
    [
        (config.AGENT, "'", "no closing quotation"),
        (config.DOCKER_ARGS, "-e 'A", "no closing quotation"),
        (config.IMAGE, "a b", "not the name of an image"),
        (config.INCLUDE, "a/../../x", "leads out of the project"),
        (config.INCLUDE, "~/x", "leads out of the project"),
        (config.CLAUDE_VERSION, "2 --x", "not a version"),
        (config.CA_FILE, "~/none.pem", "no such file"),
        (config.CA_FILE, "~nobody-of-that-name/x", "no such home directory"),
        (config.DETACH_KEYS, "ctrl-1", "no key 'ctrl-1'"),
        (config.DETACH_KEYS, ",", "no key ''"),
        (config.DETACH_KEYS, "ctrl-p,,q", "no key ''"),
        (config.DETACH_KEYS, "ctrl-pp", "no key 'ctrl-pp'"),
        (config.DETACH_KEYS, "é", "no key 'é'"),
        (config.MEMORY, "nan", "not a valid size"),
        (config.MEMORY, "infg", "not a valid size"),
        (config.MEMORY, "-1g", "not a valid size"),
        (config.PIDS, "0", "not a number from 1"),
        (config.CPUS, "0", "neither auto"),
        (config.CPUS, "-1", "neither auto"),
        (config.CPUS, "many", "neither auto"),
        (config.PIDS, "٣", "not a number from 1"),
        (config.RECORD, "maybe", "neither on nor off"),
        (config.RECORD_LIMIT, "1k", "64k is the least"),
        (config.REMOTE, "--exec=x", "neither a remote's name nor a URL"),
        (config.REMOTE, "", "neither a remote's name nor a URL"),
    ],
    ids=repr_of,
)
def test_what_means_nothing_is_said(setting: Setting[Any], text: str, wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong) as caught:
        setting.read(text)
    assert f"realm.{setting.key} is " in caught.value.message


@given(st.sampled_from(SETTINGS), st.text())
def test_any_text_means_something_or_is_refused(setting: Setting[Any], text: str) -> None:
    try:
        setting.read(text)
    except UsageError as error:
        assert repr(text) in error.message  # noqa: PT017


def test_the_defaults_mean_something() -> None:
    Config().check()


def test_a_home_directory_is_meant_by_a_tilde(sealed: Path) -> None:
    (sealed / "ca.pem").touch()
    assert config.CA_FILE.read("~/ca.pem") == sealed / "ca.pem"


def test_all_are_checked_and_the_source_is_named(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.git("config", "realm.memory", "lots")
    repo.git("config", "--add", "realm.include", "a")
    monkeypatch.setenv("REALM_BELL", "loud")
    found = Config(repo.path)
    assert sorted(found.problems()) == ["bell", "memory"]
    assert found.problems()["bell"].message.startswith("REALM_BELL is 'loud'")
    assert found.values(config.INCLUDE) == ["a"]
    with pytest.raises(UsageError, match=r"realm\.memory is 'lots'"):
        found.check()


def test_a_setting_of_an_earlier_version_is_noticed(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "REMOVED", (("oldOne", "REALM_OLD_ONE"), ("other", "REALM_OTHER")))
    assert Config(repo.path).removed() == []
    repo.git("config", "realm.oldOne", "x")
    monkeypatch.setenv("REALM_OTHER", "")
    assert Config(repo.path).removed() == ["realm.oldOne", "REALM_OTHER"]


def test_it_is_mentioned_once(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(config, "REMOVED", (("oldOne", "REALM_OLD_ONE"),))
    repo.git("config", "realm.oldOne", "x")
    for _ in range(2):
        mention_removed(Config(repo.path), TerminalUI())
    assert capsys.readouterr().err == "warning: realm.oldOne is set, but no longer has any effect\n"


@pytest.mark.parametrize(
    ("specs", "found"),
    [
        (["+refs/heads/*:refs/remotes/all/*"], []),
        (["+refs/*:refs/*"], ["all"]),
        (["+refs/*:refs/*", "^refs/realm*"], []),
        (["+refs/heads/*:refs/heads/*", "refs/realm/*:refs/realm/*"], ["all"]),
        (["+refs/*"], []),
    ],
)
def test_remotes_that_are_mirrored(repo: Repo, specs: list[str], found: list[str]) -> None:
    for spec in specs:
        repo.git("config", "--add", "remote.all.fetch", spec)
    assert Config(repo.path).mirrors() == found
