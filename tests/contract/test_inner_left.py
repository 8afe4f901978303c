"""What else an agent leaves in submodules and beside the project comes home to these, and goes back."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from realm.session import approvals, homes
from realm.store import branches, refs
from tests.contract.test_entry_lfs import LARGE, pointer
from tests.support.inside import KEPT, Place, kept, placed
from tests.support.store import project_of

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Session
    from tests.support.repos import Repo

COMMIT = "commit() { echo $1 >$1; git add $1; git commit -qm $1; }; "


@pytest.fixture
def place(repo: Repo, tmp_path: Path) -> Place:
    return placed(repo, tmp_path)


KINDS = ["detached", "heads", "heads", "stash", "tags"]
LEAVE = (
    COMMIT + "leave() { git checkout -q -b alt; commit one; git tag v1; echo 2 >two; git stash -q -u; "
    "git checkout -q --detach HEAD~1; commit lost; git worktree add -q -b tree $1 HEAD~1; echo 3 >$1/three; "
    "git checkout -q $(git rev-parse HEAD~1); }; "
)


def test_all_of_it_comes_home_and_is_there_again(place: Place, tmp_path: Path) -> None:
    report = place.sandbox(tmp_path / "one").run(
        LEAVE + "(cd lib; leave $HOME/one); (cd ../near; leave $HOME/tree; git checkout -q work)"
    )
    inside = place.take(report)
    assert report.errors == ()
    for repo in (place.lib, place.near):
        assert [name.partition("/")[0] for name in kept(repo)] == KINDS
        assert repo.show(f"{KEPT}stash/1^3:two") == "2"
        assert repo.files(f"{KEPT}heads/tree") == ["lib.txt", "three"]
        assert repo.head("refs/realm/fix") == repo.head()
    assert [*inside.kept] == ["../near", "lib"]
    text = branches.describe([row for rows in inside.kept.values() for row in rows])
    every = "branch alt (1 commit), branch tree (1 commit), tag v1 (1 commit), 1 stash, 1 detached commit"
    assert text == f"in ../near: {every}; in lib: {every}"
    again = place.later().sandbox(tmp_path / "two")
    look = "git for-each-ref --format='%(refname)' refs/heads refs/tags refs/kept; git stash list"
    back = again.run(
        f"(cd lib; {look}; git branch -D alt; git tag -d v1) > $HOME/lib; (cd ../near; {look}) > $HOME/near"
    )
    told = again.state.joinpath("home/lib").read_text()
    assert told.startswith("refs/heads/alt\n")
    assert {"refs/heads/tree", "refs/tags/v1"} < set(told.split())
    assert "\nstash@{0}: WIP on alt:" in told
    assert "refs/heads/alt" in again.state.joinpath("home/near").read_text()
    before = kept(place.near)
    later = place.later().take(back)
    assert (kept(place.near), later.notes) == (before, [])
    assert "heads/alt" not in kept(place.lib)
    assert kept(place.lib, "refs/realm-trash/fix/")


def test_the_same_again_is_the_same(place: Place, tmp_path: Path) -> None:
    """Then a process that was killed in the middle can repeat everything."""
    sandbox = place.sandbox(tmp_path / "one")
    report = sandbox.run(COMMIT + "cd lib; git checkout -q -b alt; commit one; git checkout -q -")
    first = place.take(report)
    before = place.lib.refs()
    again = place.take(report)
    assert (again.notes, again.kept) == ([], first.kept)
    assert place.lib.refs() == before


def test_what_is_on_top_of_work_that_came_home_stands_on_that(place: Place, tmp_path: Path) -> None:
    place.take(
        place.sandbox(tmp_path / "one").run(
            COMMIT + "cd lib; git checkout -q -b alt; commit one; commit two; git checkout -q HEAD~1; "
            "git checkout -q -b merged HEAD~1; commit three; git checkout -q --detach alt~1; "
            "git merge -q -m m merged"
        )
    )
    assert place.lib.head(f"{KEPT}heads/alt~1") == place.lib.head("refs/realm/fix~1")
    assert place.lib.files("refs/realm/fix") == ["lib.txt", "one", "three"]
    assert place.lib.files(f"{KEPT}heads/merged") == ["lib.txt", "three"]


@pytest.mark.parametrize("way", ["git submodule -q deinit -f lib", "git rm -q -f lib", "rm -rf lib"])
def test_what_was_committed_in_one_that_is_gone_is_kept_beside(
    place: Place, tmp_path: Path, way: str
) -> None:
    report = place.sandbox(tmp_path / "one").run(
        COMMIT + f"(cd lib; git checkout -q -b alt; commit one; git checkout -q --detach; commit two); {way}"
    )
    place.take(report)
    before, project, session = kept(place.lib), place.plan.project, place.plan.session
    assert sorted(before.values()) == ["one", "two"]
    assert place.lib.head("refs/realm/fix") == place.lib.head()
    place.repo.git("rm", "-q", "-f", "--cached", "lib", ".gitmodules")
    gone = place.repo.git("commit-tree", "-p", "HEAD", "-m", "gone", place.repo.git("write-tree"))
    homes.remove(session, homes.held_inside(project, session, gone))
    assert kept(place.lib) == {}
    homes.restore_inside(project, session, gone)
    assert kept(place.lib) == before


def test_it_goes_where_the_session_goes(place: Place, tmp_path: Path) -> None:
    script = LEAVE + "(cd lib; leave $HOME/one); cd ../near; leave $HOME/two"
    place.take(place.sandbox(tmp_path / "one").run(script))
    project, session = place.plan.project, place.plan.session
    before = [kept(repo) for repo in (place.lib, place.near)]
    homes.remove(
        session, [*homes.held_inside(project, session, session.base), *homes.held_by(project, session)]
    )
    assert [repo.refs("refs/realm/") for repo in (place.lib, place.near)] == [{}, {}]
    assert [kept(repo) for repo in (place.lib, place.near)] == [{}, {}]
    assert homes.restore(project, session) == []
    homes.restore_inside(project, session, session.base)
    assert [kept(repo) for repo in (place.lib, place.near)] == before
    homes.let_go(homes.with_own_refs(project, session, session._replace(name="other"), session.base).had)
    now = "refs/realm-branches/other/"
    assert [kept(repo, now) for repo in (place.lib, place.near)] == before
    assert [kept(repo) for repo in (place.lib, place.near)] == [{}, {}]


def other(session: Session) -> Session:
    return session._replace(id="c0ffee00-5678-4abc-8def-0123456789ab")


def test_a_name_that_another_session_has_in_a_submodule_is_not_taken(place: Place, tmp_path: Path) -> None:
    """Another project has the submodule beside it, and a session of the same name."""
    head = place.lib.head()
    clone = project_of(place.lib)
    approvals.note_ref(clone, other(place.plan.session), "fix")
    place.lib.git("update-ref", "refs/realm/fix", head)
    place.lib.git("update-ref", f"{KEPT}heads/theirs", head)
    inside = place.take(
        place.sandbox(tmp_path / "one").run(COMMIT + "cd lib; commit one; git branch alt HEAD")
    )
    assert inside.notes == []
    assert place.lib.head("refs/realm/fix") == head
    assert [*kept(place.lib)] == ["heads/theirs"]
    assert [*kept(place.lib, "refs/realm-branches/fix-in-project/")] == ["heads/alt"]
    assert place.lib.git("log", "-1", "--format=%s", "refs/realm/fix-in-project") == "one"


def test_what_stays_in_the_trash_is_said(place: Place) -> None:
    """Another session had the name beside the project meanwhile, and is removed by now."""
    project, session = place.plan.project, place.plan.session
    homes.remove(session, homes.held_by(project, session))
    approvals.note_ref(project_of(place.near), other(session), "fix")
    (said,) = homes.restore(project, session)
    assert f"git -C {place.near.path} for-each-ref refs/realm-trash/fix" in said
    assert refs.tips(project_of(place.near), "fix").code is None


def stored(repo: Repo, data: bytes) -> Path:
    oid = hashlib.sha256(data).hexdigest()
    return project_of(repo).common_dir / "lfs/objects" / oid[:2] / oid[2:4] / oid


def test_files_of_git_lfs(place: Place, tmp_path: Path) -> None:
    """The sandbox has the files that the submodule's clone has; the agent's new ones go to that clone."""
    for name, data in (("here.bin", LARGE), ("gone.bin", b"gone")):
        place.lib.write(name, pointer(data))
    place.lib.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    place.lib.commit("Large")
    stored(place.lib, LARGE).parent.mkdir(parents=True)
    stored(place.lib, LARGE).write_bytes(LARGE)
    place.repo.commit("Large")
    place = place.on_head()
    script = (
        "cd lib; cp here.bin gone.bin $HOME; git checkout -q -b alt; printf alt >alt.bin; "
        "git add .; git commit -qm alt; git checkout -q --detach HEAD~1; printf more >>here.bin"
    )
    sandbox = place.sandbox(tmp_path / "one")
    inside = place.take(sandbox.run(script))
    assert (sandbox.state / "home/here.bin").read_bytes() == LARGE
    assert (sandbox.state / "home/gone.bin").read_text() == pointer(b"gone")
    assert inside.notes == []
    assert place.lib.show("refs/realm/fix:here.bin") + "\n" == pointer(LARGE + b"more")
    assert place.lib.show(f"{KEPT}heads/alt:alt.bin") + "\n" == pointer(b"alt")
    for data in (b"alt", LARGE + b"more"):
        assert stored(place.lib, data).read_bytes() == data
    before = place.lib.head("refs/realm/fix")
    again = place.sandbox(tmp_path / "two").run("printf 'lost' >lib/lost.bin")
    assert again.large
    lost = place.take(again._replace(large=()))
    assert lost.notes == [
        "lib/lost.bin is a pointer of Git LFS to a file that did not come out of the container"
    ]
    assert before != place.lib.head("refs/realm/fix")
