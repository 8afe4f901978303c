"""Any program: it gets the keys of the environment, and nothing is known about it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from realm.agents.base import Agent, Login
from realm.agents.claude.login import from_environment

if TYPE_CHECKING:
    from collections.abc import Mapping


class Command(Agent):
    """A program named with ``--agent``; often a wrapper of an agent that uses the same keys."""

    name = "the program"

    def find_login(
        self, environ: Mapping[str, str] = os.environ, given: Mapping[str, str] | None = None
    ) -> Login:
        """Return the keys of the environment; none is needed, and the host's own login is not for it."""
        del given
        return from_environment(environ)
