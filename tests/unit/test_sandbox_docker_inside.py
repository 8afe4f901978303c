from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from realm.errors import EngineError, UsageError
from realm.sandbox import docker_inside, flags, lookup
from realm.sandbox.answers import Machine
from realm.sandbox.flags import DockerArgs
from realm.sandbox.layout import Owner
from realm.sandbox.spec import SandboxSpec, Volumes, create_options
from realm.session import images
from realm.session.run import Network

_OWNER = Owner("1", "s", 1, "/p", "a" * 40, 0)


def _options(mapper_image: str, **environment: str) -> dict[str, Any]:
    wanted = SandboxSpec(
        "image", ("run",), 501, 20, "/workspace/p", _OWNER, mapper_image=mapper_image, environment=environment
    )
    return create_options(wanted, Volumes("s", "w"), {})


def test_a_sandbox_with_an_engine_gives_up_what_that_needs_and_no_more() -> None:
    plain, loose = _options("")["HostConfig"], _options("sidecar")["HostConfig"]
    changed = {key for key in {*plain, *loose} if plain.get(key) != loose.get(key)}
    assert changed == {"SecurityOpt", "MaskedPaths", "ReadonlyPaths"}
    assert (loose["CapDrop"], loose["MaskedPaths"], loose["ReadonlyPaths"]) == (["ALL"], [], [])
    first, seccomp, last = loose["SecurityOpt"]
    assert (first, last) == ("no-new-privileges", "apparmor=unconfined")
    rules = json.loads(seccomp.removeprefix("seccomp="))["syscalls"]
    refused = {name for rule in rules if "args" not in rule for name in rule["names"]}
    assert refused >= {"bpf", "keyctl", "add_key", "kexec_load", "init_module", "io_uring_setup", "reboot"}
    assert not refused & {"unshare", "mount", "setns", "clone", "pivot_root", "umount2"}
    assert all(rule["action"] == "SCMP_ACT_ERRNO" for rule in rules)


def test_programs_find_the_engine_and_what_the_user_says_counts() -> None:
    made = _options("sidecar", TESTCONTAINERS_HOST_OVERRIDE="elsewhere")["Env"]
    assert "DOCKER_HOST=unix:///realm/docker/docker.sock" in made
    assert "TESTCONTAINERS_HOST_OVERRIDE=elsewhere" in made
    assert not any(line.startswith("DOCKER_HOST=") for line in _options("")["Env"])


class _Engine:
    """Notes what containers are made of, or refuses to; tells of them and removes them."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.made: list[Any] = []
        self.started: list[str] = []
        self._refuses = refuses

    def create(self, options: dict[str, Any], name: str) -> str:
        if self._refuses:
            raise EngineError("no")
        self.made.append(options | {"name": name})
        return "mapper"

    def start(self, container: str) -> None:
        self.started.append(container)

    def volumes(self, *_: str) -> list[Any]:
        return []

    def containers(self, *labels: str) -> list[Any]:
        return [
            SimpleNamespace(id="mapper", name=made["name"], labels=made["Labels"], status="created")
            for made in self.made
            if set(labels) <= {f"{key}={text}" for key, text in made["Labels"].items()}
        ]

    def remove(self, _: str) -> None:
        self.made.clear()


def test_who_maps_users_has_two_capabilities_and_nothing_else() -> None:
    engine: Any = _Engine()
    docker_inside.map_users(engine, "sandbox", "sidecar", "501:20", _OWNER)
    (made,) = engine.made
    host = made["HostConfig"]
    assert engine.started == ["mapper"]
    assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], ["SETUID", "SETGID"])
    assert (host["PidMode"], host["NetworkMode"], host["Mounts"]) == ("container:sandbox", "none", [])
    assert host["ReadonlyRootfs"]
    assert host["AutoRemove"]
    assert "Privileged" not in host
    assert made["Entrypoint"][:3] == ["setpriv", "--reuid=501", "--regid=20"]
    assert int(made["Cmd"][2]) > 1 << 30


def test_who_maps_users_is_found_again_where_it_was_never_started() -> None:
    engine: Any = _Engine()
    docker_inside.map_users(engine, "sandbox", "sidecar", "501:20", _OWNER)
    lookup.clear(engine, "another")
    assert engine.made
    lookup.clear(engine, _OWNER.id)
    assert not engine.made


def test_who_cannot_be_started_to_map_them_leaves_that_to_the_sandbox_to_say() -> None:
    engine: Any = _Engine(refuses=True)
    docker_inside.map_users(engine, "sandbox", "sidecar", "501:20", _OWNER)
    assert engine.started == []


@pytest.mark.parametrize(
    ("options", "maps"),
    [
        ([], False),
        (["name=seccomp"], False),
        (["name=rootless"], True),
        (["name=userns"], True),
    ],
)
def test_engines_whose_users_are_others_are_known(options: list[str], maps: bool) -> None:
    assert Machine.of({"SecurityOptions": options}).maps_users is maps


@pytest.mark.parametrize(("podman", "maps"), [(True, False), (False, True)])
def test_an_engine_that_is_no_ground_for_it_is_refused_before_anything_is_built(
    podman: bool, maps: bool
) -> None:
    machine = Machine(1, 1, limits_cpus=True, maps_users=maps)
    engine: Any = SimpleNamespace(is_podman=podman, machine=lambda: machine)
    plan: Any = SimpleNamespace(
        config=SimpleNamespace(value=lambda _: "rootless"), network=Network("allow"), args=DockerArgs()
    )
    with pytest.raises(EngineError, match="runs as root without user remapping"):
        images.ensure(engine, plan, None, ui=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given", ["--user 0", "--user root:1000", "--security-opt no-new-privileges:false", "--privileged"]
)
def test_root_has_no_engine_of_its_own(given: str) -> None:
    """Without masks over /proc root writes core_pattern, a program that the machine's kernel runs as root."""
    plan: Any = SimpleNamespace(
        config=SimpleNamespace(value=lambda _: "rootless"), network=Network("allow"),
        args=flags.parse(given),
    )  # fmt: skip
    with pytest.raises(UsageError, match=f"docker flag {given} is a way to root"):
        images.ensure(None, plan, None, ui=None)  # type: ignore[arg-type]
