"""Names that are not allowed are never resolved; names that are allowed may not lead to private addresses."""

from __future__ import annotations

import errno
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import pytest

from realm import hosts
from realm.config import Config
from realm.sandbox import docker, layout
from realm.sandbox.egress import image, rules, sidecar
from realm.sandbox.egress.ticket import ticket
from realm.session import images
from tests.support import engines
from tests.support.web import Web

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.engine


class Names:
    """A DNS server at the gateway's address, which answers from ``known`` and notes the questions."""

    def __init__(self, known: dict[str, list[str]]) -> None:
        self.known = known
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._bind()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _bind(self) -> None:
        deadline = time.monotonic() + 200
        while True:
            try:
                return self._socket.bind((engines.gateway(), 53))
            except OSError as error:
                # Another test, beside this one, may have it for a while.
                if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                    self._socket.close()
                    pytest.skip(f"no server of names can be started: {error.strerror}")
            time.sleep(0.2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A thread that waits at a closed socket would keep its port.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._socket.getsockname())
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            query, sender = self._socket.recvfrom(4096)
            if not query:
                return
            name, kind = _question(query)
            self.asked.append(name)
            listed = self.known.get(name, [])
            # Another answer each time, where there are several: as who rebinds does.
            found = listed.pop(0) if len(listed) > 1 else next(iter(listed), "")
            answer = b""
            if found and kind == 1:
                answer = struct.pack(">HHHIH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton(found)
            head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, bool(answer), 0, 0)
            end = query.index(b"\0", 12) + 5
            self._socket.sendto(head + query[12:end] + answer, sender)


def _question(query: bytes) -> tuple[str, int]:
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace"))
        at += query[at] + 1
    return ".".join(labels).lower(), int.from_bytes(query[at + 1 : at + 3], "big")


class Asking:
    """A sidecar whose names come from the test's server, and a run that asks it from within."""

    def __init__(self, engine: docker.Engine, place: Path, allowed: list[str]) -> None:
        self.engine = engine
        owner = layout.Owner("test", "x", 1, str(place), "0" * 40, 5)
        self.ticket = ticket(owner)
        made_of = image.ensure(engine, images.inputs(Config()), _quiet)
        self.name = sidecar.name(owner.project, made_of)
        sidecar.prepare(engine, self.name, owner)
        container = sidecar.start(engine, self.name, owner, made_of)
        files = rules.files([hosts.parse(word) for word in allowed])
        sidecar.join(engine, self.name, container, self.ticket, (), lambda _: files)

    def connect(self, target: str) -> str:
        """Return the status of ``CONNECT target``."""
        said: list[bytes] = []
        script = (
            f"printf 'CONNECT {target} HTTP/1.1\\r\\n\\r\\n' | socat -t 5 - "
            f"UNIX-CONNECT:{self.ticket.directory}/proxy | head -n 1"
        )
        self.engine.exec(self.name, ["sh", "-c", script], said.append, patience=30)
        return b"".join(said).decode().partition(" ")[2][:3]


class _quiet:  # noqa: N801 - a function's stand-in
    def __init__(self, _: str) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[docker.Engine]:
    with docker.connect() as found:
        create = found.create

        def with_names(options: Mapping[str, Any], name: str | None = None) -> str:
            host = {**options["HostConfig"], "Dns": [engines.gateway()]}
            return create({**options, "HostConfig": host}, name)

        monkeypatch.setattr(found, "create", with_names)
        yield found


def test_names(engine: docker.Engine, tmp_path: Path) -> None:
    with Web() as web, Names({}) as names:
        port = web.host.partition(":")[2]
        private = ["10.0.0.5", "127.0.0.1", "169.254.169.254", "192.168.3.4", engines.gateway(), "0.0.0.0"]  # noqa: S104
        known = {f"leads{n}.example": [address] for n, address in enumerate(private)}
        names.known = {**known, "turns.example": ["203.0.113.1", *[engines.gateway()] * 500]}
        asking = Asking(engine, tmp_path, [f"{name}:{port}" for name in names.known])
        try:
            # What is not allowed is not asked for, so nothing can be told in a name.
            for name in ("secret-of-the-project.evil.example", "leads0.example.evil", "xleads0.example"):
                assert asking.connect(f"{name}:{port}") == "403"
            # Of its own address squid asks at its start.
            assert not [name for name in names.asked if not name.endswith(".in-addr.arpa")]
            for n in range(len(private)):
                assert asking.connect(f"leads{n}.example:{port}") in {"403", "500", "503"}
            assert "leads0.example" in names.asked
            for _ in range(30):
                assert asking.connect(f"turns.example:{port}") != "200"
            assert not web.asked
            why = {(one.host, one.why) for one in sidecar.leave(engine, asking.name, asking.ticket)}
            assert ("xleads0.example", "name") in why
        finally:
            engine.remove(asking.name)
            engine.remove_volume(asking.name)
