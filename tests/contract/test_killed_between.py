"""Killed at each step of a verb: the same command again ends it, nothing is lost, nothing stays for ever."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.history import Asked, Past
from tests.support.repos import Repo
from tests.support.store import assert_sound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SERVER = '''
import docker, json, os, sys
from pathlib import Path
from realm import git as gits
from realm.cli import apply, boundary, drop, fetch, fork, gc, list, merge, pr, push, ui
from realm.cli import remove, rename, restore, share
from realm.cli.app import run
from realm.session import integrate, onto, remove as removal
from realm.session.requests import At
from realm.store.repo import discover

READING = {
    "cat-file", "check-ignore", "check-ref-format", "config", "diff", "diff-tree", "for-each-ref", "log",
    "ls-files", "ls-remote", "ls-tree", "merge-base", "rev-list", "rev-parse", "show", "var",
}

MOVING = {"commit", "fetch", "gh", "merge", "push", "read-tree", "restore", "update-ref"}

class Killer:
    """What kills the process before it moves something that others see, and when it has.

    Where each step counts, so does the first of each kind in between.
    """
    def __init__(self, left, note, each):
        self.left, self.note, self.each, self.seen, self.moved = left, note, each, set(), False

    def __call__(self, event, args):
        step = self.step(event, args)
        if not step or step in self.seen:
            return
        if self.each or self.moved or step in MOVING:
            if self.left == 0:
                self.note.write_text(f"{event} {args}")
                os.kill(os.getpid(), 9)
            self.left -= 1
        self.moved = step in MOVING
        self.seen = set() if self.moved else self.seen | {step}

    def step(self, event, args):
        if event == "subprocess.Popen" and args[0] == "gh":
            return "gh"
        if event == "subprocess.Popen" and "git" in args[1]:
            verb = gits._verb(args[1])
            return "" if verb in READING else verb
        name = os.fspath(args[event == "os.rename"]) if event in ("os.remove", "os.rename") else ""
        return event + os.path.splitext(name)[1] if "/.git/" in name and "@" not in name else ""

def taken(rev):
    onto.put(discover(Path.cwd()), "fix", rev, ui.TerminalUI(no_input=True))

def picked(paths):
    integrate.apply(At("fix"), None, (), ui.TerminalUI(no_input=True), pick=True)

OTHERS = {"take": taken, "pick": picked}  # which resume does, and who has a terminal

removal._bring_home = lambda *_: None  # which asks the engine
for line in sys.stdin:
    where, left, each, note, commands = json.loads(line)
    if os.fork() == 0:
        os.chdir(where)
        out = os.open(note + ".out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(note + ".in", os.O_RDONLY), 0), os.dup2(out, 1), os.dup2(out, 2)
        if left >= 0:
            sys.addaudithook(Killer(left, Path(note), each))
        for words in commands:
            other = OTHERS.get(words[0])
            code = boundary.guard(lambda _: other(words[-1]) or 0, []) if other else run(words)
            sys.stdout.flush()
            if code:
                os._exit(code)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
'''


class Ended(NamedTuple):
    """How a command ended: its exit code, -9 for one that was killed, and all that it printed."""

    code: int
    out: str


class Realm:
    """realm in ``repo``: each command is a separate process, forked from one that has imported everything."""

    def __init__(self, repo: Repo, note: Path) -> None:
        self.repo, self.note = repo, note
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "DOCKER_HOST": "unix:///nonexistent",
                "PATH": f"{repo.path.parent}/programs:{os.environ['PATH']}",
            },
        )

    def __call__(self, *commands: tuple[str, ...], left: int = -1, each: bool = False) -> Ended:
        """Run commands until one fails; the first is killed after ``left`` steps."""
        assert self.process.stdin
        assert self.process.stdout
        Path(f"{self.note}.in").write_text("y\n" * 9)
        asked = [str(self.repo.path), left, each, str(self.note), commands]
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        code = int(self.process.stdout.readline())
        return Ended(code, Path(f"{self.note}.out").read_text())


@pytest.fixture
def realm(repo: Repo, tmp_path: Path) -> Iterator[Realm]:
    made = Realm(repo, tmp_path / "note")
    yield made
    assert made.process.stdin
    made.process.stdin.close()
    assert made.process.stdout
    made.process.stdout.close()
    made.process.wait()


@pytest.fixture
def past(repo: Repo, tmp_path: Path) -> Past:
    """Return a session of two turns, with a branch beside it, and a remote."""
    origin = Repo.init(tmp_path / "origin.git", bare=True)
    repo.git("remote", "add", "origin", str(origin.path))
    made = Past(repo)
    made.run(
        Asked("one", {"a": "1\n"}), Asked("two", {"a": "2\n", "b": "2\n"}), files={"screen.txt": b"one\n"}
    )
    beside = repo.git("commit-tree", "-p", made.tip, "-m", "Beside", f"{made.tip}^{{tree}}")
    repo.git("update-ref", "refs/realm-branches/fix/heads/alt", beside)
    repo.write("own", "own\n")
    repo.commit("Own")
    return made


def forget(repo: Repo) -> None:
    for ref in repo.refs():
        if ref.startswith("refs/realm"):
            repo.git("update-ref", "-d", ref)


def shared(past: Past) -> None:
    """Have the session at the remote alone."""
    past.repo.git("push", "-q", "origin", "refs/realm/*:refs/realm/*", "refs/realm-meta/*:refs/realm-meta/*")
    forget(past.repo)


def with_wip(past: Past) -> None:
    """Give the session a first commit with the user's uncommitted changes."""
    repo = past.repo
    forget(repo)
    repo.write("wip", "wip\n")
    repo.git("add", "-A")
    made = Past(repo, "fix", id="5e555e55-0000-4000-8000-000000000001")
    made.tip = repo.git(
        "commit-tree", "-p", "HEAD", "-m", "Uncommitted changes when fix began", repo.git("write-tree")
    )
    repo.git("reset", "-q")
    for place in repo.path.parent.glob("sandbox-*"):
        shutil.rmtree(place)
    made.run(Asked("one", {"a": "1\n"}), Asked("two", {"a": "2\n", "b": "2\n"}))
    repo.write("own", "more\n")
    repo.git("commit", "-q", "-m", "More", "own")


def at_a_forge(past: Past) -> None:
    """Give the remote a forge's address, and the user that forge's program."""
    repo, url = past.repo, "git@github.com:ada/shop.git"
    repo.git("config", f"url.{repo.git('remote', 'get-url', 'origin')}.pushInsteadOf", url)
    repo.git("remote", "set-url", "origin", url)
    program = repo.path.parent / "programs" / "gh"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho https://forge.example/pull/7\n")
    program.chmod(0o755)


def rewound(past: Past) -> None:
    """Have another state of the session in the trash."""
    for kind, now in (("code", "fix^"), ("meta", "refs/realm-meta/fix")):
        past.repo.git(
            "update-ref", f"refs/realm-trash/fix/1700000000/{kind}", now.replace("fix^", f"{past.tip}^")
        )


def edited(past: Past) -> None:
    """Have the session's files here already, so that a patch of them can be picked from."""
    past.repo.write("a", "")
    past.repo.git("add", "a")


class Verb(NamedTuple):
    """A command, and the messages of a second try that finds everything done.

    ``each`` is whether it is killed at each kind of step, also where nobody else sees what it does: one
    that makes and moves objects does that as the others do.
    """

    words: tuple[str, ...]
    done: str = ""
    prepare: Callable[[Past], None] = lambda _: None
    each: bool = False


UNDOES = "another time would undo it"

VERBS: Mapping[str, Verb] = {
    "fork": Verb(("fork", "fix", "other"), "the session 'other' exists already"),
    "drop": Verb(("drop", "fix", "b"), "no commit of fix changes b", each=True),
    "rename": Verb(("rename", "fix", "other"), "there is no session fix", each=True),
    "remove": Verb(("remove", "fix", "--yes"), "there is no session fix"),
    "apply": Verb(("apply", "fix"), "your work tree has all of fix already"),
    "apply -p": Verb(("pick",), "your work tree has all of fix already", edited),
    "squash": Verb(("merge", "fix", "--squash"), "Squash commit -- not updating HEAD"),
    "merge --wip": Verb(("merge", "fix"), "Already up to date.", with_wip),
    "take": Verb(("take", "HEAD"), "fix has all of HEAD already"),
    "push --squash": Verb(("push", "fix", "--squash"), "origin/fix has all of fix already"),
    "pr": Verb(("pr", "fix"), prepare=at_a_forge),
    "replace": Verb(("restore", "fix", "--replace"), UNDOES, rewound),
    "share": Verb(("share", "fix", "--with-conversation"), "origin has fix and its record already"),
    "fetch": Verb(("fetch", "fix"), "fix is up to date with origin", shared),
}  # fmt: skip


FILES: dict[str, list[str]] = {}
"""What is in commits that were looked at."""


def state(repo: Repo) -> tuple[object, ...]:
    """Return a command's result: refs by name with their files, branch, index and work tree."""
    found = repo.refs()
    origin = Repo(repo.path.parent / "origin.git")
    for oid in {*found.values()} - FILES.keys():
        FILES[oid] = repo.files(oid)
    kept = {
        re.sub(r"trash/([^/]+)/[0-9]+/", r"trash/\1/", ref): FILES[oid]
        for ref, oid in found.items() if not re.search("realm-tmp/|realm-trash/.*/merge/", ref)
    }  # fmt: skip
    return kept, sorted(origin.refs()), repo.git("log", "--format=%s"), repo.git("status", "--porcelain")


@pytest.mark.parametrize("name", VERBS)
def test_the_same_again_ends_it(past: Past, realm: Realm, sealed: Path, tmp_path: Path, name: str) -> None:
    verb, repo = VERBS[name], past.repo
    verb.prepare(past)
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("repack", "-adq")
    places = [repo.path, tmp_path / "origin.git", sealed / ".realm"]
    (sealed / ".realm").mkdir(exist_ok=True)
    for place in places:
        shutil.copytree(place, tmp_path / "before" / place.name, symlinks=True)
    assert realm(verb.words).code == 0
    wanted, steps = state(repo), 0
    while True:
        for place in places:
            shutil.rmtree(place)
            shutil.copytree(tmp_path / "before" / place.name, place, symlinks=True)
        first = realm(verb.words, left=steps, each=verb.each)
        if first.code != -9:
            assert first.code == 0, first
            break
        where = (steps, realm.note.read_text(), first)
        repo.git("repack", "-adq")
        repo.git("prune", "--expire=now")
        if verb.done != UNDOES or state(repo) != wanted:
            again = realm(verb.words)
            assert again.code == 0 or verb.done in again.out, (where, again)
            assert state(repo) == wanted, (where, again)
        assert realm(("list",), ("gc",)).code == 0, where
        assert_sound(repo)
        assert not repo.refs("refs/realm-tmp"), where
        left = [path for place in places for path in place.rglob("*") if re.search(r"@|\.keep$", path.name)]
        assert all(pack_is_new(path) for path in left), (where, left)
        steps += 1
    assert steps > 0


def pack_is_new(keep: Path) -> bool:
    """Tell whether it holds a pack that may be about to get its index."""
    return keep.suffix == ".keep" and not keep.with_suffix(".idx").exists()
