"""Boxes that take their files over the attached stream, and whatever cuts that off."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from realm.sandbox import building, creation, image, lookup, parcel
from realm.sandbox.archive import BoxFile
from realm.sandbox.box import TOKEN_LABEL
from realm.sandbox.salvage import salvage
from tests.support.sandbox import HostBox, Laboratory, laboratory
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from realm.sandbox.box import Box
    from realm.sandbox.report import BoxReport
    from realm.sandbox.stream import BoxStream
    from tests.support.repos import Repo

engine = pytest.mark.engine
TALK = "/realm/claude/projects/-workspace-project/0001.jsonl"
FILES = (
    BoxFile("/realm/exclude", b"*.log\n", 0o444, owner="root"),
    BoxFile(TALK, b'{"said": "before"}\n' * 20_000, 0o600),
)
WAYS = [(how, tty) for how in ("plain", "overlay") for tty in (True, False)]
each_way = pytest.mark.parametrize(("how", "tty"), WAYS, ids=str)
BOTH = pytest.mark.parametrize("how", ["plain", "overlay"])


@pytest.fixture
def lab(repo: Repo, tmp_path: Path) -> Iterator[Laboratory]:
    for made in laboratory(repo, tmp_path):
        if not image.brings_entry(made.engine, image.REFERENCE):
            building.build(made.engine)
            made.engine.image_labels.clear()
        yield made


def attended(lab: Laboratory, script: str, files: tuple[BoxFile, ...] = FILES, **changes: Any) -> Box:
    """Return a box that is made as a run's is: its maker will be there when it starts."""
    spec = lab.spec("sh", "-c", script, **{"tty": True, **changes})
    return creation.create(lab.engine, spec, files, attended=True)


def waits(box: Box) -> bool:
    return TOKEN_LABEL in box.labels


def started(box: Box) -> BoxStream:
    stream = box.attach()
    box.start()
    return stream


def until_ready(stream: BoxStream) -> None:
    """Wait until a box with a terminal waits for its files; without one it waits at once."""
    if stream.tty:
        stream._await(parcel.ready(stream._token), time.monotonic() + 20, lambda: True)


def rest(stream: BoxStream) -> bytes:
    """Return the output to its end, as a user sees it."""
    stream._socket.setblocking(True)
    shown = bytearray()
    while True:
        try:
            data = stream.recv(65536)
        except BlockingIOError:
            continue
        except ConnectionResetError:
            data = b""
        if not data:
            stream.close()
            return bytes(shown)
        shown += data


def collected(lab: Laboratory, box: Box) -> BoxReport:
    directory = lab.root / f"collected-{time.monotonic_ns()}"
    directory.mkdir()
    return box.collect(directory)


def salvaged(lab: Laboratory, box: Box) -> BoxReport:
    (found,) = lookup.find(lab.engine, session_id=lab.id)
    assert found.id == box.id
    assert not found.reported()
    salvage(lab.engine, found, lab.spec())
    return collected(lab, found)


def nothing_ran(lab: Laboratory, report: BoxReport) -> None:
    """Check that a report says of a run that nobody did anything."""
    tip = lab.repo.head()
    assert report.complete
    assert [(point.head, point.snapshot) for point in report.points] == [(tip, tip)]
    assert report.pack is None
    assert report.errors == ()
    assert report.transcript is None


def is_clean(lab: Laboratory, box: Box) -> None:
    """Remove the box and check that nothing is left of it."""
    box.remove()
    assert lookup.find(lab.engine, session_id=lab.id) == []
    words = ["docker", "volume", "ls", "-q", "--filter", f"label=realm.id={lab.id}"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == ""


# --- it works ----------------------------------------------------------------


@engine
@each_way
def test_files_come_and_results_go(lab: Laboratory, how: str, tty: bool) -> None:
    script = f"wc -c <{TALK}; env | grep -c ^REALM_[PF]; echo x >new; echo x >b.log; exit 3"
    box = attended(lab, script, volumes=how, tty=tty)
    assert waits(box)
    stream = started(box)
    box.deliver(stream)
    shown = rest(stream)
    assert b"380000" in shown
    assert b"realm-" not in shown
    told = box.accept(stream.results())
    assert told == (3 if tty else None)
    assert box.wait() == 3
    report = collected(lab, box)
    assert (report.complete, report.exit_code) == (True, 3)
    assert report.points[-1].snapshot != lab.repo.head()
    assert report.transcript is not None
    assert report.transcript.stat().st_size == 380_000
    is_clean(lab, box)


@engine
def test_the_terminal_is_as_the_engine_makes_it(lab: Laboratory) -> None:
    plain = lab.create("sh", "-c", "stty -a", tty=True)
    stream = started(plain)
    expected = rest(stream)
    plain.remove()
    box = attended(lab, "stty -a")
    stream = started(box)
    box.deliver(stream)
    assert rest(stream) == expected


@engine
def test_keys_that_come_early_are_lines(lab: Laboratory) -> None:
    box = attended(lab, 'read line; echo "got:$line:"')
    stream = started(box)
    box.deliver(stream)
    stream.send(b"early\r")
    assert b"got:early:" in rest(stream)


# --- it is cut off -----------------------------------------------------------


@engine
@each_way
def test_killed_before_its_files_come(lab: Laboratory, how: str, tty: bool) -> None:
    box = attended(lab, "echo never >never", volumes=how, tty=tty)
    assert waits(box)
    stream = started(box)
    box.signal("SIGKILL")
    assert box.wait() == 137
    began = time.monotonic()
    box.deliver(stream)
    assert time.monotonic() - began < 10
    assert b"realm-" not in rest(stream)
    nothing_ran(lab, salvaged(lab, box))
    is_clean(lab, box)


def kill(lab: Laboratory, box: Box, stream: BoxStream) -> None:
    """Kill a box that has no files yet, and see that it did nothing and leaves nothing."""
    box.signal("SIGKILL")
    box.wait()
    rest(stream)
    nothing_ran(lab, salvaged(lab, box))
    is_clean(lab, box)


@engine
@each_way
def test_killed_while_it_waits(lab: Laboratory, how: str, tty: bool) -> None:
    box = attended(lab, "echo never >never", volumes=how, tty=tty)
    stream = started(box)
    until_ready(stream)
    time.sleep(0.5)
    kill(lab, box, stream)


@engine
@each_way
def test_killed_while_its_files_come(lab: Laboratory, how: str, tty: bool) -> None:
    box = attended(lab, "echo never >never", volumes=how, tty=tty)
    assert box._contents is not None
    stream = started(box)
    until_ready(stream)
    stream._socket.setblocking(True)
    stream._socket.sendall(box._contents[: len(box._contents) * 2 // 3])
    eventually(lambda: (box.read_file(TALK, 1 << 20) or b"") != b"", 20)
    kill(lab, box, stream)


@engine
@BOTH
def test_a_host_that_never_delivers_is_waited_for_half_a_minute(lab: Laboratory, how: str) -> None:
    box = attended(lab, "echo never >never", volumes=how)
    stream = started(box)
    until_ready(stream)
    stream.close()
    began = time.monotonic()
    assert box.wait() == 125
    assert time.monotonic() - began < 32
    report = collected(lab, box)
    assert (report.complete, report.points) == (True, ())
    assert report.errors == ("the workspace could not be prepared",)
    is_clean(lab, box)


@engine
def test_without_a_terminal_a_host_that_is_gone_is_noticed_at_once(lab: Laboratory) -> None:
    box = attended(lab, "echo never >never", tty=False)
    stream = started(box)
    began = time.monotonic()
    stream.close()
    assert box.wait() == 125
    assert time.monotonic() - began < 10
    assert collected(lab, box).points == ()
    is_clean(lab, box)


@engine
@BOTH
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
        attended(lab, "true", volumes=how)
    monkeypatch.undo()
    assert lookup.find(lab.engine, session_id=lab.id) == []


# --- it is not to be had -----------------------------------------------------


@engine
@pytest.mark.parametrize(
    ("files", "changes"),
    [
        ((BoxFile("/realm/claude/big", b"x" * (parcel.LARGEST + 1)),), {}),
        ((BoxFile("/workspace/project/.env", b"x"),), {}),
        ((BoxFile("/realm/exclude", b"x\n"),), {"stdin": False, "tty": False}),
    ],
    ids=["large", "in the workspace", "no input"],
)
def test_files_that_go_another_way(
    lab: Laboratory, files: tuple[BoxFile, ...], changes: dict[str, Any]
) -> None:
    box = attended(lab, "echo x >new", files, **changes)
    assert not waits(box)
    stream = started(box)
    box.deliver(stream)
    rest(stream)
    assert (box.accept(stream.results()), box.wait()) == (None, 0)
    report = collected(lab, box)
    assert report.complete
    assert report.points[-1].snapshot != lab.repo.head()
    is_clean(lab, box)


@engine
def test_an_image_with_another_entry_script_gets_its_own(lab: Laboratory) -> None:
    name = f"realm-test-{lab.id[:8]}:1"
    made = subprocess.run(
        ["docker", "create", image.REFERENCE], capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        change = ["--change", "LABEL realm.entry=another realm.workspace="]
        subprocess.run(["docker", "commit", *change, made, name], capture_output=True, check=True)
        box = attended(lab, "echo x >new", image=name)
        assert not waits(box)
        stream = started(box)
        box.deliver(stream)
        rest(stream)
        assert box.wait() == 0
        assert collected(lab, box).complete
        is_clean(lab, box)
    finally:
        subprocess.run(["docker", "rm", made], capture_output=True, check=True)
        subprocess.run(["docker", "rmi", "--force", name], capture_output=True, check=True)


# --- in between: the entry script alone --------------------------------------


@pytest.mark.parametrize("shell", ["dash", "busybox"])
@pytest.mark.parametrize("made", ["", ".git/objects/info", ".git/refs/heads"])
def test_killed_before_it_marked_anything(repo: Repo, tmp_path: Path, shell: str, made: str) -> None:
    box = HostBox(tmp_path / "box", repo, shell)
    if made:
        (box.workspace / made).mkdir(parents=True)
        (box.state / "git/objects").mkdir()
    else:
        box.workspace.rmdir()
    assert box.entry("snapshot").returncode == 0
    report = box.report()
    assert report.complete
    assert [(point.head, point.snapshot) for point in report.points] == [(box.tip, box.tip)]
    assert report.errors == ()


@pytest.mark.parametrize("shell", ["dash", "busybox"])
def test_a_conversation_that_came_in_part_is_not_taken(repo: Repo, tmp_path: Path, shell: str) -> None:
    box = HostBox(tmp_path / "box", repo, shell)
    talk = box.state / "claude/projects/p/1.jsonl"
    talk.parent.mkdir(parents=True)
    talk.write_text("half")
    (box.state / "git/unready").write_text("yes\n")
    assert box.entry("snapshot").returncode == 0
    assert box.report().transcript is None
    (box.state / "git/unready").write_text("")
    (box.state / "out/report").unlink()
    assert box.entry("snapshot").returncode == 0
    assert box.report().transcript is not None


@pytest.mark.parametrize("shell", ["dash", "busybox"])
@pytest.mark.parametrize("move", ["git branch -m mine", "git checkout -q --detach; git commit -qam More"])
def test_work_whose_state_is_lost_is_still_work(repo: Repo, tmp_path: Path, shell: str, move: str) -> None:
    """An agent on a branch of its own, over a base volume, and the state volume removed by hand."""
    box = HostBox(tmp_path / "box", repo, shell)
    assert box.entry("base").returncode == 0
    box.run(f"echo work >work; git add work; {move}")
    for path in ("git", "out"):
        subprocess.run(["rm", "-r", str(box.state / path)], check=True)
        (box.state / path).mkdir()
    assert box.entry("snapshot").returncode == 0
    assert box.tree(box.report()) == ["README.md", "work"]
