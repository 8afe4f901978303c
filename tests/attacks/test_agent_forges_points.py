"""A report may name any commit, but only descendants of the run's start become history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.hostile import check_words

if TYPE_CHECKING:
    from tests.support.repos import Repo
    from tests.support.user import User

pytestmark = pytest.mark.engine

END = """
echo "{head} {snapshot} $(date +%s)" >/realm/out/end.point
printf 'exit 0\\ndone yes\\n' >/realm/out/report
"""


def secret_branch(repo: Repo) -> str:
    """Make a commit with a message that nobody else may see, on a branch of its own."""
    repo.git("checkout", "-q", "--orphan", "secret")
    repo.write("secret.txt", "secret\n")
    made = repo.commit("Secret message")
    repo.git("checkout", "-q", "main")
    return made


def test_another_branch_does_not_become_the_sessions_history(user: User) -> None:
    secret = secret_branch(user.repo)
    base = user.repo.head()
    done = user.scripted("forge", END.format(head=secret, snapshot=secret), code=125)
    check_words(done, 125, "that were not in the container")
    assert user.tip("forge") == base
    assert len(user.leftovers()) == 1
    assert user.repo.git("fsck", "--strict", "--no-dangling", "--no-progress") == ""


@pytest.mark.parametrize("what", ["1" * 40, "tree", "blob", "tag"])
def test_what_is_no_commit_is_refused_and_the_sandbox_kept(user: User, what: str) -> None:
    user.repo.git("tag", "-a", "-m", "T", "v1")
    names = {"tree": "HEAD^{tree}", "blob": "HEAD:README.md", "tag": "v1"}
    oid = user.repo.head(names[what]) if what in names else what
    done = user.scripted("forge", END.format(head=oid, snapshot=oid), code=125)
    check_words(done, 125, "")
    assert user.tip("forge") == user.repo.head()
    assert len(user.leftovers()) == 1
    assert "--force gives it up" in user.realm("remove", "--yes", "forge", code=1).err
    assert len(user.leftovers()) == 1
    user.realm("remove", "--yes", "--force", "forge")
    assert list(user.leftovers()) == []


PACKS = {
    "garbage": "head -c 100000 /dev/urandom >/realm/out/pack",
    "a link": "ln -s /etc/passwd /realm/out/pack",
    "only a head": "printf 'PACK\\0\\0\\0\\2\\377\\377\\377\\377' >/realm/out/pack",
    "zeros": "truncate -s 50M /realm/out/pack",
}


@pytest.mark.parametrize("kind", PACKS)
def test_a_forged_pack(user: User, kind: str) -> None:
    made = "echo x >x; git add x; git commit -qm X; h=$(git rev-parse HEAD);"
    script = f"{made} {PACKS[kind]}" + END.format(head="$h", snapshot="$h")
    done = user.scripted("pack", script, code=125)
    check_words(done, 125, "")
    assert user.tip("pack") == user.repo.head()
    assert user.repo.git("fsck", "--strict", "--no-dangling", "--no-progress") == ""
    assert list((user.repo.path / ".git/objects/pack").glob("tmp_*")) == []


def test_more_than_a_sandbox_may_hand_over(user: User) -> None:
    script = "truncate -s 5G /realm/out/pack" + END.format(head="$REALM_TIP", snapshot="$REALM_TIP")
    done = user.scripted("huge", script, code=125)
    check_words(done, 125, "larger than allowed")
    assert user.tip("huge") == user.repo.head()
