"""A gateway on this machine, as containers ask it."""

from __future__ import annotations

import socket

from realm.agents.gateway import from_outside
from realm.hosts import is_here


def test_a_server_of_this_machine_is_asked_at_the_address_that_others_have() -> None:
    with socket.create_server(("0.0.0.0", 0)) as everywhere, socket.create_server(("127.0.0.1", 0)) as here:  # noqa: S104
        open_, closed = (server.getsockname()[1] for server in (everywhere, here))
        found = from_outside(f"http://localhost:{open_}/v1?a=b")
        assert not is_here(found)
        assert found.endswith(f":{open_}/v1?a=b")
        for kept in (
            f"http://127.0.0.1:{closed}",
            f"https://localhost:{open_}",
            f"http://me:mine@localhost:{open_}",
            f"http://example.com:{open_}",
            "http://localhost:999999",
        ):
            assert from_outside(kept) == kept
