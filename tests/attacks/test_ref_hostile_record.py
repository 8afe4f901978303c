"""A record that realm did not write: every kind of nonsense is a row with a problem, never a crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from realm.cli.ui import TerminalUI
from realm.errors import RealmError
from realm.model import Run, State, Totals
from realm.session.remove import plan, remove, restore
from realm.session.wait import wait
from realm.store import listing, record, refs, remote, stores, turns
from realm.store import repo as repository
from tests.support.store import STARTED, Forge, add_session, project_of, session

if TYPE_CHECKING:
    from tests.support.repos import Repo

BASE = "1" * 40
ID = "c0ffee00-1234-4abc-8def-0123456789ab"
GOOD = (
    f"Run 1 of bad\n\nRealm-Version: 1\nRealm-Id: {ID}\nRealm-Project: /p\n"
    f"Realm-Created: 2026-01-01T00:00:00Z\nRealm-State: exited\nRealm-Base: {BASE}\nRealm-Run: 1\n"
)
MESSAGES = (
    "",
    "Hello\n",
    "Realm-Version: 1\n",
    GOOD.replace("Version: 1", "Version: 2"),
    GOOD.replace("Version: 1", "Version: " + "9" * 5000),
    GOOD.replace("Version: 1", "Version: one"),
    GOOD.replace("State: exited", "State: \x1b[2J"),
    GOOD.replace(BASE, "not an id"),
    GOOD.replace("2026-01-01", "2026-99-99"),
    GOOD.replace("Run: 1", "Run: -1"),
    GOOD.replace("Run: 1", "Run: " + "9" * 5000),
    GOOD.replace(ID, "/tmp/victim"),
    GOOD.replace(ID, "../" + ID),
    GOOD.replace(BASE, "--output=FILE"),
    GOOD.replace(BASE, "1" * 64),
    GOOD.replace("/p", "p"),
    GOOD.replace("2026-01-01T00:00:00Z", "2026-01-01"),
    GOOD + "Realm-Turns: 1_0\n",
    GOOD + "Realm-Turns: 1e9\n",
    GOOD + "Realm-Exit: x\n",
    GOOD.replace("/p", '"\\ud800'),
    GOOD.replace("/p", '"' + "[" * 90_000),
    "Realm-" * 1_000_000,
)


def put(repo: Repo, tmp_path: Path, message: bytes, files: dict[str, bytes] | None = None) -> None:
    """Point both refs of the session ``bad`` at hostile commits."""
    forge = Forge(project_of(repo))
    lines = [("100644", name.encode(), forge.blob(data)) for name, data in sorted((files or {}).items())]
    commit = forge.commit(forge.tree(*lines), "", message)
    pack = forge.pack(tmp_path / "pack")
    with pack.open("rb") as file:
        subprocess.run(["git", "unpack-objects", "-q"], cwd=repo.path, stdin=file, check=True)
    repo.git("update-ref", "refs/realm-meta/bad", commit)
    repo.git("update-ref", "refs/realm/bad", repo.head())


@pytest.mark.parametrize("message", MESSAGES, ids=range(len(MESSAGES)))
def test_message(repo: Repo, tmp_path: Path, message: str) -> None:
    project = project_of(repo)
    add_session(project, "good")
    put(repo, tmp_path, message.encode())
    rows = {row.name: row for row in listing.rows(project)}
    assert rows["good"].problem == ""
    assert rows["bad"].problem
    assert rows["bad"].problem.isprintable()


def test_well_formed_message_is_read(repo: Repo, tmp_path: Path) -> None:
    put(repo, tmp_path, GOOD.encode())
    (row,) = listing.rows(project_of(repo))
    assert (row.problem, row.summary.base, row.summary.runs) == ("", BASE, 1)


@pytest.mark.parametrize("target", ["blob", "tree", "tag"])
def test_ref_to_something_else(repo: Repo, target: str) -> None:
    project = project_of(repo)
    repo.git("tag", "-a", "-m", "x", "x")
    oid = repo.git("rev-parse", {"blob": "HEAD:README.md", "tree": "HEAD^{tree}", "tag": "x"}[target])
    repo.git("update-ref", "refs/realm-meta/bad", oid)
    repo.git("update-ref", "refs/realm/bad", repo.head())
    (row,) = listing.rows(project)
    assert row.problem


def test_ref_to_a_missing_object_does_not_hide_the_others(repo: Repo) -> None:
    project = project_of(repo)
    add_session(project, "good")
    for space in ("realm", "realm-meta"):
        path = repo.path / ".git/refs" / space / "bad"
        path.write_text("9" * 40 + "\n")
    rows = {row.name: row for row in listing.rows(project)}
    assert rows["good"].problem == ""
    assert "missing" in rows["bad"].problem


def test_garbage_in_a_ref_file(repo: Repo) -> None:
    project = project_of(repo)
    add_session(project, "good")
    (repo.path / ".git/refs/realm/bad").write_bytes(b"\x00\x1bgarbage\n")
    rows = {row.name: row for row in listing.rows(project)}
    assert rows["good"].problem == ""
    assert rows["bad"].problem == "refs/realm/bad is broken"


def test_name_that_realm_does_not_give(repo: Repo) -> None:
    project = project_of(repo)
    repo.git("update-ref", "refs/realm/a/b", repo.head())
    repo.git("update-ref", "refs/realm/\u202eevil", repo.head())
    for row in listing.rows(project):
        assert row.problem.endswith("is not a name that realm gives")
        assert row.problem.isprintable()


SESSION = {
    "version": 1,
    "id": ID,
    "name": "bad",
    "project": "/p",
    "workspace": "/workspace/p",
    "base": BASE,
    "created": 1,
}
FILES = (
    b"",
    b"\xff\xfe",
    b"[]",
    b"null",
    b"{}",
    b"[" * 100_000,
    b'{"version": true}',
    json.dumps(SESSION | {"version": "1"}).encode(),
    json.dumps(SESSION | {"version": 2}).encode(),
    json.dumps(SESSION | {"created": "yesterday"}).encode(),
    json.dumps(SESSION | {"created": -1}).encode(),
    json.dumps(SESSION | {"created": 1e300}).encode(),
    b'{"version": 1, "created": NaN}',
    json.dumps(SESSION).encode().replace(b'"created": 1', b'"created": 1' + b"0" * 5000),
    json.dumps(SESSION).encode().replace(b'"created": 1', b'"created": 1' + b"0" * 400),
    json.dumps(SESSION | {"id": None}).encode(),
    json.dumps(SESSION | {"name": 5}).encode(),
    json.dumps(SESSION | {"agent": "rm -rf"}).encode(),
    json.dumps(SESSION | {"agent": [1]}).encode(),
    json.dumps(SESSION | {"pushed": {"a": 1}}).encode(),
    json.dumps(SESSION | {"pushed": []}).encode(),
    json.dumps(SESSION | {"workspace": "a\0b"}).encode(),
    b" " * (5 * 1024 * 1024),
)


@pytest.mark.parametrize("data", FILES, ids=range(len(FILES)))
def test_session_file(repo: Repo, tmp_path: Path, data: bytes) -> None:
    put(repo, tmp_path, GOOD.encode(), {"session.json": data})
    with pytest.raises(RealmError) as caught:
        record.read_session(project_of(repo), "bad")
    assert caught.value.hint
    assert caught.value.message.isprintable()


def test_unknown_keys_are_skipped(repo: Repo, tmp_path: Path) -> None:
    data = json.dumps(SESSION | {"colour": "blue"}).encode()
    put(repo, tmp_path, GOOD.encode(), {"session.json": data})
    assert record.read_session(project_of(repo), "bad").base == BASE


def test_session_that_is_a_directory_or_missing(repo: Repo, tmp_path: Path) -> None:
    put(repo, tmp_path, GOOD.encode(), {"other": b""})
    project = project_of(repo)
    with pytest.raises(RealmError, match="damaged"):
        record.read_session(project, "bad")
    with pytest.raises(RealmError, match="no record"):
        record.read_session(project, "nobody")
    with pytest.raises(RealmError, match="no record"):
        record.read_runs(project, "nobody")


@pytest.mark.parametrize("where", ["record", "summary", "both"])
def test_remove_obeys_no_path_in_a_record(repo: Repo, tmp_path: Path, where: str) -> None:
    """An id that is a path names no directory of the host, and a base that is an option writes no file."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("mine\n")
    output = tmp_path / "written"
    message, fields = GOOD, dict(SESSION)
    if where != "record":
        message = GOOD.replace(ID, str(victim)).replace(BASE, f"--output={output}")
    if where != "summary":
        fields |= {
            "id": str(victim),
            "base": f"--output={output}",
            "pushed": {"origin x": f"--output={output}"},
        }
    put(repo, tmp_path, message.encode(), {"session.json": json.dumps(fields).encode()})
    project = project_of(repo)
    ui = TerminalUI()
    remove(plan("bad", repo.path, ui), ui)
    assert (victim / "precious").read_text() == "mine\n"
    assert [path.name for path in victim.iterdir()] == ["precious"]
    assert not output.exists()
    assert listing.rows(project) == []
    trash = refs.latest_trash(project, "bad")
    assert trash is not None
    assert trash.code == repo.head()


def test_no_git_takes_a_revision_for_an_option(repo: Repo, tmp_path: Path) -> None:
    """Whatever passes for an id somewhere else is never an option of git's."""
    project, output = project_of(repo), tmp_path / "written"
    option, head = f"--output={output}", repo.head()
    for ask in (
        lambda: repository.diffstat(project, option, head),
        lambda: repository.diffstat(project, head, option),
        lambda: repository.count_turns(project, option, head),
        lambda: turns.chain(project, option, head),
        lambda: repository.subjects(project, option, head),
        lambda: repository.committed(project, option, head, ["x"]),
        lambda: repository.count_commits(project, option, [head]),
        lambda: repository.is_there(project, option),
        lambda: stores.ensure_readable(project, option),
        lambda: remote.push(project, oid=option, remote=str(repo.path), branch="x", lease=None),
    ):
        with suppress(RealmError):
            ask()
        assert not output.exists()


def test_a_record_without_runs_is_no_dead_end(repo: Repo, tmp_path: Path) -> None:
    """Each verb says in a sentence what to do; the work can be listed, put away and brought back."""
    put(repo, tmp_path, GOOD.encode(), {"session.json": json.dumps(SESSION).encode()})
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "DOCKER_HOST": f"unix://{tmp_path}/no.sock",
    }
    for verb, code in {
        "list": 0,
        "screen": 1,
        "replay": 1,
        "logs": 1,
        "attach": 125,
        "stop": 1,
        "resume": 125,
    }.items():
        line = [sys.executable, "-m", "realm", verb, *([] if verb == "list" else ["bad"])]
        done = subprocess.run(
            line, cwd=repo.path, env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), (verb, done.stderr)
        assert "bug" not in done.stderr
        assert verb == "list" or "hint: " in done.stderr
    ui = TerminalUI()
    remove(plan("bad", repo.path, ui), ui)
    assert restore("bad", repo.path).code == repo.head()


@pytest.mark.parametrize("numbers", [(2,), (1, 3), (0, 1), (1, 2, 123456789)])
def test_runs_with_odd_numbers(repo: Repo, tmp_path: Path, numbers: tuple[int, ...]) -> None:
    project = project_of(repo)
    forge = Forge(project)
    run = forge.tree(("100644", b"run.json", forge.blob(b"{}")))
    runs = forge.tree(*(("40000", b"%04d" % number, run) for number in numbers))
    put(repo, tmp_path, GOOD.encode())
    commit = forge.commit(forge.tree(("40000", b"runs", runs)), "", GOOD.encode())
    with forge.pack(tmp_path / "pack").open("rb") as file:
        subprocess.run(["git", "unpack-objects", "-q"], cwd=repo.path, stdin=file, check=True)
    repo.git("update-ref", "refs/realm-meta/bad", commit)
    with pytest.raises(RealmError, match="damaged"):
        record.read_runs(project, "bad")


def test_a_record_writes_no_lines_of_its_own(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    project = project_of(repo)
    said = "a\x1b[2J\nerror: run this\rhidden"
    run = Run(1, STARTED, repo.head(), notes=(said,), weakened=(said,), risky=(said,), died=said)
    meta = record.write(
        project, parent=None, previous=None, session=session("bad", base=repo.head()), run=run,
        totals=Totals(), state=State.EXITED, files={},
    )  # fmt: skip
    repo.git("update-ref", "refs/realm-meta/bad", meta)
    repo.git("update-ref", "refs/realm/bad", repo.head())
    wait([("bad", repo.path)], TerminalUI())
    err = capsys.readouterr().err
    assert err.count("error: run this") >= 3
    assert not [line for line in err.splitlines() if line.startswith(("error", "hidden"))]
    assert "\x1b" not in err
