"""The secrets that realm handles for a run, so that they can be kept out of what it records and shows."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from realm import agents
from realm.config import DOCKER_ARGS, Config
from realm.errors import RealmError
from realm.redact import Redactor, is_secret, texts
from realm.sandbox import flags

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from realm.agents import Login
    from realm.model import Project, Session
    from realm.sandbox.flags import DockerArgs
    from realm.session.run import Plan

_TALK = "talk/"
_CAST = ".cast"


def of_plan(plan: Plan) -> Redactor:
    """Return what takes the secrets of a run out of text."""
    return Redactor(_values(plan.login, plan.args))


def of_session(project: Project, session: Session) -> Redactor:
    """Return what takes secrets out of what a session's record holds: those that its next run would get."""
    args, login = flags.DockerArgs(), agents.Login()
    with suppress(RealmError):
        args = flags.parse(Config(project.root).value(DOCKER_ARGS))
    with suppress(RealmError):
        login = agents.find(session.agent).find_login(given=flags.environment(args))
    return Redactor(_values(login, args))


def _values(login: Login, args: DockerArgs) -> Iterator[str]:
    for name, value in {**flags.environment(args), **login.variables}.items():
        if is_secret(name, value):
            yield value
    yield from texts(login.credentials or b"")


def without(redactor: Redactor, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return files for a run's record without secrets, but for what was said.

    That has to stay as it is: an agent goes on from it, and signs what it thought.
    """
    from realm.terminal.recording import cast

    found = {}
    for name, data in files.items():
        if name.startswith(_TALK):
            found[name] = data
        elif name.endswith(_CAST):
            found[name] = cast.changed(data, redactor.pieces)
        else:
            found[name] = redactor.data(data)
    return found
