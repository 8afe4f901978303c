"""The completion scripts in the real shells, keys typed at a real terminal."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from realm.cli.completion import script
from tests.support.driver import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.repos import Repo

GIT_COMPLETION = Path("/usr/share/bash-completion/completions/git")
BASH = """\
PS1='$ '; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'
bind 'set show-all-if-ambiguous on'; bind 'set page-completions off'
"""
ZSH = """\
PS1='$ '; autoload -Uz compinit; fpath=({scripts} $fpath); compinit -u -D; unsetopt beep; setopt no_list_beep
zstyle ':completion:*' menu no
"""
FISH = """\
function fish_prompt; echo '$ '; end; set -g fish_greeting; source {scripts}/realm.fish
"""

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


@pytest.fixture
def scripts(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install the scripts and both programs, make sessions, and stand in the repository."""
    made = tmp_path / "scripts"
    made.mkdir()
    for shell, names in {
        "bash": ["realm.bash"],
        "zsh": ["_realm", "_git-realm"],
        "fish": ["realm.fish"],
    }.items():
        for name in names:
            (made / name).write_text(script(shell))
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("realm", "git-realm"):
        program = programs / name
        program.write_text(f"#!{sys.executable}\nimport realm.__main__\nrealm.__main__.main()\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    for name in ("fix-one", "fix-two", "zeta", "$(touch${IFS}pwned)", "`touch${IFS}pwned`"):
        repo.git("update-ref", f"refs/realm/{name}", repo.head())
    (repo.path / "subway").mkdir()
    (repo.path / "notes file.md").touch()
    return made


class Shell:
    """A shell at its prompt; ``tab`` types and presses the key."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        terminal.wait_for(r"^\$")

    def tab(self, typed: str, shown: str) -> None:
        self._terminal.send(typed)
        self._terminal.press("Tab")
        self._terminal.wait_for(shown, timeout=20)

    def clear(self) -> None:
        self._terminal.press("C-u")
        self._terminal.press("C-l")
        self._terminal.wait_for(r"\A\$\s*\Z", timeout=20)


def start(command: list[str], repo: Repo) -> Iterator[Shell]:
    with Terminal(command, env=dict(os.environ), cwd=repo.path, columns=160) as terminal:
        yield Shell(terminal)
    assert not (repo.path / "pwned").exists()


@pytest.fixture
def bash(scripts: Path, repo: Repo) -> Iterator[Shell]:
    sources = [path for path in (GIT_COMPLETION, scripts / "realm.bash") if path.exists()]
    (scripts / "rc").write_text(BASH + "".join(f". {path}\n" for path in sources))
    yield from start(["bash", "--noprofile", "--rcfile", str(scripts / "rc"), "-i"], repo)


@pytest.fixture
def zsh(scripts: Path, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    (scripts / ".zshrc").write_text(ZSH.format(scripts=scripts))
    monkeypatch.setenv("ZDOTDIR", str(scripts))
    yield from start(["zsh", "-d", "-i"], repo)


@pytest.fixture
def fish(scripts: Path, repo: Repo) -> Iterator[Shell]:
    yield from start(["fish", "--no-config", "-i", "-C", FISH.format(scripts=scripts)], repo)


@needs_tmux
@needs("bash")
def test_bash(bash: Shell) -> None:
    bash.tab("realm resu", r"^\$ realm resume $|^\$ realm resume\s*\Z")
    bash.tab("fi", r"^\$ realm resume fix-")
    bash.tab("t", r"^\$ realm resume fix-two")
    bash.clear()
    bash.tab("realm push zeta --sq", r"--squash")
    bash.clear()
    bash.tab("realm new x --base=mai", r"^\$ realm new x --base=main")
    bash.clear()
    bash.tab("realm new x subw", r"subway/")
    bash.clear()
    bash.tab("realm new x --include not", r"--include notes\\ file\.md")
    bash.clear()
    bash.tab("realm -C .. -C project resume z", r"resume zeta")
    bash.clear()
    bash.tab("realm resume ", r"fix-one\s+fix-two\s+zeta\s*$")


@needs_tmux
@needs("bash")
@pytest.mark.skipif(not GIT_COMPLETION.exists(), reason="git's completion for bash is not installed")
def test_bash_behind_git(bash: Shell) -> None:
    bash.tab("git realm resu", r"^\$ git realm resume")
    bash.tab("z", r"^\$ git realm resume zeta")
    bash.clear()
    bash.tab("git -C . realm push zeta --fo", r"--force")


@needs_tmux
@needs("zsh")
def test_zsh(zsh: Shell) -> None:
    zsh.tab("realm resu", r"^\$ realm resume")
    zsh.tab("z", r"^\$ realm resume zeta")
    zsh.clear()
    zsh.tab("realm push zeta --sq", r"--squash")
    zsh.clear()
    zsh.tab("realm new x subw", r"subway/")
    zsh.clear()
    zsh.tab("git realm resume z", r"git realm resume zeta")
    zsh.clear()
    zsh.tab("realm re", r"(?s)resume +-- Continue a session.*restore +-- Bring")


@needs_tmux
@needs("fish")
def test_fish(fish: Shell) -> None:
    fish.tab("realm resu", r"^\$ realm resume")
    fish.tab("z", r"^\$ realm resume zeta")
    fish.clear()
    fish.tab("realm push zeta --sq", r"--squash")
    fish.clear()
    fish.tab("realm new x subw", r"subway/")
    fish.clear()
    fish.tab("realm re", r"(?s)resume.*Continue a session")
