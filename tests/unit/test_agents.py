from __future__ import annotations

import pytest

from realm import agents


@pytest.mark.parametrize(
    ("words", "name"),
    [((), "Claude Code"), (("claude", "--verbose"), "Claude Code"), (("sh",), "the program"),
     (("/opt/claude",), "the program")],
)  # fmt: skip
def test_the_program_tells_which_agent_it_is(words: tuple[str, ...], name: str) -> None:
    found = agents.find(words)
    assert (found.name, found.words) == (name, words)


def test_words_after_claude_come_before_the_users_arguments() -> None:
    found = agents.find(("claude", "--model", "opus")).argv(["hi"], conversation="c", resume=False)
    assert found == [
        "claude", "--dangerously-skip-permissions", "--session-id", "c", "--model", "opus", "hi",
    ]  # fmt: skip


def test_any_command_runs_as_it_is_given() -> None:
    command = agents.find(("sh", "-c"))
    assert command.argv(["true"], conversation="x", resume=True) == ["sh", "-c", "true"]
    assert command.wants_screen(["-p"])
    assert not command.wants_screen([], listens=False)
    assert command.options is None
    assert command.image_part is None
    assert command.environment("/state") == {}
    assert list(command.files(agents.Login(), "/workspace/p")) == []
    assert command.new_conversation() is None
    assert command.conversation_id("01234567-89ab-cdef-0123-456789abcdef") is None
    assert command.turn_texts({1: b'{"prompt": "x"}'}, {}) == {}


def test_any_command_gets_the_keys_of_the_environment_and_needs_none() -> None:
    assert agents.find(("sh",), {}).find_login() == agents.Login()
    found = agents.find(("sh",), {"ANTHROPIC_API_KEY": "k", "GITHUB_TOKEN": "x"}).find_login()
    assert (found.variables, found.credentials) == ({"ANTHROPIC_API_KEY": "k"}, None)
