"""The real Claude Code, driven as a person drives it, against the stand-in for its API."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import Repo, git
from tests.support.user import KEY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import MessagesApi
    from tests.support.driver import Terminal
    from tests.support.user import User

pytestmark = [pytest.mark.engine, pytest.mark.defaults]


def say(terminal: Terminal, prompt: str, until: str) -> None:
    """Type a prompt, wait until the agent has it in its field, send it, wait for the answer."""
    terminal.wait_for("bypass permissions on", timeout=120)
    terminal.send(prompt)
    terminal.wait_for(prompt)
    terminal.press("Enter")
    terminal.wait_for(until)


def leave(terminal: Terminal) -> int:
    terminal.send("/exit")
    terminal.wait_for("/exit")
    terminal.press("Enter")
    return terminal.wait()


def subjects(repo: Repo, name: str) -> list[str]:
    return repo.git("log", "--reverse", "--format=%s", f"main..refs/realm/{name}").splitlines()


def test_a_conversation_from_new_to_restore(claude: User, api: MessagesApi, tmp_path: Path) -> None:
    repo = claude.repo
    origin = Repo.init(tmp_path / "origin.git", bare=True)
    repo.git("remote", "add", "origin", str(origin.path))
    with claude.terminal("new", "tui") as terminal:
        say(terminal, "write one.txt with first", "Wrote one.txt")
        say(terminal, "write two.txt with second", "Wrote two.txt")
        assert leave(terminal) == 0
        assert "refs/realm/tui" in terminal.history()
    assert repo.files("refs/realm/tui") == ["README.md", "one.txt", "two.txt"]
    assert subjects(repo, "tui") == ["write one.txt with first", "write two.txt with second"]
    assert repo.show("refs/realm/tui:two.txt") == "second"
    first_tip = claude.tip("tui")

    with claude.terminal("resume", "tui") as terminal:
        terminal.wait_for("Wrote two.txt", timeout=120)
        say(terminal, "write three.txt with third", "Wrote three.txt")
        assert leave(terminal) == 0
    assert api.asked[-1].prompts()[-3:] == [
        "write one.txt with first",
        "write two.txt with second",
        "write three.txt with third",
    ]
    repo.git("merge-base", "--is-ancestor", first_tip, "refs/realm/tui")
    assert subjects(repo, "tui")[2:] == ["write three.txt with third"]
    assert list(claude.leftovers()) == []

    claude.realm("push", "tui")
    git(tmp_path, "clone", "-q", "-b", "tui", str(origin.path), "clone")
    assert (tmp_path / "clone/three.txt").read_text() == "third\n"

    refs = repo.refs("refs/realm") | repo.refs("refs/realm-meta")
    claude.realm("remove", "tui", "--yes")
    assert not repo.refs("refs/realm/") | repo.refs("refs/realm-meta/")
    claude.realm("restore", "tui")
    restored = repo.refs("refs/realm/") | repo.refs("refs/realm-meta/")
    assert restored["refs/realm/tui"] == refs["refs/realm/tui"]
    assert restored.keys() == {"refs/realm/tui", "refs/realm-meta/tui"}


def test_a_multi_line_paste_is_one_prompt(claude: User, api: MessagesApi) -> None:
    prompt = "write a.txt with a\nwrite b.txt with b"
    with claude.terminal("new", "pasted") as terminal:
        terminal.wait_for("bypass permissions on", timeout=120)
        terminal.paste(prompt)
        terminal.wait_for("with b")
        terminal.press("Enter")
        terminal.wait_for("Wrote b.txt")
        assert leave(terminal) == 0
    assert api.asked[-1].prompts()[-1] == prompt
    assert claude.repo.files("refs/realm/pasted") == ["README.md", "a.txt", "b.txt"]
    assert subjects(claude.repo, "pasted") == ["write a.txt with a"]


def test_escape_interrupts_the_turn_and_ctrl_c_leaves_with_its_work_kept(claude: User) -> None:
    with claude.terminal("new", "broken-off") as terminal:
        say(terminal, "run echo half > half.txt; sleep 600", r"Doing as asked . \d")
        terminal.press("Escape")
        terminal.wait_for("Interrupted")
        terminal.press("C-c")
        terminal.wait_for("again to exit")
        terminal.press("C-c")
        terminal.wait()
    assert claude.repo.show("refs/realm/broken-off:half.txt") == "half"


def test_headless_with_a_pipe(claude: User, api: MessagesApi) -> None:
    done = claude.realm("new", "piped", "--", "-p", stdin="write a.txt with hello")
    assert done.out == "Wrote a.txt.\n"
    assert "refs/realm/piped" in done.err
    assert claude.repo.show("refs/realm/piped:a.txt") == "hello"
    assert subjects(claude.repo, "piped") == ["write a.txt with hello"]

    done = claude.realm("resume", "piped", "-p", "write b.txt with again")
    assert done.out == "Wrote b.txt.\n"
    assert api.asked[-1].prompts()[-2:] == ["write a.txt with hello", "write b.txt with again"]
    assert claude.repo.files("refs/realm/piped") == ["README.md", "a.txt", "b.txt"]


def test_doctor_asks_claude_a_question_where_there_is_a_login(claude: User, api: MessagesApi) -> None:
    done = claude.realm("doctor", "--run")
    assert "login and API access work" in done.err
    assert any("Reply with this one word" in prompt for asked in api.asked for prompt in asked.prompts())
    api.accept = frozenset({"another"})
    refused = claude.realm("doctor", "--run", code=None)
    assert refused.code == 1
    assert "Claude Code ended with" in refused.err


def test_arguments_reach_the_agent_verbatim(claude: User, api: MessagesApi) -> None:
    claude.realm("new", "args", "-p", "say *  $HOME 'x'", "--model", "claude-sonnet-5")
    assert api.asked[-1].prompts()[-1] == "say *  $HOME 'x'"
    assert api.asked[-1].body["model"] == "claude-sonnet-5"


def test_the_agents_commits_are_kept_one_by_one(claude: User) -> None:
    claude.realm("new", "commits", "-p", "commit one.txt\ncommit two.txt\nwrite three.txt with rest")
    repo = claude.repo
    assert subjects(repo, "commits")[:2] == ["Add one.txt", "Add two.txt"]
    assert len(subjects(repo, "commits")) == 3
    authors = repo.git("log", "--format=%an <%ae>|%cn", "main..refs/realm/commits").splitlines()
    assert set(authors) == {"Ada Tester <ada@example.com>|Ada Tester"}
    trailers = repo.git("log", "-1", "--format=%(trailers:key=Realm-Session,valueonly)", "refs/realm/commits")
    assert trailers.strip() == "commits"


@pytest.mark.parametrize("variable", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"])
def test_each_way_to_log_in_reaches_the_api_and_stays_nowhere(
    claude: User, api: MessagesApi, variable: str
) -> None:
    secret = f"sk-ant-oat01-{variable.lower().replace('_', '-')}-0123456789012345678901234567890123456789"
    del claude.extra["ANTHROPIC_API_KEY"]
    claude.extra[variable] = secret
    claude.realm("new", "login", "-p", "write a.txt with a")
    assert api.asked[-1].key == secret
    objects = claude.repo.git("cat-file", "--batch-all-objects", "--batch", "--unordered", "--buffer")
    assert secret not in objects
    home = claude.installed.home.parent
    found = subprocess.run(["grep", "-rlF", secret, str(home)], capture_output=True, text=True, check=False)
    assert found.stdout == ""


def test_a_refused_key_is_the_agents_own_failure(claude: User, api: MessagesApi) -> None:
    api.accept = frozenset({"another"})
    done = claude.realm("new", "refused", "-p", "write a.txt with a", code=None)
    assert done.code == 1
    assert claude.repo.files("refs/realm/refused") == ["README.md"]


def test_without_a_login_nothing_is_made(user: User) -> None:
    done = user.realm("new", "nobody", "-p", "hello", code=125)
    assert "ANTHROPIC_API_KEY" in done.err
    assert "claude" in done.err
    assert not user.repo.refs("refs/realm")
    assert list(user.leftovers()) == []


def test_the_project_cannot_switch_off_our_hooks(claude: User) -> None:
    claude.repo.write(".claude/settings.json", '{"disableAllHooks": true}')
    claude.repo.commit("Settings")
    claude.realm("new", "hooks", "-p", "write a.txt with a")
    assert subjects(claude.repo, "hooks") == ["write a.txt with a"]
    assert KEY not in claude.repo.git("log", "-p", "refs/realm-meta/hooks")
