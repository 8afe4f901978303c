"""The agents: what each needs in a sandbox and how it is talked to; one file and one line for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.agents.base import BEFORE, Agent, Api, HomeFile, Login, Match, News, Renewal, Said
from realm.agents.claude import Claude, api
from realm.agents.claude.login import from_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["BEFORE", "Agent", "Api", "HomeFile", "Login", "Match", "News", "Renewal", "Said", "find"]


class Command(Agent):
    """A program named with ``--agent``; often a wrapper of an agent that uses the same keys."""

    name = "the program"

    def find_login(self, given: Mapping[str, str] | None = None) -> Login:
        """Return the keys of the environment; none is needed, and the host's own login is not for it."""
        return from_environment(self.environ, given or {})

    def api(self, login: Login, given: Mapping[str, str]) -> Api | None:
        """Return the API that the keys are for."""
        return api.find(login, self.environ, given)

    def keyless(
        self, login: Login, reached: Api, url: str, placeholder: str, given: Mapping[str, str]
    ) -> Login:
        """Return the same variables without the keys."""
        return api.inside(login, reached, url, placeholder, given)


_KNOWN: dict[str, type[Agent]] = {"claude": Claude}
"""The agents that realm knows, by their program."""


def find(words: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> Agent:
    """Return the agent that ``words`` start, the program first; without words, Claude Code.

    ``environ`` is the user's environment with the settings that are for agents, where these matter.
    """
    return (_KNOWN.get(words[0], Command) if words else Claude)(words, environ)
