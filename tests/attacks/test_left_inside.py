"""Branches that an agent leaves in a submodule are checked like its work: their names and ancestors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from realm.errors import RealmError
from realm.model import Left
from realm.sandbox.report import Others
from realm.session import homes
from tests.support.inside import KEPT, kept, placed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


def test_what_the_sandbox_was_not_given_is_not_built_on(repo: Repo, tmp_path: Path) -> None:
    """A commit of the submodule's repository, and its files."""
    place = placed(repo, tmp_path)
    place.lib.git("checkout", "-q", "-b", "secret")
    place.lib.write("secret", "s\n")
    secret = place.lib.commit("Secret")
    place.lib.git("checkout", "-q", "--detach", "HEAD~1")
    sandbox = place.sandbox(tmp_path / "one")
    inner = tuple(
        one._replace(contents=one.contents._replace(known=(secret,))) for one in sandbox.layout.inner
    )  # so that it is in no pack
    sandbox.layout = sandbox.layout._replace(inner=inner)
    report = sandbox.run(
        "cd lib; set -- HEAD^{tree}; new() { git update-ref refs/heads/$1 $2; }; "
        f"new plain {secret}; new on $(git commit-tree -p {secret} -m on $1); "
        f"new tree $(git commit-tree -p HEAD -m tree {secret}^{{tree}}); "
        "new good $(git commit-tree -p HEAD -m good $1)"
    )
    inside = place.take(report)
    assert [*kept(place.lib)] == ["heads/good"]
    assert len(inside.notes) == 3
    assert all(note.startswith("in lib: refs/heads/") and "was left out" in note for note in inside.notes)


@pytest.mark.parametrize(
    "name",
    ["refs/realm/fix", "refs/heads/../../realm/fix", "refs/kept/stash/1", "refs/heads/\x1b[31mred"],
)  # fmt: skip
def test_a_name_that_is_no_branchs(repo: Repo, tmp_path: Path, name: str) -> None:
    place = placed(repo, tmp_path)
    report = place.sandbox(tmp_path / "one").run("cd lib; git commit -q --allow-empty -m one")
    ((key, (point,)),) = report.inner.items()
    before = repo.refs(), place.near.refs()
    forged = Others((Left(point.head, name), Left(point.head, "refs/heads/Good")), is_all=True)
    inside = place.take(report._replace(inner_others={key: forged}))
    assert [*kept(place.lib)] == ["heads/%47ood"]
    assert len([note for note in inside.notes if "was left out" in note]) == 1
    assert "\x1b" not in "".join(inside.notes)
    assert (repo.refs(), place.near.refs()) == before


def test_of_a_submodule_that_there_is_not_nothing_is_believed(repo: Repo, tmp_path: Path) -> None:
    place = placed(repo, tmp_path)
    report = place.sandbox(tmp_path / "one").run("true")
    forged = report._replace(inner_others={"0" * 16: Others((Left(repo.head(), "refs/heads/alt"),))})
    with pytest.raises(RealmError, match="the repository no longer exists"):
        place.take(forged)
    assert repo.refs(KEPT) == place.lib.refs(KEPT) == place.near.refs(KEPT) == {}


def test_a_ref_that_the_user_made_symbolic_is_not_written_through(repo: Repo, tmp_path: Path) -> None:
    place = placed(repo, tmp_path)
    place.lib.git("symbolic-ref", f"{KEPT}heads/alt", "refs/heads/main")
    head = place.lib.head("refs/heads/main")
    report = place.sandbox(tmp_path / "one").run(
        "cd lib; git checkout -q -b alt; git commit -q --allow-empty -m one; git checkout -q --detach HEAD~1"
    )
    with pytest.raises(RealmError, match="symbolic"):
        place.take(report)
    assert place.lib.head("refs/heads/main") == head
    assert homes.held_by(place.plan.project, place.plan.session)
