"""The secrets that realm handles for a run, to be kept out of its record and output."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from realm import agents
from realm.config import DOCKER_ARGS, Config
from realm.errors import RealmError
from realm.redact import Redactor, is_secret, texts
from realm.sandbox import flags
from realm.store import record, refs
from realm.store.schema import dump

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from realm.agents import Login
    from realm.model import Project, Session
    from realm.sandbox.flags import DockerArgs
    from realm.session.run import Plan

_TALK = "talk/"
_CAST = ".cast"
_SESSION = "session.json"


def of_plan(plan: Plan) -> Redactor:
    """Return a redactor for the secrets of a run."""
    from realm.session import keys

    values = [*_values(plan.login, plan.args), *keys.git_secrets(plan)]
    if plan.registries:
        from realm.session import registries

        values += registries.secrets(plan.registries)
    return Redactor(values)


def of_session(project: Project, session: Session) -> Redactor:
    """Return a redactor for a session's record, with the secrets that its next run would get."""
    args, login, config = flags.DockerArgs(), agents.Login(), Config(project.root)
    with suppress(RealmError):
        args = flags.parse(config.value(DOCKER_ARGS))
    with suppress(RealmError):
        login = agents.find(session.agent, config.for_agents()).find_login(given=flags.environment(args))
    return Redactor(_values(login, args))


@contextmanager
def shareable(project: Project, name: str, meta: str | None) -> Iterator[tuple[str | None, bool]]:
    """Yield the record ``meta`` without secrets, and whether the conversation had any.

    A changed conversation cannot be continued, so its id is removed.  A new record is held until the context
    ends.
    """
    if meta is None:
        yield None, False
        return
    with record.Record(project, name, meta) as found:
        session = found.session()
        redactor = of_session(project, session)
        said = (found.said(number) for number in found.numbers())
        had_any = any(redactor.lines(data) != data for data in said)
    if had_any:
        session = session._replace(conversation=None)

    def change(path: str, data: bytes) -> bytes:
        if path == _SESSION and had_any:
            data = dump(session)
        if path.endswith(".jsonl"):
            return redactor.lines(data)
        return redactor.document(data) if path.endswith(".json") else without(redactor, {path: data})[path]

    made = record.rewritten(project, meta, change, redactor.text)
    try:
        yield made, had_any
    finally:
        if made != meta:
            refs.transact(project, [], "realm: shared", held=[made])


def _values(login: Login, args: DockerArgs) -> Iterator[str]:
    for name, value in {**flags.environment(args), **login.variables}.items():
        if is_secret(name, value):
            yield value
    yield from texts(login.credentials or b"")


def without(redactor: Redactor, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return files for a run's record without secrets, except in the conversation.

    The conversation must stay unchanged, as the agent continues it, and has signed parts of it.
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
