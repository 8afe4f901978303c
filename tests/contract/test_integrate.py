"""Taking a session's work, in real repositories: onto the work tree, into a branch."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from realm.git import type_in
from realm.session import claim, registry, untold
from realm.store import merging, record, refs
from tests.support.driver import Terminal
from tests.support.history import Asked, Past, realm
from tests.support.repos import Repo, git
from tests.support.store import assert_sound, project_of

MINUS = "\N{MINUS SIGN}"
if TYPE_CHECKING:
    from collections.abc import Callable

LINES = "".join(f"{number}\n" for number in range(1, 21))


@pytest.fixture
def past(repo: Repo) -> Past:
    """Return a session of two turns on a project of three files."""
    repo.write("a.txt", LINES)
    repo.write("gone.txt", "x\n")
    repo.write("sub/b.txt", "b\n")
    repo.write(".gitignore", "*.log\n")
    repo.commit("Files")
    made = Past(repo)
    made.run(
        Asked("change a", {"a.txt": LINES.replace("10\n", "ten\n"), "gone.txt": None}),
        Asked("more", {"sub/b.txt": "B\n", "new file.txt": "n\n"}),
    )
    return made


def begin(repo: Repo) -> Past:
    """Return a session that took the work tree's changes along, as ``realm new --wip`` does."""
    head = repo.head()
    repo.git("add", "-A")
    wip = repo.git(
        "commit-tree", "-p", head, "-m", "Uncommitted changes when fix began", repo.git("write-tree")
    )
    repo.git("reset", "-q")
    past = Past(repo)
    past.tip = wip
    return past


def status(repo: Repo) -> list[str]:
    return repo.git("status", "--porcelain", "-uall").splitlines()


class TestApply:
    def test_it_changes_the_work_tree_and_nothing_else(self, past: Past) -> None:
        repo = past.repo
        before = repo.refs(), repo.git("ls-files", "--stage")
        done = realm(repo.path, "apply", "fix")
        assert (done.code, done.err) == (0, "")
        assert done.out == f"applied fix to the work tree (4 files, +3 {MINUS}3)\n"
        assert status(repo) == [" M a.txt", " D gone.txt", " M sub/b.txt", '?? "new file.txt"']
        assert (repo.refs(), repo.git("ls-files", "--stage")) == before
        again = realm(repo.path, "apply", "fix")
        assert (again.code, again.err.splitlines()[0]) == (1, "error: your work tree has all of fix already")

    def test_what_is_cut_off_is_put_back(self, past: Past) -> None:
        repo, mine = past.repo, LINES.replace("1\n", "one\n", 1)
        past.run(Asked("fill", {"z.txt": "z\n" * 100_000}))
        repo.write("a.txt", mine)
        repo.write("new file.log", "ignored\n")
        before = status(repo), repo.refs()
        limited = ["sh", "-c", 'ulimit -f 40; exec "$@"', "sh", sys.executable, "-m", "realm", "apply", "fix"]
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        done = subprocess.run(limited, cwd=repo.path, env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr[:26]) == (1, "error: nothing was changed")
        assert (repo.path / "a.txt").read_text() == mine
        assert (status(repo), repo.refs()) == before
        assert realm(repo.path, "apply", "fix").code == 0
        assert (repo.path / "a.txt").read_text() == mine.replace("10\n", "ten\n")
        assert repo.refs() == before[1]

    def test_one_that_was_killed_is_told_of_until_it_is_done(self, past: Past) -> None:
        repo = past.repo
        repo.git("update-ref", "refs/realm-trash/fix/1700000000/branches/merge/apply", repo.head())
        repo.write("a.txt", LINES.replace("10\n", "diez\n"))
        refused = realm(repo.path, "apply", "fix")
        assert refused.code == 1
        assert f"git restore --source={repo.head()[:12]} :/ brings back" in refused.err
        repo.git("restore", "a.txt")
        assert realm(repo.path, "apply", "fix").code == 0
        assert repo.refs("refs/realm-trash/") == {}

    def test_edits_beside_it_stay(self, past: Past) -> None:
        repo = past.repo
        repo.write("later.txt", "l\n")
        repo.write("a.txt", LINES.replace("20\n", "twenty\n"))
        repo.commit("Later")
        repo.write("a.txt", LINES.replace("20\n", "twenty\n").replace("1\n", "one\n", 1))
        repo.write("mine.txt", "m\n")
        repo.git("add", "mine.txt")
        done = realm(repo.path, "apply", "fix@1")
        assert (done.code, done.out.partition(" (")[0]) == (0, "applied fix@1 to the work tree")
        assert (repo.path / "a.txt").read_text().split()[::9] == ["one", "ten", "19"]
        assert status(repo) == [" M a.txt", " D gone.txt", "A  mine.txt"]

    def test_what_it_would_overwrite_is_named_and_nothing_is_changed(self, past: Past) -> None:
        repo = past.repo
        repo.write("a.txt", LINES.replace("10\n", "mine\n"))
        repo.write("new file.txt", "mine\n")
        before = status(repo)
        done = realm(repo.path, "apply", "fix")
        assert done.code == 1
        assert "both sides changed a.txt and new file.txt" in done.err
        assert "hint: realm merge fix leaves conflicts to you" in done.err
        assert status(repo) == before
        assert realm(repo.path, "apply", "fix", "--", "sub").code == 0
        assert [line for line in status(repo) if line not in before] == [" M sub/b.txt"]

    def test_an_ignored_file_in_the_way_stays(self, repo: Repo) -> None:
        past = Past(repo)
        past.run(Asked("log", {"made.log": "theirs\n", "README.md": "r\n"}))
        repo.write(".gitignore", "*.log\n")
        repo.commit("Ignore")
        repo.write("made.log", "mine\n")
        done = realm(repo.path, "apply", "fix")
        assert done.code == 1
        assert "nothing was changed" in done.err
        assert (repo.path / "made.log").read_text() == "mine\n"
        assert status(repo) == []

    def test_a_file_in_place_of_a_directory(self, repo: Repo) -> None:
        repo.write(".gitignore", "*.log\n")
        repo.write("d/a.txt", "a\n")
        repo.commit("Directory")
        past = Past(repo)
        past.run(Asked("a file", {"d/a.txt": None, "d": "file\n"}))
        ignored = repo.write("d/made.log", "mine\n")
        assert "d/made.log would be overwritten" in realm(repo.path, "apply", "fix").err
        assert ignored.read_text() == "mine\n"
        assert status(repo) == []
        ignored.unlink()
        realm(repo.path, "apply", "fix")
        assert status(repo) == [" D d/a.txt", "?? d"]

    def test_two_names_that_the_disk_takes_for_one(self, repo: Repo) -> None:
        past = Past(repo)
        past.run(Asked("two", {"d/Foo": "1\n", "D/foo": "2\n"}))
        repo.git("config", "core.ignoreCase", "true")
        done = realm(repo.path, "apply", "fix")
        assert done.code == 1
        assert "nothing was changed: D/foo and d/Foo are one file here" in done.err
        assert status(repo) == []
        assert realm(repo.path, "apply", "fix", "--", "d").code == 0
        assert status(repo) == ["?? d/Foo"]

    def test_paths_are_seen_from_where_the_user_stands(self, past: Past) -> None:
        assert realm(past.repo.path / "sub", "apply", "fix", "--", "b.txt").code == 0
        assert status(past.repo) == [" M sub/b.txt"]
        assert realm(past.repo.path, "apply", "fix", "--", "no.txt").code == 1

    def test_uncommitted_changes_that_went_along_are_not_doubled(self, repo: Repo) -> None:
        repo.write("a.txt", LINES)
        repo.commit("A")
        repo.write("a.txt", LINES.replace("10\n", "mine\n"))
        repo.write("own.txt", "own\n")
        past = begin(repo)
        past.run(Asked("go", {"own.txt": "own\ntheirs\n", "new.txt": "n\n"}), before=past.tip)
        done = realm(repo.path, "apply", "fix")
        assert (done.code, done.err) == (0, "")
        assert done.out == f"applied fix to the work tree (2 files, +2 {MINUS}0)\n"
        assert status(repo) == [" M a.txt", "?? new.txt", "?? own.txt"]
        assert (repo.path / "own.txt").read_text() == "own\ntheirs\n"

    @pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
    def test_hunks_are_picked_in_a_terminal(self, past: Past) -> None:
        with terminal(past, "apply", "fix", "-p", "--", "a.txt", "sub") as shown:
            shown.wait_for(r"\+ten")
            shown.press("n", "Enter")
            shown.wait_for(r"\+B")
            shown.press("y", "Enter")
            assert shown.wait() == 0
        assert status(past.repo) == [" M sub/b.txt"]

    @pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
    def test_of_a_file_that_both_changed_the_other_hunks_are_picked(self, repo: Repo) -> None:
        for name in ("a.txt", "gone.txt", "mine.txt"):
            repo.write(name, LINES)
        repo.commit("Files")
        past = Past(repo)
        theirs = LINES.replace("2\n", "two\n", 1).replace("19\n", "nineteen\n")
        past.run(Asked("change", {"a.txt": theirs, "gone.txt": None, "mine.txt": theirs}))
        repo.write("a.txt", LINES.replace("2\n", "mine\n", 1))
        repo.write("gone.txt", LINES + "21\n")
        (repo.path / "mine.txt").unlink()
        refused = realm(repo.path, "apply", "fix")
        assert "both sides changed a.txt, gone.txt and mine.txt" in refused.err
        with terminal(past, "apply", "fix", "-p") as shown:
            shown.wait_for("lines that both changed stay yours")
            shown.wait_for(r"\+nineteen")
            shown.press("y", "Enter")
            assert shown.wait() == 0
        assert status(repo) == [" M a.txt", " M gone.txt", " D mine.txt"]
        wanted = LINES.replace("2\n", "mine\n", 1).replace("19\n", "nineteen\n")
        assert (repo.path / "a.txt").read_text() == wanted

    def test_where_git_cannot_ask_nothing_counts_as_applied(self, past: Past) -> None:
        past.repo.git("config", "interactive.diffFilter", "false")
        past.repo.git("config", "color.ui", "always")
        with terminal(past, "apply", "fix", "-p") as shown:
            shown.wait_for("error: git restore ended with exit code")
            assert shown.wait() == 1
        assert status(past.repo) == []

    def test_without_a_terminal_nobody_can_pick(self, past: Past) -> None:
        done = realm(past.repo.path, "apply", "fix", "-p")
        assert (done.code, done.err.splitlines()[0]) == (
            2,
            "error: --patch asks questions and needs a terminal",
        )


class TestMerge:
    def test_it_goes_forward_or_makes_a_merge_as_git_does(self, past: Past) -> None:
        repo = past.repo
        done = realm(repo.path, "merge", "fix@1")
        assert (done.code, "Fast-forward" in done.out) == (0, True)
        repo.write("later.txt", "l\n")
        repo.commit("Later")
        done = realm(repo.path, "merge", "fix")
        assert done.code == 0
        assert done.err == "hint: realm remove fix removes the session\n"
        assert repo.git("log", "-1", "--format=%B").strip() == "Merge session 'fix'\n\n* change a\n* more"
        assert repo.head("HEAD^2") == past.tip
        assert status(repo) == []

    def test_what_a_run_in_the_background_had_to_say_is_told_once(self, past: Past) -> None:
        repo = past.repo
        session = record.read_session(project_of(repo), "fix")
        claim.take(project_of(repo), session)
        untold.keep(session.id, ["left out: big"])
        assert "warning: left out: big\n" in realm(repo.path, "merge", "fix@1").err
        assert "left out" not in realm(repo.path, "merge", "fix").err

    def test_what_another_session_with_its_id_had_to_say_is_not(self, past: Past) -> None:
        repo = past.repo
        session = record.read_session(project_of(repo), "fix")
        claim.take(project_of(repo), session._replace(name="other"))
        untold.keep(session.id, ["left out: big"])
        assert "left out" not in realm(repo.path, "merge", "fix").err

    def test_where_the_user_wants_merges_only_it_says_what_was_merged(self, past: Past) -> None:
        past.repo.git("config", "merge.ff", "no")
        assert realm(past.repo.path, "merge", "fix").code == 0
        assert past.repo.git("log", "-1", "--format=%s %P").split("'") == [
            "Merge session ", "fix", f" {past.base} {past.tip}",
        ]  # fmt: skip

    def test_squashed_it_is_one_commit_about_the_first_prompt(self, past: Past) -> None:
        repo = past.repo
        before = repo.head()
        assert realm(repo.path, "merge", "fix", "--squash").code == 0
        assert repo.head("HEAD^") == before
        assert repo.git("log", "-1", "--format=%B").strip() == "change a\n\n* more"
        assert repo.head("HEAD^{tree}") == repo.head("refs/realm/fix^{tree}")
        assert realm(repo.path, "merge", "fix", "--squash").code == 0
        assert repo.head("HEAD^") == before

    def test_a_message_of_ones_own(self, past: Past) -> None:
        assert realm(past.repo.path, "merge", "fix", "-m", "Mine").code == 0
        assert past.repo.git("log", "-1", "--format=%s %P").split()[0] == "Mine"
        assert past.repo.head("HEAD^2") == past.tip

    def test_staged_changes_do_not_go_along(self, past: Past) -> None:
        past.repo.write("mine.txt", "m\n")
        past.repo.git("add", "mine.txt")
        done = realm(past.repo.path, "merge", "fix", "--squash")
        assert (done.code, done.err.splitlines()[0]) == (
            1,
            "error: there are staged changes, which would go into the same commit",
        )
        assert status(past.repo) == ["A  mine.txt"]

    def test_a_conflict_is_left_to_the_user(self, past: Past) -> None:
        past.repo.write("a.txt", LINES.replace("10\n", "mine\n"))
        past.repo.commit("Mine")
        done = realm(past.repo.path, "merge", "fix")
        assert done.code == 1
        assert "CONFLICT (content): Merge conflict in a.txt" in done.out
        assert done.err == "hint: git merge --continue concludes it, git merge --abort goes back\n"
        assert "UU a.txt" in status(past.repo)

    def test_one_that_is_not_finished_is_told_with_the_way_on_and_back(self, past: Past) -> None:
        repo, hook = past.repo, past.repo.path / ".git/hooks/commit-msg"
        repo.write("later.txt", "l\n")
        repo.commit("Later")
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\nkill -9 $PPID\n")
        hook.chmod(0o755)
        said = "a merge in your work tree is not finished"
        way = "git merge --continue concludes it, git merge --abort goes back"
        told = f"error: {said}\n\nhint: {way}\n"
        for _ in range(2):  # git is killed, and then not run
            done = realm(repo.path, "merge", "fix")
            assert (done.code, done.err) == (1, told)
        assert f"warning: {said}: {way}\n" in realm(repo.path, "apply", "fix").err
        hook.unlink()
        git(repo.path, "merge", "--continue", env={"GIT_EDITOR": "true"})
        assert realm(repo.path, "merge", "fix").err == "hint: realm remove fix removes the session\n"
        assert not repo.refs("refs/realm-trash")

    @pytest.mark.parametrize(
        ("signals", "code"), [("-9 $PPID", 1), ("-INT $REALM; kill -INT $PPID", 130), ("-TERM $REALM", 143)]
    )
    def test_one_that_was_cut_off_among_the_files_is_told_and_goes_on_from_a_stash(
        self, past: Past, signals: str, code: int
    ) -> None:
        repo = past.repo
        repo.write(".git/info/attributes", "sub/b.txt filter=deadly\n")
        find = "REALM=$(cut -d' ' -f4 /proc/$PPID/stat)"
        wait = "while kill -0 $PPID 2>/dev/null; do sleep 0.1; done"
        repo.git("config", "filter.deadly.smudge", f"{find}; kill {signals}; {wait}")
        done = realm(repo.path, "merge", "fix")
        said = "realm merge fix was cut off: some of your files may have its changes"
        way = "git stash -u puts away all that is not committed"
        told = f"error: {said}\n\nhint: {way}\n" if code == 1 else f"warning: {said}: {way}\n"
        assert (done.code, done.err) == (code, told)
        repo.git("config", "--unset", "filter.deadly.smudge")
        if code == 1:  # otherwise git has removed it
            (repo.path / ".git/index.lock").unlink()
        assert f"warning: {said}: {way}\n" in realm(repo.path, "merge", "fix").err
        repo.git("stash", "-u")
        assert realm(repo.path, "merge", "fix").err == "hint: realm remove fix removes the session\n"
        assert (repo.head(), repo.refs("refs/realm-trash")) == (past.tip, {})

    def test_ctrl_c_is_not_for_one_that_ignores_it(
        self, past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        project, before, program = project_of(past.repo), signal.getsignal(signal.SIGINT), tmp_path / "git"
        program.write_text("#!/bin/sh\nkill -INT $$\nexit 7\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        with pytest.raises(KeyboardInterrupt):
            type_in("merge", project=project)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            assert type_in("merge", project=project) == 7
        finally:
            signal.signal(signal.SIGINT, before)

    def test_the_users_hooks_run(self, past: Past) -> None:
        hook = past.repo.path / ".git/hooks/commit-msg"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text('#!/bin/sh\necho hooked >> "$1"\n')
        hook.chmod(0o755)
        assert realm(past.repo.path, "merge", "fix", "--squash").code == 0
        assert past.repo.git("log", "-1", "--format=%B").strip().endswith("hooked")

    def test_it_can_remove_the_session(self, past: Past) -> None:
        done = realm(past.repo.path, "merge", "fix", "--remove", env={"DOCKER_HOST": "unix:///nonexistent"})
        assert done.code == 0
        assert "removed fix; realm restore fix brings it back" in done.err
        assert not past.repo.refs("refs/realm/")
        assert past.repo.head() == past.tip

    def test_a_session_that_goes_on_meanwhile_stays(self, past: Past) -> None:
        hook = past.repo.path / ".git/hooks/post-merge"
        hook.parent.mkdir(exist_ok=True)
        more = "$(git commit-tree -p refs/realm/fix -m More refs/realm/fix^{tree})"
        hook.write_text(f"#!/bin/sh\ngit update-ref refs/realm/fix {more}\n")
        hook.chmod(0o755)
        done = realm(past.repo.path, "merge", "fix", "--remove", env={"DOCKER_HOST": "unix:///nonexistent"})
        assert done.code == 0
        assert "fix has gone on meanwhile: realm merge fix again" in done.err
        assert past.repo.head("refs/realm/fix") != past.tip


def test_merged_sessions_are_removed_together(past: Past) -> None:
    repo, quiet = past.repo, {"DOCKER_HOST": "unix:///nonexistent"}
    other = Past(repo, "other", id="6e555e55-0000-4000-8000-5e555e555e55")
    other.run(Asked("other", {"other.txt": "o\n"}))
    third = Past(repo, "third", id="7e555e55-0000-4000-8000-5e555e555e55")
    third.run(Asked("third", {"third.txt": "t\n"}), Asked("more", {"third.txt": "T\n"}))
    assert realm(repo.path, "merge", "fix").code == 0
    assert realm(repo.path, "merge", "third", "--squash").code == 0
    done = realm(repo.path, "remove", "--merged", env=quiet)
    assert done.code == 0, done.err
    assert [line for line in done.out.splitlines() if line.startswith("removed")] == [
        "removed fix",
        "removed third",
    ]
    assert list(repo.refs("refs/realm/")) == ["refs/realm/other"]
    assert realm(repo.path, "remove", "--merged", env=quiet).err == "hint: no session to remove\n"
    assert "hint: it was removed: realm restore fix brings it back" in realm(repo.path, "log", "fix").err
    assert realm(repo.path, "remove", "--merged", "other", env=quiet).code == 2


@pytest.fixture
def wip(repo: Repo) -> Past:
    """Return a session that began with changes of the user's, which are still in the work tree."""
    repo.write("a.txt", LINES)
    repo.commit("A")
    repo.write("a.txt", LINES.replace("1\n", "one\n", 1))
    repo.write("own.txt", "own\n")
    past = begin(repo)
    theirs = LINES.replace("1\n", "one\n", 1).replace("20\n", "twenty\n")
    past.run(
        Asked("end", {"a.txt": theirs, "new.txt": "n\n"}), Asked("again", {"new.txt": "N\n"}), before=past.tip
    )
    return past


def test_another_projects_session_is_taken_only_there(past: Past, tmp_path: Path) -> None:
    elsewhere = Repo.init(tmp_path / "elsewhere")
    elsewhere.commit("Start")
    root = past.repo.path
    registry.remember_project(project_of(past.repo))
    for verb in ("apply", "merge"):
        done = realm(elsewhere.path, verb, "fix")
        assert (done.code, done.err.splitlines()[0]) == (1, f"error: fix is a session of {root}")
    assert status(past.repo) == []
    assert realm(elsewhere.path, "-C", str(root), "apply", "fix").code == 0


@pytest.mark.parametrize("ours", [LINES.replace("20\n", "twenty\n"), LINES.replace("10\n", "mine\n"), LINES])
def test_an_older_git_merges_alike(past: Past, ours: str, tmp_path: Path) -> None:
    """Neither writes a file into a work tree, as the project's attributes would have it."""
    repo, project = past.repo, project_of(past.repo)
    repo.write("a.txt", ours)
    repo.write("sub/mine.txt", "m\n")
    head = repo.commit("Ours")
    attributes = repo.path / ".git" / "info" / "attributes"
    attributes.write_text("*.txt working-tree-encoding=UTF-16 filter=theirs\n")
    repo.git("config", "filter.theirs.smudge", f"cat; touch {tmp_path}/ran")

    def merged(way: Callable[..., str]) -> str | tuple[str, ...]:
        try:
            return way(project, *(repo.head(f"{rev}^{{tree}}") for rev in (past.base, head, past.tip)))
        except merging.ConflictError as conflict:
            return conflict.paths

    new = merged(merging.merge)
    assert merged(merging._by_files) == new
    assert (new == ("a.txt",)) == ("mine" in ours)
    assert not (tmp_path / "ran").exists()


class TestMergeOfUncommittedChanges:
    @pytest.mark.parametrize("squash", [False, True])
    def test_the_users_own_stay_uncommitted(self, wip: Past, squash: bool) -> None:
        repo = wip.repo
        done = realm(repo.path, "merge", "fix", *(["--squash"] if squash else []))
        assert done.code == 0, done.err
        subjects = repo.git("log", "--format=%s", f"{wip.base}..HEAD").splitlines()
        assert subjects == (["end"] if squash else ["again", "end"])
        assert repo.show("HEAD:a.txt") == LINES.replace("20\n", "twenty\n").strip()
        assert (repo.path / "a.txt").read_text().startswith("one\n2\n")
        assert status(repo) == [" M a.txt", "?? own.txt"]
        assert repo.git("stash", "list") == ""
        assert realm(repo.path, "merge", "fix", *(["--squash"] if squash else [])).code == 0
        assert repo.git("log", "--format=%s", f"{wip.base}..HEAD").splitlines() == subjects
        assert not repo.refs("refs/realm-trash")

    def test_one_that_was_killed_keeps_the_users_own_in_the_stash(self, wip: Past) -> None:
        repo = wip.repo
        before = status(repo), (repo.path / "a.txt").read_text()
        repo.write(".git/info/attributes", "new.txt filter=deadly\n")
        repo.git("config", "filter.deadly.smudge", "kill -9 $PPID")
        for _ in range(2):
            done = realm(repo.path, "merge", "fix")
            assert done.code == 1
            assert "your own are set aside\n\nhint: git stash -u puts away all that is not" in done.err
        repo.git("config", "--unset", "filter.deadly.smudge")
        (repo.path / ".git/index.lock").unlink()
        repo.git("stash", "-u")
        repo.git("stash", "apply", "stash@{0}")
        repo.git("restore", "--source=stash@{1}^3", "own.txt")
        assert (status(repo), (repo.path / "a.txt").read_text()) == before
        assert realm(repo.path, "merge", "fix").code == 0
        assert not repo.refs("refs/realm-trash")

    def test_what_was_merged_without_them_counts_as_merged(self, wip: Past) -> None:
        assert realm(wip.repo.path, "merge", "fix", "--squash").code == 0
        done = realm(wip.repo.path, "remove", "--merged", env={"DOCKER_HOST": "unix:///nonexistent"})
        assert (done.code, done.out.splitlines()[0]) == (0, "removed fix")

    def test_once_committed_they_are_not_doubled(self, wip: Past) -> None:
        wip.repo.commit("My own")
        assert realm(wip.repo.path, "merge", "fix").code == 0
        assert (wip.repo.path / "a.txt").read_text().split()[::19] == ["one", "twenty"]
        assert status(wip.repo) == []
        assert "Uncommitted" not in wip.repo.git("log", "--format=%s")

    def test_work_that_builds_on_them_waits_for_them(self, wip: Past) -> None:
        wip.run(Asked("own", {"own.txt": "own and theirs\n"}))
        before = status(wip.repo), wip.repo.head()
        done = realm(wip.repo.path, "merge", "fix")
        assert done.code == 1
        assert "error: fix builds on the changes that were not committed when it began: " in done.err
        assert "hint: commit these first (git add -A; git commit), then: realm merge fix" in done.err
        assert (status(wip.repo), wip.repo.head()) == before
        wip.repo.commit("My own")
        assert realm(wip.repo.path, "merge", "fix").code == 0
        assert (wip.repo.path / "own.txt").read_text() == "own and theirs\n"

    @pytest.mark.parametrize("ends", [True, False])
    def test_a_conflict_outlasts_a_collection(self, wip: Past, ends: bool) -> None:
        repo = wip.repo
        repo.git("stash", "-q")
        repo.write("new.txt", "mine\n")
        repo.commit("Mine")
        repo.git("stash", "pop", "-q")
        repo.git("reflog", "expire", "--expire=now", "--all")
        assert realm(repo.path, "merge", "fix").code == 1
        repo.git("gc", "-q", "--prune=now")
        assert repo.git("merge-base", "HEAD", "MERGE_HEAD") == wip.base
        if ends:
            repo.write("new.txt", "both\n")
            repo.git("add", "new.txt")
            repo.git("commit", "-q", "--no-edit")
        else:
            repo.git("merge", "--abort")
        assert (repo.path / "a.txt").read_text() == LINES.replace("1\n", "one\n", 1).replace(
            "20\n", "twenty\n" if ends else "20\n"
        )
        assert_sound(repo)
        assert [trash.code for trash in refs.list_trash(project_of(repo))] == [None, None]


def terminal(past: Past, *arguments: str) -> Terminal:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    return Terminal([sys.executable, "-m", "realm", *arguments], env=env, cwd=past.repo.path)


def test_in_a_linked_work_tree_it_is_that_one(past: Past, tmp_path: Path) -> None:
    repo, there = past.repo, tmp_path / "linked"
    repo.git("worktree", "add", "-q", "-b", "side", str(there))
    (there / "sub").mkdir(exist_ok=True)
    assert realm(there / "sub", "apply", "fix@1", "--", "../a.txt").code == 0
    linked = Repo(there)
    assert (status(linked), status(repo)) == ([" M a.txt"], [])
    linked.git("checkout", "-q", ".")
    before = repo.head()
    assert realm(there / "sub", "merge", "fix").code == 0
    assert (linked.head(), repo.head(), status(repo), status(linked)) == (past.tip, before, [], [])
    assert "sub/b.txt" in realm(there / "sub", "diff", "fix", "--", "b.txt").out
