"""The requests that a session's containers were refused, and the hosts that the user allows."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from realm import hosts
from realm.config import ALLOW, NETWORK, Config
from realm.errors import EngineError, RealmError, UsageError
from realm.git import git
from realm.session import egress, refusals
from realm.session.find import locate
from realm.session.lock import holder
from realm.store import listing, record, repo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from realm.hosts import Host
    from realm.model import Project, Refusal, Session

_PERIOD = 0.5
"""Seconds between two looks at a running run."""


class Seen(NamedTuple):
    """The network of a session's last run (``open``, ``allow``, ``none``), and its refused requests."""

    network: str
    refused: tuple[Refusal, ...]


def seen(name: str, directory: Path | None) -> Seen:
    """Return this for the session's last run; raises :class:`RealmError` when there is no such session."""
    return _seen(locate(name, directory).sound().project, name)[1]


def _seen(project: Project, name: str) -> tuple[Session, Seen]:
    with record.Record(project, name) as found:
        session, numbers = found.session(), found.numbers()
        if not numbers:
            return session, Seen("", ())
        run = found.run(numbers[-1])
    return session, Seen(run.network, run.refused if run.ended is not None else refusals.recorded(session.id))


def follow(name: str, directory: Path | None) -> Iterator[Refusal]:
    """Yield the refused requests of the session's run, with the counts so far, until the run is over."""
    project = locate(name, directory).sound().project
    session, first = _seen(project, name)
    known: dict[Refusal, int] = {}
    found = first.refused
    while True:
        for refusal in found:
            key = refusal._replace(times=0)
            if known.get(key, 0) < refusal.times:
                known[key] = refusal.times
                yield refusal
        if holder(session.id) is None:
            return
        time.sleep(_PERIOD)
        found = refusals.recorded(session.id)


# -- what the user allows ----------------------------------------------------------


def allowed(directory: Path) -> list[Host]:
    """Return the hosts that the settings allow besides the default ones."""
    return Config(directory).values(ALLOW)


def usual() -> tuple[Host, ...]:
    """Return the hosts that are allowed by default."""
    from realm.sandbox.egress import rules

    return rules.usual()


def policy(directory: Path) -> str:
    """Return the network of the settings."""
    return Config(directory).value(NETWORK)


def refused_lately(directory: Path) -> list[str]:
    """Return the hosts that the last runs of the project's sessions were refused."""
    found: dict[str, None] = {}
    with suppress(RealmError):
        for row in listing.rows(repo.discover(directory)):
            found |= dict.fromkeys(
                str(hosts.at(refusal.host, refusal.port))
                for refusal in refusals.recorded(row.summary.id)
                if refusals.may_be_allowed(refusal)
            )
    return list(found)


def allow(words: Sequence[str], directory: Path, *, everywhere: bool) -> list[str]:
    """Add hosts to the user's git configuration, of the project or (``everywhere``) of all projects.

    Running containers can reach them at once; returns the projects whose containers can.
    """
    wanted = [_host(word) for word in words]
    for one in wanted:
        if one.is_here:
            raise UsageError(
                f"{one} is the container itself in there, which its programs may reach",
                "they go there without the proxy (NO_PROXY); realm help allow says how to name other hosts",
            )
    known = _of_git(directory, everywhere=everywhere)
    for host in dict.fromkeys(map(str, wanted)):
        if host not in known:
            _git(directory, "--add", "realm.allow", host, everywhere=everywhere)
    return _renew(directory, everywhere=everywhere)


def refuse(words: Sequence[str], directory: Path, *, everywhere: bool) -> list[str]:
    """Remove hosts from the user's git configuration; returns as :func:`allow`.

    Raises :class:`RealmError` for one that is not in it.
    """
    known = _of_git(directory, everywhere=everywhere)
    wanted = {str(_host(word)): word for word in words}
    for host, word in wanted.items():
        if host not in known:
            where = "the global git configuration" if everywhere else "this project's git configuration"
            raise RealmError(f"{word} is not allowed by {where}", "realm allow --list shows what is")
    for host in wanted:
        for text in known[host]:
            _git(directory, "--fixed-value", "--unset-all", "realm.allow", text, everywhere=everywhere)
    return _renew(directory, everywhere=everywhere)


def _host(word: str) -> Host:
    try:
        return hosts.parse(word)
    except ValueError as error:
        raise UsageError(
            f"{word!r} cannot be allowed: {error}",
            "realm allow example.com, .example.com or example.com:8443",
        ) from None


def _of_git(directory: Path, *, everywhere: bool) -> dict[str, list[str]]:
    """Return the texts in one file of the configuration, by their hosts."""
    out = _git(directory, "-z", "--get-all", "realm.allow", everywhere=everywhere, check=False)
    known: dict[str, list[str]] = {}
    for text in out.decode("utf-8", "replace").split("\0"):
        with suppress(ValueError):
            known.setdefault(str(hosts.parse(text)), []).append(text)
    return known


def _git(directory: Path, *words: str, everywhere: bool, check: bool = True) -> bytes:
    if everywhere:
        return git("config", "--global", *words, cwd=directory, check=check).out
    return git("config", "--local", *words, project=repo.discover(directory), check=check).out


def _renew(directory: Path, *, everywhere: bool) -> list[str]:
    """Give running containers the current settings, except where the engine does not answer."""
    from realm.sandbox import docker

    root = None if everywhere else repo.discover(directory).root
    with suppress(EngineError), docker.connect() as engine:
        return egress.renew(engine, root)
    return []
