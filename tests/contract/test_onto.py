"""The user's own commits on top of a session: real git, no engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.cli.ui import TerminalUI
from realm.errors import RealmError
from realm.session import onto
from tests.support.history import Asked, Past
from tests.support.store import project_of

if TYPE_CHECKING:
    from tests.support.repos import Repo


@pytest.fixture
def past(repo: Repo) -> Past:
    repo.write("a.txt", "1\n2\n3\n")
    repo.commit("A")
    made = Past(repo)
    made.run(Asked("change", {"a.txt": "one\n2\n3\n"}), Asked("more", {"b.txt": "b\n"}))
    return made


def put(past: Past, rev: str) -> list[str]:
    """Put ``rev`` on top; return the subjects of the session's commits."""
    onto.put(project_of(past.repo), "fix", rev, TerminalUI())
    return subjects(past.repo, past.base)


def subjects(repo: Repo, base: str) -> list[str]:
    return repo.git("log", "--reverse", "--format=%s", f"{base}..refs/realm/fix").splitlines()


def test_commits_on_the_session_are_taken_as_they_are(past: Past) -> None:
    repo = past.repo
    repo.git("checkout", "-q", "-b", "mine", "refs/realm/fix")
    repo.write("mine.txt", "m\n")
    own = repo.commit("Mine")
    assert put(past, "mine") == ["change", "more", "Mine"]
    assert repo.head("refs/realm/fix") == own
    assert put(past, "mine") == ["change", "more", "Mine"]


def test_commits_beside_it_are_made_again(past: Past) -> None:
    repo = past.repo
    repo.write("a.txt", "1\n2\nthree\n")
    repo.commit("Three")
    repo.write("c.txt", "c\n")
    repo.git("add", "-A")
    repo.git(
        "commit", "-q", "--author=Eve <eve@example.com>", "-m", "C\n\nWords\n\nRealm-Run: 1\nRealm-Turn: 1"
    )
    assert put(past, "main") == ["change", "more", "Three", "C"]
    assert repo.show("refs/realm/fix:a.txt") == "one\n2\nthree"
    told = repo.git("log", "-1", "--format=%an %b", "refs/realm/fix")
    assert (told.startswith("Eve Words"), "Realm-" in told) == (True, False)
    repo.write("c.txt", "d\n")
    repo.commit("D")
    assert put(past, "main") == ["change", "more", "Three", "C", "D"]
    assert put(past, "main") == ["change", "more", "Three", "C", "D"]


def test_merges_become_one_commit(past: Past) -> None:
    repo = past.repo
    repo.git("checkout", "-q", "-b", "side")
    repo.write("side.txt", "s\n")
    repo.commit("Side")
    repo.git("checkout", "-q", "main")
    repo.write("main.txt", "m\n")
    repo.commit("Main")
    repo.git("merge", "-q", "-m", "Both", "side")
    assert put(past, "main") == ["change", "more", "Both"]
    assert repo.files("refs/realm/fix") == ["README.md", "a.txt", "b.txt", "main.txt", "side.txt"]
    assert put(past, "main") == ["change", "more", "Both"]


def test_a_conflict_changes_nothing(past: Past) -> None:
    past.repo.write("a.txt", "eins\n2\n3\n")
    past.repo.commit("Eins")
    with pytest.raises(RealmError, match=r"main does not apply to fix: both sides changed a\.txt"):
        put(past, "main")
    assert past.repo.head("refs/realm/fix") == past.tip
    with pytest.raises(RealmError, match="'nothing' is not a commit"):
        put(past, "nothing")
