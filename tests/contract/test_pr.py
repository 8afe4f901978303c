"""A session as a pull or merge request: the forge's program is a stand-in, the push is real."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.support.history import Asked, Past, realm
from tests.support.repos import Repo

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """#!/bin/sh
printf '%s\\n' "$(basename "$0")" "$@" > "$TOLD"
echo "Creating pull request" >&2
echo "${ANSWER-https://forge.example/pull/7}"
exit "${CODE-0}"
"""


@pytest.fixture
def past(repo: Repo, tmp_path: Path) -> Past:
    """Return a session of two turns in a project whose remote is called like a forge's."""
    origin = Repo.init(tmp_path / "origin.git", bare=True)
    repo.git("remote", "add", "origin", "git@github.com:ada/shop.git")
    repo.git("config", f"url.{origin.path}.pushInsteadOf", "git@github.com:ada/shop.git")
    made = Past(repo)
    made.run(Asked("fix the rounding", {"a": "1\n"}), Asked("and the docs", {"b": "2\n"}))
    return made


def install(tmp_path: Path, name: str) -> dict[str, str]:
    """Put the stand-in on PATH as ``name``."""
    place = tmp_path / "programs"
    place.mkdir()
    (place / name).write_text(PROGRAM)
    (place / name).chmod(0o755)
    return {"PATH": f"{place}:{os.environ['PATH']}", "TOLD": str(tmp_path / "told")}


def test_gh_makes_it_of_the_prompts(past: Past, tmp_path: Path) -> None:
    env = install(tmp_path, "gh")
    done = realm(past.repo.path, "pr", "fix", "--draft", "--base", "release", env=env)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == ["pushed fix → origin/fix (2 commits)", "https://forge.example/pull/7"]
    told = (tmp_path / "told").read_text()
    head, text = "gh\npr\ncreate\n--head=fix\n", "--title=fix the rounding\n--body=* and the docs\n"
    assert told == f"{head}{text}--base=release\n--draft\n"
    assert Repo(tmp_path / "origin.git").head("fix") == past.tip


def test_a_turn_of_it(past: Past, tmp_path: Path) -> None:
    done = realm(past.repo.path, "pr", "fix@1", env=install(tmp_path, "gh"))
    assert done.out.splitlines()[0] == "pushed fix → origin/fix (1 commit)"
    assert "--title=fix the rounding\n--body=\n" in (tmp_path / "told").read_text()
    assert Repo(tmp_path / "origin.git").head("fix") == past.repo.head(f"{past.tip}^")


def test_the_list_remembers_it_until_the_session_is_pushed_elsewhere(past: Past, tmp_path: Path) -> None:
    env, place = install(tmp_path, "gh"), past.repo.path
    assert realm(place, "pr", "fix", env=env).code == 0
    (row,) = json.loads(realm(place, "list", "--json").out)
    assert (row["pull_request"], row["pushed_to"]) == ("https://forge.example/pull/7", "origin/fix")
    assert "\tpull request #7\t" in realm(place, "list").out
    past.meta = past.repo.head("refs/realm-meta/fix")
    past.run(Asked("once more", {"c": "3\n"}))  # it is open all the same, and lacks this
    (row,) = json.loads(realm(place, "list", "--json").out)
    assert (row["pull_request"], row["pushed_to"]) == ("https://forge.example/pull/7", None)
    assert "\tdone\t" in realm(place, "list").out
    assert realm(place, "push", "fix", "--as", "other").code == 0
    (row,) = json.loads(realm(place, "list", "--json").out)
    assert (row["pull_request"], row["pushed_to"]) == (None, "origin/other")


def test_an_address_that_is_none_is_not_remembered(past: Past, tmp_path: Path) -> None:
    env = install(tmp_path, "gh") | {"ANSWER": "https://x/\u202e" + "7" * 3000}
    assert realm(past.repo.path, "pr", "fix", env=env).code == 0
    (row,) = json.loads(realm(past.repo.path, "list", "--json").out)
    assert (row["pull_request"], row["pushed_to"]) == (None, "origin/fix")


def test_glab_makes_it_at_gitlab(past: Past, tmp_path: Path) -> None:
    past.repo.git("config", "remote.origin.url", "https://gitlab.example.com/group/sub/shop")
    past.repo.git("config", "remote.origin.pushurl", str(tmp_path / "origin.git"))
    done = realm(past.repo.path, "pr", "fix", env=install(tmp_path, "glab"))
    assert done.code == 0, done.err
    told = (tmp_path / "told").read_text().splitlines()
    assert told[:5] == ["glab", "mr", "create", "--yes", "--source-branch=fix"]


def test_one_that_is_there_already_is_named(past: Past, tmp_path: Path) -> None:
    env = install(tmp_path, "gh")
    env |= {
        "CODE": "1",
        "ANSWER": "a pull request for branch fix already exists: https://forge.example/pull/3",
    }
    done = realm(past.repo.path, "pr", "fix", env=env)
    assert (done.code, done.out.splitlines()[-1]) == (0, "https://forge.example/pull/3")


def test_what_the_forge_refuses_is_said(past: Past, tmp_path: Path) -> None:
    env = install(tmp_path, "gh") | {"CODE": "4", "ANSWER": "To get started, run: gh auth login"}
    done = realm(past.repo.path, "pr", "fix", env=env)
    assert done.code == 1
    why = "error: gh could not open the request: To get started, run: gh auth login; fix is pushed to origin"
    assert done.err.startswith(f"{why}\n")
    link = "https://github.com/ada/shop/compare/fix?expand=1"
    assert f"hint: gh auth status, then realm pr fix again; or open {link}\n" in done.err
    (tmp_path / "programs/gh").write_bytes(b"\x7fELF of another machine")
    done = realm(past.repo.path, "pr", "fix", env=env)
    assert (done.code, "error: gh could not open the request: " in done.err) == (1, True)


def test_one_that_says_nothing_leaves_the_link(past: Past, tmp_path: Path) -> None:
    done = realm(past.repo.path, "pr", "fix", env=install(tmp_path, "gh") | {"ANSWER": ""})
    assert (done.code, done.out.splitlines()[-1]) == (0, "https://github.com/ada/shop/compare/fix?expand=1")


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("git@github.com:ada/shop.git", "https://github.com/ada/shop/compare/fix?expand=1"),
        ("https://ada:secret@github.com/ada/shop", "https://github.com/ada/shop/compare/fix?expand=1"),
        ("ssh://git@github.com:22/ada/shop.git", "https://github.com/ada/shop/compare/fix?expand=1"),
        (
            "git@gitlab.com:a/b/c.git",
            "https://gitlab.com/a/b/c/-/merge_requests/new?merge_request%5Bsource_branch%5D=fix",
        ),
        ("https://bitbucket.org/a/b.git", "https://bitbucket.org/a/b/pull-requests/new?source=fix"),
        ("/srv/shop.git", ""),
    ],
)
def test_without_a_program_there_is_a_link(past: Past, tmp_path: Path, url: str, link: str) -> None:
    past.repo.git("config", "remote.origin.url", url)
    past.repo.git("config", "remote.origin.pushurl", str(tmp_path / "origin.git"))
    done = realm(past.repo.path, "pr", "fix", env={"PATH": "/usr/bin:/bin"})
    assert done.code == 0, done.err
    assert done.out.splitlines()[1:] == ([link] if link else [])
    assert "hint: " in done.err
    assert "secret" not in done.out + done.err


def test_a_squashed_push_is_called_after_the_first_prompt_or_as_one_says(past: Past, tmp_path: Path) -> None:
    origin = Repo(tmp_path / "origin.git")
    assert realm(past.repo.path, "push", "fix", "--squash").code == 0
    assert origin.git("log", "-1", "--format=%B", "fix") == "fix the rounding\n\n* and the docs\n"
    assert realm(past.repo.path, "push", "fix", "--squash", "-m", "Mine").code == 0
    assert origin.git("log", "-1", "--format=%B", "fix") == "Mine\n"
    done = realm(past.repo.path, "push", "fix", "-m", "Mine")
    assert (done.code, done.err.splitlines()[0]) == (
        2,
        "error: --message needs --squash, which makes one commit",
    )
