"""The agents: what each needs in a sandbox and how it is talked to; one file and one line for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.agents.base import BEFORE, Agent, HomeFile, Login, Match, Renewal, Said
from realm.agents.claude import Claude
from realm.agents.command import Command

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BEFORE", "Agent", "HomeFile", "Login", "Match", "Renewal", "Said", "find"]

_KNOWN: dict[str, type[Agent]] = {
    "claude": Claude,
}
"""The agents that realm knows, by their program."""


def find(words: Sequence[str] = ()) -> Agent:
    """Return the agent that ``words`` start, the program first; without words, Claude Code."""
    return _KNOWN.get(words[0], Command)(words) if words else Claude()
