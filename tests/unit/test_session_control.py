from __future__ import annotations

import os
import socket
import threading
import time

import pytest

from realm.errors import RunningError
from realm.model import Session
from realm.session import control, stop
from realm.session.control import Call, Control
from realm.session.lock import RunLock

SESSION = Session("5e555e55-0000-4000-8000-5e555e555e51", "mine", "/p", "/workspace/p", "0" * 40, 1.0)


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


def test_a_holder_that_was_stopped_is_named_with_the_way_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PATIENCE", 0.05)
    with RunLock(SESSION.id, "mine", 1), Control(SESSION.id):
        for _ in range(20):  # more than may wait there
            with pytest.raises(
                RunningError, match=f"process {os.getpid()}, which has mine in hand"
            ) as silent:
                control.ask(SESSION, {"op": "stop"})
            assert f"kill -CONT {os.getpid()}" in silent.value.hint
    assert control.ask(SESSION, {"op": "stop"}) is None


def test_stopping_waits_for_a_holder_that_just_begins_or_ends() -> None:
    def hold() -> None:
        with RunLock(SESSION.id, "mine", 1):
            held.set()
            time.sleep(0.2)
            with Control(SESSION.id) as here:
                while (call := here.call()) is None:
                    time.sleep(0.01)
                called.append(call.request["op"])
                call.answer({"ok": True})
                call.close()
            time.sleep(0.2)

    held, called = threading.Event(), list[str]()
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    began = time.monotonic()
    assert stop._told(SESSION)
    assert time.monotonic() - began > 0.3
    assert called == ["stop"]
    assert not stop._told(SESSION)
    thread.join()
