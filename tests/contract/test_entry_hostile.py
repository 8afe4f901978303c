"""Whatever an agent does to its workspace, the entry script still saves the files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import SHELLS, HostSandbox

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.repos import Repo


@pytest.fixture(params=SHELLS)
def sandbox(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> HostSandbox:
    if shutil.which(request.param) is None:
        pytest.skip(f"no {request.param}")
    return HostSandbox(tmp_path / "sandbox", repo, request.param)


@pytest.mark.parametrize(
    "script",
    [
        "rm -rf .git",
        "git add -A && rm -rf .git/objects/*",
        "git add -A && git commit -qm x && rm -rf .git",
        "echo junk > .git/index",
        "echo junk > .git/config",
        "echo junk > .git/HEAD",
        "rm -rf .git && git init -q && git add -A && git commit -qm unrelated",
        "rm -rf .git && echo 'gitdir: /nowhere' > .git",
        "touch .git/index.lock .git/HEAD.lock",
        "git checkout -q --detach",
        "git checkout -q -b other",
        "git checkout -q --orphan empty",
        "git checkout -q --orphan empty && git add -A && git commit -qm orphan",
        "git config core.hooksPath hooks && mkdir hooks && printf '#!/bin/sh\\nexit 1\\n' > hooks/pre-commit && chmod +x hooks/pre-commit && rm -r hooks",  # noqa: E501
        "git sparse-checkout set --cone nothing && git sparse-checkout reapply --sparse-index",
        "git update-index --index-version 4",
        "git config core.fsmonitor /bin/false && git config core.untrackedCache true && git status > /dev/null",  # noqa: E501
        "git config core.excludesFile /dev/stdin",
        "git config core.worktree /nowhere",
        "git config core.bare true",
        "mkfifo pipe",
        "export GIT_DIR=/nowhere",
        "git pack-refs --all",
        "chmod -x .",
        "git add -A && git commit -qm x && git update-index --assume-unchanged work.txt && echo precious > work.txt",  # noqa: E501
    ],
)
def test_work_survives(sandbox: HostSandbox, script: str) -> None:
    before = "first" if "unchanged" in script else "precious"
    report = sandbox.run(f"echo {before} > work.txt; {script}; exit 0")
    assert report.complete
    taken = sandbox.taken(report)
    assert taken.show(f"{report.points[-1].snapshot}:work.txt") == "precious"


@pytest.mark.parametrize("link", ["", "link"])
@pytest.mark.parametrize(
    "place",
    [
        ".git/HEAD",
        ".git/index",
        ".git/config",
        ".git/packed-refs",
        ".git/refs/heads/work",
        ".git/info/exclude",
        ".git/objects/info/alternates",
        ".gitignore",
        ".gitattributes",
        ".gitmodules",
        "sub/.gitignore",
        "sub/.git",
        "../../realm/git/config",
        "../../realm/git/HEAD",
        "../../realm/git/index",
        "../../realm/git/last",
        "../../realm/git/objects/info/alternates",
        "../../realm/out/report",
        "../../realm/out/end.point",
        "../../realm/out/pack",
        "../../realm/out/transcript",
        "../../realm/out/turns/0001.point",
        "../../realm/claude/projects/-workspace-project/next.jsonl",
    ],
)
def test_fifo_in_the_place_of_a_file_stops_nothing(sandbox: HostSandbox, place: str, link: str) -> None:
    make = f"mkfifo ../fifo; ln -s $PWD/../fifo {place}" if link else f"mkfifo {place}"
    clear = f"mkdir -p sub ../../realm/claude/projects/-workspace-project; rm -rf {place}"
    report = sandbox.run(f"echo precious > work.txt; {clear}; {make}; exit 0")
    assert report.complete
    assert sandbox.taken(report).show(f"{report.points[-1].snapshot}:work.txt") == "precious"


@pytest.mark.parametrize(
    "lost",
    [
        "git",
        "git/objects",
        "git/objects/info",
        "git/objects/pack",
        "git/refs",
        "git/info",
        "git/HEAD",
        "git/config",
        "git/index",
        "git/ready",
        "git/*",
        "out",
        "out/turns",
        "[!l]*",
    ],
)
def test_work_survives_the_loss_of_what_was_made_for_snapshots(sandbox: HostSandbox, lost: str) -> None:
    report = sandbox.run(f"echo precious > work.txt; rm -rf {sandbox.state}/{lost}; exit 0")
    assert report.complete
    taken = sandbox.taken(report)
    assert taken.show(f"{report.points[-1].snapshot}:work.txt") == "precious"
    assert taken.show(f"{report.points[-1].snapshot}:README.md")


def test_files_survive_a_merge_of_a_shallow_fetch(sandbox: HostSandbox) -> None:
    other = "git init -q ../other && git -C ../other"
    commit = "-c user.name=x -c user.email=x@y commit -q --allow-empty -m"
    report = sandbox.run(
        f"{other} {commit} one; git -C ../other {commit} two; echo precious > work.txt; git add .; "
        "git commit -qm mine; git fetch -q --depth 1 file://$PWD/../other HEAD; "
        "git merge -q --allow-unrelated-histories -m merged FETCH_HEAD; echo later > later.txt; exit 0"
    )
    assert report.complete
    assert any("history is not all there" in error for error in report.errors)
    last = report.points[-1]
    taken = sandbox.taken(report)
    assert taken.show(f"{last.snapshot}:work.txt") == "precious"
    assert taken.show(f"{last.snapshot}:later.txt") == "later"
    assert taken.git("rev-parse", f"{last.snapshot}^") == last.head == sandbox.tip


def test_head_that_is_no_commit_is_said(sandbox: HostSandbox) -> None:
    report = sandbox.run("rm -rf .git")
    assert report.points[-1].head == sandbox.tip
    assert any("HEAD is no commit" in text for text in report.errors)


def test_deleted_repository_records_no_change_of_other_files(sandbox: HostSandbox) -> None:
    report = sandbox.run("rm -rf .git; echo 1 > new")
    assert sandbox.tree(report) == ["README.md", "new"]


def test_names_of_any_bytes_are_kept(sandbox: HostSandbox) -> None:
    names = [
        b"new\nline",
        b"tab\t",
        b'quo"te',
        b"back\\slash",
        b"\xff\xfe",
        b" lead",
        b"-dash",
        b"star*?[",
        b"%s%d",
    ]
    code = (
        "import os,sys\nfor n in "
        + repr(names)
        + ": open(os.path.join(os.fsencode(sys.argv[1]), n), 'wb').write(n)"
    )
    done = sandbox.entry("run", sys.executable, "-c", code, str(sandbox.workspace))
    assert done.returncode == 0, done.stderr
    tree = [os.fsencode(name) for name in sandbox.tree(sandbox.report())]
    assert tree == sorted([b"README.md", *names])


def test_embedded_repository_becomes_plain_files_at_the_end(sandbox: HostSandbox) -> None:
    report = sandbox.run("git init -q sub && cd sub && echo 1 > f && git add f && git commit -qm inner")
    assert sandbox.tree(report) == ["README.md", "sub/f"]
    assert report.nested == ("sub",)


def test_embedded_repository_that_the_agent_committed_becomes_plain_files(sandbox: HostSandbox) -> None:
    report = sandbox.run(
        "git init -q sub && (cd sub && echo 1 > f && git add f && git commit -qm inner) && git add sub 2>/dev/null && git commit -qm link"  # noqa: E501
    )
    assert sandbox.tree(report) == ["README.md", "sub/f"]


def test_embedded_repository_without_a_commit_becomes_plain_files(sandbox: HostSandbox) -> None:
    report = sandbox.run("git init -q 'a b' && echo 1 > 'a b/f' && echo 2 > beside")
    assert sandbox.tree(report) == ["README.md", "a b/f", "beside"]


def test_repositories_within_repositories_become_plain_files(sandbox: HostSandbox) -> None:
    make = "git init -q . && echo 1 > f && git add f && git commit -qm inner"
    report = sandbox.run(f"mkdir -p 'x\ty/z' && cd 'x\ty' && {make} && cd z && {make}")
    assert sandbox.tree(report) == ["README.md", "x\ty/f", "x\ty/z/f"]


def test_submodule_of_the_tip_stays_one(sandbox: HostSandbox) -> None:
    sandbox.repo.git("update-index", "--add", "--cacheinfo", f"160000,{sandbox.tip},module")
    sandbox.repo.write(".gitmodules", '[submodule "module"]\n\tpath = module\n\turl = ../module\n')
    sandbox.repo.git("add", ".gitmodules")
    sandbox.tip = sandbox.repo.commit("Add a submodule", add=False)
    report = sandbox.run("test -d module && echo 1 > new")
    tree = sandbox.taken(report).git("ls-tree", report.points[-1].snapshot, "module")
    assert tree == f"160000 commit {sandbox.tip and sandbox.repo.head('HEAD:module')}\tmodule"


def test_file_that_became_a_pipe_is_said_and_the_rest_saved(sandbox: HostSandbox) -> None:
    report = sandbox.run("rm README.md; mkfifo README.md; echo 1 > new")
    assert "new" in sandbox.tree(report)
    assert any("README.md" in text for text in report.errors)


def test_many_files(sandbox: HostSandbox) -> None:
    report = sandbox.run("i=0; while [ $i -lt 3000 ]; do echo $i > f$i; i=$((i+1)); done")
    assert len(sandbox.tree(report)) == 3001


def test_report_that_is_done_is_not_done_again(sandbox: HostSandbox) -> None:
    before = sandbox.run("echo 1 > a", code=0)
    assert sandbox.entry("snapshot").returncode == 0
    after = sandbox.report()
    assert (after.exit_code, after.points) == (before.exit_code, before.points)


def test_snapshot_alone_saves_what_a_killed_sandbox_left(sandbox: HostSandbox) -> None:
    sandbox.run("echo 1 > a")
    for name in ("report", "end.point", "pack"):
        (sandbox.state / "out" / name).unlink()
    (sandbox.workspace / ".git" / "index.lock").touch()
    assert sandbox.entry("snapshot").returncode == 0
    report = sandbox.report()
    assert (report.complete, report.exit_code, sandbox.tree(report)) == (True, None, ["README.md", "a"])


def test_a_dead_sandboxs_empty_workspace_is_damage_and_no_deletion(sandbox: HostSandbox) -> None:
    sandbox.run("echo 1 > a")
    for name in ("report", "end.point", "pack"):
        (sandbox.state / "out" / name).unlink()
    shutil.rmtree(sandbox.workspace)
    sandbox.workspace.mkdir()
    assert sandbox.entry("snapshot").returncode == 0
    report = sandbox.report()
    assert report.complete
    assert [(point.head, point.snapshot) for point in report.points] == [(sandbox.tip, sandbox.tip)]
    assert any("found empty" in error for error in report.errors)


def test_snapshot_of_a_sandbox_that_was_never_prepared_gives_the_tip(sandbox: HostSandbox) -> None:
    assert sandbox.entry("snapshot").returncode == 0
    report = sandbox.report()
    assert report.complete


def test_snapshot_that_fails_is_not_done(sandbox: HostSandbox) -> None:
    """The host takes the snapshot of a sandbox whose report is not done, and keeps it when that fails too."""
    sandbox.run("echo 1 > a")
    (sandbox.state / "out" / "report").unlink()
    sandbox.environment["REALM_TIP"] = "f" * 40
    shutil.rmtree(sandbox.workspace / ".git")
    assert sandbox.entry("snapshot").returncode == 0
    report = sandbox.report()
    assert (report.complete, report.points) == (False, ())
    assert "the workspace could not be saved" in report.errors


HUGE = """
mkdir d sub; echo precious > sub/work.txt; echo more >> large.bin
for name in huge 'd/a b[1]*?.bin' 'd/\\ü' "$(printf 'new\nline')" base.txt; do truncate -s 8000G "$name"; done
git init -q d; printf '!*\n' > .gitignore
"""


def test_files_above_the_limit_are_left_out_unread(sandbox: HostSandbox) -> None:
    for file, text in {"base.txt": "", "large.bin": "x" * 70_000}.items():
        sandbox.repo.write(file, text)
    sandbox.tip = sandbox.repo.commit()
    sandbox.layout = sandbox.layout._replace(largest=1 << 16)
    report = sandbox.run(HUGE)
    assert report.complete
    taken, snapshot = sandbox.taken(report), report.points[-1].snapshot
    added = {*taken.files(snapshot)} - {*taken.files(sandbox.tip)}
    assert added == {".gitignore", "sub/work.txt"}
    assert taken.show(f"{snapshot}:base.txt") == ""
    assert taken.show(f"{snapshot}:large.bin") == "x" * 70_000
    assert sum("(realm.limit.file)" in error for error in report.errors) == 5
    assert any(error.startswith("left out: 1 more file") for error in report.errors)


def test_a_file_of_holes_that_looks_unchanged_is_not_read_when_the_index_is_written(
    sandbox: HostSandbox,
) -> None:
    """Its size is that of the tip's as an index notes it, and both are as old as the index."""
    for file in ("base.txt", "marked.txt"):
        sandbox.repo.write(file, "")
    sandbox.tip = sandbox.repo.commit()
    sandbox.layout = sandbox.layout._replace(largest=1 << 16)
    report = sandbox.run(
        "git update-index --assume-unchanged marked.txt; echo more > marked.txt; cp -p base.txt ../then;"
        "truncate -s 8000G base.txt; touch -r ../then base.txt .git/index"
    )
    taken, snapshot = sandbox.taken(report), report.points[-1].snapshot
    assert taken.git("diff", "--name-only", sandbox.tip, snapshot) == "marked.txt"
    assert any("base.txt: above the limit" in error for error in report.errors)


def test_a_large_file_of_the_tips_stays_and_an_ignored_one_is_not_spoken_of(sandbox: HostSandbox) -> None:
    for file, text in {"large.bin": "x" * 70_000, ".gitignore": "cache/\n"}.items():
        sandbox.repo.write(file, text)
    sandbox.tip = sandbox.repo.commit()
    sandbox.layout = sandbox.layout._replace(largest=1 << 16)
    report = sandbox.run("tr x y < large.bin > l; mv l large.bin; mkdir cache; truncate -s 8000G cache/model")
    assert report.errors == ()
    assert sandbox.taken(report).show(f"{report.points[-1].snapshot}:large.bin") == "y" * 70_000


FORGETS = {
    "its index is gone": "rm .git/index",
    "its index is read anew": "rm .git/index; git read-tree HEAD",
    "a commit is taken back": "o=$(echo n | git hash-object -w --stdin); export GIT_INDEX_FILE=.git/i;"
    "git read-tree HEAD; git update-index --cacheinfo 100644,$o,b/two; t=$(git write-tree);"
    "unset GIT_INDEX_FILE; git merge -q $(git commit-tree -p HEAD -m up $t); git reset -q HEAD~1",
}


@pytest.mark.parametrize("how", FORGETS)
def test_what_a_sparse_checkout_leaves_out_is_not_deleted(sandbox: HostSandbox, how: str) -> None:
    """What lies in its place counts, under any name, and a link that leads nowhere too."""
    for name in ("a/one", "b/one", "b/two", 'b/"three"', "b/gone"):
        sandbox.repo.write(name, name)
    sandbox.tip = sandbox.repo.commit("Files")
    sandbox.layout = sandbox.layout._replace(patterns=b"/*\n!/*/\n/a/\n", cone=True)
    report = sandbox.run(
        f"mkdir b; {FORGETS[how]}; mkdir -p b;echo new > b/new; ln -s no b/one; echo n > 'b/\"three\"'"
    )
    taken = sandbox.taken(report)
    changed = taken.git("diff", "-z", "--name-status", sandbox.tip, report.points[-1].snapshot)
    assert changed.split("\0") == ["M", 'b/"three"', "A", "b/new", "T", "b/one", ""]


def test_a_large_file_outside_of_a_sparse_checkout_deletes_none_there(sandbox: HostSandbox) -> None:
    """Not those whose names begin like its own, nor those with odd ones."""
    for name in ("a/one", "b/model", "b/model.json", "b/new\nline"):
        sandbox.repo.write(name, name)
    sandbox.tip = sandbox.repo.commit("Files")
    sandbox.layout = sandbox.layout._replace(patterns=b"/*\n!/*/\n/a/\n", cone=True, largest=1 << 16)
    report = sandbox.run("mkdir -p b; truncate -s 200K b/model; echo new > a/two")
    taken = sandbox.taken(report)
    changed = taken.git("diff", "--name-status", sandbox.tip, report.points[-1].snapshot)
    assert changed.split() == ["A", "a/two"]


def test_what_is_deleted_outside_of_a_sparse_checkout_is(sandbox: HostSandbox) -> None:
    for name in ("a/one", "b/one", "b/two"):
        sandbox.repo.write(name, name)
    sandbox.tip = sandbox.repo.commit("Files")
    sandbox.layout = sandbox.layout._replace(patterns=b"/*\n!/*/\n/a/\n", cone=True)
    report = sandbox.run("git sparse-checkout add b; rm b/one")
    taken = sandbox.taken(report)
    changed = taken.git("diff", "--name-status", sandbox.tip, report.points[-1].snapshot)
    assert changed.split() == ["D", "b/one"]


def test_a_given_file_and_a_set_up_leave_a_sparse_checkout_sparse(sandbox: HostSandbox) -> None:
    """The oldest git that is supported writes what is outside when it is asked for all files."""
    for name in ("a/one", "b/one"):
        sandbox.repo.write(name, name)
    sandbox.tip = sandbox.repo.commit("Files")
    sandbox.layout = sandbox.layout._replace(patterns=b"/*\n!/*/\n/a/\n", cone=True)
    sandbox.lay_out()
    (sandbox.workspace / "a").mkdir()
    (sandbox.workspace / "a" / "one").write_text("given")
    (sandbox.state / "layout" / "setup").write_text("echo x > made")
    report = sandbox.run("test ! -e b && test -e made && test -e a/one")
    assert report.complete
    assert report.points[-1].snapshot == sandbox.tip


UNENCODED = {
    "UTF-8 where UTF-16 is wanted": ("echo more >> u/a.txt", ["u/a.txt"]),
    "without the mark of its order": (r"""printf 'a\000' > 'u/b "[1]*.txt'""", ['u/b "[1]*.txt']),
    "an encoding that there is none of": ("echo '*.x working-tree-encoding=UTF-99' >> .gitattributes", []),
    "no encoding": ("echo '*.x working-tree-encoding' >> .gitattributes", []),
    "many": ("for n in 1 2 3 4; do echo x > u/$n.txt; done", [f"u/{number}.txt" for number in range(1, 5)]),
    "in a directory with an apostrophe": ('mkdir "it\'s"; echo x > "it\'s/u.txt"', ["it's/u.txt"]),
}


@pytest.mark.parametrize("how", UNENCODED)
def test_a_file_that_git_cannot_encode_keeps_no_other_from_being_saved(
    sandbox: HostSandbox, how: str
) -> None:
    script, kept = UNENCODED[how]
    sandbox.repo.write(".gitattributes", "*.txt text working-tree-encoding=UTF-16\n")
    for name in ("u/a.txt", "u/good.txt"):
        sandbox.repo.write(name, "")
        (sandbox.repo.path / name).write_bytes("one\ntwo\n".encode("utf-16"))
    sandbox.tip = sandbox.repo.commit()
    report = sandbox.run(f"echo 1 > work; echo x > some.x; {script}; git add -A 2>&- || :")
    assert report.complete
    taken, snapshot = sandbox.taken(report), report.points[-1].snapshot
    changed = taken.git("diff", "-z", "--name-only", sandbox.tip, snapshot).split("\0")
    assert {*kept, "work", "some.x"} <= set(changed)
    assert "u/good.txt" not in changed or how == "no encoding"
    for name in kept:
        raw = (sandbox.workspace / name).read_bytes()
        assert (
            subprocess.check_output(["git", "cat-file", "blob", f"{snapshot}:{name}"], cwd=taken.path) == raw
        )
    assert any("kept as it is" in error for error in report.errors)


MAKE = "git init -q; echo x > x; git add .; git commit -q -m x"
DAMAGED = {
    "no configuration": f"mkdir a; cd a; {MAKE}; echo '[broken' > .git/config",
    "a setting of no value": f"mkdir a; cd a; {MAKE}; printf '[core]\\nbare = perhaps' > .git/config",
    "below a good one": f"mkdir -p a/b; cd a; {MAKE}; cd b; {MAKE}; echo '[broken' > .git/config",
    "the word encode in its name": f"mkdir encoder; cd encoder; {MAKE}; echo '[broken' > .git/config",
}


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_repository_inside_keeps_no_file_from_being_saved(sandbox: HostSandbox, how: str) -> None:
    report = sandbox.run(f"echo w > work; {DAMAGED[how]}")
    assert report.complete
    made = {f"{path.relative_to(sandbox.workspace)}" for path in sandbox.workspace.glob("**/x")}
    assert set(sandbox.tree(report)) == {"README.md", "work", *made}
    assert len(made) == (2 if "below" in how else 1)
    assert not report.errors
