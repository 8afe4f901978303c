"""A change to files that programs run or obey unasked hides among others: realm names and shows it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from realm.store import risky
from tests.support.history import Asked, Past, realm
from tests.support.store import project_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo

FILES = {
    "git hooks": (".githooks/pre-commit", ".husky/pre-push", ".pre-commit-config.yaml", "lefthook.yml"),
    "CI workflows": (".github/workflows/ci.yml", ".GitHub/Workflows/x.yaml", ".gitlab-ci.yml", "Jenkinsfile",
                     ".circleci/config.yml", ".github/actions/x/index.js"),
    "agent settings": (".claude/settings.json", ".claude/commands/x.md", ".mcp.json", "sub/CLAUDE.md",
                       "AGENTS.md", ".cursor/rules/a.mdc", ".github/copilot-instructions.md"),
    "editor settings": (".vscode/tasks.json", "sub/.vscode/settings.json", ".idea/x.xml", "a.code-workspace",
                        ".devcontainer/devcontainer.json", ".exrc", ".dir-locals.el"),
    "shell environment": (".envrc", "sub/.envrc", "mise.toml", ".bashrc"),
    "package scripts": (".npmrc", "setup.py", "build.rs", ".cargo/config.toml", "gradlew", "conftest.py"),
    "build files": ("Makefile", "sub/makefile", "GNUmakefile", "rules.mk", "justfile", "CMakeLists.txt"),
    "authors' names": (".mailmap",),
    "submodules": (".gitmodules",),
}  # fmt: skip


def kinds(repo: Repo, *paths: str, text: str = "x\n") -> set[str]:
    """Return the kinds of the changes in a commit with these files."""
    before = repo.head()
    for path in paths:
        repo.write(path, text)
    repo.commit("Change")
    return {risk.kind for risk in risky.find(project_of(repo), before, repo.head())}


@pytest.mark.parametrize(("kind", "path"), [(kind, path) for kind, paths in FILES.items() for path in paths])
def test_by_its_name(repo: Repo, kind: str, path: str) -> None:
    assert kinds(repo, path) == {kind}


def test_ordinary_files_are_not_named(repo: Repo) -> None:
    plain = ("app/main.py", "docs/makefiles.md", "claude.py", "env/x", "a.github/workflows/x", "setup.pyx")
    assert kinds(repo, *plain) == set()


def test_by_what_it_says(repo: Repo) -> None:
    name, scripts = "package.json", {"package scripts"}
    assert kinds(repo, name, text='{"version": "1", "scripts": {"test": "x"}}') == scripts
    assert kinds(repo, name, text='{"version": "2", "scripts": {"test": "x"}}') == set()
    assert kinds(repo, name, text='{"version": "2", "scripts": {"postinstall": "x"}}') == scripts
    assert kinds(repo, ".gitattributes", text="*.txt text\n") == set()
    assert kinds(repo, ".gitattributes", text="*.txt text\n*.py -diff\n") == {"attributes that hide changes"}


def test_links(repo: Repo) -> None:
    before = repo.head()
    (repo.path / "shortcut").symlink_to("README.md")
    repo.commit("Change")
    assert [risk.kind for risk in risky.find(project_of(repo), before, repo.head())] == ["symlinks"]


@pytest.mark.parametrize(
    ("key", "value", "path"),
    [
        ("core.hooksPath", "tools/hooks", "tools/hooks/pre-commit"),
        ("include.path", "../shared.gitconfig", "shared.gitconfig"),
        ("diff.csv.textconv", "./tools/csv --flat", "tools/csv"),
        ("alias.deploy", "!sh $(git rev-parse --show-toplevel)/tools/deploy", "tools/deploy"),
        ("filter.x.clean", "python3 tools/clean.py %f", "tools/clean.py"),
    ],
)
def test_what_the_users_git_names(repo: Repo, key: str, value: str, path: str) -> None:
    repo.git("config", key, value)
    assert "files that your git obeys" in kinds(repo, path)
    assert kinds(repo, "tools/other") == set()


def test_summary_list_and_push_say_so_and_diff_shows_it(repo: Repo, tmp_path: Path) -> None:
    repo.git("init", "-q", "--bare", str(tmp_path / "origin.git"))
    repo.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    past, ci = Past(repo), ".github/workflows/ci.yml"
    past.run(Asked("work", {"a.txt": "a\n", ci: "on: push\n", "sub/Makefile": "x:\n"}))
    what = "CI workflows (1 file), build files (1 file)"
    row = json.loads(realm(repo.path, "list", "--json").out)[0]
    assert row["risky"] == what
    pushed = realm(repo.path, "push", "fix")
    assert f"warning: fix changes what is run or obeyed unasked: {what}; realm diff fix --risky" in pushed.err
    shown = realm(repo.path, "diff", "fix", "--risky", "--stat")
    assert ci in shown.out
    assert "sub/Makefile" in shown.out
    assert "a.txt" not in shown.out


def test_diff_says_when_there_is_nothing(repo: Repo) -> None:
    past = Past(repo)
    past.run(Asked("work", {"a.txt": "a\n"}))
    done = realm(repo.path, "diff", "fix", "--risky")
    assert done.code == 1
    assert "fix changed nothing that is run or obeyed unasked" in done.err
