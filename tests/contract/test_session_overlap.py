"""Sessions that collide, and those that do not, told by merges in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.history import Asked, Past, realm
from tests.support.store import object_count

if TYPE_CHECKING:
    from tests.support.repos import Repo

TEXT = "".join(f"line {number}\n" for number in range(1, 41))


def change(repo: Repo, name: str, number: int, files: dict[str, str | None]) -> Past:
    past = Past(repo, name, id=f"5e555e55-0000-4000-8000-{number:012}")
    past.run(Asked(f"do {name}", files))
    return past


def found(repo: Repo, *names: str) -> list[tuple[str, str, list[str]]]:
    done = realm(repo.path, "conflicts", "--json", *names)
    assert (done.code, done.err) == (0, "")
    return [(item["one"], item["other"], item["paths"]) for item in json.loads(done.out)]


def three(repo: Repo) -> None:
    repo.write("text", TEXT)
    repo.commit("Text")
    change(repo, "tax", 1, {"text": TEXT.replace("line 3\n", "tax\n"), "tax.txt": "1\n"})
    change(repo, "ship", 2, {"text": TEXT.replace("line 3\n", "ship\n")})
    change(repo, "late", 3, {"text": TEXT.replace("line 33\n", "late\n")})


def test_only_those_that_changed_the_same_lines_collide(repo: Repo) -> None:
    three(repo)
    assert found(repo) == [("ship", "tax", ["text"])]
    assert found(repo, "tax", "late") == []
    done = realm(repo.path, "conflicts")
    assert done.out == "ship\ttax\ttext\n"
    assert realm(repo.path, "conflicts", "late").err == "hint: there are no conflicts\n"


def test_the_branch_that_is_checked_out_counts_and_what_it_has_does_not(repo: Repo) -> None:
    three(repo)
    repo.git("merge", "-q", "refs/realm/ship")
    assert found(repo) == [("tax", "main", ["text"])]
    repo.git("checkout", "-q", "--detach")
    assert found(repo) == [("tax", "HEAD", ["text"])]


def test_nothing_of_the_users_changes(repo: Repo) -> None:
    three(repo)
    repo.write("mine.txt", "not committed\n")
    before = (repo.git("status", "--porcelain"), repo.refs(), repo.head())
    found(repo)
    assert (repo.git("status", "--porcelain"), repo.refs(), repo.head()) == before
    count = object_count(repo)
    change(repo, "more", 4, {"text": TEXT.replace("line 3\n", "more\n")})
    made = object_count(repo)
    assert ("more", "tax", ["text"]) in found(repo)
    assert count < made == object_count(repo)


def test_a_name_that_is_none(repo: Repo) -> None:
    done = realm(repo.path, "conflicts", "nothing")
    assert done.code == 1
    assert "there is no session nothing" in done.err


def test_sessions_side_by_side(repo: Repo) -> None:
    three(repo)
    change(repo, "again", 4, {"text": TEXT.replace("line 3\n", "ship\n")})
    done = realm(repo.path, "compare", "--json", "tax", "ship", "late", "again", "tax@1")
    assert (done.code, done.err) == (0, "")
    rows = json.loads(done.out)
    assert [row["name"] for row in rows] == ["tax", "ship", "late", "again", "tax@1"]
    assert [row["same"] for row in rows] == [None, None, None, "ship", "tax"]
    assert [(row["turns"], row["files"], row["insertions"], row["deletions"]) for row in rows[:2]] == [
        (1, 2, 2, 1),
        (1, 1, 1, 1),
    ]
    assert [row["shared"] for row in rows[1:4]] == [1, 1, 1]
    told = realm(repo.path, "compare", "tax", "ship").out.splitlines()
    assert told == ["tax\t1\t2\t+2 −1\t1 file", "ship\t1\t1\t+1 −1\t1 file"]  # noqa: RUF001 - as above
