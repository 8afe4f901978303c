from __future__ import annotations

from contextlib import nullcontext

import pytest

from realm.errors import EngineError
from realm.sandbox import workspace
from realm.sandbox.docker import Engine
from realm.sandbox.endpoint import Endpoint
from realm.sandbox.layout import Owner
from realm.sandbox.spec import SandboxSpec
from realm.sandbox.trouble import refusal

PLACE = "/var/lib/docker/volumes/realm-x-1-0a1b2c3d"
MOUNT = (
    f"failed to mount local volume: mount overlay:{PLACE}-work/_data, data: "
    f"lowerdir=/var/lib/docker/volumes/realm-base-0a1b2c3d4e5f/_data,upperdir={PLACE}-upper/_data,"
    f"workdir={PLACE}-scratch/_data: "
)
SPEC = SandboxSpec(
    image="x",
    command=("run",),
    uid=1,
    gid=1,
    workspace="/workspace/x",
    owner=Owner("1", "s", 1, "/p", "a" * 40, 0),
    files=1000,
    volumes="auto",
)

CHECKOUT = workspace.Checkout("a" * 40, "key", "/place", [], lambda _: True, lambda _: nullcontext())


@pytest.mark.parametrize(
    ("message", "forbids"),
    [
        (MOUNT + "invalid argument", True),
        (MOUNT + "operation not permitted", True),
        (MOUNT + "no such device", True),
        ('create realm-x-work: invalid option: "device"', True),
        (MOUNT + "no space left on device", False),
        (MOUNT + "cannot allocate memory", False),
        ("No such image: x", False),
        ("Conflict. The container name is already in use", False),
        ("driver failed programming external connectivity: port is already allocated", False),
        ("error creating overlay mount to /var/lib/docker/overlay2/0a1b/merged: invalid argument", False),
    ],
)
def test_only_what_speaks_of_overlay_volumes_is_remembered(
    message: str, forbids: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(Endpoint("unix:///nowhere.sock", "default"))

    def refuse(*_: object) -> None:
        raise refusal(500, message)

    monkeypatch.setattr(workspace, "find_base", refuse)
    assert workspace.make(engine, SPEC, "sandbox", CHECKOUT) == workspace.plain("sandbox")
    assert workspace.has_failed(engine) == forbids
    assert workspace.wants_overlay(engine, SPEC) != forbids
    with pytest.raises(EngineError):
        workspace.make(engine, SPEC._replace(volumes="overlay"), "sandbox", CHECKOUT)


def test_a_project_that_cannot_be_checked_out_says_nothing_of_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine(Endpoint("unix:///nowhere.sock", "default"))

    def fail(*_: object) -> None:
        raise EngineError("the project could not be checked out into a base volume (exit code 1)")

    monkeypatch.setattr(workspace, "find_base", lambda *_: None)
    monkeypatch.setattr(workspace, "make_base", fail)
    assert workspace.make(engine, SPEC, "sandbox", CHECKOUT) == workspace.plain("sandbox")
    assert not workspace.has_failed(engine)
