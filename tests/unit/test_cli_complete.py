from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.cli.complete import candidates, complete
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


def words(line: str) -> list[str]:
    return [candidate.partition("\t")[0] for candidate in candidates(line.split(" "))]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", list(SUMMARIES)),
        ("re", ["resume", "remove", "restore", "replay"]),
        ("resume ", ["fix-one", "fix-two", "other"]),
        ("push fi", ["fix-one", "fix-two"]),
        ("remove fix-one ", []),
        ("restore ", ["gone"]),
        ("-C .. -C project resume o", ["other"]),
        ("-C /tmp resume ", []),
        ("--color ", ["auto", "always", "never"]),
        ("list --color n", ["never"]),
        ("--v", ["--version"]),
        ("-C ", [":directories"]),
        ("list -C ", [":directories"]),
        ("push --as b fi", ["fix-one", "fix-two"]),
        ("push x --s", ["--squash"]),
        ("push x --to ", ["upstream"]),
        ("push x --to=", ["--to=upstream"]),
        ("new ", []),
        ("new x ", [":directories"]),
        ("new x --wip ", [":directories"]),
        ("new x --i", ["--include", "--image"]),
        ("new x --include ", [":files"]),
        ("new x --base ", ["HEAD", "main", "v1"]),
        ("new x --base=v", ["--base=v1"]),
        ("new x -- ", [":files"]),
        ("new x sub ", [":directories"]),
        ("new x sub go ", [":files"]),
        ("resume fix-one go --re", [":files"]),
        ("resume fix-one --re", ["--rebase"]),
        ("help co", ["config", "completion"]),
        ("completion ", ["bash", "zsh", "fish"]),
        ("nonsense ", []),
        ("build --ca-file ", [":files"]),
        ("doctor --r", ["--run"]),
        ("screen fi", ["fix-one", "fix-two"]),
        ("replay fix-one --cast ", [":files"]),
    ],
)
def test_what_may_stand_at_the_cursor(line: str, expected: list[str]) -> None:
    assert words(line) == expected


def test_verbs_and_options_are_described() -> None:
    assert candidates(["lis"]) == ["list\tList sessions, newest first"]
    assert candidates(["list", "--al"]) == ["--all\tlist the sessions of every project"]


def test_refs_that_a_shell_would_take_apart_are_not_offered(repo: Repo) -> None:
    for name in ("$(touch${IFS}pwned)", "`id`", "a;b", "-rf", "a'b", "a|b", "é"):
        repo.git("update-ref", f"refs/realm/{name}", repo.head())
    assert words("resume ") == ["fix-one", "fix-two", "other"]


def test_no_git_and_no_words_are_no_trouble(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert complete(["resume", ""]) == 0
    assert capsys.readouterr() == ("", "")
    assert complete([]) == 0
    assert capsys.readouterr().out.startswith("new\t")
