"""Sidecars: one for a project's sandboxes, created with the first and removed with the last.

A sidecar and its volume have the same name, derived from the project, this REALM_HOME and the image, so that
two runs that begin at once share it.  It belongs to no process: the next :func:`sweep` by any of them removes
it when no sandbox has its name in a label.  A run that begins prevents this with :func:`in_use` until its
sandbox exists.

``REALM_HOME/egress/<name>.json`` has its current configuration.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from realm import hosts
from realm.errors import EngineError
from realm.hosts import Host
from realm.model import Refusal
from realm.paths import make_private, realm_home, replace
from realm.sandbox import layout, proof, transfer
from realm.sandbox.egress.rules import STALE
from realm.sandbox.history import locked
from realm.sandbox.stream import Attachment

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from realm.sandbox.answers import Listed
    from realm.sandbox.docker import Engine
    from realm.sandbox.egress.ticket import Ticket

ROLE = "egress"
LENDS = "lend-"
"""With a run's token, the name of a file that lets it use the user's ssh agent."""
UNFIT = "?"
"""Replaces an invalid host name."""
_USER = 65534
_MEMORY = 1024**3
_PROCESSES = 4096
_PATIENCE = 30.0
"""Seconds for a sidecar's start, and for each of its commands."""
_STEP = 0.01
_DIGITS = 15
_SCRIPT = ("sh", "/usr/local/lib/realm/egress")
_LIMIT = 4 * 1024**2


def name(project: str, image: str) -> str:
    """Return the name of the sidecar with this image for the project at this path."""
    parts = f"{proof.home()}\0{project}\0{image}".encode("utf-8", "surrogateescape")
    return f"realm-egress-{hashlib.sha256(parts).hexdigest()[:12]}"


@contextlib.contextmanager
def in_use(sidecar: str) -> Generator[None, None, None]:
    """Keep others from removing a sidecar as unused until the context ends."""
    while True:
        handle = _open(sidecar)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH)
            if os.fstat(handle).st_nlink:  # otherwise its last holder has removed it with the sidecar
                yield
                return
        finally:
            os.close(handle)


def _open(sidecar: str) -> int:
    return os.open(
        make_private(_directory()) / f"{sidecar}.use", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
    )


def _directory() -> Path:
    return realm_home() / "egress"


# -- making one ----------------------------------------------------------------


def prepare(engine: Engine, sidecar: str, owner: layout.Owner) -> None:
    """Create the sidecar's volume if necessary, so that a sandbox can be created with it.

    Raises ``EngineError`` when something else has its name.
    """
    found = engine.volume(sidecar)
    if found is None:
        engine.create_volume(sidecar, _labels("volume", sidecar, owner), {})
    elif not proof.holds("volume", sidecar, found.labels):
        raise _stranger(f"docker volume rm {sidecar}")


def _stranger(removal: str) -> EngineError:
    return EngineError("something on the engine has the name of the sidecar, and is not realm's", removal)


def _labels(kind: str, sidecar: str, owner: layout.Owner) -> dict[str, str]:
    own = owner._replace(role=ROLE, history="", egress="", id="", session="", run=0, tip="")
    return {**own.labels(proof.home()), **proof.prove(kind, sidecar)}


def start(engine: Engine, sidecar: str, owner: layout.Owner, image: str) -> str:
    """Return the id of the running sidecar, which is created if necessary."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            facts = engine.facts(sidecar)
        except EngineError as error:
            if error.kind != "not found":
                raise
            if _make(engine, sidecar, owner, image):
                engine.start(sidecar)
        else:
            if not proof.holds("container", sidecar, facts.labels):
                raise _stranger(f"docker rm -f {sidecar}")
            state = engine.state(sidecar)
            if state == "running":
                return facts.id
            if state == "exited":
                engine.remove(sidecar)
            else:
                with contextlib.suppress(EngineError):  # its creator starts it, or was killed
                    engine.start(sidecar)
        time.sleep(_STEP)
        if time.monotonic() > deadline:
            raise EngineError("the sidecar that leads to the network does not start", "docker ps -a")


def _make(engine: Engine, sidecar: str, owner: layout.Owner, image: str) -> bool:
    """Create the container; return false if another process has just done so."""
    options = {
        "Image": image,
        "User": f"{_USER}:{_USER}",
        "Labels": _labels("container", sidecar, owner),
        "HostConfig": {
            "Init": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
            "PidsLimit": _PROCESSES,
            "Memory": _MEMORY,
            "MemorySwap": _MEMORY,
            # Nobody but _USER is in there; Podman knows no owner of a tmpfs.
            "Tmpfs": {
                "/run/realm": "mode=1777,size=16m",
                "/run/realm/log": "mode=1777,size=32m",
                "/tmp": "mode=1777,size=16m",  # noqa: S108
            },
            # dnsmasq answers squid at the usual port for DNS.
            "Sysctls": {"net.ipv4.ip_unprivileged_port_start": "0"},
            "LogConfig": {"Type": "none"},
            # A new volume gets its content and owner from the image.
            "Mounts": [{"Type": "volume", "Source": sidecar, "Target": layout.EGRESS}],
        },
    }
    try:
        engine.create(options, sidecar)
    except EngineError as error:
        if error.kind != "conflict":
            raise
        return False
    return True


# -- runs ----------------------------------------------------------------------


def join(
    engine: Engine, sidecar: str, container: str, found: Ticket, given: Sequence[Host],
    make_rules: Callable[[Sequence[Host]], Mapping[str, bytes]], own: Mapping[str, bytes] = {},
) -> None:  # fmt: skip
    """Open the sockets of a run in the running sidecar, whose id is ``container``, with the current rules.

    ``given`` are extra hosts for this run; ``make_rules`` is called with those of all runs.  ``own`` are
    files only for this run, which stay in the sidecar.  Raises ``EngineError``; the sandbox then has no way
    out.
    """
    known = _known(sidecar, container)
    wanted = _merged(known, given)
    files = make_rules(wanted)
    if known.digest == _digest(files):
        _ask(engine, container, ["join", *found], own)
        return
    with locked(sidecar):
        known = _known(sidecar, container)
        wanted = _merged(known, given)
        files = make_rules(wanted)
        _ask(engine, container, ["join", *found], {**files, **own})
        _know(sidecar, _Known(container, _digest(files), tuple(wanted)))


def renew(engine: Engine, sidecar: str, make_rules: Callable[[Sequence[Host]], Mapping[str, bytes]]) -> bool:
    """Give a running sidecar the current rules; return whether they have changed."""
    container = engine.facts(sidecar).id
    with locked(sidecar):
        known = _known(sidecar, container)
        files = make_rules(_merged(known, ()))
        if known.digest == _digest(files):
            return False
        _ask(engine, container, ["renew"], files)
        _know(sidecar, known._replace(digest=_digest(files)))
    return True


def give(engine: Engine, container: str, own: Mapping[str, bytes]) -> None:
    """Replace a run's files in a running sidecar."""
    _ask(engine, container, ["renew"], own)


def hold(engine: Engine, sidecar: str, found: Ticket) -> Attachment:
    """Return the stream of a run's requests to the user's ssh agent, which takes the answers.

    The run must have joined with the file :data:`LENDS` and its token among its own.
    """
    _, sock, begun = engine.begin(sidecar, [*_SCRIPT, "hold", found.token])
    return Attachment(sock, begun, tty=False)


def _ask(engine: Engine, container: str, words: list[str], files: Mapping[str, bytes]) -> None:
    members = [transfer.entry(name, (_USER, _USER), 0o600, data) for name, data in files.items()]
    code = engine.exec(
        container,
        [*_SCRIPT, *words],
        lambda _: None,
        patience=_PATIENCE,
        given=b"".join(transfer.write(members)),
    )
    if code:
        raise EngineError(
            "the sidecar that leads to the network does not work",
            "git config realm.network open runs agents without it; realm doctor looks at the engine",
        )


class _Known(NamedTuple):
    """A sidecar's configuration: its container, the digest of the files, hosts given by runs."""

    container: str
    digest: str = ""
    given: tuple[Host, ...] = ()


def _known(sidecar: str, container: str) -> _Known:
    try:
        value = json.loads((_directory() / f"{sidecar}.json").read_bytes())
        given = tuple(
            Host(str(host), int(port), bool(known), bool(own)) for host, port, known, own in value["given"]
        )
        found = _Known(str(value["container"]), str(value["digest"]), given)
    except (OSError, ValueError, TypeError, KeyError):
        return _Known(container)
    return found if found.container == container else _Known(container)


def _know(sidecar: str, known: _Known) -> None:
    replace(make_private(_directory()) / f"{sidecar}.json", json.dumps(known._asdict()).encode())


def _merged(known: _Known, given: Sequence[Host]) -> list[Host]:
    return sorted({*known.given, *given})


def _digest(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(b"%s %d " % (name.encode(), len(content)) + content)
    return digest.hexdigest()


# -- what was refused ----------------------------------------------------------


def leave(engine: Engine, sidecar: str, found: Ticket) -> list[Refusal]:
    """Close the sockets of a run that has ended.

    Returns the requests that it was refused since the sidecar was started, the most frequent first.
    """
    said: list[bytes] = []
    engine.exec(sidecar, [*_SCRIPT, "leave", *found], said.append, patience=_PATIENCE, limit=_LIMIT)
    counted = (line.split(None, 1) for line in b"".join(said).splitlines())
    return [
        refusal._replace(times=int(parts[0]))
        for parts in counted
        if len(parts) == 2 and parts[0].isdigit() and (refusal := read(parts[1], found)) is not None  # noqa: PLR2004
    ]


def following(found: Ticket) -> list[str]:
    """Return the command, for the sidecar, that prints a run's refusals, past and new, on a line each."""
    return [*_SCRIPT, "follow", found.token, found.address]


def is_stale(line: bytes, found: Ticket) -> bool:
    """Tell whether a line of the sidecar's log says that a git host refused its login for a run."""
    parts = line.decode("ascii", "replace").split()
    return parts[:1] == [found.address] and parts[3:] == [STALE]


def read(line: bytes, found: Ticket) -> Refusal | None:
    """Return the refusal in a line of the sidecar's log; ``None`` when it is not this run's."""
    parts = line.decode("ascii", "replace").split()
    if len(parts) != 4 or parts[0] != found.address or not parts[2].isdigit() or parts[3] == STALE:  # noqa: PLR2004
        return None
    try:
        host = hosts.parse(parts[1].replace("%5B", "").replace("%5D", "")).name
    except ValueError:
        host = UNFIT
    return Refusal(
        host, int(parts[2][:5]), parts[3] if parts[3] in {"address", "private", "login"} else "name"
    )


def spending(found: Ticket) -> list[str]:
    """Return the command, for the sidecar, that prints the cost of a run's answers on a line each."""
    return [*_SCRIPT, "spent", found.token]


def read_spent(line: bytes) -> tuple[str, int] | None:
    """Return the id of an answer, and its tokens; ``None`` for a malformed line."""
    parts = line.decode("ascii", "replace").split()
    known = len(parts) == 2 and len(parts[1]) <= _DIGITS and parts[1].isdecimal()  # noqa: PLR2004
    return (parts[0], int(parts[1])) if known else None


# -- unused ones ----------------------------------------------------


def listed(engine: Engine) -> Iterator[tuple[str, str]]:
    """Yield the running sidecars of this REALM_HOME: their names, and the paths of their projects."""
    for one in _own(engine):
        if one.status == "running":
            yield one.name, layout.owner(one.labels).project


def _own(engine: Engine) -> Iterator[Listed]:
    """Yield the sidecars of this REALM_HOME: other containers may have their names and labels."""
    for one in engine.containers(f"{layout.ROLE}={ROLE}", f"{layout.REALM_HOME}={proof.home()}"):
        if proof.holds("container", one.name, one.labels):
            yield one


def sweep(engine: Engine) -> None:
    """Remove this REALM_HOME's sidecars and their volumes that no sandbox uses.

    A volume stays as long as an ended sandbox has it.
    """
    wanted = (f"{layout.ROLE}={ROLE}", f"{layout.REALM_HOME}={proof.home()}")
    volumes = {one.name for one in engine.volumes(*wanted) if proof.holds("volume", one.name, one.labels)}
    # A sidecar whose creation was cut off has only a lock.
    locked = {path.stem for path in _directory().glob("*.use")}
    if not volumes | locked:
        return
    used = _used(engine)
    for sidecar in (volumes | locked) - used:
        with contextlib.suppress(EngineError, OSError):
            _remove(engine, sidecar, exists=sidecar in volumes)


def _used(engine: Engine) -> set[str]:
    return {
        one.labels.get(layout.SIDECAR, "")
        for one in engine.containers(layout.SIDECAR)
        if one.status not in {"exited", "dead", "removing"}
    }


def _remove(engine: Engine, sidecar: str, *, exists: bool) -> None:
    # Another process that looks at it now may have seen a sandbox that has ended since.
    with locked(f"{sidecar}-removal"):
        handle = _open(sidecar)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if sidecar in _used(engine):
                return
            if exists:
                for one in _own(engine):
                    if one.name == sidecar:
                        engine.remove(one.id)
                engine.remove_volume(sidecar)
                (_directory() / f"{sidecar}.json").unlink(missing_ok=True)
            (_directory() / f"{sidecar}.use").unlink(missing_ok=True)
        except BlockingIOError:
            return
        finally:
            os.close(handle)
