"""The conditions of a run: ``runs/NNNN/audit.json`` of the record.

The file is one object, ``"version": 1``.  When a run begins it gets what was decided:
``realm`` (its version), ``image`` (the id, a digest of what the image is), ``agent`` and
``agent_version``, ``network`` and ``credentials`` (the settings), ``login`` (where it was found),
``git_hosts`` (that it may fetch from with the user's logins), ``registries`` (that it may read with
them), ``flags`` (docker's, without the
values of ``-e``) and ``included`` (the files that were copied in).
When it is over comes ``container``, what the engine itself says of it: the fields of
:class:`realm.sandbox.answers.Conditions`.  None of it is a secret.

A record may come from anywhere: a value of the wrong type counts as missing.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import realm
from realm import agents
from realm.errors import EngineError, RealmError
from realm.sandbox import flags
from realm.sandbox.answers import Conditions, Mounted
from realm.session import run as running
from realm.store import record
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from realm.model import Run, Session
    from realm.session.run import Plan

FILE = "audit.json"
VERSION = 1
LIMIT = 1024 * 1024
"""Bytes that the file may have."""
_ITEMS = 1000


class Tokens(NamedTuple):
    """A run's tokens, sent and received; ``cost`` is in dollars, 0 if unknown."""

    sent: int = 0
    received: int = 0
    cost: float = 0.0


class Audit(NamedTuple):
    """The conditions of a run; texts are cleaned, and empty if they were not recorded."""

    run: Run
    realm: str = ""
    """The version of realm."""
    image: str = ""
    """The image's id."""
    agent: str = ""
    """Its name, or its command line."""
    agent_version: str = ""
    network: str = ""
    """``open``, ``allow`` or ``none``."""
    credentials: str = ""
    """``proxy``, ``env`` or ``share``."""
    login: str = ""
    """Where the agent's login came from."""
    git_hosts: tuple[str, ...] = ()
    """The addresses at which it could fetch with the user's login."""
    registries: tuple[str, ...] = ()
    """The registries that it could read with the user's login."""
    flags: tuple[str, ...] = ()
    """The user's docker flags, without secrets."""
    included: tuple[str, ...] = ()
    """The ignored files that were copied in."""
    container: Conditions | None = None
    """``None`` if the engine could not be asked."""
    refused: Mapping[str, int] | None = None
    """Refused connections by host and port; ``None`` if they were not counted."""
    tokens: Tokens | None = None
    """``None`` if the agent does not count them."""


def begun(plan: Plan, image: str, labels: Mapping[str, str]) -> bytes:
    """Return the file of a run that begins in a container of ``image``, an id; ``labels`` are the image's."""
    part = plan.agent.image_part
    decided = {
        "version": VERSION,
        "realm": realm.__version__,
        "image": image,
        "agent": clean(" ".join(plan.session.agent)) or plan.agent.name,
        "agent_version": labels.get(f"realm.{part}-version", "") if part else "",
        "network": plan.network.policy,
        "credentials": running.credentials(plan),
        "login": plan.login.source,
        "git_hosts": [host.url for host in plan.git_hosts],
        "registries": [one.url for one in plan.registries],
        "flags": flags.shown(plan.args),
        "included": [clean(place) for place in plan.included],
    }
    return _dump(decided)


def ended(before: bytes | None, container: Conditions | None) -> bytes:
    """Return the file with what the engine says of the container; ``before`` is what it was."""
    found = _object(before)
    if container is not None:
        mounts = [mount._asdict() for mount in container.mounts]
        found["container"] = {**container._asdict(), "mounts": mounts}
    return _dump({"version": VERSION, **found})


def _dump(found: Mapping[str, object]) -> bytes:
    return json.dumps(found, indent=2, sort_keys=True).encode("ascii") + b"\n"


def audit(name: str, directory: Path | None, number: int | None = None) -> list[Audit]:
    """Return the conditions of a session's runs, or of run ``number``, which may be in progress.

    Raises :class:`RealmError` where there is no such session or run.
    """
    from realm.session.find import locate

    project, _ = locate(name, directory).sound()
    with record.Record(project, name) as found:
        session = found.session()
        numbers = found.numbers()
        if number is not None and number not in numbers:
            raise RealmError(f"session {name} has no run {number}", f"realm audit {name} shows all it has")
        return [
            _read(found, session, found.run(one)) for one in (numbers if number is None else [number])
        ]  # fmt: skip


def _read(found: record.Record, session: Session, run: Run) -> Audit:
    kept = _object(found.file(f"{record.run_directory(run.number)}/{FILE}", LIMIT))
    container = kept.get("container")
    if container is None and run.ended is None:
        container = _now(session, run)
    return Audit(
        run=run,
        realm=_text(kept, "realm"),
        image=_text(kept, "image"),
        agent=_text(kept, "agent") or agents.find(session.agent).name,
        agent_version=_text(kept, "agent_version"),
        network=_text(kept, "network"),
        credentials=_text(kept, "credentials"),
        login=_text(kept, "login"),
        git_hosts=_texts(kept, "git_hosts"),
        registries=_texts(kept, "registries"),
        flags=_texts(kept, "flags"),
        included=_texts(kept, "included"),
        container=_conditions(container),
        refused=_refused(run),
        tokens=_tokens(session, found.said(run.number)),
    )


def _now(session: Session, run: Run) -> dict[str, Any] | None:
    """Return the engine's facts about the container of a running run, in the file's form."""
    from realm.sandbox import docker, lookup

    with suppress(EngineError), docker.connect() as engine:
        for sandbox in lookup.find(engine, session_id=session.id):
            if sandbox.owner.run == run.number and (conditions := sandbox.conditions()) is not None:
                found: dict[str, Any] = _object(ended(None, conditions))["container"]
                return found
    return None


def _tokens(session: Session, said: bytes) -> Tokens | None:
    told = list(agents.find(session.agent).exchanges(said.splitlines())) if said else []
    if not told:
        return None
    return Tokens(
        sum(one.tokens_in for one in told),
        sum(one.tokens_out for one in told),
        sum(one.cost for one in told),
    )


# -- reading what may come from anywhere -------------------------------------------


def _object(data: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    return clean(value, limit=500) if isinstance(value, str) else ""


def _texts(found: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = found.get(key)
    items = value[:_ITEMS] if isinstance(value, list) else []
    return tuple(clean(item, limit=500) for item in items if isinstance(item, str))


def _number(found: Mapping[str, Any], key: str) -> float:
    value = found.get(key)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < 2**63:
        return 0.0
    return float(value)


def _conditions(found: object) -> Conditions | None:
    if not isinstance(found, dict):
        return None
    mounts = found.get("mounts")
    return Conditions(
        image=_text(found, "image"),
        user=_text(found, "user"),
        network=_text(found, "network"),
        memory=int(_number(found, "memory")),
        cpus=float(_number(found, "cpus")),
        pids=int(_number(found, "pids")),
        limits=_texts(found, "limits"),
        read_only=found.get("read_only") is True,
        privileged=found.get("privileged") is True,
        capabilities=_texts(found, "capabilities"),
        protection=_texts(found, "protection"),
        runtime=_text(found, "runtime"),
        mounts=tuple(
            Mounted(
                _text(one, "kind"), _text(one, "source"), _text(one, "target"), one.get("writable") is True
            )
            for one in (mounts[:_ITEMS] if isinstance(mounts, list) else [])
            if isinstance(one, dict)
        ),
        workspace=int(_number(found, "workspace")),
    )


def _refused(run: Run) -> dict[str, int] | None:
    """Return the number of refused requests by host and port; ``None`` if it was not counted."""
    if run.network != "allow":
        return None
    return {f"{one.host}:{one.port}": one.times for one in run.refused}
