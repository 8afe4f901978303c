from __future__ import annotations

import io
import json
import tarfile
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

import pytest

from realm.errors import EngineError
from realm.paths import realm_home
from realm.sandbox import transfer, workspace
from realm.sandbox.answers import Volume
from realm.sandbox.docker import Engine
from realm.sandbox.endpoint import Endpoint
from realm.sandbox.layout import Owner
from realm.sandbox.spec import SandboxSpec
from realm.sandbox.spec import Volumes as Owned
from realm.sandbox.trouble import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable
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


NO_QUOTA = "create sandbox-upper: quota size requested but no quota support"


class Limiting:
    """An engine with ``free`` bytes that refuses limits of volumes with ``refusal``, if that is given."""

    def __init__(self, free: int | None = None, refusal: str = "", *, is_podman: bool = False) -> None:
        self.endpoint = Endpoint("unix:///nowhere.sock", "default")
        self.is_podman = is_podman
        self.options: dict[str, dict[str, str]] = {}
        self.asked = 0
        self._free, self._refusal = free, refusal

    def free(self) -> int | None:
        return self._free

    def create_volume(self, name: str, _: object, options: dict[str, str]) -> str:
        self.asked += 1
        if "size" in options and self._refusal:
            raise refusal(500, self._refusal)
        self.options[name] = options
        return f"/volumes/{name}/_data"

    def create(self, options: dict[str, Any], name: str) -> str:
        mounts = [mount["Source"] for mount in options["HostConfig"]["Mounts"]]
        self.options[name] = {"mounts": " ".join(mounts)}
        return name

    def put(self, container: str, _: str, archive: Iterable[bytes]) -> None:
        assert container in self.options
        with tarfile.open(fileobj=io.BytesIO(b"".join(archive))) as found:
            self.options[container]["holds"] = " ".join(found.getnames())

    def remove(self, name: str) -> None:
        self.options[f"was {name}"] = self.options.pop(name)

    def remove_volume(self, name: str) -> None:
        self.options.pop(name, None)


def _limited(
    engine: Limiting, monkeypatch: pytest.MonkeyPatch, size: int | None, how: str = "plain"
) -> Owned:
    monkeypatch.setattr(workspace, "find_base", lambda *_: workspace.Base("b", "/volumes/b/_data", "a" * 40))
    spec = SPEC._replace(workspace_size=size, volumes=how)
    return workspace.make(cast("Engine", engine), spec, "sandbox", CHECKOUT)


def _cannot(engine: Limiting, what: str) -> bool:
    return workspace.has_failed(cast("Engine", engine), what)


GIB = 1 << 30


@pytest.mark.parametrize(
    ("wanted", "free", "size"),
    [(None, None, 64 * GIB), (None, 10 * GIB, 5 * GIB), (None, 900 * GIB, 64 * GIB), (7 * GIB, GIB, 7 * GIB)],
)
def test_a_workspace_is_limited_where_the_engine_can(
    wanted: int | None, free: int | None, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Limiting(free)
    made = _limited(engine, monkeypatch, wanted)
    assert (made.size, engine.options) == (size, {"sandbox-work": {"size": str(size)}})


def test_an_overlay_is_limited_by_one_volume_for_both_its_directories(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Limiting()
    made = _limited(engine, monkeypatch, GIB, "overlay")
    assert (made.size, made.others, made.base) == (GIB, ("sandbox-upper",), "b")
    upper = "/volumes/sandbox-upper/_data"
    assert engine.options.pop("sandbox-work")["o"] == (
        f"lowerdir=/volumes/b/_data,upperdir={upper}/upper,workdir={upper}/work,redirect_dir=on"
    )
    assert engine.options == {
        "sandbox-upper": {"size": str(GIB)},
        "was sandbox-upper-halves": {"mounts": "sandbox-upper", "holds": "upper work"},
    }


@pytest.mark.parametrize("how", ["plain", "overlay"])
@pytest.mark.parametrize(
    "message", [NO_QUOTA, 'create sandbox-work: invalid option: "size"', "what is a size?"]
)
def test_an_engine_without_limits_is_asked_once(
    how: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Limiting(refusal=message)
    unlimited = {"plain": ((), 1), "overlay": (("sandbox-upper", "sandbox-scratch"), 4)}[how]
    made = _limited(engine, monkeypatch, None, how)
    assert (made.size, (made.others, engine.asked)) == (0, unlimited)
    assert (_cannot(engine, "overlay"), _cannot(engine, "quota")) == (False, True)
    again = _limited(engine, monkeypatch, None, how)
    assert (again, engine.asked) == (made, 2 * unlimited[1] - 1)


@pytest.mark.parametrize("engine", [Limiting(refusal=NO_QUOTA), Limiting(is_podman=True)])
def test_a_limit_that_the_user_wants_is_never_left_out(
    engine: Limiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineError, match="cannot limit the size of a volume") as refused:
        _limited(engine, monkeypatch, GIB, "auto")
    assert "pquota" in refused.value.hint
    assert (engine.options, _cannot(engine, "quota")) == ({}, False)


def test_what_an_engine_cannot_do_is_noted_beside_what_else_it_cannot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Limiting(refusal=NO_QUOTA)
    _limited(engine, monkeypatch, None)
    workspace.note_failure(cast("Engine", engine), refusal(500, MOUNT + "invalid argument"))
    assert _cannot(engine, "overlay")
    assert _cannot(engine, "quota")


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
