"""``python -m tests.bench.bare CONTAINER``: the least that a relay in Python can do.

Attaches to a container that was made and not started, starts it, and carries
bytes both ways with ``select``, ``os.read`` and ``os.write`` alone: what is read
is written at once, and while a reader is slow everything waits.  With
``--only-read`` just the output's beginning and end are written.
"""

from __future__ import annotations

import os
import select
import sys
import tty

from realm.sandbox import docker

_SIZE, _SHORT = 65536, 16


def main(container: str, *, only_read: bool = False) -> None:
    connection = docker.connect()
    sandbox, begun = connection.attach(container)
    sandbox.setblocking(True)
    tty.setraw(0)
    connection.start(container)
    write_all(1, begun)
    carry(sandbox.fileno(), only_read=only_read)


def carry(sandbox: int, *, only_read: bool) -> None:
    """Relay between ``sandbox`` and standard input and output until the sandbox ends."""
    while True:
        readable, _, _ = select.select([sandbox, 0], [], [])
        if 0 in readable:
            write_all(sandbox, os.read(0, _SIZE))
        if sandbox in readable:
            data = os.read(sandbox, _SIZE)
            if not data:
                return
            write_all(1, data[-_SHORT:] if only_read else data)


def write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


if __name__ == "__main__":
    main(sys.argv[1], only_read="--only-read" in sys.argv)
