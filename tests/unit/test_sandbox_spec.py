from __future__ import annotations

from typing import Any

import pytest

from realm.sandbox import layout
from realm.sandbox.answers import Machine
from realm.sandbox.flags import parse
from realm.sandbox.layout import Owner
from realm.sandbox.spec import SandboxSpec, Volumes, create_options, limited, secrets, trusting

VOLUMES = Volumes("s", "w")


def _spec(**changes: Any) -> SandboxSpec:
    made = SandboxSpec(
        image="realm:latest", command=("run", "claude"), uid=501, gid=20, workspace="/workspace/p",
        environment={"REALM_TIP": "a" * 40}, owner=Owner("1", "s", 1, "/p", "a" * 40, 0),
    )  # fmt: skip
    return made._replace(**changes)


def _host(text: str = "", **changes: Any) -> dict[str, Any]:
    host: dict[str, Any] = create_options(_spec(args=parse(text), **changes), VOLUMES, {})["HostConfig"]
    return host


def test_all_programs_trust_what_the_image_says_but_those_that_it_tells_otherwise() -> None:
    found = trusting({"SSL_CERT_FILE": "/all", "PIP_CERT": "/some"})
    assert found["REQUESTS_CA_BUNDLE"] == "/all"
    assert (found["SSL_CERT_FILE"], "PIP_CERT" in found) == ("/all", False)
    assert trusting({"PATH": "/bin"}) == {}
    found = trusting({"SSL_CERT_FILE": "/image", "PIP_CERT": "/some"}, is_more=True)
    assert (found["SSL_CERT_FILE"], "PIP_CERT" in found) == (layout.TRUSTED, False)
    assert found["REALM_IMAGE_AUTHORITIES"] == "/image"
    assert set(trusting({}, is_more=True).values()) == {layout.TRUSTED}


def test_sandbox_is_hardened() -> None:
    host = _host()
    assert (host["CapDrop"], host["SecurityOpt"], host["ReadonlyRootfs"], host["Init"], host["PidsLimit"]) == (  # noqa: E501
        ["ALL"], ["no-new-privileges"], True, True, 4096,
    )  # fmt: skip
    assert host["Tmpfs"] == dict.fromkeys(("/tmp", "/var/tmp"), "rw,exec,nosuid,nodev,mode=1777")
    assert host["LogConfig"] == {"Type": "none"}
    assert not any(mount["Type"] == "bind" for mount in host["Mounts"])


def test_only_volumes_are_mounted_and_those_of_others_read_only() -> None:
    mounts = _host(history="realm-history-1")["Mounts"]
    assert {mount["Type"] for mount in mounts} == {"volume"}
    shared = [(mount["Source"], mount["Target"]) for mount in mounts if mount.get("ReadOnly")]
    assert shared == [("realm-history-1", "/history")]


def test_entry_script_runs_the_command_as_the_user() -> None:
    made = create_options(_spec(tty=True, hostname="ünder_score."), VOLUMES, {})
    assert (made["Entrypoint"], made["Cmd"], made["User"]) == (
        ["/bin/sh", "/realm/entry"],
        ["run", "claude"],
        "501:20",
    )
    assert (made["Tty"], made["OpenStdin"], made["StdinOnce"], made["Hostname"]) == (
        True,
        True,
        True,
        "nder-score",
    )


@pytest.mark.parametrize(("network", "mode"), [("open", "realm-open"), ("none", "none")])
def test_network_policy(network: str, mode: str | None) -> None:
    assert _host(network=network).get("NetworkMode") == mode


def test_without_a_network_it_knows_its_own_name() -> None:
    assert _host("-h box --add-host a:1.2.3.4", network="none")["ExtraHosts"] == [
        "a:1.2.3.4",
        "box:127.0.0.1",
    ]
    assert "ExtraHosts" not in _host(hostname="box", network="open")


GIB = 1 << 30


@pytest.mark.parametrize(
    ("machine", "memory", "cpus"),
    [
        (Machine(8 * GIB, 4, limits_cpus=True), 6 * GIB, 3),
        (Machine(64 * GIB, 2, limits_cpus=True), 16 * GIB, 0),
        (Machine(8 * GIB, 4, limits_cpus=False), 6 * GIB, 0),
        (Machine(0, 0, limits_cpus=True), 0, 0),
    ],
)
def test_limits_that_are_left_open_suit_the_machine(machine: Machine, memory: int, cpus: int) -> None:
    found = limited(_spec(memory=None, cpus=None), machine)
    assert (found.memory, found.cpus) == (memory, cpus)
    chosen = limited(_spec(memory=0, cpus=1.5), machine)
    assert (chosen.memory, chosen.cpus) == (0, 1.5)


def test_a_ulimit_of_the_users_takes_the_place_of_the_sandboxes_own() -> None:
    made = create_options(_spec(args=parse("--ulimit nofile=10:20 --ulimit core=5")), VOLUMES, {})
    limits = [(limit["Name"], limit["Hard"]) for limit in made["HostConfig"]["Ulimits"]]
    assert limits == [("nofile", 20), ("core", 5)]
    assert "REALM_OPEN_FILES=" in made["Env"]
    assert "REALM_OPEN_FILES=65536" in create_options(_spec(), VOLUMES, {})["Env"]


def test_memory_limit_has_no_swap_besides() -> None:
    host = _host(memory=2 << 30)
    assert (host["Memory"], host["MemorySwap"]) == (2 << 30, 2 << 30)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("--memory 1g", "Memory", 1 << 30),
        ("--cpus 1.5", "NanoCpus", 1_500_000_000),
        ("--pids-limit 10", "PidsLimit", 10),
        ("--shm-size 64m", "ShmSize", 64 << 20),
        ("--network mine", "NetworkMode", "mine"),
        ("--add-host a:1.2.3.4", "ExtraHosts", ["a:1.2.3.4"]),
        ("--dns 1.1.1.1 --dns 8.8.8.8", "Dns", ["1.1.1.1", "8.8.8.8"]),
        ("--cap-add NET_RAW", "CapAdd", ["NET_RAW"]),
        ("--security-opt label=disable", "SecurityOpt", ["no-new-privileges", "label=disable"]),
        ("--security-opt systempaths=unconfined", "MaskedPaths", []),
        ("--security-opt systempaths=unconfined", "ReadonlyPaths", []),
        ("--security-opt systempaths=unconfined", "SecurityOpt", ["no-new-privileges"]),
        ("--gpus all", "DeviceRequests", [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]),
        ("--gpus '\"device=0,2\"'", "DeviceRequests",
         [{"Driver": "", "DeviceIDs": ["0", "2"], "Capabilities": [["gpu"]]}]),
        ("--device /dev/fuse", "Devices",
         [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"}]),
        ("--device /dev/a:/dev/b:r", "Devices",
         [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"}]),
        ("--runtime runsc", "Runtime", "runsc"),
        ("-p 127.0.0.1:8080:80", "PortBindings", {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}),
        ("-p 53/udp", "PortBindings", {"53/udp": [{"HostIp": "", "HostPort": ""}]}),
        ("-v /a:/b:ro -v cache:/c", "Binds", ["/a:/b:ro", "cache:/c"]),
    ],
)  # fmt: skip
def test_docker_flags_have_the_last_word(text: str, key: str, value: object) -> None:
    assert _host(text)[key] == value


def test_mounts_are_added_to_the_sandboxes_own() -> None:
    added = _host("--mount type=bind,source=/a,target=/b,readonly --mount type=tmpfs,dst=/t,tmpfs-size=1m")[
        "Mounts"
    ][2:]
    assert added == [
        {"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True},
        {
            "Type": "tmpfs",
            "Source": "",
            "Target": "/t",
            "ReadOnly": False,
            "TmpfsOptions": {"SizeBytes": 1 << 20},
        },
    ]


def test_labels_of_realm_cannot_be_taken() -> None:
    args = parse("--label realm.id=other --label mine=1 --label realm.workspace-size=5")
    for size in (0, 7):  # without a limit, too, the label is there: the image could have one
        made = create_options(_spec(args=args), VOLUMES._replace(size=size), {"": {"realm.id": "1"}})
        assert made["Labels"] == {"realm.id": "1", "mine": "1", "realm.workspace-size": str(size)}


def test_of_flags_that_have_one_value_the_last_counts() -> None:
    host = _host("--privileged --memory 1g --privileged=false --memory 2g")
    assert ("Privileged" in host, host["CapDrop"], host["Memory"]) == (False, ["ALL"], 2 << 30)


def test_privileged_lifts_what_it_lifts_with_docker() -> None:
    host = _host("--privileged")
    assert (host["Privileged"], host["CapDrop"], host["SecurityOpt"]) == (True, [], [])


def test_values_of_flags_are_not_in_the_environment() -> None:
    made = create_options(_spec(args=parse("-e TOKEN=precious")), VOLUMES, {})
    assert "precious" not in str(made)


def test_secrets_are_quoted_for_the_shell() -> None:
    assert secrets({"A": "x'y $(id)\n"}) == b"export A='x'\"'\"'y $(id)\n'\n"
