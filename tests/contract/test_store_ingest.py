"""What a sandbox made is taken in by realm and read by real git."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from realm.errors import GitError, RejectedError
from realm.model import Checkpoint, Run, State, Totals, TurnText
from realm.paths import machine, scratched, tidy
from realm.store import holding, listing, record, refs, stores
from realm.store import repo as store
from realm.store.ingest import Ingested, ingest
from realm.store.quarantine import quarantine, sweep
from realm.store.repo import count_turns, diffstat, totals
from tests.support.repos import Repo, git
from tests.support.store import STARTED, Sandbox, assert_sound, intake, project_of, seen, session, take

if TYPE_CHECKING:
    from collections.abc import Callable


def log(made: Repo, form: str, ref: str = "refs/realm/fix") -> list[str]:
    return made.git("log", f"--format={form}", ref).splitlines()


def test_turns_become_commits(repo: Repo, tmp_path: Path) -> None:
    before = seen(repo)
    sandbox = Sandbox.start(project_of(repo), tmp_path / "sandbox")
    sandbox.workspace.write("one.txt", "1\n")
    sandbox.point(1)
    sandbox.workspace.write("two.txt", "2\n")
    sandbox.workspace.commit("Add two\n\nBecause of one.")
    sandbox.workspace.write("run.sh", "#!/bin/sh\n", mode=0o755)
    sandbox.point(2)
    sandbox.point(3)
    texts = {
        1: TurnText("Write one\nwith a 1", "Done.\n\nBoth lines."),
        2: TurnText("\x1b[31mWrite two", "\x07" + "x" * 3000),
        3: TurnText("Nothing", "Nothing"),
    }
    done = sandbox.ingest(texts)
    assert log(repo, "%s") == ["[31mWrite two", "Add two", "Write one", "Start"]
    assert repo.git("log", "-1", "--format=%B", "refs/realm/fix~2") == (
        "Write one\n\nDone.\n\nBoth lines.\n\nRealm-Session: fix\nRealm-Run: 1\nRealm-Turn: 1\n"
    )
    assert repo.git("log", "-1", "--format=%b", "refs/realm/fix~1").startswith(
        "Because of one.\n\nRealm-Session"
    )
    assert repo.files("refs/realm/fix") == ["README.md", "one.txt", "run.sh", "two.txt"]
    assert repo.files("refs/realm/fix~1") == ["README.md", "one.txt", "two.txt"]
    assert repo.git("ls-tree", "refs/realm/fix", "run.sh").startswith("100755")
    assert {turn: len(commits) for turn, commits in done.turns.items()} == {1: 1, 2: 2}
    assert done.tip == repo.head("refs/realm/fix") == done.turns[2][-1]
    assert (done.dropped, done.notes) == ([], [])
    assert count_turns(sandbox.project, sandbox.tip, done.tip) == 2
    assert diffstat(sandbox.project, sandbox.tip, done.tip) == Totals(0, 3, 3, 0)
    assert totals(sandbox.project, sandbox.tip, done.tip) == Totals(2, 3, 3, 0)
    assert totals(sandbox.project, sandbox.tip, sandbox.tip) == Totals()
    assert seen(repo) == before
    assert_sound(repo)
    repo.git("gc", "-q", "--prune=now")
    assert log(repo, "%s")[0] == "[31mWrite two"
    assert_sound(repo)


def test_a_commit_of_some_files_leaves_the_others_recorded(repo: Repo, tmp_path: Path) -> None:
    repo.write("src/a", "a\n")
    repo.write("src/gone", "g\n")
    repo.commit("More")
    sandbox = Sandbox.start(project_of(repo), tmp_path / "sandbox")
    sandbox.workspace.write("src/left", "left\n")
    sandbox.workspace.write("deep/er/left", "left\n")
    sandbox.workspace.write("src/a", "changed\n")
    sandbox.point(1)
    sandbox.workspace.git("reset", "-q")
    sandbox.workspace.write("src/b", "b\n")
    sandbox.workspace.git("add", "src/b")
    sandbox.workspace.git("rm", "-q", "src/gone")
    sandbox.workspace.git("commit", "-q", "-m", "Add b, drop gone")
    sandbox.point(2)
    sandbox.ingest({1: TurnText("First"), 2: TurnText("Second")})
    assert log(repo, "%s") == ["Add b, drop gone", "First", "More", "Start"]
    changed = repo.git("diff", "--name-status", "refs/realm/fix~1", "refs/realm/fix").splitlines()
    assert changed == ["A\tsrc/b", "D\tsrc/gone"]
    assert repo.files("refs/realm/fix") == ["README.md", "deep/er/left", "src/a", "src/b", "src/left"]
    assert repo.show("refs/realm/fix:src/a") == "changed"
    assert_sound(repo)


def test_everything_ignored_or_deleted_or_renamed(repo: Repo, tmp_path: Path) -> None:
    repo.write(".gitignore", "*.log\n")
    repo.write("src/a")
    repo.write("src/b")
    repo.commit()
    sandbox = Sandbox.start(project_of(repo), tmp_path / "sandbox")
    sandbox.workspace.git("mv", "src", "lib")
    sandbox.workspace.write("noise.log")
    (sandbox.workspace.path / "README.md").unlink()
    (sandbox.workspace.path / "link").symlink_to("lib/a")
    sandbox.point()
    sandbox.ingest()
    assert repo.files("refs/realm/fix") == [".gitignore", "lib/a", "lib/b", "link"]
    assert_sound(repo)


def test_empty_tree(repo: Repo, tmp_path: Path) -> None:
    sandbox = Sandbox.start(project_of(repo), tmp_path / "sandbox")
    (sandbox.workspace.path / "README.md").unlink()
    sandbox.point()
    sandbox.ingest()
    assert repo.files("refs/realm/fix") == []
    assert_sound(repo)


def test_nothing_changed(repo: Repo, tmp_path: Path) -> None:
    project = project_of(repo)
    sandbox = Sandbox.start(project, tmp_path / "sandbox")
    sandbox.point(1)
    empty = tmp_path / "empty"
    empty.touch()
    head = Checkpoint(sandbox.tip, sandbox.tip, 1, time.time())
    for wanted in (
        sandbox.intake(),
        intake(project, sandbox.tip, [], None),
        intake(project, sandbox.tip, [head], empty),
    ):
        done = ingest(wanted)
        assert done._replace(states={}) == Ingested(sandbox.tip, dropped=[], notes=[])
    assert not list((repo.path / ".git/objects/pack").iterdir())


def test_second_run_stacks(repo: Repo, tmp_path: Path) -> None:
    project = project_of(repo)
    sandbox = Sandbox.start(project, tmp_path / "sandbox")
    sandbox.workspace.write("one")
    sandbox.point()
    first = sandbox.ingest().tip
    again = Sandbox.start(project, tmp_path / "again", first)
    again.workspace.write("two")
    again.workspace.commit("Second")
    again.point()
    done = take(intake(project, first, again.points, again.pack(), run=2))
    assert repo.git("rev-list", "--parents", "-1", done.tip).split() == [done.tip, first]
    assert log(repo, "%s%(trailers:key=Realm-Run,valueonly,separator=%x20)")[:2] == [
        "Second2",
        "Work of run 11",
    ]
    assert count_turns(project, repo.head(), done.tip) == 2


def test_amended_commit_of_an_earlier_turn(repo: Repo, tmp_path: Path) -> None:
    sandbox = Sandbox.start(project_of(repo), tmp_path / "sandbox")
    sandbox.workspace.write("a")
    sandbox.workspace.commit("First try")
    sandbox.point(1)
    sandbox.workspace.write("b")
    sandbox.workspace.git("add", "-A")
    sandbox.workspace.git("commit", "-q", "--amend", "-m", "Second try")
    sandbox.point(2)
    done = sandbox.ingest({2: TurnText("Amend it")})
    assert log(repo, "%s") == ["Amend it", "First try", "Start"]
    assert done.notes == ["the agent rewrote its history: its files were kept, its commits since then not"]
    assert repo.files("refs/realm/fix") == ["README.md", "a", "b"]


def test_a_return_to_an_earlier_commit_loses_none(repo: Repo, tmp_path: Path) -> None:
    sandbox = Sandbox.start(project_of(repo), tmp_path / "sandbox")
    for name in ("a", "b"):
        sandbox.workspace.write(name)
        sandbox.workspace.commit(name)
    sandbox.point(1)
    for back in ("HEAD~1", "HEAD~1"):
        sandbox.workspace.git("reset", "-q", "--hard", back)
        sandbox.point(2)
    done = sandbox.ingest()
    assert done.notes == ["the agent rewrote its history: its files were kept"]
    assert repo.files("refs/realm/fix") == ["README.md"]


def test_moves_are_not_lost_before_the_ref_is_there(repo: Repo, tmp_path: Path) -> None:
    project = project_of(repo)
    sandbox = Sandbox.start(project, tmp_path / "sandbox")
    sandbox.workspace.write("one", "unique")
    sandbox.point()
    done = ingest(sandbox.intake())
    repo.git("gc", "-q", "--prune=now")
    sweep(project)
    repo.git("gc", "-q", "--prune=now")
    assert repo.git("cat-file", "-t", done.tip) == "commit"
    assert len(keeps(repo)) == 1
    assert listing.rows(project) == []
    refs.transact(project, [refs.RefUpdate("refs/realm/fix", None, done.tip)], "test")
    assert keeps(repo) == []
    repo.git("gc", "-q", "--prune=now")
    assert repo.files("refs/realm/fix") == ["README.md", "one"]


def keeps(repo: Repo) -> list[Path]:
    """Return what keeps git from collecting a pack."""
    return list((repo.path / ".git/objects/pack").glob("*.keep"))


COLLECTING = """
import subprocess, sys
while True:
    subprocess.run(["git", "gc", "-q", "--prune=now"], cwd=sys.argv[1], stderr=subprocess.DEVNULL)
"""


def test_collection_beside_runs_takes_nothing(repo: Repo, tmp_path: Path) -> None:
    """A record and the code beside it are whole at every moment, whatever git collects meanwhile."""
    project = project_of(repo)
    sandbox = Sandbox.start(project, tmp_path / "sandbox")
    sandbox.workspace.write("one", "unique")
    sandbox.point()
    pack = sandbox.pack()
    names = [f"s{number}" for number in range(12)]
    with subprocess.Popen([sys.executable, "-c", COLLECTING, str(repo.path)]) as collector:
        try:
            for name in names:
                done = ingest(intake(project, sandbox.tip, sandbox.points, pack, name=name))
                run = Run(1, STARTED, sandbox.tip, after=done.tip)
                meta = record.write(
                    project, parent=None, previous=None, session=session(name, base=sandbox.tip), run=run,
                    totals=Totals(), state=State.EXITED, files={"screen.txt": name.encode()},
                )  # fmt: skip
                time.sleep(0.05)
                code = refs.RefUpdate(refs.CODE + name, None, done.tip)
                refs.transact(project, [code, refs.RefUpdate(refs.META + name, None, meta)], "test")
        finally:
            collector.terminate()
    assert [row.problem for row in listing.rows(project)] == [""] * len(names)
    for name in names:
        assert record.read_file(project, name, "runs/0001/screen.txt") == name.encode()
        assert repo.files(f"refs/realm/{name}") == ["README.md", "one"]
    assert keeps(repo) == []
    assert_sound(repo)


def test_sha256(make_repo: Callable[..., Repo], tmp_path: Path) -> None:
    made = make_repo("modern", object_format="sha256")
    made.write("sub/a", "1")
    made.commit()
    sandbox = Sandbox.start(project_of(made), tmp_path / "sandbox")
    sandbox.workspace.write("sub/b", "2")
    sandbox.workspace.commit("By the agent")
    (sandbox.workspace.path / "bad").symlink_to("/etc")
    sandbox.workspace.write("c", "3")
    sandbox.point()
    done = sandbox.ingest()
    assert made.files("refs/realm/fix") == ["c", "sub/a", "sub/b"]
    assert len(done.tip) == 64
    assert_sound(made)


def test_shallow(repo: Repo, tmp_path: Path) -> None:
    for number in range(3):
        repo.write(f"f{number}")
        repo.commit()
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repo.path}", "cut")
    cut = Repo(tmp_path / "cut")
    project = project_of(cut)
    assert project.shallow == (cut.head(),)
    git(tmp_path, "clone", "-q", str(cut.path), "sandbox", check=False)
    sandbox = Sandbox(project, Repo(tmp_path / "sandbox"), cut.head())
    sandbox.workspace.write("new")
    sandbox.workspace.commit("By the agent")
    sandbox.workspace.write("newer")
    sandbox.point()
    sandbox.ingest()
    assert cut.files("refs/realm/fix") == ["README.md", "f0", "f1", "f2", "new", "newer"]
    assert_sound(cut)
    cut.git("gc", "-q", "--prune=now")
    assert_sound(cut)


@pytest.mark.parametrize("kind", ["blob:none", "tree:0"])
def test_partial_clone(repo: Repo, tmp_path: Path, kind: str) -> None:
    repo.write("sub/old", "old content")
    repo.commit()
    repo.write("sub/old", "new content")
    repo.commit()
    repo.git("config", "uploadpack.allowFilter", "true")
    repo.git("config", "uploadpack.allowAnySHA1InWant", "true")
    git(tmp_path, "clone", "-q", f"--filter={kind}", f"file://{repo.path}", "part")
    part = Repo(tmp_path / "part")
    project = project_of(part)
    stores.ensure_readable(project, part.head())
    repo.path.rename(tmp_path / "away")
    workspace = Repo.init(tmp_path / "sandbox")
    (workspace.path / ".git/objects/info/alternates").write_text(f"{part.path}/.git/objects\n")
    workspace.git("checkout", "-q", "-B", "work", part.head())
    sandbox = Sandbox(project, workspace, part.head())
    sandbox.workspace.write("sub/new", "x")
    sandbox.workspace.commit("By the agent")
    sandbox.workspace.write("sub/old", "changed")
    sandbox.point()
    sandbox.ingest()
    assert part.git("ls-tree", "-r", "--name-only", "refs/realm/fix").split() == [
        "README.md",
        "sub/new",
        "sub/old",
    ]
    assert part.show("refs/realm/fix:sub/old") == "changed"
    part.git("fsck")
    part.git("gc", "-q", "--prune=now")
    assert part.show("refs/realm/fix:sub/old") == "changed"


def test_borrowed_objects_and_linked_worktree(repo: Repo, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--shared", str(repo.path), "middle")
    relative = tmp_path / "middle/.git/objects/info/alternates"
    relative.write_text("../../../project/.git/objects\n")
    git(tmp_path, "clone", "-q", "--shared", "middle", "last")
    (tmp_path / "last/.git/objects/info/alternates").write_text("../../../middle/.git/objects\n")
    git(tmp_path / "last", "worktree", "add", "-q", str(tmp_path / "tree"))
    project = store.discover(tmp_path / "tree")
    sandbox = Sandbox.start(project, tmp_path / "sandbox")
    sandbox.workspace.write("new")
    sandbox.point()
    done = sandbox.ingest()
    last = Repo(tmp_path / "last")
    assert last.files("refs/realm/fix") == ["README.md", "new"]
    assert repo.git("cat-file", "-t", done.tip, check=False) == ""
    assert_sound(last)


def test_shared_repository_keeps_group_permissions(repo: Repo, tmp_path: Path) -> None:
    repo.git("config", "core.sharedRepository", "group")
    sandbox = Sandbox.start(project_of(repo), tmp_path / "sandbox")
    sandbox.workspace.write("new")
    sandbox.point()
    mask = os.umask(0o077)
    sandbox.ingest()
    os.umask(mask)
    (pack,) = (repo.path / ".git/objects/pack").glob("*.pack")
    assert pack.stat().st_mode & 0o777 == 0o440


def test_hooks_and_signing_of_the_user_stay_out_of_it(repo: Repo, tmp_path: Path) -> None:
    for hook in (
        "pre-commit",
        "post-commit",
        "commit-msg",
        "prepare-commit-msg",
        "post-checkout",
        "post-index-change",
    ):
        repo.write(f".git/hooks/{hook}", f"#!/bin/sh\ntouch '{tmp_path}/{hook}-ran'\nexit 1\n", mode=0o755)
    repo.git("config", "commit.gpgSign", "true")
    repo.git("config", "gpg.program", "false")
    sandbox = Sandbox.start(project_of(repo), tmp_path / "sandbox")
    sandbox.workspace.write("new")
    sandbox.point()
    sandbox.ingest()
    assert not list(tmp_path.glob("*-ran"))
    assert "gpgsig" not in repo.git("cat-file", "-p", "refs/realm/fix")


def test_broken_work_leaves_the_project_alone(repo: Repo, tmp_path: Path) -> None:
    sandbox = Sandbox.start(project_of(repo), tmp_path / "sandbox")
    sandbox.workspace.write("new")
    sandbox.point()
    wanted = sandbox.intake()
    assert wanted.pack is not None
    wanted.pack.write_bytes(wanted.pack.read_bytes()[:-30])
    before = seen(repo)
    with pytest.raises(RejectedError, match="refused"):
        take(wanted)
    assert seen(repo) == before
    assert wanted.pack.exists()
    assert_sound(repo)


@pytest.mark.parametrize(
    "message",
    [
        "fatal: write error: No space left on device",
        "fatal: sha1 file '.git/objects/pack/tmp_idx_x' write error. Out of diskspace",
    ],
)
def test_full_disk_is_told_and_no_fuller_than_before(
    message: str, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git that cannot write the whole pack, as far as its message goes; another fetches meanwhile."""
    real = subprocess.run(
        ["sh", "-c", "command -v git"], capture_output=True, text=True, check=True
    ).stdout.strip()
    fake = tmp_path / "bin/git"
    fake.parent.mkdir()
    objects = repo.path / ".git/objects"
    (tmp_path / "message").write_text(message)
    says = "mkdir $GIT_OBJECT_DIRECTORY/pack; cat >$GIT_OBJECT_DIRECTORY/pack/tmp_pack_x; "
    says += f": >{objects}/pack/tmp_pack_theirs; cat {tmp_path}/message >&2; exit 128"
    before = {*objects.rglob("*")}
    fake.write_text(f'#!/bin/sh\ncase "$*" in *index-pack*--keep*) {says};; esac\nexec {real} "$@"\n')
    fake.chmod(0o755)
    sandbox = Sandbox.start(project_of(repo), tmp_path / "sandbox")
    sandbox.workspace.write("new")
    sandbox.point()
    wanted = sandbox.intake()
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    with pytest.raises(GitError, match=message.rpartition("write error")[2]) as caught:
        ingest(wanted)
    assert "the disk is full" in caught.value.hint
    assert {*objects.rglob("*")} - before == {objects / "pack/tmp_pack_theirs"}


HOLDER = """
import sys, time
from pathlib import Path
from realm.store import repo
from realm.store.quarantine import quarantine
with quarantine(repo.discover(Path(sys.argv[1]))) as held:
    print(held.path, flush=True)
    time.sleep(60)
"""


def test_quarantine_of_a_killed_realm_is_removed_and_a_live_one_not(repo: Repo) -> None:
    project = project_of(repo)
    command = [sys.executable, "-c", HOLDER, str(repo.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder, quarantine(project) as own:
        assert holder.stdout is not None
        path = Path(holder.stdout.readline().strip())
        assert tidy() == 0
        assert path.is_dir()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert path.is_dir()
        assert tidy() == 1
        assert not path.exists()
        assert own.path.is_dir()
    assert not own.path.exists()


def test_temporary_refs_of_killed_realms_are_swept_and_others_not(repo: Repo) -> None:
    project = project_of(repo)
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    now, head = int(time.time()), repo.head()
    owners = {
        "dead": f"{machine()}@{gone.pid}@{now}",
        "old": f"elsewhere@{os.getpid()}@{now - 100_000}",
        "live": f"{machine()}@{os.getpid()}@{now}",
        "away": f"elsewhere@{gone.pid}@{now}",
    }
    for owner in owners.values():
        repo.git("update-ref", f"refs/realm-tmp/{owner}/{head}", head)
    repo.git("update-ref", "refs/realm-tmp/other", head)
    assert sweep(project) == 2
    left = {ref.removeprefix("refs/realm-tmp/").split("/")[0] for ref in repo.refs("refs/realm-tmp")}
    assert left == {owners["live"], owners["away"], "other"}


def test_packs_that_killed_realms_had_begun_are_swept_and_others_not(repo: Repo) -> None:
    project = project_of(repo)
    objects = repo.path / ".git/objects"
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    theirs = [objects / "incoming-x", objects / "pack/tmp_pack_x"]
    for place in (objects / f"realm@{os.uname().nodename}@{gone.pid}@abc", *theirs):
        (place / "pack").mkdir(parents=True)
        (place / "pack/tmp_pack_y").write_text("half")
    with scratched("realm", objects) as own:
        assert not list(objects.glob("*@abc"))
        (objects / f"realm@{os.uname().nodename}@{gone.pid}@def").mkdir()
        assert sweep(project) == 1
        assert own.is_dir()
    assert [*objects.glob("realm@*")] == []
    assert all(place.is_dir() for place in theirs)


def test_keep_files_of_killed_realms_are_swept_and_others_not(repo: Repo) -> None:
    project = project_of(repo)
    directory = repo.path / ".git/objects/pack"
    host = os.uname().nodename
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    now = int(time.time())
    texts = {
        "dead": f"realm pid={gone.pid} host={host} time={now}\n",
        "old": f"realm pid={os.getpid()} host=elsewhere time={now - 100_000}\n",
        "live": f"realm pid={os.getpid()} host={host} time={now}\n",
        "away": f"realm pid={gone.pid} host=elsewhere time={now}\n",
        "users": "do not touch\n",
        "empty": "",
    }
    for name, text in texts.items():
        (directory / f"pack-{name}.keep").write_text(text)
        pack = directory / f"pack-{name}.pack"
        pack.write_text("its index had not come yet")
        os.utime(pack, (now - 4000, now - 4000))
    (directory / "pack-old.idx").touch()
    assert sweep(project) == 2
    left = sorted(path.stem.removeprefix("pack-") for path in directory.glob("*.keep"))
    assert left == ["away", "empty", "live", "users"]
    packs = sorted(path.stem.removeprefix("pack-") for path in directory.glob("*.pack"))
    assert packs == ["away", "empty", "live", "old", "users"]


def test_a_pack_that_a_killed_realm_had_begun_is_not_swept_from_the_next(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The next one puts the very same pack there, and is held up between the pack and its index."""
    project, packs = project_of(repo), repo.path / ".git/objects/pack"
    made = tmp_path / "pack"
    made.mkdir()
    name = repo.git("pack-objects", "-q", "--all", str(made / "pack"))
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    (made / f"pack-{name}.keep").write_text(f"{holding.mark()}\n")
    kept = packs / f"pack-{name}.keep"
    kept.write_text(holding.mark().replace(f"pid={os.getpid()}", f"pid={gone.pid}"))
    move = shutil.move

    def moving(source: Path, target: Path) -> None:
        move(source, target)
        assert holding.sweep(project) == 0

    monkeypatch.setattr(shutil, "move", moving)
    holding.move_in(made, packs, name, [repo.head()])
    assert kept.exists()
    repo.git("verify-pack", str(packs / f"pack-{name}.idx"))
    holding.release([repo.head()])
    assert not kept.exists()


def test_many_intakes_at_once(repo: Repo, tmp_path: Path) -> None:
    """Two sessions of one project end at the same moment."""
    project = project_of(repo)
    script = (
        "import sys, pickle\nfrom tests.support.store import take\n"
        "with open(sys.argv[1], 'rb') as file:\n    wanted = pickle.load(file)\ntake(wanted)\n"
    )
    waiting = []
    for number in range(6):
        (tmp_path / f"{number}").mkdir()
        sandbox = Sandbox.start(project, tmp_path / f"{number}/sandbox")
        sandbox.workspace.write(f"file{number}")
        sandbox.point()
        wanted = intake(project, sandbox.tip, sandbox.points, sandbox.pack(), name=f"s{number}")
        order = tmp_path / f"{number}/intake"
        order.write_bytes(pickle.dumps(wanted))
        waiting.append(subprocess.Popen([sys.executable, "-c", script, str(order)]))
    assert [process.wait(120) for process in waiting] == [0] * 6
    for number in range(6):
        assert repo.files(f"refs/realm/s{number}") == ["README.md", f"file{number}"]
    repo.git("gc", "-q", "--prune=now")
    assert_sound(repo)


KILLED = """
import os, pickle, sys, threading
from tests.support.store import take
with open(sys.argv[1], "rb") as file:
    wanted = pickle.load(file)
threading.Timer(float(sys.argv[2]), os.kill, (os.getpid(), 9)).start()
take(wanted)
os._exit(0)
"""


def test_killed_at_any_moment(repo: Repo, tmp_path: Path, sealed: Path) -> None:
    project = project_of(repo)
    sandbox = Sandbox.start(project, tmp_path / "sandbox")
    for number in range(50):
        sandbox.workspace.write(f"new/{number}", f"{number}\n" * 100)
    sandbox.point()
    order = tmp_path / "intake"
    order.write_bytes(pickle.dumps(sandbox.intake()))
    codes = set()
    for delay in (0.001, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15):
        command = [sys.executable, "-c", KILLED, str(order), str(delay)]
        codes.add(subprocess.run(command, check=False).returncode)
        assert_sound(repo)
    assert codes <= {0, -9}
    done = sandbox.ingest()
    assert len(repo.files(done.tip)) == 51
    assert list((sealed / ".realm/tmp").iterdir()) == []
    assert not list((repo.path / ".git/objects/pack").glob("*.keep"))
    assert_sound(repo)


def test_fast_enough(repo: Repo, tmp_path: Path) -> None:
    repo.make_files(1000)
    sandbox = Sandbox.start(project_of(repo), tmp_path / "sandbox")
    for number in range(21):
        sandbox.workspace.write(f"src/d0000/new{number}", "x" * 100)
    sandbox.point()
    wanted = sandbox.intake()
    started = time.monotonic()
    ingest(wanted)
    took = time.monotonic() - started
    assert took < 1.5


def test_damaged_refs_and_settings_of_the_user_do_not_matter(repo: Repo, tmp_path: Path) -> None:
    """The project's git fetches the new objects, unaffected by the user's settings for fetching."""
    sandbox = Sandbox.start(project_of(repo), tmp_path / "sandbox")
    sandbox.workspace.write("new")
    sandbox.point()
    wanted = sandbox.intake()
    (repo.path / ".git/refs/realm-meta").mkdir()
    (repo.path / ".git/refs/realm-meta/gone").write_text("9" * 40 + "\n")
    (repo.path / ".git/refs/heads/garbage").write_bytes(b"\0garbage\n")
    for key, value in {
        "fetch.prune": "true",
        "fetch.pruneTags": "true",
        "fetch.fsckObjects": "true",
        "fetch.writeCommitGraph": "true",
        "fetch.unpackLimit": "1000",
        "fetch.recurseSubmodules": "true",
        "fetch.output": "compact",
        "protocol.file.allow": "never",
        "protocol.allow": "never",
        "transfer.hideRefs": "refs/given",
        "uploadpack.hideRefs": "refs",
        "core.hooksPath": "/nowhere",
    }.items():
        repo.git("config", "--global", key, value)
    done = take(wanted)
    assert repo.files(done.tip) == ["README.md", "new"]
    assert not (repo.path / ".git/FETCH_HEAD").exists()
    assert not (repo.path / ".git/objects/info/commit-graph").exists()
    assert not (repo.path / ".git/objects/info/commit-graphs").exists()
