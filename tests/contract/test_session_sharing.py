"""Sharing sessions by a remote: two people, two clones, real git in between, no engine."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from realm.cli.ui import TerminalUI
from realm.session import share
from realm.session.lock import RunLock
from realm.store import record, remote
from tests.support.history import Asked, Past, realm
from tests.support.repos import Repo
from tests.support.store import assert_sound, project_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.history import Ended

CODE, META = "refs/realm/fix", "refs/realm-meta/fix"
CONVERSATION = "01234567-89ab-cdef-0123-456789abcdef"


@dataclass
class Pair:
    """Ada, who has the session ``past``, and Bob, each with a REALM_HOME of their own."""

    ada: Repo
    bob: Repo
    origin: Repo
    past: Past
    home: Path

    def realm(self, who: Repo, *arguments: str, code: int = 0) -> Ended:
        done = realm(who.path, *arguments, env={"REALM_HOME": str(self.home / who.path.name)})
        assert done.code == code, done
        return done

    def there(self) -> dict[str, str]:
        return {**self.origin.refs("refs/realm/"), **self.origin.refs("refs/realm-meta/")}


@pytest.fixture
def pair(repo: Repo, tmp_path: Path) -> Pair:
    origin = Repo.init(tmp_path / "origin.git", bare=True)
    repo.git("remote", "add", "origin", str(origin.path))
    repo.git("push", "-q", "origin", "HEAD:refs/heads/main")
    bob = tmp_path / "there" / "bob"
    subprocess.run(["git", "clone", "-q", "-b", "main", str(origin.path), str(bob)], check=True)
    past = Past(repo)
    past.run(Asked("write one.txt", {"one.txt": "1\n"}, "I wrote it."), Asked("what is in it?"))
    past.run(Asked("write two.txt", {"two.txt": "2\n"}, "Done."))
    return Pair(repo, Repo(bob), origin, past, tmp_path / "homes")


def runs(who: Repo) -> list[tuple[int, tuple[str, ...]]]:
    return [(run.number, run.prompts) for run in record.read_runs(project_of(who), "fix")]


def test_the_commits_alone_make_a_session_elsewhere(pair: Pair) -> None:
    shared = pair.realm(pair.ada, "share", "fix")
    assert shared.out == "shared the commits of fix on origin\n"
    assert pair.there() == {CODE: pair.past.tip}
    fetched = pair.realm(pair.bob, "fetch", "fix")
    assert fetched.out == "fetched fix from origin\n"
    assert pair.bob.head(CODE) == pair.past.tip
    found = record.read_session(project_of(pair.bob), "fix")
    assert (found.base, found.project) == (pair.past.base, str(pair.bob.path))
    assert found.id != pair.past.id
    assert runs(pair.bob) == [(1, ("write one.txt",)), (2, ("write two.txt",))]
    assert [run.after for run in record.read_runs(project_of(pair.bob), "fix")][-1] == pair.past.tip
    assert_sound(pair.bob)
    assert pair.bob.refs("refs/realm-tmp/") == {}
    listed = pair.realm(pair.bob, "list")
    assert "fix" in listed.out
    assert pair.realm(pair.bob, "fetch", "fix").out == "fix is up to date with origin\n"
    assert pair.realm(pair.ada, "share", "fix").out == "origin has the commits of fix already\n"


def test_the_record_goes_along_when_asked_for(pair: Pair) -> None:
    shared = pair.realm(pair.ada, "share", "fix", "--with-conversation")
    assert "secrets that were part of it" in shared.err
    assert pair.there() == {CODE: pair.past.tip, META: str(pair.past.meta)}
    pair.realm(pair.bob, "fetch", "fix")
    assert pair.bob.refs("refs/realm-meta/") == {META: pair.past.meta}
    assert runs(pair.bob) == [(1, ("write one.txt", "what is in it?")), (2, ("write two.txt",))]
    shown = pair.realm(pair.bob, "log", "fix")
    assert "what is in it?" in shown.out


def test_both_go_on_in_turns_and_the_second_of_two_is_told(pair: Pair) -> None:
    pair.realm(pair.ada, "share", "fix", "--with-conversation")
    pair.realm(pair.bob, "fetch", "fix")
    theirs = Past(pair.bob)
    theirs.base, theirs.tip, theirs.meta = pair.past.base, pair.past.tip, pair.past.meta
    theirs.runs = list(pair.past.runs)
    theirs.run(Asked("write three.txt", {"three.txt": "3\n"}))
    pair.realm(pair.bob, "share", "fix", "--with-conversation")
    pair.past.run(Asked("write four.txt", {"four.txt": "4\n"}))
    refused = pair.realm(pair.ada, "share", "fix", "--with-conversation", code=1)
    assert refused.err.startswith("error: fix at origin has work that is not here: somebody else shared it\n")
    assert pair.there() == {CODE: theirs.tip, META: theirs.meta}
    refused = pair.realm(pair.ada, "fetch", "fix", code=1)
    assert "fix has moved on both here and at origin" in refused.err
    assert pair.ada.head(CODE) == pair.past.tip
    assert pair.ada.refs("refs/realm-tmp/") == {}
    pair.realm(pair.ada, "remove", "fix", "--yes")
    pair.realm(pair.ada, "fetch", "fix")
    assert (pair.ada.head(CODE), pair.ada.head(META)) == (theirs.tip, theirs.meta)


def test_a_share_that_was_killed_is_known_as_ones_own(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    push = remote.push_session

    def killed(*args: Any) -> None:
        push(*args)
        raise KeyboardInterrupt

    monkeypatch.setenv("REALM_HOME", str(pair.home / "project"))
    monkeypatch.setattr(remote, "push_session", killed)
    with pytest.raises(KeyboardInterrupt):
        share.share("fix", pair.ada.path, None, TerminalUI(no_input=True))
    pair.realm(pair.ada, "drop", "fix", "two.txt")
    pair.realm(pair.ada, "share", "fix")
    assert pair.there() == {CODE: pair.ada.head(CODE)}


def test_what_somebody_added_comes_back_and_nothing_is_lost(pair: Pair) -> None:
    pair.realm(pair.ada, "share", "fix", "--with-conversation")
    pair.realm(pair.bob, "fetch", "fix")
    theirs = Past(pair.bob)
    theirs.base, theirs.tip, theirs.meta = pair.past.base, pair.past.tip, pair.past.meta
    theirs.runs = list(pair.past.runs)
    theirs.run(Asked("write three.txt", {"three.txt": "3\n"}))
    pair.realm(pair.bob, "share", "fix", "--with-conversation")
    with RunLock(pair.past.id, "fix", 2):
        pass
    pair.realm(pair.ada, "fetch", "fix")
    assert (pair.ada.head(CODE), pair.ada.head(META)) == (theirs.tip, theirs.meta)
    kept = pair.ada.refs("refs/realm-trash/").values()
    assert {pair.past.tip, pair.past.meta} <= set(kept)


def beside(pair: Pair, who: Repo, **tips: str) -> None:
    for name, oid in tips.items():
        who.git("update-ref", f"refs/realm-branches/fix/{name.replace('_', '/')}", oid)


def test_what_its_agent_left_beside_it_goes_along(pair: Pair) -> None:
    def commit(who: Repo, *parents: str) -> str:
        made = [word for oid in parents for word in ("-p", oid)]
        return who.git("commit-tree", "-m", "Aside", *made, f"{parents[0]}^{{tree}}")

    top = "refs/realm-branches/"
    alt, stash = commit(pair.ada, pair.past.tip), commit(pair.ada, pair.past.tip, pair.past.base)
    beside(pair, pair.ada, heads_alt=alt, heads_same=alt, stash_1=stash)
    assert "with 3 refs that its agent left besides" in pair.realm(pair.ada, "share", "fix").out
    pair.realm(pair.bob, "fetch", "fix")
    assert pair.bob.refs(top) == pair.ada.refs(top) == pair.origin.refs(top)
    assert pair.realm(pair.bob, "fetch", "fix").out == "fix is up to date with origin\n"
    assert pair.realm(pair.ada, "share", "fix").out == "origin has the commits of fix already\n"
    # Both go on with one branch, one of them with the stash, which nobody else has touched.
    further, popped = commit(pair.ada, alt), commit(pair.ada, alt, pair.past.base)
    beside(pair, pair.ada, heads_alt=further, stash_1=popped)
    pair.realm(pair.ada, "share", "fix")
    theirs = commit(pair.bob, alt, pair.past.base)
    beside(pair, pair.bob, heads_alt=theirs)
    refused = pair.realm(pair.bob, "share", "fix")
    assert "branch alt has moved on both here and at origin: each stays as it is" in refused.err
    fetched = pair.realm(pair.bob, "fetch", "fix")
    assert "branch alt has moved on both here and at origin: each stays as it is" in fetched.err
    here = pair.bob.refs(top)
    assert (here[f"{top}fix/heads/alt"], here[f"{top}fix/stash/1"]) == (theirs, popped)
    assert stash in pair.bob.refs("refs/realm-trash/").values()
    assert pair.bob.refs("refs/realm-tmp/") == {}
    assert_sound(pair.bob)


def test_a_run_that_goes_on_is_not_pulled_from_under(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.realm(pair.ada, "share", "fix")
    tip = pair.past.tip
    pair.realm(pair.bob, "fetch", "fix")
    pair.past.run(Asked("write three.txt", {"three.txt": "3\n"}))
    pair.realm(pair.ada, "share", "fix")
    monkeypatch.setenv("REALM_HOME", str(pair.home / "bob"))
    with RunLock(record.read_session(project_of(pair.bob), "fix").id, "fix", 2):
        refused = pair.realm(pair.bob, "fetch", "fix", code=1)
    assert "fix" in refused.err
    assert pair.bob.head(CODE) == tip
    pair.realm(pair.bob, "fetch", "fix")
    assert pair.bob.head(CODE) == pair.past.tip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fetch", "nothing"), "origin has no session nothing"),
        (("fetch", "a/b"), "holds a '/'"),
        (("fetch", "fix", "--from", "elsewhere"), "there is no remote called 'elsewhere'"),
        (("share", "nothing"), "there is no session nothing"),
    ],
)
def test_what_cannot_be_is_said(pair: Pair, arguments: tuple[str, ...], words: str) -> None:
    done = pair.realm(pair.bob, *arguments, code=2 if "a/b" in arguments else 1)
    assert words in done.err
    assert "hint: " in done.err


def test_a_remote_that_cannot_be_reached(pair: Pair, tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.git")
    done = pair.realm(pair.ada, "share", "fix", "--to", gone, code=1)
    assert "cannot reach" in done.err


class TestSecrets:
    """The shared record has no secrets that realm knows; the sender's own record is unchanged."""

    SECRET = "ghp" + "_0123456789abcdefghijABCDEFGHIJ012345"

    @pytest.fixture
    def told(self, pair: Pair) -> Pair:
        """Return the pair with a session in whose conversation the user gave a token."""
        lines = [
            {"type": "user", "sessionId": CONVERSATION, "message": {"content": f"push with {self.SECRET}"}},
            {"type": "assistant", "sessionId": CONVERSATION,
             "message": {"content": [{"type": "text", "text": f"I used {self.SECRET}."}]}},
        ]  # fmt: skip
        talk = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        pair.past.conversation = CONVERSATION
        pair.past.run(
            Asked("push with it", {"x": "1\n"}),
            files={"talk/0001.jsonl": talk, "screen.txt": f"> {self.SECRET}\n".encode()},
        )
        return pair

    def everything(self, who: Repo) -> str:
        listed = who.git("rev-list", "--objects", "--no-object-names", META).split()
        return "".join(who.git("cat-file", "-p", oid) for oid in listed)

    def test_they_stay_here(self, told: Pair) -> None:
        before = told.ada.refs()
        shared = told.realm(told.ada, "share", "fix", "--with-conversation")
        assert "secrets were taken out of the conversation of fix" in shared.err
        assert told.ada.refs() == before
        assert self.SECRET in self.everything(told.ada)
        told.realm(told.bob, "fetch", "fix")
        assert self.SECRET not in self.everything(told.bob)
        assert "push with " + "*" * 40 in told.realm(told.bob, "logs", "fix").out
        assert told.bob.show(f"{META}:runs/0003/screen.txt") == "> " + "*" * 40
        assert record.read_session(project_of(told.bob), "fix").conversation is None
        assert_sound(told.bob)
        assert told.realm(told.bob, "verify", "fix").code == 0

    def test_the_same_record_is_shared_again_and_nothing_is_to_be_fetched(self, told: Pair) -> None:
        told.realm(told.ada, "share", "fix", "--with-conversation")
        there = told.there()
        again = told.realm(told.ada, "share", "fix", "--with-conversation")
        assert "already" in again.out
        assert told.there() == there
        own = told.ada.head(META)
        assert told.realm(told.ada, "fetch", "fix").out == "fix is up to date with origin\n"
        assert told.ada.head(META) == own

    def test_what_somebody_adds_comes_back(self, told: Pair) -> None:
        told.realm(told.ada, "share", "fix", "--with-conversation")
        told.realm(told.bob, "fetch", "fix")
        theirs = Past(told.bob)
        theirs.base, theirs.tip, theirs.meta = told.past.base, told.past.tip, told.bob.head(META)
        theirs.runs = list(told.past.runs)
        theirs.run(Asked("write more.txt", {"more.txt": "3\n"}))
        told.realm(told.bob, "share", "fix", "--with-conversation")
        told.realm(told.ada, "fetch", "fix")
        assert told.ada.head(CODE) == theirs.tip
        assert told.realm(told.ada, "verify", "fix").code == 0
