"""Finding repositories of every shape, and looking at work trees without changing them."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from realm.config import Config
from realm.errors import GitError, NotARepositoryError, RealmError, UsageError
from realm.model import Identity
from realm.store import repo as store
from realm.store import stores, worktree
from tests.support.repos import Repo, git
from tests.support.store import assert_sound, project_of, seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from realm.model import Project


def test_subdirectory(repo: Repo) -> None:
    repo.write("src/a b/c.py")
    project = store.discover(repo.path / "src/a b")
    assert (project.root, project.subdir, project.name) == (repo.path, "src/a b", "project")
    assert project.git_dir == project.common_dir == repo.path / ".git"
    assert project.object_stores == (repo.path / ".git/objects",)


def test_linked_worktree_has_the_main_name(repo: Repo, tmp_path: Path) -> None:
    repo.git("worktree", "add", "-q", str(tmp_path / "other"))
    project = store.discover(tmp_path / "other")
    assert project.root == tmp_path / "other"
    assert project.common_dir == repo.path / ".git"
    assert project.git_dir == repo.path / ".git/worktrees/other"
    assert project.name == "project"
    assert store.resolve_commit(project, "HEAD") == repo.head()


@pytest.mark.parametrize(
    ("bare", "name"), [("depot.git", "depot"), ("proj/.bare", "proj"), ("plain", "plain")]
)
def test_worktree_of_a_bare_repository(repo: Repo, tmp_path: Path, bare: str, name: str) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repo.path), bare)
    git(tmp_path / bare, "worktree", "add", "-q", str(tmp_path / "tree"))
    project = store.discover(tmp_path / "tree")
    assert project.name == name
    assert worktree.dirty(project) == []


def test_submodule(repo: Repo, make_repo: Callable[..., Repo]) -> None:
    inner = make_repo("library")
    inner.write("lib.c")
    inner.commit()
    repo.git("submodule", "add", "-q", str(inner.path), "vendor/lib")
    repo.commit("Add the library")
    project = store.discover(repo.path / "vendor/lib")
    assert project.root == repo.path / "vendor/lib"
    assert project.name == "lib"
    assert store.resolve_commit(project, "HEAD") == inner.head()


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        ("my project", "my-project"),
        ("-x", "x"),
        ("…", "project"),
        (".dot", ".dot"),
        ("a.git", "a.git"),
        ("ü", "project"),
    ],
)
def test_name_is_safe(tmp_path: Path, directory: str, name: str) -> None:
    made = Repo.init(tmp_path / directory)
    assert project_of(made).name == name


def test_misleading_environment_is_ignored(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "nowhere"))
    assert store.discover(repo.path).root == repo.path


def test_alternates_transitively_absolute_and_relative(tmp_path: Path, repo: Repo) -> None:
    git(tmp_path, "clone", "-q", "--shared", str(repo.path), "middle")
    git(tmp_path, "clone", "-q", "--shared", "middle", "last")
    (tmp_path / "last/.git/objects/info/alternates").write_text(
        "# comment\n../../../middle/.git/objects\n/not/there\n../../../middle/.git/objects\n"
    )
    project = store.discover(tmp_path / "last")
    assert [str(path) for path in project.object_stores] == [
        str(tmp_path / f"{name}/.git/objects") for name in ("last", "middle", "project")
    ]


def test_circular_alternates_end(repo: Repo) -> None:
    path = repo.path / ".git/objects/info/alternates"
    path.write_text(f"{repo.path}/.git/objects\n.\n")
    assert store.discover(repo.path).object_stores == (repo.path / ".git/objects",)


def refuse(message: str, path: Path) -> NotARepositoryError:
    with pytest.raises(NotARepositoryError, match=message) as caught:
        store.discover(path)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


def test_refusals(repo: Repo, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    (tmp_path / "plain").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "broken/.git").mkdir(parents=True)
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone/.git").write_text("gitdir: /not/there\n")
    refuse("does not exist", tmp_path / "nothing")
    refuse("is not a directory", tmp_path / "file")
    refuse("not inside a git repository", tmp_path / "plain")
    refuse("not inside a git repository", tmp_path / "broken")
    refuse("not inside a git repository", tmp_path / "gone")
    refuse("bare repository", tmp_path / "bare.git")
    refuse("git directory", repo.path / ".git")
    refuse("git directory", repo.path / ".git/objects")
    repo.git("config", "core.bare", "true")
    assert refuse("core.bare says", repo.path).hint == "git config core.bare false"
    (tmp_path / "line\nend").mkdir()
    git(tmp_path, "init", "-q", "line\nend")
    refuse("line break", tmp_path / "line\nend")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository away")
def test_repository_of_somebody_else(repo: Repo) -> None:
    os.chown(repo.path, 12345, 12345)
    os.chown(repo.path / ".git", 12345, 12345)
    caught = refuse("belongs to another user", repo.path)
    assert caught.hint == f"git config --global --add safe.directory {repo.path}"


def test_damaged_configuration(repo: Repo) -> None:
    (repo.path / ".git/config").write_text("[core\n")
    with pytest.raises(GitError, match="cannot open"):
        store.discover(repo.path)


def test_commits(repo: Repo, make_repo: Callable[..., Repo]) -> None:
    project = project_of(repo)
    repo.git("tag", "-a", "-m", "x", "v1")
    for rev in ("HEAD", "main", "v1", "@", repo.head()[:8], "main^{commit}"):
        assert store.resolve_commit(project, rev) == repo.head()
    for rev in ("nope", "HEAD~9", "main:README.md", "HEAD^{tree}", "0" * 40, "a b", "\x1b[2J"):
        with pytest.raises(RealmError, match="is not a commit"):
            store.resolve_commit(project, rev)
    for rev in ("", "-x", "--all", "a\0b"):
        with pytest.raises(UsageError):
            store.resolve_commit(project, rev)
    with pytest.raises(RealmError, match="no commit yet") as caught:
        store.resolve_commit(project_of(make_repo("empty")), "HEAD")
    assert "git commit" in caught.value.hint


def test_identity(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    project = project_of(repo)
    assert store.identity(project) == Identity("Ada Tester", "ada@example.com")
    repo.git("config", "user.name", "Jürgen O'Neil, PhD.")
    monkeypatch.setenv("GIT_AUTHOR_DATE", "last summer or so")  # git names nobody then
    assert store.identity(project).name.rstrip(".") == "Jürgen O'Neil, PhD"  # newer ones keep the dot
    repo.git("config", "user.useConfigOnly", "true")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    repo.git("config", "--unset", "user.name")
    with pytest.raises(GitError, match="does not know your name") as caught:
        store.identity(project)
    assert "git config --global user.name" in caught.value.hint
    repo.git("config", "user.name", "")
    with pytest.raises(GitError, match=r"user\.name is empty in this repository") as caught:
        store.identity(project)
    assert caught.value.hint == 'git config user.name "Your Name"'
    monkeypatch.setenv("GIT_AUTHOR_NAME", " ")
    with pytest.raises(GitError, match="GIT_AUTHOR_NAME is empty") as caught:
        store.identity(project)
    assert caught.value.hint == "unset GIT_AUTHOR_NAME"


@pytest.mark.parametrize(
    "value", ["Ada", "Ada Lovelace", "Ünï 你", "Ada, PhD.", " Ada ", "A <b> c", "'Ada'", "", "A\tb"]
)
@pytest.mark.parametrize("key", ["user.name", "author.name", "user.email", "author.email"])
@pytest.mark.parametrize("given", [None, "Grace", " ", "Grace."])
def test_identity_of_settings_is_what_git_makes_of_them(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, key: str, value: str, given: str | None
) -> None:
    project = project_of(repo)
    repo.git("config", key, value)
    if given is not None:
        monkeypatch.setenv(f"GIT_AUTHOR_{key.partition('.')[2].upper()}", given)
    try:
        asked = store.identity(project)
    except GitError:
        asked = None
    try:
        found = store.identity(project, Config(project.root).of_git())
    except GitError:
        found = None
    assert found == asked


@pytest.mark.parametrize("value", [None, "", "mine", "~/mine", "/nowhere", "%(prefix)/x"])
def test_ignore_lines_of_settings_are_those_of_git(repo: Repo, sealed: Path, value: str | None) -> None:
    project = project_of(repo)
    for place in (sealed, repo.path):
        (place / "mine").write_text(f"{place}\n")
    if value is not None:
        repo.git("config", "core.excludesFile", value)
    assert worktree.ignore_lines(project, Config(project.root).of_git()) == worktree.ignore_lines(project)


def test_dirty(repo: Repo) -> None:
    project = project_of(repo)
    repo.write(".gitignore", "ignored\n")
    repo.commit()
    assert worktree.dirty(project) == []
    repo.write("ignored")
    repo.write("new/one")
    repo.write("new/two\n")
    repo.write("README.md", "changed")
    repo.git("rm", "-q", "--cached", ".gitignore")
    # .gitignore is twice in git's list: deleted in the index, untracked
    assert sorted(worktree.dirty(project)) == [".gitignore", "README.md", "new/one", "new/two\n"]


def wip(project: Project, base: str) -> str | None:
    return worktree.write_wip(project, base, "Changes", Identity("Ada", "ada@example.com"))


def tree_files(repo: Repo, tree: str | None) -> list[str]:
    assert tree is not None
    return repo.files(tree)


def test_wip_takes_everything_and_touches_nothing(repo: Repo) -> None:
    repo.write(".gitignore", "*.log\n")
    repo.write("gone")
    repo.commit()
    project = project_of(repo)
    assert wip(project, repo.head()) is None
    repo.write("staged", "staged")
    repo.git("add", "staged")
    repo.write("staged", "and changed again")
    repo.write("intended")
    repo.git("add", "-N", "intended")
    repo.write("new dir/näme")
    repo.write("x.log")
    (repo.path / "gone").unlink()
    before = seen(repo)
    assert worktree.largest(project) == ("staged", 17)
    tree = wip(project, repo.head())
    assert tree_files(repo, tree) == [".gitignore", "README.md", "intended", "new dir/näme", "staged"]
    assert repo.git("show", f"{tree}:staged") == "and changed again"
    assert seen(repo) == before
    assert_sound(repo)


def test_wip_takes_nothing_that_only_the_users_settings_make_different(repo: Repo) -> None:
    repo.git("config", "core.autocrlf", "true")
    (repo.path / "README.md").unlink()
    repo.git("checkout", "-q", "README.md")
    assert (repo.path / "README.md").read_bytes() == b"# project\r\n"
    repo.git("config", "core.fileMode", "false")
    (repo.path / "README.md").chmod(0o755)
    assert wip(project_of(repo), repo.head()) is None
    repo.write("new", b"1\r\n")
    assert repo.git("cat-file", "-s", f"{wip(project_of(repo), repo.head())}:new") == "2"


def test_wip_survives_a_collection(repo: Repo) -> None:
    repo.write("new", "only here")
    commit = wip(project_of(repo), repo.head())
    repo.git("gc", "-q", "--prune=now")
    assert repo.git("show", f"{commit}:new") == "only here"
    assert repo.git("log", "-1", "--format=%an %s %P", str(commit)) == f"Ada Changes {repo.head()}"


def test_wip_notices_a_change_within_the_same_second(repo: Repo) -> None:
    repo.write("a", "1111")
    repo.commit()
    stamp = (repo.path / "a").stat()
    repo.git("status")
    repo.write("a", "2222")
    os.utime(repo.path / "a", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    index = repo.path / ".git/index"
    os.utime(index, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert wip(project_of(repo), repo.head()) is not None


def test_wip_in_a_sparse_checkout(repo: Repo) -> None:
    repo.write("in/a")
    repo.write("out/b")
    repo.commit()
    repo.git("sparse-checkout", "set", "in")
    assert not (repo.path / "out").exists()
    project = project_of(repo)
    assert wip(project, repo.head()) is None
    repo.write("in/c")
    repo.write("elsewhere/d")
    before = seen(repo)
    tree = wip(project, repo.head())
    assert tree_files(repo, tree) == ["README.md", "elsewhere/d", "in/a", "in/c", "out/b"]
    assert seen(repo) == before
    repo.write("out/b", "changed")
    repo.git("config", "core.splitIndex", "true")
    before = seen(repo)
    assert "out/b" in repo.git("diff", "--name-only", "HEAD", str(wip(project, repo.head())))
    assert seen(repo).files.keys() == before.files.keys()


def test_wip_with_split_index_and_submodule(repo: Repo, make_repo: Callable[..., Repo]) -> None:
    inner = make_repo("library")
    inner.commit()
    repo.git("submodule", "add", "-q", str(inner.path), "lib")
    repo.commit("Add the library")
    repo.git("update-index", "--split-index")
    repo.write("new")
    before = seen(repo)
    tree = wip(project_of(repo), repo.head())
    assert "160000 commit" in repo.git("ls-tree", str(tree))
    assert "new" in tree_files(repo, tree)
    after = seen(repo)
    assert after.files.keys() == before.files.keys()
    for name, was in before.files.items():  # git renews the time of a shared index whenever it reads one
        same = 1 if "sharedindex" in name else 2
        assert after.files[name][:same] == was[:same]


def test_wip_leaves_out_repositories_that_git_does_not_know(repo: Repo) -> None:
    for name in ("unborn [x]", "deep/own", "*"):
        Repo.init(repo.path / name)
    Repo(repo.path / "deep/own").commit("Something")
    repo.write("deep/new")
    repo.write("x")
    tree = wip(project_of(repo), repo.head())
    assert tree is not None
    assert set(repo.files(tree)) == {*repo.files("HEAD"), "deep/new", "x"}


def test_wip_in_a_linked_worktree_and_subdirectory(repo: Repo, tmp_path: Path) -> None:
    repo.git("worktree", "add", "-q", str(tmp_path / "other"))
    (tmp_path / "other/sub").mkdir()
    (tmp_path / "other/new").write_text("x")
    tree = wip(store.discover(tmp_path / "other/sub"), repo.head())
    assert tree_files(repo, tree) == ["README.md", "new"]


def test_wip_during_a_merge_conflict(repo: Repo) -> None:
    repo.git("checkout", "-q", "-b", "side")
    repo.write("README.md", "side")
    repo.commit()
    repo.git("checkout", "-q", "main")
    repo.write("README.md", "main")
    repo.commit()
    repo.git("merge", "-q", "side", check=False)
    before = seen(repo)
    tree = wip(project_of(repo), repo.head())
    assert "<<<<<<<" in repo.git("show", f"{tree}:README.md")
    assert seen(repo) == before


def test_wip_without_an_index(repo: Repo) -> None:
    (repo.path / ".git/index").unlink()
    with pytest.raises(RealmError, match="no index"):
        wip(project_of(repo), repo.head())


def test_ignore_lines(repo: Repo, sealed: Path) -> None:
    project = project_of(repo)
    (repo.path / ".git/info/exclude").write_text("private")
    (sealed / ".config/git").mkdir(parents=True)
    (sealed / ".config/git/ignore").write_text("*.swp\n")
    assert worktree.ignore_lines(project) == b"*.swp\nprivate\n"
    (sealed / "mine").write_text("mine\n")
    repo.git("config", "core.excludesFile", "~/mine")
    assert worktree.ignore_lines(project) == b"mine\nprivate\n"


def names(found: list[worktree.Include]) -> list[str]:
    return [item.path for item in found]


def test_include_file_copies_only_what_is_ignored(repo: Repo) -> None:
    repo.write(".gitignore", ".env*\nsecrets/\nnode_modules/\n")
    repo.write(".worktreeinclude", "# comment\n.env*\n!.env.prod\nsecrets/test/\nnotes.txt\n")
    repo.write("tracked.txt")
    repo.commit()
    for name in (".env", ".env.prod", "sub/.env.test", "secrets/test/key", "secrets/prod/key", "notes.txt"):
        repo.write(name)
    (repo.path / ".env.link").symlink_to("/etc/passwd")
    found = worktree.matched(project_of(repo))
    assert names(found) == [".env", ".env.link", "secrets/test/key", "sub/.env.test"]
    assert found[0].source == repo.path / ".env"
    assert [item.place for item in found] == [".env", ".env.link", "secrets", "sub/.env.test"]


def test_no_include_file_needs_no_git(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    project = project_of(repo)
    monkeypatch.setenv("PATH", "")
    assert worktree.included(project, []) == []
    assert worktree.matched(project) == []


def test_named_includes(repo: Repo) -> None:
    repo.write(".gitignore", ".env\n")
    repo.write("data/tracked")
    repo.commit()
    for name in (".env", "data/new", "data/deep/x", "sub/here", "data/nested/.git/config"):
        repo.write(name)
    (repo.path / "data/link").symlink_to("../..")
    project = project_of(repo, "sub")
    assert names(worktree.included(project, ["here"])) == ["sub/here"]
    assert names(worktree.included(project, ["../.env", "../data"], ["sub/here", "not-there"])) == [
        *(".env", "data/deep/x", "data/link", "data/new", "sub/here"),
    ]
    assert names(worktree.included(project, [str(repo.path / ".env")])) == [".env"]
    assert worktree.named(project, ["here", "../data"]) == ("sub/here", "data")


def test_includes_of_the_run_before(repo: Repo) -> None:
    repo.write(".gitignore", ".env\n")
    repo.write("tracked.txt")
    repo.commit()
    repo.write(".env")
    found = worktree.included(project_of(repo), [], before=[".env", "tracked.txt", "gone"])
    assert names(found) == [".env"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("not-there", "does not exist"),
        ("..", "not a path inside"),
        ("../project", "not a path inside"),
        ("/etc/passwd", "not a path inside"),
        (".", "not a path inside"),
        (".git", "belongs to git"),
        (".git/config", "belongs to git"),
        ("out/passwd", "not a path inside"),
        ("README.md", "tracked"),
        ("socket", "neither a file nor a directory"),
        ("", "empty"),
    ],
)
def test_refused_includes(repo: Repo, path: str, message: str) -> None:
    (repo.path / "out").symlink_to("/etc")
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(repo.path)
        made.bind("socket")
        os.chdir(here)
    with pytest.raises(UsageError, match=message):
        worktree.included(project_of(repo), [path])


def test_readable(repo: Repo) -> None:
    repo.make_files(50)
    stores.ensure_readable(project_of(repo), repo.head())


def test_missing_and_corrupt_objects(repo: Repo) -> None:
    repo.write("a", "unique content")
    repo.commit()
    oid = repo.git("rev-parse", "HEAD:a")
    path = repo.path / f".git/objects/{oid[:2]}/{oid[2:]}"
    path.unlink()
    with pytest.raises(RealmError, match=f"lacks 1 object, the first is {oid}") as caught:
        stores.ensure_readable(project_of(repo), repo.head())
    assert caught.value.hint == "git fsck"
    tree = repo.git("rev-parse", "HEAD^{tree}")
    path = repo.path / f".git/objects/{tree[:2]}/{tree[2:]}"
    path.chmod(0o644)
    path.write_bytes(b"garbage")
    with pytest.raises(RealmError, match="cannot be read"):
        stores.ensure_readable(project_of(repo), repo.head())


def test_missing_alternate(repo: Repo, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--shared", str(repo.path), "last")
    head = repo.head()
    repo.path.rename(tmp_path / "moved")
    with pytest.raises(RealmError, match=r"borrows objects from .*project/\.git/objects"):
        stores.ensure_readable(store.discover(tmp_path / "last"), head)


@pytest.mark.parametrize("kind", ["blob:none", "tree:0"])
def test_partial_clone_fetches_what_the_base_needs(repo: Repo, tmp_path: Path, kind: str) -> None:
    repo.make_files(20)
    repo.git("config", "uploadpack.allowFilter", "true")
    repo.git("config", "uploadpack.allowAnySHA1InWant", "true")
    git(tmp_path, "clone", "-q", "--no-checkout", f"--filter={kind}", f"file://{repo.path}", "part")
    project = store.discover(tmp_path / "part")
    head = repo.head()
    stores.ensure_readable(project, head)
    repo.path.rename(tmp_path / "away")
    shown = git(tmp_path / "part", "ls-tree", "-r", "--long", head)
    assert shown.count("\n") == 19


def test_partial_clone_without_its_remote(repo: Repo, tmp_path: Path) -> None:
    repo.make_files(20)
    repo.git("config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{repo.path}", "part")
    head = repo.head()
    repo.path.rename(tmp_path / "away")
    with pytest.raises(RealmError, match="partial clone"):
        stores.ensure_readable(store.discover(tmp_path / "part"), head)


def test_subjects_are_read_whatever_encoding_the_user_sees_them_in(repo: Repo) -> None:
    base = repo.head()
    repo.commit("Für alle")
    repo.git("config", "i18n.logOutputEncoding", "ISO-8859-1")
    assert store.subjects(project_of(repo), base, repo.head()) == ["Für alle"]


def test_the_users_order_of_files_is_not_asked_for(repo: Repo) -> None:
    project = project_of(repo)
    base = repo.head()
    repo.write("two.txt", "2\n")
    tip = repo.commit()
    repo.git("config", "diff.orderFile", "not/there")
    assert "1 file changed" in store.changes(project, base, tip, 80)
