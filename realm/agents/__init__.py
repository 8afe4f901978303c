"""The registry of agents: a further one is one file and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.agents.base import BEFORE, Agent, Api, HomeFile, Login, Match, News, Renewal, Said
from realm.agents.claude import Claude, api
from realm.agents.claude.login import from_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["BEFORE", "Agent", "Api", "HomeFile", "Login", "Match", "News", "Renewal", "Said", "find"]


class Command(Agent):
    """A program named with ``--agent``, often a wrapper of an agent, which reads the same keys."""

    name = "the program"

    def find_login(self, given: Mapping[str, str] | None = None) -> Login:
        """Return the keys in the environment, if any; the host's own login of Claude Code is not for it."""
        return from_environment(self.environ, given or {})

    def api(self, login: Login, given: Mapping[str, str]) -> Api | None:
        """Return the API that these keys are for."""
        return api.find(login, self.environ, given)

    def keyless(
        self, login: Login, reached: Api, url: str, placeholder: str, given: Mapping[str, str]
    ) -> Login:
        """Return the same variables without the keys."""
        return api.inside(login, reached, url, placeholder, given)


_KNOWN: dict[str, type[Agent]] = {"claude": Claude}
"""The agents that realm knows, by the name of their program."""


def find(words: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> Agent:
    """Return the agent whose program is the first of ``words``; without words, Claude Code.

    ``environ`` is the user's environment together with the settings that are for agents (default: the
    process's own).
    """
    return (_KNOWN.get(words[0], Command) if words else Claude)(words, environ)
