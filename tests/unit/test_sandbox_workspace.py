from __future__ import annotations

import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, cast

import pytest

from realm.errors import EngineError
from realm.paths import realm_home
from realm.sandbox import transfer, workspace
from realm.sandbox.answers import Volume
from realm.sandbox.docker import Engine
from realm.sandbox.endpoint import Endpoint
from realm.sandbox.layout import Owner
from realm.sandbox.spec import SandboxSpec
from realm.sandbox.trouble import refusal

if TYPE_CHECKING:
    from pathlib import Path

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


class Volumes:
    """An engine with volumes alone."""

    def __init__(self, *volumes: Volume) -> None:
        self.endpoint = Endpoint("unix:///nowhere.sock", "default")
        self.all = {volume.name: volume for volume in volumes}

    def volume(self, name: str) -> Volume | None:
        return self.all.get(name)

    def volumes(self, *_: str) -> list[Volume]:
        return list(self.all.values())

    def remove_volume(self, name: str) -> None:
        del self.all[name]


def test_a_base_stays_as_long_as_a_workspace_without_a_container_lies_on_it(tmp_path: Path) -> None:
    options = f"lowerdir={PLACE}-base/_data,upperdir={PLACE}-upper/_data,workdir={PLACE}-scratch/_data"
    engine = Volumes(
        Volume("base", f"{PLACE}-base/_data", {}),
        Volume("other", f"{PLACE}-base/_data2", {}),
        Volume("x-work", "", {}, {"type": "overlay", "o": options}),
    )
    bases = realm_home() / "bases"
    bases.mkdir(parents=True)
    for name in ("base", "other"):
        known = {
            "name": name, "engine": engine.endpoint.url, "use": "u", "place": str(tmp_path / "gone"),
            "tip": "a" * 40, "made": 0.0,
        }  # fmt: skip
        (bases / name).write_text(json.dumps(known))
    workspace.prune(cast("Engine", engine))
    assert list(engine.all) == ["base", "x-work"]
    engine.remove_volume("x-work")
    workspace.prune(cast("Engine", engine))
    assert list(engine.all) == []


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (0, "realm.setup failed, and printed nothing"),
        (4, "realm.setup failed:\nxxxx"),
        (9 * 1024**2, "realm.setup failed:\nits output is too long to be shown"),
    ],
)
def test_a_command_that_fails_is_told_with_what_it_printed(
    size: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = b"".join(transfer.write([transfer.entry("setup", (1, 1), 0o644, b"x" * size)]))
    engine = Engine(Endpoint("unix:///nonexistent.sock", "default"))
    monkeypatch.setattr(engine, "get", lambda *_: nullcontext(iter([archive])))
    assert workspace._not_set_up(engine, "made").message == told
