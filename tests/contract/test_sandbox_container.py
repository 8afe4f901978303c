"""Real sandboxes on the engine: life, streams, results, snapshots, and nothing left over."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from realm.errors import EngineError, ImageError
from realm.paths import realm_home
from realm.sandbox import layout, lookup, network, workspace
from realm.sandbox.docker import Engine
from realm.sandbox.endpoint import Endpoint
from realm.sandbox.flags import parse
from realm.sandbox.transfer import SandboxFile
from realm.together import together
from tests.support.engines import docker, limits_volumes
from tests.support.sandbox import Laboratory, environment_of, follow, laboratory, unpacked
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from realm.sandbox.sandbox import Sandbox
    from tests.support.repos import Repo

pytestmark = pytest.mark.engine


@pytest.fixture
def lab(repo: Repo, tmp_path: Path) -> Iterator[Laboratory]:
    yield from laboratory(repo, tmp_path)


def _volumes(lab: Laboratory) -> list[str]:
    words = ["docker", "volume", "ls", "-q", "--filter", f"label=realm.id={lab.id}"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


def _works(lab: Laboratory, how: str) -> None:
    lab.repo.write("directory/file")
    lab.repo.commit()
    ran = lab.run("echo out; echo err >&2; echo 1 > new; git mv directory moved; exit 3", volumes=how)
    report = ran.report()
    assert (ran.code, ran.stdout, ran.stderr, report.exit_code) == (3, "out\n", "err\n", 3)
    taken = unpacked(lab.repo, report, lab.root / f"taken-{how}")
    assert taken.files(report.points[-1].snapshot) == ["README.md", "moved/file", "new"]
    ran.sandbox.remove()
    ran.sandbox.remove()
    assert (ran.sandbox.state(), _volumes(lab)) == ("gone", [])


def test_plain_sandbox(lab: Laboratory) -> None:
    _works(lab, "plain")


def test_overlay_sandbox(lab: Laboratory) -> None:
    _works(lab, "overlay")


@pytest.mark.parametrize("what", ["pruned", "made twice"])
def test_network_that_was_changed_before_the_start_is_mended(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(layout, "OPEN_NETWORK", f"realm-test-{lab.id[:8]}")
    network.ensure_open(lab.engine)
    sandbox = lab.create("sh", "-c", "echo heard", network="open")
    if what == "pruned":
        docker("network", "rm", layout.OPEN_NETWORK)
    else:
        _make_another(lab, layout.OPEN_NETWORK)
    stream = sandbox.attach()
    try:
        sandbox.start()
        assert sandbox.wait_at_most(60) == 0
        assert stream.parts(stream.recv(100)) == [(1, b"heard\n")]
        assert len(lab.engine.networks(layout.OPEN_NETWORK)) == 1
    finally:
        stream.close()
        sandbox.remove()
        docker("network", "rm", layout.OPEN_NETWORK)


def _make_another(lab: Laboratory, name: str) -> None:
    """Make a second network of that name, as an engine does that is asked twice at once."""
    made = lab.engine._client.create_network(name, driver="bridge", check_duplicate=False)
    assert made["Id"]
    assert len(lab.engine.networks(name)) == 2


def _base(sandbox: Sandbox) -> str:
    """Return the base volume that is below a sandbox's workspace."""
    mounts = {mount["Destination"]: mount for mount in environment_of(sandbox)["Mounts"]}
    return str(mounts["/base"]["Name"])


def test_overlay_reuses_its_base_for_a_later_commit(lab: Laboratory) -> None:
    first = lab.run("true", volumes="overlay").sandbox
    lab.repo.write("later", "1\n")
    lab.repo.commit("Later")
    ran = lab.run('cat later && test -z "$(git status --porcelain)"', volumes="overlay")
    assert (ran.code, ran.stdout) == (0, "1\n")
    assert _base(ran.sandbox) == _base(first)


def test_base_of_a_commit_that_the_sandbox_may_not_see_is_not_used(lab: Laboratory) -> None:
    lab.repo.git("checkout", "-q", "-b", "private")
    lab.repo.write("secret", "1\n")
    lab.repo.commit("Private")
    first = lab.run("true", volumes="overlay").sandbox
    lab.repo.git("checkout", "-q", "main")
    lab.repo.commit("Later")
    ran = lab.run("ls -A /base/project", volumes="overlay")
    assert _base(ran.sandbox) != _base(first)
    assert "secret" not in ran.stdout


def test_unused_bases_go_when_there_are_many(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "_RECENT", -1.0)
    monkeypatch.setattr(workspace, "BASE_LIFETIME", -1.0)
    kept = lab.create("true", volumes="overlay")
    for _ in range(4):
        lab.repo.commit("Next")
        lab.create("true", volumes="overlay").remove()
    left = [volume.name for volume in lab.engine.volumes(f"realm.maker={lab.id}", "realm.role=base")]
    assert _base(kept) in left
    assert len(left) == workspace.MOST_BASES + 1


def test_base_of_an_earlier_version_goes_when_another_is_made(lab: Laboratory) -> None:
    """It has neither this realm's proof nor a description, but an empty file in realm's directory."""
    name = f"realm-base-{lab.id[:12]}"
    lab.engine.create_volume(name, {"realm.maker": lab.id, "realm.role": "base"}, {})
    note = realm_home() / "bases" / name
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()
    lab.create("true", volumes="overlay")
    assert lab.engine.volume(name) is None
    assert not note.exists()


def test_sandboxes_that_start_at_once_share_one_history_and_one_base(lab: Laboratory) -> None:
    made = together(*[lambda: lab.create("true", volumes="overlay")] * 4)
    assert len({_base(sandbox) for sandbox in made}) == 1
    for role in ("history", "base"):
        assert len(lab.engine.volumes(f"realm.maker={lab.id}", f"realm.role={role}")) == 1
    assert lab.engine.containers(f"realm.id={lab.id}", "realm.role=upload") == []


def test_engine_without_overlays_falls_back_and_is_remembered(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = workspace.Base("realm-no-such-base", "/nowhere", "")
    monkeypatch.setattr(workspace, "find_base", lambda *_: broken)
    spec = {"volumes": "auto", "files": 10**6}
    ran = lab.run("echo 1 > new", **spec)
    assert (ran.code, workspace.has_failed(lab.engine)) == (0, True)
    assert not workspace.wants_overlay(lab.engine, lab.spec(**spec))
    ran.sandbox.remove()
    with pytest.raises(EngineError):
        lab.create("true", volumes="overlay")
    workspace.remove(lab.engine, (broken.name,))


@pytest.mark.parametrize("how", ["plain", "overlay"])
def test_full_workspace_of_limited_size_is_saved(lab: Laboratory, how: str) -> None:
    lab.repo.write("directory/file")
    lab.repo.commit()
    size = 64 << 20
    if not limits_volumes():
        with pytest.raises(EngineError, match="this engine cannot limit the size of a volume"):
            lab.create("true", volumes=how, workspace_size=size)
        assert _volumes(lab) == []
        return
    script = "git mv directory moved; echo 1 > new; cat /dev/zero > full; wc -c < full"
    ran = lab.run(script, volumes=how, workspace_size=size)
    assert size // 2 < int(ran.stdout) < size
    conditions = ran.sandbox.conditions()
    assert conditions is not None
    assert conditions.workspace == size
    report = ran.report()
    taken = unpacked(lab.repo, report, lab.root / "taken")
    assert taken.files(report.points[-1].snapshot) == ["README.md", "full", "moved/file", "new"]
    ran.sandbox.remove()
    assert _volumes(lab) == []


@pytest.mark.parametrize("how", ["plain", "overlay"])
def test_workspace_is_limited_by_default_only_where_the_engine_can(lab: Laboratory, how: str) -> None:
    ran = lab.run("echo 1 > new", volumes=how, workspace_size=None)
    conditions = ran.sandbox.conditions()
    assert conditions is not None
    assert (ran.code, conditions.workspace > 0) == (0, limits_volumes())
    assert workspace.has_failed(lab.engine, "quota") != limits_volumes()


def test_terminal_has_its_size_and_raw_bytes(lab: Laboratory) -> None:
    sandbox = lab.create("sh", "-c", "sleep 0.5; stty size; printf '\\033[1m\\377'", tty=True)
    stream = sandbox.attach()
    assert stream.tty
    sandbox.start()
    sandbox.resize(33, 101)
    stream._socket.setblocking(True)
    output = b"".join(iter(lambda: stream.recv(65536), b""))
    stream.close()
    assert (output, sandbox.wait()) == (b"33 101\r\n\x1b[1m\xff", 0)


def test_input_ends_while_output_goes_on(lab: Laboratory) -> None:
    sandbox = lab.create("sh", "-c", "cat; sleep 0.3; echo after")
    assert follow(sandbox, b"\x00task\n") == (b"\x00task\nafter\n", b"")


def test_stop_lets_the_work_be_saved(lab: Laboratory) -> None:
    sandbox = lab.create("sh", "-c", "echo 1 > new; sleep 100", stdin=False)
    sandbox.start()
    time.sleep(1.5)
    sandbox.stop(interrupt=False)
    assert sandbox.wait() == 128 + 15
    assert sandbox.reported()
    assert sandbox.collect(lab.root).points[-1].snapshot != lab.repo.head()


@pytest.mark.parametrize("how", ["plain", "overlay"])
def test_killed_sandbox_has_its_snapshot_taken(lab: Laboratory, how: str) -> None:
    sandbox = lab.create("sh", "-c", "echo 1 > new; sleep 100", stdin=False, volumes=how)
    sandbox.start()
    time.sleep(1.5)
    sandbox.signal("SIGKILL")
    sandbox.wait()
    found = lookup.find(lab.engine, session_id=lab.id)
    assert [one.id for one in found] == [sandbox.id]
    assert not found[0].reported()
    lab.snapshot(found[0])
    report = found[0].collect(lab.root)
    assert unpacked(lab.repo, report, lab.root / "taken").files(report.points[-1].snapshot) == [
        "README.md",
        "new",
    ]
    found[0].remove()
    assert lookup.find(lab.engine, session_id=lab.id) == []


@pytest.mark.parametrize("how", ["plain", "overlay"])
def test_sandbox_whose_container_was_removed_has_its_snapshot_taken(lab: Laboratory, how: str) -> None:
    sandbox = lab.create("sh", "-c", "echo 1 > new; sleep 100", stdin=False, volumes=how)
    sandbox.start()
    time.sleep(1.5)
    subprocess.run(["docker", "rm", "-f", sandbox.id], check=True, capture_output=True)
    (found,) = lookup.find(lab.engine, session_id=lab.id)
    assert (found.state(), found.wait(), found.reported()) == ("gone", 137, False)
    lab.snapshot(found)
    report = found.collect(lab.root)
    assert report.complete
    assert unpacked(lab.repo, report, lab.root / "taken").files(report.points[-1].snapshot) == [
        "README.md",
        "new",
    ]
    found.remove()
    assert _volumes(lab) == []


def test_unreadable_files_are_saved(lab: Laboratory) -> None:
    report = lab.run("mkdir d; echo 1 > d/f; echo 2 > g; chmod 000 d g README.md").report()
    taken = unpacked(lab.repo, report, lab.root / "taken")
    assert taken.files(report.points[-1].snapshot) == ["README.md", "d/f", "g"]


def test_full_tmp_does_not_matter(lab: Laboratory) -> None:
    report = lab.run(
        "echo 1 > new; dd if=/dev/zero of=/tmp/full bs=1M count=50 2>/dev/null", memory=256 << 20
    ).report()
    assert report.points[-1].snapshot != lab.repo.head()


def test_files_of_the_user_go_in_with_their_owner_and_mode(lab: Laboratory, tmp_path: Path) -> None:
    source = tmp_path / ("long-" * 30 + "name")
    source.write_text("from the host\n")
    source.chmod(0o640)
    files = [
        SandboxFile("/workspace/project/.env.test", b"A=1\n", 0o600),
        SandboxFile("/realm/claude/deep/er/" + source.name, source, 0o640),
        SandboxFile("/realm/of-root", b"", 0o444, owner="root"),
    ]
    lab.exclude = b"/.env.test\n"
    script = "stat -c '%u %a' .env.test /realm/claude/deep/er/* /realm/of-root; cat .env.test /realm/claude/deep/er/*"  # noqa: E501
    ran = lab.run(script, put=files)
    uid = lab.spec().uid
    assert ran.stdout.splitlines() == [f"{uid} 600", f"{uid} 640", "0 444", "A=1", "from the host"]
    assert ran.report().points[-1].snapshot == lab.repo.head()


def test_running_sandbox_gives_and_takes_files(lab: Laboratory) -> None:
    sandbox = lab.create(
        "sh", "-c", "until test -s /realm/claude/c; do sleep 0.1; done; stat -c %a /realm/claude/c"
    )
    sandbox.start()
    assert sandbox.read_file("/realm/claude/c", 100) is None
    sandbox.write_file("/realm/claude/c", b"new", 0o600)
    assert sandbox.read_file("/realm/claude/c", 100) == b"new"
    assert sandbox.read_file("/realm/claude/c", 2) is None
    assert sandbox.wait() == 0


def test_docker_flags_reach_the_sandbox(
    lab: Laboratory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    (tmp_path / "data" / "f").write_text("mounted\n")
    monkeypatch.setenv("TAKEN", "from host")
    args = parse(
        "--mount type=volume,target=/data --tmpfs /scratch:size=1m -e A='$(id)' -e TAKEN --ulimit nofile=99:100 "  # noqa: E501
        "--label mine=1 -h other --shm-size 8m"
    )
    script = 'printf "%s|%s|" "$A" "$TAKEN"; ulimit -n; hostname; df -m /dev/shm /scratch | tail -n 2 | tr -s " " | cut -d" " -f2'  # noqa: E501
    ran = lab.run(script, args=args)
    assert ran.stdout.splitlines() == ["$(id)|from host|99", "other", "8", "1"]


def test_user_of_the_docker_flags_owns_the_workspace(lab: Laboratory) -> None:
    ran = lab.run("id -u; id -g; stat -c %u . $HOME; git status --porcelain", args=parse("-u 4321:4322"))
    assert ran.stdout.splitlines() == ["4321", "4322", "4321", "4321"]


def test_missing_image_of_the_user_is_said(lab: Laboratory) -> None:
    from contextlib import nullcontext

    from realm.sandbox import image
    from realm.sandbox.image.recipe import Inputs

    with pytest.raises(ImageError, match="there is no image realm-no-such:image"):
        image.ensure(lab.engine, "realm-no-such:image", Inputs(), lambda _: nullcontext())


@pytest.mark.parametrize("how", ["plain", "overlay"])
def test_interrupted_while_the_engine_makes_it(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    lab.create("true", volumes=how).remove()
    create = lab.engine.create

    def interrupted(*arguments: Any) -> str:
        create(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(lab.engine, "create", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lab.create("true", volumes=how)
    monkeypatch.undo()
    assert lookup.find(lab.engine, session_id=lab.id) == []
    assert _volumes(lab) == []


def test_user_with_a_number_that_needs_a_long_header(lab: Laboratory) -> None:
    ran = lab.run("id -u; id -g; echo 1 > new", args=parse("-u 2200000:2300000"))
    assert (ran.code, ran.stdout.splitlines()) == (0, ["2200000", "2300000"]), ran.stderr
    report = ran.report()
    assert report.complete
    assert unpacked(lab.repo, report, lab.root / "taken").files(report.points[-1].snapshot) == [
        "README.md",
        "new",
    ]


def test_what_is_mounted_leaves_the_home_and_the_work_tree_to_the_user(
    lab: Laboratory, tmp_path: Path
) -> None:
    (tmp_path / "npmrc").write_text("a=b\n")
    (tmp_path / "npmrc").chmod(0o644)
    args = parse(
        f"-v {tmp_path}/npmrc:/realm/home/.config/npm/npmrc:ro --tmpfs /workspace/project/a/b/node_modules"
    )
    places = "$HOME $HOME/.config $HOME/.config/npm . a a/b"
    ran = lab.run(f"stat -c %u {places}; cat $HOME/.config/npm/npmrc", args=args)
    uid = str(lab.spec().uid)
    assert ran.stdout.splitlines() == [uid] * 6 + ["a=b"], ran.stderr


@pytest.mark.parametrize("made", ["mkfifo", "ln -s /dev/zero", "mkdir"])
def test_what_is_no_file_is_read_as_none(lab: Laboratory, made: str) -> None:
    sandbox = lab.create("sh", "-c", f"{made} /realm/claude/c; sleep 100", stdin=False)
    sandbox.start()
    eventually(lambda: "c" in _listed(sandbox, "/realm/claude"), 20)
    assert sandbox.read_file("/realm/claude/c", 100) is None
    sandbox.signal("SIGKILL")
    sandbox.wait()
    assert sandbox.read_file("/realm/claude/c", 100) is None


def _listed(sandbox: Sandbox, directory: str) -> list[str]:
    output: list[bytes] = []
    assert sandbox.engine.exec(sandbox.id, ["ls", directory], output.append, patience=20) == 0
    return b"".join(output).decode().split()


def test_labels_alone_make_nothing_ours(lab: Laboratory) -> None:
    """As an image can carry them, copied from a sandbox with its proof."""
    sandbox = lab.create("true")
    labels = lab.engine.facts(sandbox.id).labels
    copied = [word for name, value in labels.items() for word in ("--label", f"{name}={value}")]
    volume = f"realm-test-{lab.id[:8]}-work"
    subprocess.run(["docker", "volume", "create", *copied, volume], check=True, capture_output=True)
    command = ["docker", "run", "-d", *copied, "-v", f"{volume}:/data", sandbox.image, "sleep", "100"]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    try:
        (found,) = lookup.find(lab.engine, session_id=lab.id)
        assert found.id == sandbox.id
        stranger, other = lookup.strangers(lab.engine, session_id=lab.id)
        assert (stranger.id, stranger.running, stranger.owner.session) == (made, True, "test")
        assert (other.id, other.running, other.volumes) == ("", False, (volume,))
        assert [one.id for one in lookup.unready(lab.engine)].count(made) == 0
        found.remove()
        assert lookup.find(lab.engine, session_id=lab.id) == []
        assert lab.engine.state(made) == "running"
        assert lab.engine.volume(volume) is not None
    finally:
        subprocess.run(["docker", "rm", "-f", made], check=True, capture_output=True)
        subprocess.run(["docker", "volume", "rm", volume], check=True, capture_output=True)


def test_refused_sandbox_leaves_nothing(lab: Laboratory) -> None:
    with pytest.raises(EngineError):
        lab.create("true", image="realm-no-such:image")
    assert (lookup.find(lab.engine, session_id=lab.id), _volumes(lab)) == ([], [])


def test_agent_with_a_user_that_has_no_name_can_run(lab: Laboratory) -> None:
    ran = lab.run("claude --version && git log --format=%s", uid=54321, gid=54321)
    assert ran.code == 0, ran.stderr
    assert "Claude Code" in ran.stdout


def test_engine_that_is_reached_through_the_docker_command(lab: Laboratory) -> None:
    """As for ssh and TLS; here the command's own default leads to the same engine."""
    through = Engine(Endpoint("ssh://nobody@nowhere", "DOCKER_HOST"))
    with through:
        through.negotiate()
        sandbox = lab.create("sh", "-c", "cat; sleep 0.3; echo 1 > new")
        (found,) = lookup.find(through, session_id=lab.id)
        assert follow(found, b"task") == (b"task", b"")
        assert found.wait() == 0
    assert sandbox.collect(lab.root).complete


def test_results_that_nobody_finishes_reading_do_not_lock_the_sandbox(lab: Laboratory) -> None:
    sandbox = lab.create("sh", "-c", "head -c 3000000 /dev/urandom >big", stdin=False)
    sandbox.start()
    sandbox.wait()
    with (  # noqa: PT012
        pytest.raises(OSError, match="no space left"),
        sandbox.engine.get(sandbox.id, "/realm/out") as pieces,
    ):
        next(pieces)
        raise OSError("no space left")
    assert sandbox.state() == "exited"
    sandbox.remove()
    assert sandbox.state() == "gone"
