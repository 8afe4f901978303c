from __future__ import annotations

import socket

import pytest

from realm.session.control import Call


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ([40, 120], (40, 120)),
        (None, None), ([], None), ([40], None), ([40, 120, 1], None), ([0, 80], None), ([24, -1], None),
        (["40", "120"], None), ([40.5, 120.0], None), ("ab", None), ({"rows": 1}, None), (7, None),
        ([10**9, 10**9], None),
    ],
)  # fmt: skip
def test_only_a_size_that_a_terminal_can_have_is_taken(size: object, wanted: tuple[int, int] | None) -> None:
    with socket.socket() as connection:
        assert Call(connection, {"op": "attach", "size": size}).size() == wanted
