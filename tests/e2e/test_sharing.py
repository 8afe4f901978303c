"""A session is continued elsewhere, in another clone at another path, with its conversation."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import Repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import MessagesApi
    from tests.support.user import User

pytestmark = pytest.mark.engine


def elsewhere_with(claude: User, tmp_path: Path, prompt: str) -> User:
    """Return a user elsewhere who has fetched the session ``tax``, in which ``prompt`` was given."""
    origin = Repo.init(tmp_path / "origin.git", bare=True)
    claude.repo.git("remote", "add", "origin", str(origin.path))
    claude.repo.git("push", "-q", "origin", "HEAD:refs/heads/main")
    claude.realm("new", "tax", "--", "-p", prompt)
    claude.realm("share", "tax", "--with-conversation")
    place = tmp_path / "another" / "name"
    subprocess.run(["git", "clone", "-q", "-b", "main", str(origin.path), str(place)], check=True)
    elsewhere = replace(
        claude, repo=Repo(place), extra={**claude.extra, "REALM_HOME": str(tmp_path / "home")}
    )
    elsewhere.realm("fetch", "tax")
    return elsewhere


def test_a_conversation_goes_on_at_another_place(claude: User, api: MessagesApi, tmp_path: Path) -> None:
    elsewhere = elsewhere_with(claude, tmp_path, "write one.txt with first")
    elsewhere.realm("resume", "tax", "--", "-p", "write two.txt with second")
    assert api.asked[-1].prompts()[-2:] == ["write one.txt with first", "write two.txt with second"]
    assert elsewhere.repo.files("refs/realm/tax") == ["README.md", "one.txt", "two.txt"]
    elsewhere.realm("share", "tax", "--with-conversation")
    claude.realm("fetch", "tax")
    assert claude.tip("tax") == elsewhere.tip("tax")
    claude.realm("resume", "tax", "--", "-p", "write three.txt with third")
    assert api.asked[-1].prompts()[-3:][0] == "write one.txt with first"
    assert claude.repo.files("refs/realm/tax") == ["README.md", "one.txt", "three.txt", "two.txt"]


def test_who_gets_a_conversation_without_its_secrets_begins_a_new_one(
    claude: User, api: MessagesApi, tmp_path: Path
) -> None:
    secret = "ghp" + "_0123456789abcdefghijABCDEFGHIJ012345"
    elsewhere = elsewhere_with(claude, tmp_path, f"write one.txt with first\nthe token is {secret}")
    done = elsewhere.realm("resume", "tax", "--", "-p", "write two.txt with second")
    assert "the agent starts a new one, from a summary" in done.err
    asked = api.asked[-1]
    assert asked.prompts() == ["write two.txt with second"]
    assert "the token is ****" in str(asked.body["system"])
    assert secret not in str(asked.body)
    elsewhere.realm("resume", "tax", "--", "-p", "write three.txt with third")
    assert api.asked[-1].prompts()[-2:] == ["write two.txt with second", "write three.txt with third"]
    claude.realm("resume", "tax", "--", "-p", "write two.txt with ours")
    assert secret in api.asked[-1].prompts()[0]
