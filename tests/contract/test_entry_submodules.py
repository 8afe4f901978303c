"""What an agent does in submodules comes out of a sandbox with the work around them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from realm.sandbox.report import Others
from realm.sandbox.repositories import Contents, Inner
from tests.support.repos import Repo
from tests.support.sandbox import SHELLS, HostSandbox, unpacked

if TYPE_CHECKING:
    from pathlib import Path

    from realm.sandbox.report import Report

KEY, DEEP = "a" * 16, "b" * 16
COMMIT = "git add -A && git commit -qm inner"
DECLARED = """printf '[submodule "new"]\\n\\tpath = new\\n\\turl = https://example.com/\\n' >> .gitmodules"""


@pytest.fixture(params=SHELLS)
def sandbox(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> HostSandbox:
    """A project with the submodule ``lib``, which has ``deep``, and with ``gone``, which has no clone."""
    if shutil.which(request.param) is None:
        pytest.skip(f"no {request.param}")
    for name in ("deep", "lib"):
        made = Repo.init(tmp_path / name)
        made.write(f"{name}.txt", f"{name}\n")
        made.commit(name)
    deep, lib = Repo(tmp_path / "deep"), Repo(tmp_path / "lib")
    lib.git("submodule", "add", "-q", str(deep.path), "deep")
    lib.commit("Add deep")
    repo.git("submodule", "add", "-q", str(lib.path), "lib")
    repo.git("submodule", "add", "-q", str(deep.path), "gone")
    repo.commit("Add submodules")
    whole = HostSandbox(tmp_path / "sandbox", repo, request.param)
    whole.layout = whole.layout._replace(
        inner=(
            Inner(KEY, "", "lib", "lib", lib.head(), "lib", place="modules/lib",
                  contents=Contents(objects=(str(lib.path / ".git/objects"),))),
            Inner(DEEP, KEY, "lib/deep", "deep", deep.head(), "deep", place="modules/lib/modules/deep",
                  contents=Contents(objects=(str(deep.path / ".git/objects"),))),
            Inner("c" * 16, "", "gone", "gone", deep.head(), "gone"),
        )
    )  # fmt: skip
    return whole


def test_they_are_there_and_an_agent_that_does_nothing_changes_nothing(sandbox: HostSandbox) -> None:
    report = sandbox.run("git submodule status --recursive > $HOME/told; cat lib/lib.txt lib/deep/deep.txt")
    assert (report.points[-1].snapshot, report.errors, report.inner) == (sandbox.tip, (), {})
    told = (sandbox.state / "home" / "told").read_text().splitlines()
    assert [(line[0], line.split()[1]) for line in told] == [("-", "gone"), (" ", "lib"), (" ", "lib/deep")]


def test_commits_and_what_is_not_committed(sandbox: HostSandbox) -> None:
    report = sandbox.run(f"cd lib && echo 1 > one && {COMMIT} && echo 2 > two && echo 3 > deep/three")
    assert report.errors == ()
    assert set(report.inner) == set(report.inner_packs) == {KEY, DEEP}
    (point,) = report.inner[KEY]
    link = sandbox.taken(report).git("rev-parse", f"{report.points[-1].snapshot}:lib")
    assert link == point.snapshot != point.head


def test_the_same_files_are_the_same_commit_in_each_turn(sandbox: HostSandbox) -> None:
    sandbox.run("echo 1 > lib/one")
    first = sandbox.report()
    for name in ("report", "end.point"):
        (sandbox.state / "out" / name).unlink()
    assert sandbox.entry("snapshot").returncode == 0
    again = sandbox.report()
    assert again.inner == first.inner
    trees = [
        sandbox.taken(report).head(f"{report.points[-1].snapshot}^{{tree}}") for report in (first, again)
    ]
    assert trees[0] == trees[1]


def test_each_state_that_the_agent_committed_above_is_reported(sandbox: HostSandbox) -> None:
    inner = f"cd lib && echo $i > file && {COMMIT} && cd .. && git add lib && git commit -qm $i"
    report = sandbox.run(f"for i in 1 2; do {inner}; done; cd lib && git commit -q --amend -m other")
    points = [point.snapshot for point in report.inner[KEY]]
    taken = sandbox.taken(report)
    named = [taken.git("rev-parse", f"{report.points[-1].head}{at}:lib") for at in ("~1", "")]
    assert points[:2] == named
    assert len(points) == 3
    assert taken.git("rev-parse", f"{report.points[-1].snapshot}:lib") == points[2]


@pytest.mark.parametrize("work", ["echo 1 > one", f"echo 1 > one && {COMMIT}", "true"])
def test_history_that_is_not_all_there_holds_up_nothing(
    sandbox: HostSandbox, tmp_path: Path, work: str
) -> None:
    """The submodule's version was fetched without history: its files are saved on top of the named commit."""
    far = Repo(shutil.copytree(tmp_path / "lib", tmp_path / "far"))
    for number in range(3):
        far.write("later.txt", f"{number}\n")
        far.commit("Later")
    fetch = f"git fetch -q --depth 1 file://{far.path} main && git checkout -q FETCH_HEAD"
    report = sandbox.run(f"echo 1 > above; cd lib && {fetch} && {work}")
    assert any("is not all there" in error for error in report.errors)
    (point,) = report.inner[KEY]
    assert point.head == sandbox.layout.inner[0].link
    assert {"above", "lib"} <= set(sandbox.tree(report))
    assert sandbox.taken(report).git("rev-parse", f"{report.points[-1].snapshot}:lib") == point.snapshot


def test_a_state_that_is_gone_later_holds_up_nothing(sandbox: HostSandbox) -> None:
    inner = f"cd lib && echo 1 > one && {COMMIT} && cd .. && git add lib && git commit -qm first"
    undo = "git reset -q --hard HEAD~1 && cd lib && git reset -q --hard HEAD~1 && echo 2 > two"
    forget = "git reflog expire --expire=now --all && git gc -q --prune=now"
    report = sandbox.run(f"{inner} && {undo} && {forget} && cd .. && {forget}")
    (point,) = report.inner[KEY]
    assert sandbox.taken(report).git("rev-parse", f"{report.points[-1].snapshot}:lib") == point.snapshot


def test_what_the_agent_made_plain_files_of_is_plain_files(sandbox: HostSandbox) -> None:
    script = "git rm -q --cached lib && rm -rf lib/.git lib/deep lib/.gitmodules && echo 1 > lib/one"
    report = sandbox.run(f"{script} && git add lib && git commit -qm vendored && echo 2 > lib/two")
    assert {"lib/lib.txt", "lib/one", "lib/two"} <= set(sandbox.tree(report))
    assert report.inner == {}


def test_files_where_there_is_no_clone_are_plain_files(sandbox: HostSandbox) -> None:
    report = sandbox.run("echo 1 > gone/one")
    assert report.plain == ("gone",)
    assert "gone/one" in sandbox.tree(report)
    assert report.inner == {}


def test_a_clone_that_the_agent_makes_keeps_its_files(sandbox: HostSandbox, tmp_path: Path) -> None:
    clone = f"git clone -q {tmp_path / 'deep'} gone"
    report = sandbox.run(f"{clone} && cd gone && echo 1 > one && {COMMIT}")
    assert {"gone/one", "gone/deep.txt"} <= set(sandbox.tree(report))
    assert report.nested == ("gone",)


def test_a_clone_as_it_is_named_is_no_change(sandbox: HostSandbox, tmp_path: Path) -> None:
    report = sandbox.run(f"git clone -q {tmp_path / 'deep'} gone && git submodule status gone")
    assert report.points[-1].snapshot == sandbox.tip


def test_only_ignored_files_leave_the_submodule_what_it_is(sandbox: HostSandbox) -> None:
    report = sandbox.run("echo '*' > .git/info/exclude; echo 1 > gone/one")
    assert report.points[-1].snapshot == sandbox.tip


@pytest.mark.parametrize(
    "script",
    ["rm lib/.git", "rm -rf .git/modules", "echo junk > .git/modules/lib/HEAD",
     "mkfifo .git/modules/lib/pipe",
     "rm -rf .git/modules/lib/objects", "echo junk > .git/modules/lib/index", "echo 'gitdir: /' > lib/.git",
     "rm -rf lib/.git && git -C lib init -q", "echo '[broken' > .git/modules/lib/config",
     "rm -rf lib/.git && git -C lib init -q && echo '[broken' > lib/.git/config",
     f"git init -q new && {DECLARED} && echo '[broken' > new/.git/config",
     "ln -sf /nowhere lib/.git", "chmod 000 lib/one"],
)  # fmt: skip
def test_work_survives(sandbox: HostSandbox, script: str) -> None:
    report = sandbox.run(f"echo precious > lib/one; echo 1 > above; {script}; exit 0")
    assert report.complete
    assert "above" in sandbox.tree(report)
    lib = Repo(sandbox.root.parent / "lib")
    taken = unpacked(lib, report._replace(pack=report.inner_packs[KEY]), sandbox.root / "inner")
    assert taken.show(f"{report.inner[KEY][-1].snapshot}:one") == "precious"


def test_a_published_commit_is_named_as_it_is(sandbox: HostSandbox) -> None:
    """Others can get it: the agent added a library, or went on to a newer version of one."""
    far = "git config remote.origin.url https://example.com/lib; git update-ref refs/remotes/origin/main HEAD"
    made = f"echo 1 > one && {COMMIT} && {far}; cd .."
    report = sandbox.run(f"cd lib && {made}; git init -q new && cd new && {made}; {DECLARED}")
    taken = sandbox.taken(report)
    names = [taken.git("rev-parse", f"{report.points[-1].snapshot}:{path}") for path in ("lib", "new")]
    assert sorted(report.published) == sorted(zip(names, ("lib", "new"), strict=True))
    assert report.inner == {}
    assert report.nested == ()


def test_a_new_one_that_nobody_else_has_becomes_plain_files(sandbox: HostSandbox) -> None:
    made = f"git init -q new && cd new && echo 1 > one && {COMMIT}; cd .."
    report = sandbox.run(f"{made}; {DECLARED}")
    assert "new/one" in sandbox.tree(report)
    assert report.nested == ("new",)


def test_deleted_and_replaced(sandbox: HostSandbox) -> None:
    report = sandbox.run("rm -rf lib gone; echo 1 > lib; mkdir gone")
    tree = sandbox.taken(report).git("ls-tree", report.points[-1].snapshot)
    assert "blob" in next(line for line in tree.splitlines() if line.endswith("\tlib"))
    assert "160000" in next(line for line in tree.splitlines() if line.endswith("\tgone"))


def names(report: Report, key: str = KEY) -> list[str]:
    return [left.name for left in report.inner_others.get(key, Others()).left]


def test_what_else_is_left_in_one_is_reported(sandbox: HostSandbox) -> None:
    script = f"cd lib && git switch -qc side && echo 1 > one && {COMMIT} && git switch -q --detach HEAD~1; "
    report = sandbox.run(script + "cd deep && git switch -qc here && echo 1 > one && " + COMMIT)
    assert (report.errors, names(report), names(report, DEEP)) == (
        (),
        ["refs/heads/side"],
        ["refs/heads/here"],
    )
    assert report.inner_others[KEY].is_all
    lib = Repo(sandbox.root.parent / "lib")
    taken = unpacked(lib, report._replace(pack=report.inner_others[KEY].pack), sandbox.root / "inner")
    assert taken.show(f"{report.inner_others[KEY].left[0].oid}:one") == "1"


@pytest.mark.parametrize(
    ("way", "left"), [("git checkout -q HEAD~1", ["detached"]), ("git commit -qm 1 --amend", [])]
)
def test_a_commit_that_the_agent_went_away_from(sandbox: HostSandbox, way: str, left: list[str]) -> None:
    report = sandbox.run(f"cd lib; git checkout -q --detach; echo 1 > one; {COMMIT}; {way}")
    assert names(report) == left


def test_what_was_fetched_is_nothing_of_the_agents(sandbox: HostSandbox, tmp_path: Path) -> None:
    """The commits of a remote that is elsewhere, also where a branch of theirs was checked out."""
    far = Repo(shutil.copytree(tmp_path / "lib", tmp_path / "far"))
    far.write("later.txt")
    far.commit("Later")
    report = sandbox.run(
        f"cd lib; git fetch -q {far.path} main:refs/remotes/origin/main; "
        "git config remote.origin.url https://a.b/c; git checkout -q -b theirs origin/main; "
        "git checkout -q --detach origin/main; "
        f"git checkout -q -b ours; echo 1 > one; {COMMIT}; git checkout -q {far.head('HEAD~1')}"
    )
    assert (names(report), report.errors) == (["refs/heads/ours"], ())


def test_more_than_are_kept_are_said(sandbox: HostSandbox) -> None:
    many = "i=0; while [ $i -lt 101 ]; do git branch $i; i=$((i + 1)); done"
    report = sandbox.run(f"cd lib; git notes add -m x; git commit -q --allow-empty -m one; {many}")
    assert (len(names(report)), report.inner_others[KEY].is_all) == (100, False)
    assert report.errors == (
        "only 100 of 101 branches, stashes and detached commits in the submodule lib were kept",
        "refs that are no branches, tags or stashes were not kept in the submodule lib: refs/notes/commits",
    )


def test_what_else_there_is_is_handed_over_with_a_turn(sandbox: HostSandbox) -> None:
    sandbox.lay_out()
    sandbox.run("true")
    Repo(sandbox.workspace / "lib").git("branch", "alt", "HEAD~0")
    sandbox.turn("start")
    sandbox.turn("stop")
    sandbox.turn("start")
    sandbox.turn("stop")
    first, second = sorted((sandbox.state / "out/live").glob("[0-9]*"))
    assert (first / f"{KEY}.kept").read_text().endswith(" refs/heads/alt\nall\n")
    assert not [*second.glob("*.kept")]


@pytest.mark.parametrize(("work", "kind"), [("true", "160000"), ("echo 1 > libs/lib/new", "040000")])
def test_one_that_was_moved_stays_one_without_work(sandbox: HostSandbox, work: str, kind: str) -> None:
    report = sandbox.run(f"mkdir libs; git mv lib libs/lib; {work}; true")
    listed = sandbox.taken(report).git("ls-tree", report.points[-1].snapshot, "libs/lib")
    assert listed.startswith(kind)


@pytest.fixture
def beside(sandbox: HostSandbox) -> Path:
    """Give the repository ``../near`` of a sandbox that also has ``../still``, of which nothing is saved."""
    lib = Repo(sandbox.root.parent / "lib")
    for name, parent, key in (("near", "beside", "e" * 16), ("still", "read-only", "f" * 16)):
        inner = Inner(key, parent, f"../{name}", f"../{name}", lib.head(), name, place=f"with/{name}",
                      contents=Contents(objects=(str(lib.path / ".git/objects"),)))  # fmt: skip
        sandbox.layout = sandbox.layout._replace(inner=(*sandbox.layout.inner, inner))
        top = sandbox.workspace.parent / name
        top.mkdir()
        (top / ".git").write_text(f"gitdir: ../project/.git/with/{name}\n")
    return sandbox.workspace.parent / "near"


def test_a_repository_beside_the_workspace(sandbox: HostSandbox, beside: Path) -> None:
    script = f"cd ../near && git status -sb > $HOME/told && echo 1 > one && {COMMIT} && echo 2 > two; "
    report = sandbox.run(script + f"cd ../still && echo 1 > one && {COMMIT}")
    assert (sandbox.state / "home/told").read_text() == "## work\n"
    assert (report.errors, report.points[-1].snapshot) == ((), sandbox.tip)
    assert set(report.inner) == set(report.inner_packs) == {"e" * 16}
    (point,) = report.inner["e" * 16]
    assert point.head != point.snapshot
    assert (beside / "lib.txt").read_text() == "lib\n"


def test_an_idle_agent_changes_nothing_beside_the_workspace(sandbox: HostSandbox, beside: Path) -> None:
    report = sandbox.run("true")
    assert (report.errors, report.points[-1].snapshot, report.inner) == ((), sandbox.tip, {})
    assert beside.is_dir()


@pytest.mark.parametrize("way", [
    "rm -rf ../near", "rm -rf ../near && ln -s / ../near", "rm ../near/.git && mkfifo ../near/.git",
    "mv ../near ../other && mkdir ../near && mkfifo ../near/x", "rm -rf .git/with && mkfifo .git/with",
])  # fmt: skip
def test_what_an_agent_makes_of_it_holds_nobody_up(sandbox: HostSandbox, beside: Path, way: str) -> None:
    report = sandbox.run(f"{way}; echo 1 > own")
    assert sandbox.taken(report).show(f"{report.points[-1].snapshot}:own") == "1"
    assert beside.parent.is_dir()


@pytest.mark.parametrize("way", [
    "mv near far", "rm -rf near", "mv near far && ln -s far near", "mv near far && mkdir near",
    "git -C near gc -q && mv near far",
])  # fmt: skip
def test_what_was_committed_beside_the_workspace_is_kept_though_it_is_moved(
    sandbox: HostSandbox, beside: Path, way: str
) -> None:
    report = sandbox.run(f"cd ../near && echo 1 > one && {COMMIT} && cd .. && {way}")
    assert report.errors == ("../near is not where it was: only what was committed there is kept",)
    (point,) = report.inner["e" * 16]
    assert point.head == point.snapshot != Repo(sandbox.root.parent / "lib").head()
    assert beside.parent.is_dir()


def test_files_that_were_saved_stay_so_when_it_is_moved(sandbox: HostSandbox, beside: Path) -> None:
    before = sandbox.run("echo 1 > ../near/one")
    for name in ("report", "end.point"):
        (sandbox.state / "out" / name).unlink()
    beside.rename(beside.with_name("far"))
    assert sandbox.entry("snapshot").returncode == 0
    assert sandbox.report().inner == before.inner


def test_what_is_done_beside_the_workspace_alone_is_handed_over(sandbox: HostSandbox, beside: Path) -> None:
    """As of a program that tells of no turns: at the second look that finds the same."""
    sandbox.lay_out()
    sandbox.run("true")
    (beside / "one").write_text("1\n")
    sandbox.turn("start")
    sandbox.turn("stop")
    (part,) = (sandbox.state / "out/live").glob("[0-9]*")
    assert (part / "inner").read_text().startswith(f"point {'e' * 16} ")
