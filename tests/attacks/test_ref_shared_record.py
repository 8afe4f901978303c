"""What is fetched with a shared session is checked before a ref points to it: its objects and its record."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.history import Asked, Past, realm
from tests.support.repos import Repo

if TYPE_CHECKING:
    from pathlib import Path

EVIL: dict[str, dict[str, object]] = {
    "a path for an id": {"id": "../../precious"},
    "an option for a base": {"base": "--output=precious"},
    "a way out": {"include": ["../secret"]},
    "another name": {"name": "other"},
    "a base that is none": {"base": "1" * 40},
}


@pytest.fixture
def origin(repo: Repo, tmp_path: Path) -> Repo:
    made = Repo.init(tmp_path / "origin.git", bare=True)
    past = Past(repo)
    past.run(Asked("write one.txt", {"one.txt": "1\n"}))
    repo.git("push", "-q", str(made.path), "HEAD:refs/heads/main", f"{past.tip}:refs/realm/fix")
    repo.git("push", "-q", str(made.path), f"{past.meta}:refs/realm-meta/fix")
    return made


def bob(origin: Repo, tmp_path: Path) -> Repo:
    place = tmp_path / "bob"
    command = ["git", "clone", "-q", "--no-local", "-b", "main", str(origin.path), str(place)]
    subprocess.run(command, check=True)
    return Repo(place)


@pytest.mark.parametrize("what", EVIL)
def test_a_record_with_a_field_that_is_none_is_refused(origin: Repo, tmp_path: Path, what: str) -> None:
    mine = Repo(tmp_path / "evil")
    subprocess.run(["git", "clone", "-q", "-b", "main", str(origin.path), str(mine.path)], check=True)
    mine.git("fetch", "-q", "origin", "refs/realm-meta/fix")
    mine.git("checkout", "-q", "FETCH_HEAD")
    found = json.loads((mine.path / "session.json").read_text())
    mine.write("session.json", json.dumps({**found, **EVIL[what]}))
    mine.git("commit", "-q", "-a", "--amend", "-C", "HEAD")
    mine.git("push", "-q", "--force", "origin", "HEAD:refs/realm-meta/fix")
    there = bob(origin, tmp_path)
    done = realm(there.path, "fetch", "fix")
    assert done.code == 1, done
    assert "Traceback" not in done.err
    assert "hint: " in done.err
    assert there.refs("refs/realm") == {}


def test_objects_that_git_refuses_do_not_come(origin: Repo, tmp_path: Path) -> None:
    tip = origin.head("refs/realm/fix")
    blob = origin.git("rev-parse", f"{tip}:one.txt")
    tree = subprocess.run(
        ["git", "hash-object", "-w", "-t", "tree", "--literally", "--stdin"], cwd=origin.path, check=True,
        input=b"100644 .git\0" + bytes.fromhex(blob), capture_output=True,
    ).stdout.decode().strip()  # fmt: skip
    commit = origin.git("commit-tree", "-p", tip, "-m", "x\n\nRealm-Session: fix", tree)
    origin.git("update-ref", "refs/realm/fix", commit)
    there = bob(origin, tmp_path)
    done = realm(there.path, "fetch", "fix")
    assert done.code == 1, done
    assert "cannot fetch fix from origin" in done.err
    assert there.refs("refs/realm") == {}


def test_a_record_that_asks_for_a_program_has_no_say(origin: Repo, tmp_path: Path) -> None:
    mine = Repo(tmp_path / "evil")
    subprocess.run(["git", "clone", "-q", "-b", "main", str(origin.path), str(mine.path)], check=True)
    mine.git("fetch", "-q", "origin", "refs/realm-meta/fix")
    mine.git("checkout", "-q", "FETCH_HEAD")
    found = json.loads((mine.path / "session.json").read_text())
    mine.write("session.json", json.dumps({**found, "agent": ["sh", "-c", "evil"]}))
    mine.git("commit", "-q", "-a", "--amend", "-C", "HEAD")
    mine.git("push", "-q", "--force", "origin", "HEAD:refs/realm-meta/fix")
    there = bob(origin, tmp_path)
    assert realm(there.path, "fetch", "fix").code == 0
    assert list((tmp_path / "home").rglob("approvals/*")) == []
