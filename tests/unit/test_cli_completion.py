from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.cli.app import application
from realm.cli.completion import SHELLS, VARIABLE, complete
from realm.cli.verbs import SUMMARIES

if TYPE_CHECKING:
    from tests.support.repos import Repo


@pytest.fixture(autouse=True)
def _place(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    head = repo.head()
    for name in ("fix-one", "fix-two", "other"):
        repo.git("update-ref", f"refs/realm/{name}", head)
        repo.git("update-ref", f"refs/realm-meta/{name}", head)
    repo.git("update-ref", "refs/realm-trash/gone/1700000000/code", head)
    repo.git("update-ref", "refs/realm-trash/gone/1700000000/meta", head)
    repo.git("update-ref", "refs/remotes/upstream/main", head)
    repo.git("tag", "v1")
    (repo.path / "sub").mkdir()
    monkeypatch.chdir(repo.path)


def asked(shell: str, line: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is offered in ``shell`` at the end of a command line; files as ``:file``."""
    words = line.split(" ")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", words[-1] if shell == "fish" else str(len(words) - 1))
    completing = SHELLS[shell](application, {}, "realm", VARIABLE)
    items = completing.get_completions(*completing.get_completion_args())
    return [str(item.value) if item.type == "plain" else f":{item.type}" for item in items]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", list(SUMMARIES)),
        ("re", ["resume", "rewind", "rename", "remove", "restore", "replay", "rescue"]),
        ("resume ", ["fix-one", "fix-two", "other"]),
        ("push fi", ["fix-one", "fix-two"]),
        ("remove fix-one ", ["fix-two", "other"]),
        ("attach fix-one ", []),
        ("restore ", ["gone"]),
        ("-C .. -C project resume o", ["other"]),
        ("-C /tmp resume ", []),
        ("--color ", ["auto", "always", "never"]),
        ("list --color n", ["never"]),
        ("--v", ["--version"]),
        ("-C ", [":dir"]),
        ("list -C ", [":dir"]),
        ("push --as b fi", ["fix-one", "fix-two"]),
        ("push x --s", ["--squash"]),
        ("push x --to ", ["upstream"]),
        ("push x --to=", ["--to=upstream"]),
        ("new ", []),
        ("new x ", [":dir"]),
        ("new x --wip ", [":dir"]),
        ("new x --i", ["--include", "--image"]),
        ("new x --include ", [":file"]),
        ("new x --base ", ["HEAD", "main", "v1"]),
        ("new x --base=v", ["--base=v1"]),
        ("new x -- ", [":file"]),
        ("new x sub ", [":dir"]),
        ("new x sub go ", [":file"]),
        ("resume fix-one go ", [":file"]),
        ("logs fi", ["fix-one", "fix-two"]),
        ("diff fi", ["fix-one", "fix-two"]),
        ("diff fix-one --st", ["--stat"]),
        ("diff fix-one -- ", [":file"]),
        ("resume fix-one --re", ["--rebase"]),
        ("help co", ["compare", "conflicts", "config", "completion"]),
        ("completion ", ["bash", "zsh", "fish"]),
        ("nonsense ", []),
        ("build --ca-file ", [":file"]),
        ("doctor --r", ["--run"]),
        ("screen fi", ["fix-one", "fix-two"]),
        ("replay fix-one --cast ", [":file"]),
    ],
)
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_what_may_stand_at_the_cursor(
    shell: str, line: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(shell, f"realm {line}", monkeypatch) == expected
    assert asked(shell, f"git -C x realm {line}", monkeypatch) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("realm new x --base = v", ["v1"]),
        ("realm new x --base =", ["HEAD", "main", "v1"]),
        ("realm push x --to = upstream --s", ["--squash"]),
        ("git realm resume o", ["other"]),
        ("realm resume git", []),
    ],
)
def test_words_as_bash_takes_them_apart(
    line: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked("bash", line, monkeypatch) == expected


def test_verbs_and_options_are_described(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMP_WORDS", "realm lis")
    monkeypatch.setenv("COMP_CWORD", "1")
    complete(application, "zsh_complete")
    assert capsys.readouterr().out == "plain\nlist\nList sessions, those that need you first\n"
    monkeypatch.setenv("COMP_WORDS", "realm list --al")
    monkeypatch.setenv("COMP_CWORD", "2")
    complete(application, "zsh_complete")
    assert capsys.readouterr().out == "plain\n--all\nlist the sessions of every project\n"


def test_refs_that_a_shell_would_take_apart_are_not_offered(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("$(touch${IFS}pwned)", "`id`", "a;b", "-rf", "a'b", "a|b", "é"):
        repo.git("update-ref", f"refs/realm/{name}", repo.head())
    assert asked("zsh", "realm resume ", monkeypatch) == ["fix-one", "fix-two", "other"]


@pytest.mark.parametrize("wish", ["bash_complete", "zsh_source", "", "no such"])
def test_without_git_or_sense_nothing_is_said(
    wish: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("COMP_WORDS", "realm resume ")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert complete(application, wish) == 0
    assert capsys.readouterr().out.strip() == ""
