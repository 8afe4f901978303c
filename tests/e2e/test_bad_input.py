"""Any bad input gives one sentence, a hint and the documented exit code, and leaves nothing half done."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from realm import config
from tests.support import hostile
from tests.support.engines import limits_volumes
from tests.support.hostile import Traces, check_words, run_as
from tests.support.repos import Repo, git
from tests.support.store import Forge, add_session, project_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.user import User

RUN_FAILED, FAILED, USAGE = 125, 1, 2

NAMES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "empty"),
    "too long": ("n" * 65, "more than 64"),
    "far too long": ("n" * 100_000, "more than 64"),
    "two dots": ("..", "starts with '.'"),
    "dots inside": ("a..b", "holds '..'"),
    "a slash": ("a/b", "holds a '/'"),
    "an escape": ("a\x1b[2Jb", "control character"),
    "a line end": ("a\nb", "control character"),
    "C1": ("a\x9bb", "control character"),
    "not UTF-8": (b"a\xffb", "not valid UTF-8"),
    "a space": ("a b", "holds a space"),
    "a colon": ("a:b", "holds ':'"),
    "a lock": ("a.lock", "ends with '.lock'"),
    "HEAD": ("HEAD", "means something else"),
    "an id": ("0" * 40, "means something else"),
    "right to left": ("a\u202eb", "holds"),
    "a letter of another alphabet": ("fаx", "holds"),  # noqa: RUF001 - that is what is tested
}

VERBS: dict[str, tuple[int, tuple[str, ...]]] = {
    "resume": (RUN_FAILED, ()),
    "push": (USAGE, ()),
    "remove": (USAGE, ("--yes",)),
    "restore": (USAGE, ()),
}


@pytest.mark.parametrize("name", NAMES)
def test_names(user: User, name: str) -> None:
    given, said = NAMES[name]
    before = Traces.of(user.repo)
    check_words(run_as(user, (), "new", "--agent", "true", given), RUN_FAILED, said)
    assert Traces.of(user.repo) == before


@pytest.mark.parametrize("name", ["two dots", "an escape", "not UTF-8", "a slash"])
@pytest.mark.parametrize("verb", VERBS)
def test_names_of_other_verbs(user: User, verb: str, name: str) -> None:
    given, said = NAMES[name]
    code, options = VERBS[verb]
    check_words(run_as(user, (), verb, *options, given), code, said)
    assert not user.repo.refs("refs/realm")


@pytest.mark.parametrize("verb", VERBS)
def test_an_option_in_a_names_place(user: User, verb: str) -> None:
    before = Traces.of(user.repo)
    check_words(run_as(user, (), verb, "-x"), VERBS[verb][0], "no option -x")
    check_words(run_as(user, (), verb), VERBS[verb][0], "missing")
    if verb not in ("new", "resume"):
        check_words(run_as(user, (), verb, "--", "-x"), VERBS[verb][0], "starts with '-'")
    assert Traces.of(user.repo) == before


def test_a_name_that_differs_only_by_case(user: User) -> None:
    add_session(project_of(user.repo), "Fix")
    before = Traces.of(user.repo)
    check_words(run_as(user, (), "new", "--agent", "true", "fix"), RUN_FAILED, "only by case")
    check_words(run_as(user, (), "new", "--agent", "true", "Fix"), RUN_FAILED, "exists already")
    assert Traces.of(user.repo) == before


@pytest.mark.parametrize("verb", ["resume", "push", "remove", "restore"])
def test_an_unknown_name_tells_the_closest(user: User, verb: str) -> None:
    add_session(project_of(user.repo), "fix-login")
    code = RUN_FAILED if verb == "resume" else FAILED
    done = run_as(user, (), verb, "fix-logni")
    check_words(done, code, "no ")
    if verb != "restore":
        assert "fix-login?" in done.err


# --- places ------------------------------------------------------------------


def _nowhere(tmp_path: Path) -> Path:
    (tmp_path / "plain").mkdir()
    return tmp_path / "plain"


def _unborn(tmp_path: Path) -> Path:
    return Repo.init(tmp_path / "unborn").path


def _bare(tmp_path: Path) -> Path:
    return Repo.init(tmp_path / "bare.git", bare=True).path


def _git_directory(tmp_path: Path) -> Path:
    return tmp_path / "project/.git"


def _lost_object(tmp_path: Path) -> Path:
    repo = Repo(tmp_path / "project")
    _delete(repo, repo.head("HEAD:README.md"))
    return repo.path


def _lost_head(tmp_path: Path) -> Path:
    repo = Repo(tmp_path / "project")
    _delete(repo, repo.head())
    return repo.path


def _lost_alternate(tmp_path: Path) -> Path:
    git(tmp_path, "clone", "-q", "--bare", str(tmp_path / "project"), "lender")
    git(tmp_path, "clone", "-q", "--shared", str(tmp_path / "lender"), "borrowing")
    (tmp_path / "lender").rename(tmp_path / "gone")
    return tmp_path / "borrowing"


def _garbled_object(tmp_path: Path) -> Path:
    repo = Repo(tmp_path / "project")
    path = _object(repo, repo.head("HEAD:README.md"))
    path.chmod(0o644)
    path.write_bytes(b"garbage")
    return repo.path


def _garbled_config(tmp_path: Path) -> Path:
    repo = Repo(tmp_path / "project")
    repo.write(".git/config", "[core\n")
    return repo.path


def _newer_git(tmp_path: Path) -> Path:
    repo = Repo(tmp_path / "project")
    repo.git("config", "core.repositoryFormatVersion", "99")
    return repo.path


def _partial_without_its_remote(tmp_path: Path) -> Path:
    origin = Repo(tmp_path / "project")
    origin.git("config", "uploadpack.allowFilter", "true")
    url = f"file://{origin.path}"
    git(tmp_path, "clone", "-q", "--no-checkout", "--filter=blob:none", url, "partial")
    origin.path.rename(tmp_path / "gone")
    Repo.init(tmp_path / "project")
    return tmp_path / "partial"


def _object(repo: Repo, oid: str) -> Path:
    return repo.path / ".git/objects" / oid[:2] / oid[2:]


def _delete(repo: Repo, oid: str) -> None:
    """Lose one object: those in packs are made loose first."""
    for number, pack in enumerate((repo.path / ".git/objects/pack").glob("*.pack")):
        aside = repo.path / f".git/aside-{number}"
        pack.rename(aside)
        for other in pack.parent.glob(f"{pack.stem}.*"):
            other.unlink()
        with aside.open("rb") as file:
            subprocess.run(["git", "unpack-objects", "-q"], cwd=repo.path, stdin=file, check=True)
        aside.unlink()
    _object(repo, oid).unlink()


PLACES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "not a repository": (_nowhere, "not inside a git repository"),
    "no commit yet": (_unborn, "no commit yet"),
    "bare": (_bare, "bare repository"),
    "the .git directory": (_git_directory, "not a work tree"),
    "a file's object is lost": (_lost_object, "lacks 1 object"),
    "the commit is lost": (_lost_head, "cannot be read"),
    "a borrowed store is lost": (_lost_alternate, "borrows objects from"),
    "a broken configuration": (_garbled_config, "bad config"),
    "a format of the future": (_newer_git, "repo version"),
    "a partial clone cut off": (_partial_without_its_remote, "partial clone"),
}


@pytest.mark.parametrize("kind", PLACES)
def test_places(user: User, tmp_path: Path, kind: str) -> None:
    make, said = PLACES[kind]
    place = make(tmp_path)
    before = Traces.of(Repo(place))
    check_words(run_as(user, (), "new", "--agent", "true", "x", cwd=place), RUN_FAILED, said)
    check_words(run_as(user, (), "-C", str(place), "new", "--agent", "true", "x"), RUN_FAILED, said)
    assert Traces.of(Repo(place)) == before


@pytest.mark.engine
def test_objects_that_are_garbage(user: User, tmp_path: Path) -> None:
    place = _garbled_object(tmp_path)
    before = Traces.of(user.repo, engine=True)
    done = run_as(user, (), "new", "--agent", "true", "x", cwd=place)
    check_words(done, RUN_FAILED, "is corrupt")
    assert "git fsck" in done.err
    assert Traces.of(user.repo, engine=True) == before


@pytest.mark.parametrize("verb", ["resume", "push", "remove", "restore", "list"])
@pytest.mark.parametrize("kind", ["not a repository", "bare", "a broken configuration"])
def test_places_of_other_verbs(user: User, tmp_path: Path, kind: str, verb: str) -> None:
    make, said = PLACES[kind]
    place = make(tmp_path)
    code = RUN_FAILED if verb == "resume" else FAILED
    name = () if verb == "list" else ("x",)
    check_words(run_as(user, (), "-C", str(place), verb, *name), code, said)


MISSING = ("./nowhere", "/no/such/place/", "../gone/deep")


@pytest.mark.parametrize("path", MISSING)
def test_a_missing_project(user: User, path: str) -> None:
    before = Traces.of(user.repo)
    check_words(run_as(user, (), "new", "--agent", "true", "x", path), RUN_FAILED, "no directory")
    check_words(run_as(user, (), "-C", path, "new", "--agent", "true", "x"), RUN_FAILED, "no directory")
    check_words(run_as(user, (), "list", "-C", path), FAILED, "no directory")
    assert Traces.of(user.repo) == before


def test_a_current_directory_that_was_deleted(user: User, tmp_path: Path) -> None:
    script = f"mkdir {tmp_path}/d; cd {tmp_path}/d; rmdir {tmp_path}/d; exec realm "
    for line, code in (("new --agent true x", RUN_FAILED), ("list", FAILED), ("resume x", RUN_FAILED)):
        with user.shell(script + line) as terminal:
            assert terminal.wait() == code
            assert "does not exist any more" in terminal.history()


@pytest.mark.parametrize("options", [("--base", "nowhere"), ("--base", "-x"), ("--base", ""), ("--remote",),
                                     ("--include", "nowhere"), ("--include", ".git/config"),
                                     ("--agent", "'"), ("--agent", ""), ("--agent", " "),
                                     ("--remote", "--base", "HEAD")])  # fmt: skip
def test_options_that_name_nothing(user: User, options: tuple[str, ...]) -> None:
    before = Traces.of(user.repo)
    agent = () if "--agent" in options else ("--agent", "true")
    done = run_as(user, (), "new", "x", *agent, *options)
    check_words(done, RUN_FAILED, "")
    assert Traces.of(user.repo) == before


SETTINGS = {
    "memory": ("lots", "realm.memory is 'lots': it is not a valid size"),
    "workspaceSize": ("1k", "realm.workspaceSize is '1k': 64k is the least"),
    "pids": ("0", "realm.pids is '0'"),
    "network": ("lan", "realm.network is 'lan': it must be one of"),
    "allow": ("https://example.com", "realm.allow is 'https://example.com': write the host alone"),
    "workspace": ("zfs", "realm.workspace is 'zfs': it must be one of"),
    "history": ("some", "realm.history is 'some'"),
    "record": ("maybe", "realm.record is 'maybe'"),
    "recordLimit": ("-1m", "realm.recordLimit is '-1m': it is not a valid size"),
    "bell": ("loud", "realm.bell is 'loud'"),
    "agent": ("'", "closing quotation"),
    "image": ("no such", "it is not the name of an image"),
    "baseImage": ("no such", "it is not the name of an image"),
    "claudeVersion": ("no such", "it is not a version"),
    "caFile": ("/no/such", "there is no such file"),
    "dockerArgs": ("--memory", "--memory needs a value"),
}


@pytest.mark.engine
@pytest.mark.parametrize("name", SETTINGS)
def test_settings(user: User, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value, said = SETTINGS[name]
    # What the checks themselves set in the environment would count for more.
    (variable,) = (setting.variable for setting in config.SETTINGS if setting.key == name)
    monkeypatch.delenv(variable, raising=False)
    user.repo.git("config", f"realm.{name}", value)
    before = Traces.of(user.repo, engine=True)
    done = run_as(user, (), "new", "x", *(() if name == "agent" else ("--agent", "true")))
    check_words(done, RUN_FAILED, said)
    assert Traces.of(user.repo, engine=True) == before


@pytest.mark.engine
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--tmpfs /realm", "/realm is realm's own place"),
        ("-v /tmp:/workspace/project", "/workspace/project is realm's own place"),
        ("--env-file /no/such", "cannot read /no/such"),
        ("--cpus x", "'x': it is not a number"),
        ("--cpus nan", "'nan': it is not a number"),
        ("-e \u00c9=1", "a name of letters"),
        ("--privileged=maybe", "is true or false"),
        ("--memory 1k", "the docker engine refused: "),
        ("--network no-such-network", "the docker engine refused: "),
        ("-p 99999999:1", "the docker engine refused: "),
    ],
)
def test_docker_flags(user: User, flags: str, said: str) -> None:
    user.extra["REALM_DOCKER_ARGS"] = flags
    before = Traces.of(user.repo, engine=True)
    check_words(run_as(user, (), "new", "--agent", "true", "x"), RUN_FAILED, said)
    assert Traces.of(user.repo, engine=True) == before


@pytest.mark.engine
def test_a_limit_that_the_engine_cannot_set(user: User) -> None:
    if limits_volumes():
        return  # tests/contract/test_sandbox_container.py sees it do so
    user.repo.git("config", "realm.workspaceSize", "20g")
    before = Traces.of(user.repo, engine=True)
    done = run_as(user, (), "new", "--agent", "true", "x")
    check_words(done, RUN_FAILED, "this engine cannot limit the size of a volume")
    assert Traces.of(user.repo, engine=True) == before


def test_a_version_that_is_none(user: User) -> None:
    done = run_as(user, (), "build", "--claude-version", "1 || 2")
    check_words(done, USAGE, "--claude-version is '1 || 2': it is not a version")


# --- permissions -------------------------------------------------------------


def test_objects_of_somebody_else(user: User) -> None:
    prefix = hostile.powerless()
    user.repo.git("repack", "-q", "-a", "-d")
    (pack,) = (user.repo.path / ".git/objects/pack").glob("*.pack")
    pack.chmod(0o000)
    before = Traces.of(user.repo)
    done = run_as(user, prefix, "new", "--agent", "true", "x")
    check_words(done, RUN_FAILED, "cannot be read")
    assert Traces.of(user.repo) == before


def test_a_repository_of_another_user(user: User) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    for path in [user.repo.path, *user.repo.path.rglob("*")]:
        os.chown(path, 12345, 12345)
    done = run_as(user, (), "new", "--agent", "true", "x")
    check_words(done, RUN_FAILED, "belongs to another user")
    assert "safe.directory" in done.err


@pytest.mark.engine
def test_a_repository_that_is_read_only(user: User) -> None:
    prefix = hostile.powerless()
    before = Traces.of(user.repo, engine=True)
    git_dir = user.repo.path / ".git"
    places = [git_dir, *(path for path in git_dir.rglob("*") if path.is_dir())]
    try:
        for path in places:
            path.chmod(0o555)
        done = run_as(user, prefix, "new", "--agent", "true", "x")
        check_words(done, RUN_FAILED, "")
        assert "ermission" in done.err or "cannot be written" in done.err
    finally:
        for path in places:
            path.chmod(0o755)
    assert Traces.of(user.repo, engine=True) == before


@pytest.mark.engine
def test_realms_directory_cannot_be_made(user: User, tmp_path: Path) -> None:
    prefix = hostile.powerless()
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    user.extra["REALM_HOME"] = str(locked / "realm")
    before = Traces.of(user.repo, engine=True)
    done = run_as(user, prefix, "new", "--agent", "true", "x")
    check_words(done, RUN_FAILED, "permission denied")
    assert Traces.of(user.repo, engine=True) == before


@pytest.mark.engine
def test_realms_directory_is_where_none_can_be(user: User) -> None:
    user.extra["REALM_HOME"] = "/proc/realm"
    done = run_as(user, (), "new", "--agent", "true", "x")
    check_words(done, RUN_FAILED, "permission denied: /proc/realm")


@pytest.mark.engine
def test_a_new_session_where_a_broken_ref_is(user: User) -> None:
    user.repo.write(".git/refs/realm/fix")
    before = Traces.of(user.repo, engine=True)
    check_words(run_as(user, (), "new", "--agent", "true", "fix"), RUN_FAILED, "refs/realm/fix is broken")
    assert Traces.of(user.repo, engine=True) == before


@pytest.mark.parametrize(
    ("arguments", "code", "said", "advice"),
    [
        (("-C",), USAGE, "requires an argument", "realm --help explains it"),
        (("",), USAGE, "there is no command ''", "realm help lists all of them"),
        (("ne\x1b[31mw\n",), USAGE, "there is no command ne", ""),
        (("resume", "FIX"), RUN_FAILED, "there is no session FIX", "did you mean fix?"),
        (("push", "fix", "--to", ".", "--as", "refs/tags/x"), FAILED, "there is no remote called '.'", ""),
        (
            ("push", "fix", "--to", "./", "--as", "refs/tags/x"),
            USAGE,
            "not a valid branch name",
            "--as BRANCH",
        ),
        (("push", "fix", "--to", "ssh://127.0.0.1:1/x"), FAILED, "connection refused", "git push --dry-run"),
    ],
)
def test_words(user: User, arguments: tuple[str, ...], code: int, said: str, advice: str) -> None:
    add_session(project_of(user.repo), "fix")
    user.repo.git(
        "update-ref", "refs/realm/fix", user.repo.git("commit-tree", "-p", "HEAD", "-m", "Fix", "HEAD^{tree}")
    )
    done = run_as(user, (), *arguments)
    check_words(done, code, said)
    assert advice in done.err


def test_without_git(user: User) -> None:
    for verb, code in (("new", RUN_FAILED), ("push", FAILED)):
        done = run_as(user, ("env", "PATH=/nowhere"), verb, "x")
        check_words(done, code, "git is not installed")


def test_realms_directory_is_a_file(user: User, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    user.extra["REALM_HOME"] = str(tmp_path / "file")
    add_session(project_of(user.repo), "fix")
    for arguments, code in ((("list",), 0), (("resume", "fix"), RUN_FAILED), (("remove", "--yes", "fix"), 1)):
        done = run_as(user, (), *arguments)
        assert done.code == code, done.err
        if code:
            check_words(done, code, "")


# --- disks -------------------------------------------------------------------


@pytest.mark.engine
def test_a_full_disk_under_the_repository(user: User, tmp_path: Path) -> None:
    with hostile.small_disk(tmp_path / "disk", "1m") as disk:
        repo = Repo(disk / "project")
        shutil.copytree(user.repo.path, repo.path)
        before = Traces.of(repo, engine=True)
        ballast = hostile.fill(disk)
        done = run_as(user, (), "new", "--agent", "true", "x", cwd=repo.path)
        check_words(done, RUN_FAILED, "")
        assert "space" in done.err
        ballast.unlink()
        assert Traces.of(repo, engine=True) == before
        assert git(repo.path, "fsck", "--strict", "--no-dangling") == ""


@pytest.mark.engine
def test_a_full_disk_under_realms_directory(user: User, tmp_path: Path) -> None:
    before = Traces.of(user.repo, engine=True)
    with hostile.small_disk(tmp_path / "disk", "200k") as disk:
        user.extra["REALM_HOME"] = str(disk / "realm")
        hostile.fill(disk)
        done = run_as(user, (), "new", "--agent", "true", "x")
        check_words(done, RUN_FAILED, "no space left")
    assert Traces.of(user.repo, engine=True) == before


# --- records -----------------------------------------------------------------


@dataclass(frozen=True)
class Damaged:
    """A way to damage a session's refs or record, and the message that ``resume`` then gives."""

    damage: Callable[[Repo, Path], None]
    said: str


def _record(repo: Repo, tmp_path: Path, files: dict[str, bytes], message: bytes | None = None) -> None:
    """Point the session's record at a commit with ``files``; its message is the good one's."""
    forge = Forge(project_of(repo))
    lines = []
    for name, data in sorted(files.items()):
        if "/" not in name:
            lines.append(("100644", name.encode(), forge.blob(data)))
    run = forge.tree(
        *(("100644", b"run.json", forge.blob(data)) for name, data in files.items() if "/" in name)
    )
    lines = [("40000", b"runs", forge.tree(("40000", b"0001", run))), *lines]
    text = message if message is not None else repo.git("log", "-1", "--format=%B", META).encode()
    commit = forge.commit(forge.tree(*lines), "", text)
    pack = forge.pack(tmp_path / "pack")
    with pack.open("rb") as file:
        subprocess.run(["git", "unpack-objects", "-q"], cwd=repo.path, stdin=file, check=True)
    repo.git("update-ref", META, commit)


META = "refs/realm-meta/fix"


def _good(repo: Repo) -> dict[str, bytes]:
    return {
        "session.json": repo.git("show", f"{META}:session.json").encode(),
        "runs/0001/run.json": repo.git("show", f"{META}:runs/0001/run.json").encode(),
    }


def _changed(name: str, change: Callable[[bytes], bytes]) -> Callable[[Repo, Path], None]:
    def damage(repo: Repo, tmp_path: Path) -> None:
        files = _good(repo)
        _record(repo, tmp_path, files | {name: change(files[name])})

    return damage


def _newer(data: bytes) -> bytes:
    return json.dumps(json.loads(data) | {"version": 99}).encode()


def _without(name: str) -> Callable[[Repo, Path], None]:
    def damage(repo: Repo, tmp_path: Path) -> None:
        _record(repo, tmp_path, {key: data for key, data in _good(repo).items() if key != name})

    return damage


def _missing_blob(repo: Repo, _: Path) -> None:
    _delete(repo, repo.head(f"{META}:session.json"))


def _missing_commit(repo: Repo, _: Path) -> None:
    _delete(repo, repo.head(META))


def _meta_is(what: str) -> Callable[[Repo, Path], None]:
    def damage(repo: Repo, _: Path) -> None:
        repo.git("update-ref", META, repo.head(what))

    return damage


def _symbolic(ref: str) -> Callable[[Repo, Path], None]:
    def damage(repo: Repo, _: Path) -> None:
        repo.git("symbolic-ref", ref, "refs/heads/main")

    return damage


def _garbage_ref(repo: Repo, _: Path) -> None:
    repo.write(f".git/{META}", "garbage\n")


def _garbage_code(repo: Repo, _: Path) -> None:
    repo.write(".git/refs/realm/fix")


def _no_record(repo: Repo, _: Path) -> None:
    repo.git("update-ref", "-d", META)


RECORDS = {
    "a blob": Damaged(_meta_is("HEAD:README.md"), "damaged"),
    "another commit": Damaged(_meta_is("HEAD"), "damaged"),
    "session.json is no JSON": Damaged(_changed("session.json", lambda _: b"{"), "not valid JSON"),
    "session.json is a list": Damaged(_changed("session.json", lambda _: b"[]"), "not a JSON object"),
    "session.json is empty": Damaged(_changed("session.json", lambda _: b""), "not valid JSON"),
    "session.json lacks all": Damaged(
        _changed("session.json", lambda _: b'{"version":1}'), "no valid 'workspace'"
    ),
    "session.json is newer": Damaged(_changed("session.json", _newer), "newer realm"),
    "session.json is not there": Damaged(_without("session.json"), "damaged"),
    "run.json is no JSON": Damaged(_changed("runs/0001/run.json", lambda _: b"\xff"), "not valid JSON"),
    "run.json is newer": Damaged(_changed("runs/0001/run.json", _newer), "newer realm"),
    "run.json is not there": Damaged(_without("runs/0001/run.json"), "it has no runs/0001/run.json"),
    "a blob is lost": Damaged(_missing_blob, ""),
    "the commit is lost": Damaged(_missing_commit, ""),
    "the record is a symbolic ref": Damaged(_symbolic(META), "symbolic"),
    "the code is a symbolic ref": Damaged(_symbolic("refs/realm/fix"), "symbolic"),
    "the ref is garbage": Damaged(_garbage_ref, ""),
    "the code's ref is empty": Damaged(_garbage_code, "refs/realm/fix is broken"),
    "there is no record": Damaged(_no_record, "no record"),
}


@pytest.mark.engine
@pytest.mark.parametrize("kind", RECORDS)
def test_damaged_records(user: User, tmp_path: Path, kind: str) -> None:
    add_session(project_of(user.repo), "fix")
    add_session(project_of(user.repo), "good")
    main = user.repo.head()
    RECORDS[kind].damage(user.repo, tmp_path)
    before = Traces.of(user.repo, engine=True)
    listed = run_as(user, (), "list")
    assert listed.code == 0, listed.err
    assert "Traceback" not in listed.err
    assert any(line.startswith("good\t") for line in listed.out.splitlines())
    check_words(run_as(user, (), "resume", "fix", "--no-input"), RUN_FAILED, RECORDS[kind].said)
    assert Traces.of(user.repo, engine=True) == before
    assert user.repo.head("refs/heads/main") == main
    removed = run_as(user, (), "remove", "--yes", "fix")
    if removed.code == 0:
        assert "refs/realm/fix" not in user.repo.refs()
    else:
        check_words(removed, FAILED, "")
    assert user.repo.head("refs/heads/main") == main


# --- repositories of other kinds: they work ----------------------------------


@pytest.mark.engine
def test_a_sha256_repository_works(user: User, tmp_path: Path) -> None:
    repo = Repo.init(tmp_path / "long", object_format="sha256")
    repo.write("a.txt", "a\n")
    base = repo.commit("Start")
    user.realm("new", "--agent", "sh", "x", "-c", "cat a.txt; echo b >b.txt", cwd=repo.path)
    assert repo.files("refs/realm/x") == ["a.txt", "b.txt"]
    assert repo.head("refs/realm/x~1") == base
    user.realm("resume", "x", "-c", "echo c >c.txt", cwd=repo.path)
    assert repo.files("refs/realm/x") == ["a.txt", "b.txt", "c.txt"]
    assert repo.git("fsck", "--strict", "--no-dangling", "--no-progress") == ""


@pytest.mark.engine
def test_a_partial_clone_works_while_its_remote_is_there(user: User, tmp_path: Path) -> None:
    user.repo.git("config", "uploadpack.allowFilter", "true")
    user.repo.git("config", "uploadpack.allowAnySHA1InWant", "true")
    git(tmp_path, "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{user.repo.path}", "partial")
    partial = Repo(tmp_path / "partial")
    user.realm("new", "--agent", "sh", "x", "-c", "cat README.md; echo b >b.txt", cwd=partial.path)
    assert partial.files("refs/realm/x") == ["README.md", "b.txt"]
