"""What a session should hardly have brought: said, asked about at a push, and left out when told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from realm.store import unusual
from tests.support.history import Asked, Past, realm
from tests.support.repos import Repo
from tests.support.store import assert_sound, project_of

if TYPE_CHECKING:
    from pathlib import Path

BIG = "x" * (unusual.LARGE + 1)


@pytest.fixture
def past(repo: Repo) -> Past:
    """Return a session that changed a file of the project's, and left a build's output beside it."""
    repo.write("dist/kept.txt", "as it was\n")
    repo.commit("Begin")
    made = Past(repo)
    made.run(
        Asked("write one.txt", {"one.txt": "1\n", "dist/big.js": "big\n", "dist/kept.txt": "changed\n"}),
        Asked("only the build", {"dist/other.js": "x\n"}),
        Asked("write src/two.txt", {"src/two.txt": "2\n", "src/gen/a": "a\n"}),
    )
    return made


def subjects(past: Past) -> list[str]:
    return past.repo.git("log", "--reverse", "--format=%s", f"{past.base}..refs/realm/fix").splitlines()


def test_paths_are_left_out_and_the_rest_is_as_it_was(past: Past) -> None:
    before = past.repo.git("log", "--format=%an %ae %ad %cd", f"{past.base}..refs/realm/fix").splitlines()
    done = realm(past.repo.path, "drop", "fix", "dist", "src/gen/")
    assert (done.code, done.err) == (0, "hint: realm restore fix --replace undoes this\n")
    assert "(2 new commits)" in done.out
    assert past.repo.files("refs/realm/fix") == ["README.md", "dist/kept.txt", "one.txt", "src/two.txt"]
    assert past.repo.show("refs/realm/fix:dist/kept.txt") == "as it was"
    assert subjects(past) == ["write one.txt", "write src/two.txt"]
    after = past.repo.git("log", "--format=%an %ae %ad %cd", f"{past.base}..refs/realm/fix").splitlines()
    assert after == [before[0], before[2]]
    (row,) = json.loads(realm(past.repo.path, "list", "--json").out)
    assert (row["turns"], row["files"]) == (3, 2)
    assert len(json.loads(realm(past.repo.path, "log", "--json", "fix").out)) == 3
    assert_sound(past.repo)
    assert realm(past.repo.path, "restore", "fix", "--replace").code == 0
    assert past.repo.head("refs/realm/fix") == past.tip


def test_all_of_it_can_be_left_out(past: Past) -> None:
    assert realm(past.repo.path, "drop", "fix", "dist", "src", "one.txt").code == 0
    assert past.repo.head("refs/realm/fix") == past.base


@pytest.mark.parametrize(
    ("paths", "code", "said"),
    [
        (("nothing",), 1, "no commit of fix changes nothing"),
        (("README.md", "a\nb"), 1, "README.md and a b"),
        (("../x",), 2, "'../x' is not a path below"),
        (("/etc",), 2, "'/etc' is not a path below"),
        ((".",), 2, "is not a path below"),
        ((), 2, ""),
    ],
)
def test_what_cannot_be_left_out_is_said_and_nothing_moves(
    past: Past, paths: tuple[str, ...], code: int, said: str
) -> None:
    done = realm(past.repo.path, "drop", "fix", *paths)
    assert done.code == code
    assert said in done.err
    assert past.repo.head("refs/realm/fix") == past.tip


def test_what_was_pushed_stays(past: Past, tmp_path: Path) -> None:
    origin = Repo.init(tmp_path / "origin.git", bare=True)
    past.repo.git("remote", "add", "origin", str(origin.path))
    past.run(Asked("more", {"dist/more.js": "more\n", "three.txt": "3\n"}))
    assert realm(past.repo.path, "push", "fix@3").code == 0
    done = realm(past.repo.path, "drop", "fix", "src")
    assert "no commit of fix since it was pushed changes src" in done.err
    assert realm(past.repo.path, "drop", "fix", "dist").code == 0
    assert "dist/big.js" in past.repo.files("refs/realm/fix")
    assert "dist/more.js" not in past.repo.files("refs/realm/fix")
    assert realm(past.repo.path, "push", "fix").code == 0


@pytest.mark.parametrize("gone", [False, True])
def test_a_push_asks_about_a_large_file_also_one_that_is_gone_again(
    repo: Repo, tmp_path: Path, gone: bool
) -> None:
    origin = Repo.init(tmp_path / "origin.git", bare=True)
    repo.git("remote", "add", "origin", str(origin.path))
    past = Past(repo)
    past.run(Asked("build", {"core file": BIG, "one.txt": "1\n"}))
    if gone:
        past.run(Asked("clean up", {"core file": None}))
    done = realm(repo.path, "push", "fix")
    assert done.code == 1
    assert "core file has 52 MB" in done.err
    assert "realm push fix --yes" in done.err
    assert "realm drop fix 'core file'" in done.err
    assert not origin.refs()
    if gone:
        assert realm(repo.path, "push", "fix", "--squash").code == 0
    else:
        assert realm(repo.path, "drop", "fix", "core file").code == 0
        assert realm(repo.path, "push", "fix").code == 0
    assert realm(repo.path, "push", "fix", "--as", "other", "--yes").code == 0


def test_what_is_unusual_about_a_change(repo: Repo) -> None:
    first = repo.make_files(100)
    project = project_of(repo)
    for number in range(unusual.HEAP):
        (repo.path / f"build/cache/d{number % 7}").mkdir(parents=True, exist_ok=True)
        (repo.path / f"build/cache/d{number % 7}/{number}").write_text("x")
    heap = repo.commit("Heap")
    assert unusual.find(project, first, heap) == [
        unusual.Unusual(f"{unusual.HEAP} new files below build/cache", "build/cache")
    ]
    repo.git("rm", "-rq", "build", "src/d0000")
    gone = repo.commit("Gone")
    assert unusual.find(project, first, gone) == [unusual.Unusual("100 of 100 files are deleted", "")]
    repo.git("reset", "-q", "--hard", first)
    repo.git("mv", "src", "lib")
    assert unusual.find(project, first, repo.commit("Moved")) == []
    assert unusual.find(project, first, first) == []


def test_installed_packages_are_unusual_also_where_they_are_few(repo: Repo) -> None:
    first = repo.head()
    for number in range(unusual.PACKAGES):
        repo.write(f"web/node_modules/p{number}/node_modules/q/index.js", f"{number}")
        repo.write(f".venv/lib/{number}.py", f"{number}")
    repo.write(".venv/pyvenv.cfg", "home = /usr/bin\n")
    repo.write("tests/node_modules/p/index.js", "x")
    assert unusual.find(project_of(repo), first, repo.commit("Packages")) == [
        unusual.Unusual("101 new files below .venv", ".venv"),
        unusual.Unusual("100 new files below web/node_modules", "web/node_modules"),
    ]


def test_a_push_asks_about_what_the_users_filters_did_not_see(repo: Repo, tmp_path: Path) -> None:
    """With git-crypt, for example: the agent's files are not encrypted."""
    repo.git("remote", "add", "origin", str(Repo.init(tmp_path / "origin.git", bare=True).path))
    repo.git("config", "filter.crypt.clean", "rev")
    repo.write(".gitattributes", "*.key filter=crypt\n*.bin filter=lfs\n*.odd filter=none\n")
    repo.commit("Filters")
    past = Past(repo)
    past.run(Asked("keys", {"a b.key": "secret\n", "x.bin": "x\n", "x.odd": "x\n"}))
    done = realm(repo.path, "push", "fix")
    assert done.code == 1
    assert "a b.key did not go through your filter crypt\n" in done.err
    assert "realm drop fix 'a b.key' leaves it out" in done.err
    past.run(Asked("more", {"c.key": "secret\n"}))
    assert "a b.key and 1 more did not go through your filter crypt" in realm(repo.path, "push", "fix").err
    repo.git("config", "--unset", "filter.crypt.clean")
    assert realm(repo.path, "push", "fix").code == 0
