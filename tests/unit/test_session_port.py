"""What joins a connection with a server in a container, run here with this machine's shell."""

from __future__ import annotations

import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from realm.session.port import RELAY

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def joined(seconds: float) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """Give a client's side, as the pipes of a process, and the server's side of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [*RELAY, str(listener.getsockname()[1]), str(seconds)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
            served, _ = listener.accept()
            with served:
                yield client, served
            client.kill()


def test_what_each_says_reaches_the_other() -> None:
    with joined(60) as (client, served):
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"a question")
        client.stdin.flush()
        assert served.recv(99) == b"a question"
        client.stdin.close()
        served.sendall(b"an answer")
        assert client.stdout.read(9) == b"an answer"
        served.shutdown(socket.SHUT_RDWR)
        assert client.wait(30) == 0


def test_a_client_that_has_gone_is_not_kept_by_a_server_that_stays() -> None:
    with joined(0.2) as (client, served):
        assert client.stdin is not None
        client.stdin.close()
        assert client.wait(30) == 0
        assert served.recv(1) == b""
