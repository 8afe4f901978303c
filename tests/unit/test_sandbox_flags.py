from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis import strategies

from realm.errors import UsageError
from realm.sandbox import flags
from realm.sandbox.flags import DockerArgs, parse

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("", ()),
        ("  ", ()),
        ("-v /a:/b", (("volume", "/a:/b"),)),
        ("-v=/a:/b", (("volume", "/a:/b"),)),
        ("-v/a:/b", (("volume", "/a:/b"),)),
        ("--volume /a:/b:ro", (("volume", "/a:/b:ro"),)),
        ("--volume=/a:/b", (("volume", "/a:/b"),)),
        ("-eNAME=v -e NAME --env A=b=c", (("env", "NAME=v"), ("env", "NAME"), ("env", "A=b=c"))),
        ("-e 'A=$(touch x) `y` $Z'", (("env", "A=$(touch x) `y` $Z"),)),
        ("-m 2g -p 80:80 -u 1:2 -h host -l a=b",
         (("memory", "2g"), ("publish", "80:80"), ("user", "1:2"), ("hostname", "host"), ("label", "a=b"))),
        ("--net host", (("network", "host"),)),
        ("--privileged --cpus 1.5", (("privileged", "true"), ("cpus", "1.5"))),
        ("--privileged=false", (("privileged", "false"),)),
        ("--privileged=T", (("privileged", "T"),)),
        ("--label=", (("label", ""),)),
    ],
)  # fmt: skip
def test_flags_are_read_as_docker_reads_them(text: str, given: tuple[tuple[str, str], ...]) -> None:
    assert tuple((one.flag, one.text) for one in parse(text).given) == given


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("--rm", "--rm"),
        ("--entrypoint sh", "--entrypoint"),
        ("--pid=host", "--pid"),
        ("image", "argument 'image'"),
        ("-x", "-x"),
        ("-v", "-v needs a value"),
        ("--memory", "--memory needs a value"),
        ("-e 'A", "quotation"),
        ("--privileged=perhaps", "true or false"),
        ("--memory lots", "not a valid size"),
        ("--cpus many", "not a number"),
        ("--cpus nan", "not a number"),
        ("--cpus inf", "not a number"),
        ("--cpus=-1", "not a number"),
        ("-e É=1", "--env"),
        ("-u somebody", "--user UID:GID"),
        ("--env-file /no/such/file", "cannot read /no/such/file"),
        ("--security-opt seccomp=/no/such/file", "cannot read /no/such/file"),
        ("--security-opt seccomp:/dev/null", "cannot read /dev/null: it is not JSON"),
        ("--security-opt seccomp=~nobody-at-all/x", "no home directory"),
        ("-v ~nobody-at-all/x:/x", "no home directory"),
        ("-v relative", "--volume"),
        ("--mount type=image,target=/x", "--mount"),
        ("--mount typo=bind,target=/x", "typo"),
        ("-p http", "--publish"),
        ("--ulimit nofile", "--ulimit"),
        ("--mount type=tmpfs,target=/x,tmpfs-mode=rwx", "tmpfs-mode=1777"),
        ("--gpus some", "--gpus"),
        ("--device null", "--device"),
    ],
)
def test_what_is_not_understood_is_named(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert said.lower() in caught.value.message.lower() + caught.value.hint.lower()


def test_flags_are_text_that_no_shell_reads() -> None:
    (given,) = parse('-e "WORDS=$(echo ran) `echo ran`"').given
    assert given.text == "WORDS=$(echo ran) `echo ran`"


def test_unknown_flag_tells_what_is_supported() -> None:
    with pytest.raises(UsageError) as caught:
        parse("--rm")
    assert "-v/--volume" in caught.value.hint
    assert "--privileged" in caught.value.hint


@hypothesis.given(strategies.text(max_size=60))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        made = parse(text)
    except UsageError:
        return
    assert isinstance(made, DockerArgs)


def test_environment_of_the_host_and_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTS", "h")
    file = tmp_path / "file.env"
    file.write_text("# comment\n\nA=1\n  B=two words \nHOSTS\nMISSING\n")
    args = parse(f"--env-file {file} -e A=2 -e HOSTS")
    assert flags.environment(args) == {"A": "2", "B": "two words ", "HOSTS": "h"}


@pytest.mark.parametrize(
    "text",
    [
        "-v /x:/realm",
        "-v /realm",
        "-v /x:/realm/out:ro",
        "--mount type=bind,src=/x,dst=/data/../realm/",
        "--mount type=tmpfs,target=/history/0",
        "--tmpfs /workspace:size=1g",
        "--tmpfs //workspace/shop",
        "-v /x:/workspace/shop/.git/hooks",
        "-v /x:/realm/home",
    ],
)
def test_realms_own_places_are_kept(text: str) -> None:
    with pytest.raises(UsageError, match="realm's own place in the container") as said:
        parse(text)
    assert "/data" in said.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "-v /x:/workspace/shop/node_modules",
        "-v /x:/workspace/shop/.github",
        "--tmpfs /workspaces",
        "-v cache:/realm/home/.cache",
        "--mount type=bind,src=/x,dst=/realm/claude/skills",
        "-v /realm:/data",
    ],
)
def test_other_places_may_be_mounted(text: str) -> None:
    assert parse(text).given


@pytest.mark.parametrize("text", ["-e =x", "-e 'a b=x'", "-e 'A;id=x'", "--env-file /no/such/file"])
def test_names_that_a_shell_would_not_take_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-v /var/run/docker.sock:/s", "docker.sock"),
        ("-v /run/docker.sock:/s:ro", "docker.sock"),
        ("--privileged", "--privileged"),
        ("-v {project}:/p", "the project"),
        ("-v {project}/src:/p", "the project"),
        ("-v {parent}:/p", "the project"),
        ("-v /:/host", "the project"),
        ("--mount type=bind,src={project},dst=/p", "the project"),
        ("-v {home}:/h", "home"),
        ("--cap-add SYS_ADMIN", "SYS_ADMIN"),
        ("--cap-add=cap_sys_admin", "SYS_ADMIN"),
        ("--cap-add ALL", "ALL"),
        ("--security-opt seccomp=unconfined", "seccomp"),
        ("--security-opt no-new-privileges=False", "new-privileges"),
        ("--security-opt label:disable", "label"),
        ("--security-opt label=type:spc_t", "label"),
        ("--security-opt label:type:unconfined_t", "label"),
        ("--security-opt apparmor=mine", "another profile"),
        ("--network host", "network host"),
        ("--net=host", "network host"),
        ("-u root", "root"),
        ("-u 0:0", "root"),
        ("--device /dev/kvm", "/dev/kvm"),
    ],
)
def test_what_weakens_the_sandbox_warns_once(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    project = tmp_path / "work" / "project"
    monkeypatch.setenv("HOME", str(home))
    given = text.format(project=project, parent=project.parent, home=home)
    (line,) = flags.risks(parse(given), project)
    assert said in line


def test_a_profile_is_read_from_its_file_and_said_to_take_the_place_of_the_engines(tmp_path: Path) -> None:
    file = tmp_path / "profile:1.json"
    file.write_text('{\n  "defaultAction": "SCMP_ACT_ALLOW"\n}\n')
    given = parse(f"--security-opt seccomp={file}")
    assert [one.value for one in given.given] == ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']
    (line,) = flags.risks(given, tmp_path)
    assert line == "--security-opt seccomp: another profile takes the place of the engine's own"
    file.write_text("[" * 100_000)
    with pytest.raises(UsageError, match="it is not JSON"):
        parse(f"--security-opt seccomp={file}")
    for usual in ("seccomp=builtin", "apparmor=docker-default", "label=type:container_t"):
        assert flags.risks(parse(f"--security-opt {usual}"), tmp_path) == []


def test_an_engines_socket_is_found_behind_links_and_in_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = tmp_path / "run/user/docker.sock"
    socket.parent.mkdir(parents=True)
    socket.touch()
    (tmp_path / "link").symlink_to(socket)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
    for source in ("run", "run/user", "link"):
        for options in ("", ":ro"):
            given = parse(f"-v {tmp_path / source}:/s{options}")
            (line,) = flags.risks(given, tmp_path / "project")
            assert "can start containers" in line
    assert flags.risks(parse(f"-v {tmp_path / 'other'}:/s"), tmp_path / "project") == []


@pytest.mark.parametrize("flag", ["memory", "shm-size", "cpus", "pids-limit"])
def test_a_wrong_number_is_said_with_its_flag(flag: str) -> None:
    with pytest.raises(UsageError, match=rf"--{flag}\b.*'lots'"):
        parse(f"--{flag} lots")


@pytest.mark.parametrize(
    "text",
    ["-v {project}:/p:ro", "--mount type=bind,src={project},dst=/p,readonly", "-v cache:/c", "-e A=1 -p 80",
     "--privileged=false", "-u 1000", "--cap-add NET_BIND_SERVICE"],
)  # fmt: skip
def test_harmless_flags_do_not_warn(text: str, tmp_path: Path) -> None:
    assert flags.risks(parse(text.format(project=tmp_path)), tmp_path) == []
