"""Whether a session is as realm wrote it: sound ones are, and each thing that was changed is found."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from realm import git as gits
from realm.errors import GitError
from realm.session.verify import verify
from realm.store import record, refs, worktree
from tests.support.history import Asked, Past, realm
from tests.support.store import ME, project_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from tests.support.repos import Repo


def grown(repo: Repo) -> Past:
    """Return a session of two runs, one of whose turns has a commit of the agent's own."""
    made = Past(repo)
    made.run(
        Asked("one", {"a": "1\n"}, "Did it."), Asked("two", {"b": "2\n"}, commits=[("Mine", {"c": "3\n"})])
    )
    made.run(Asked("three", {"a": "4\n"}), Asked("nothing"))
    return made


@pytest.fixture
def past(repo: Repo) -> Past:
    return grown(repo)


def stored(repo: Repo, kind: str, data: bytes) -> str:
    """Store an object, sound or not; return its id."""
    order = ["git", "hash-object", "-t", kind, "-w", "--stdin", "--literally"]
    done = subprocess.run(order, cwd=repo.path, input=data, capture_output=True, check=True)
    return done.stdout.decode().strip()


def problems(past: Past, name: str = "fix") -> list[str]:
    return [one.what for one in verify(name, past.repo.path).problems]


def forge(past: Past, message: str, *, parents: tuple[str, ...] = (), tree: str = "") -> None:
    """Put a commit of somebody's on top of the session."""
    above = parents or (past.tip,)
    words = [word for parent in above for word in ("-p", parent)]
    made = past.repo.git("commit-tree", tree or f"{past.tip}^{{tree}}", *words, "-m", message)
    past.repo.git("update-ref", "refs/realm/fix", made)


class TestSound:
    def test_realms_own_directory_may_be_on_another_disk(self, past: Past, other_disk: Path) -> None:
        done = realm(past.repo.path, "verify", "fix", env={"REALM_HOME": str(other_disk)})
        assert (done.code, done.err) == (0, "")

    def test_a_full_disk_is_no_damage(self, past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
        run = gits.run

        def full(argv: list[str], **options: Any) -> gits.GitResult:
            if "index-pack" in argv:
                return gits.GitResult(128, b"", b"fatal: sha1 file 'x' write error. Out of diskspace\n")
            return run(argv, **options)

        monkeypatch.setattr(gits, "run", full)
        with pytest.raises(GitError, match="Out of diskspace"):
            verify("fix", past.repo.path)

    def test_what_realm_wrote_is(self, past: Past) -> None:
        done = realm(past.repo.path, "verify", "fix")
        assert (done.code, done.out, done.err) == (0, "fix: 4 commits of 2 runs: all is well\n", "")

    def test_so_is_one_that_changed_nothing(self, repo: Repo) -> None:
        made = Past(repo)
        made.run(Asked("nothing"))
        assert realm(repo.path, "verify", "fix").out == "fix: 0 commits of 1 run: all is well\n"

    @pytest.mark.parametrize(
        "line",
        [
            ["drop", "fix", "c"],
            ["drop", "fix", "a"],
            ["rename", "fix", "new"],
            ["fork", "fix@2", "new"],
            ["rewind", "fix@2"],
        ],
    )
    def test_so_is_what_other_commands_make_of_it(self, line: list[str], past: Past) -> None:
        assert realm(past.repo.path, *line).code == 0
        name = "new" if "new" in line else "fix"
        assert problems(past, name) == []

    def test_uncommitted_changes_that_came_along_are_part_of_it(self, repo: Repo) -> None:
        made, project = Past(repo), project_of(repo)
        repo.write("begun", "1\n")
        message = "Uncommitted changes when fix began\n\nRealm-Session: fix\n"
        wip = worktree.write_wip(project, made.base, message, ME)
        assert wip
        refs.transact(project, [refs.RefUpdate("refs/realm/fix", None, wip)], "test")
        made.run(Asked("one", {"a": "1\n"}), before=wip)
        assert problems(made) == []


class TestChanged:
    def test_another_commit_on_top_is_found(self, past: Past) -> None:
        forge(past, "Harmless")
        done = realm(past.repo.path, "verify", "fix")
        assert done.code == 1
        oid = past.repo.head("refs/realm/fix")[:10]
        assert done.out == f"{oid} it does not say of which session, run and turn it is\n"
        assert done.err.startswith("error: fix is not as realm wrote it: 1 problem\n")
        answer = json.loads(realm(past.repo.path, "verify", "fix", "--json").out)
        assert (answer["ok"], answer["commits"], len(answer["problems"])) == (False, 5, 1)

    @pytest.mark.parametrize(
        ("run", "what"),
        [
            (2, "the record of run 2 does not have it"),
            (3, "it is of run 3, which the record does not have"),
            (1, "it is of an earlier turn than the one before it"),
        ],
    )
    def test_one_that_looks_like_realms_is_found(self, run: int, what: str, past: Past) -> None:
        forge(past, f"four\n\nRealm-Session: fix\nRealm-Run: {run}\nRealm-Turn: 3")
        found = problems(past)
        assert what in found
        assert f"the record ends at {past.tip[:10]}" in found[-1]

    def test_another_tip_is_found(self, past: Past) -> None:
        past.repo.git("update-ref", "refs/realm/fix", f"{past.tip}~1")
        assert problems(past) == [
            f"the record ends at {past.tip[:10]}, the commits at {past.repo.head('refs/realm/fix')[:10]}"
        ]

    def test_a_commit_that_was_written_anew_is_found(self, past: Past) -> None:
        for oid in past.repo.git("rev-list", "--reverse", f"{past.base}..refs/realm/fix").split()[-1:]:
            message = past.repo.git("log", "-1", "--format=%B", oid)
            forge(past, message, parents=(f"{oid}~1",), tree=f"{past.base}^{{tree}}")
        assert any("the record ends at" in what for what in problems(past))

    def test_a_merge_and_another_author_are_found(self, past: Past) -> None:
        trailers = "Realm-Session: fix\nRealm-Run: 2\nRealm-Turn: 3"
        forge(past, f"four\n\n{trailers}", parents=(past.tip, past.base))
        assert "its only parent is not the commit before it" in problems(past)
        past.repo.git("update-ref", "refs/realm/fix", past.tip)
        made = past.repo.git(
            *("-c", "user.name=Mallory", "commit-tree", f"{past.tip}^{{tree}}", "-p", past.tip),
            *("-m", f"four\n\n{trailers}"),
        )
        past.repo.git("update-ref", "refs/realm/fix", made)
        assert "the record of run 2 does not have it" in problems(past)

    def test_a_file_that_realm_would_not_take_is_found(self, past: Past) -> None:
        link = stored(past.repo, "blob", b"../../outside")
        tree = stored(past.repo, "tree", b"120000 out\0" + bytes.fromhex(link))
        forge(past, "five\n\nRealm-Session: fix\nRealm-Run: 2\nRealm-Turn: 3", tree=tree)
        assert any("out" in what and "link" in what for what in problems(past))

    @pytest.mark.parametrize("partial", [False, True])
    def test_a_lost_file_is_found(self, partial: bool, past: Past) -> None:
        objects = past.repo.path / ".git" / "objects"
        for pack in objects.glob("pack/*.pack"):
            data = pack.read_bytes()
            for file in objects.glob(f"pack/{pack.stem}.*"):
                file.unlink()
            subprocess.run(["git", "unpack-objects", "-q"], cwd=past.repo.path, input=data, check=True)
        if partial:
            for line in ("remote.origin.promisor true", "extensions.partialClone origin"):
                past.repo.git("config", *line.split())
            past.repo.git("config", "core.repositoryFormatVersion", "1")
            (objects / "pack" / f"pack-{'0' * 40}.promisor").touch()
            assert problems(past) == []
        lost = past.repo.head(f"{past.tip}:b")
        (objects / lost[:2] / lost[2:]).unlink()
        assert any(lost in what for what in problems(past))

    def test_objects_that_git_would_not_write_are_found(self, past: Past) -> None:
        blob = bytes.fromhex(stored(past.repo, "blob", b"x"))
        tree = stored(past.repo, "tree", b"100644 b\0" + blob + b"100644 a\0" + blob)
        forge(past, "six\n\nRealm-Session: fix\nRealm-Run: 2\nRealm-Turn: 3", tree=tree)
        assert any(what.startswith("git fsck: ") for what in problems(past))

    def test_a_record_of_another_session_is_found(self, past: Past) -> None:
        project = project_of(past.repo)
        with record.Record(project, "fix") as found:
            other = found.amend(found.session()._replace(base=past.tip))
        past.repo.git("update-ref", "refs/realm-meta/fix", other)
        assert "the record's summary does not match the session in it" in problems(past)


@pytest.fixture(params=["ssh", "openpgp"])
def signer(
    request: pytest.FixtureRequest, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Let the user of ``repo`` sign commits; return how."""
    if request.param == "ssh":
        key = tmp_path / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        allowed = tmp_path / "allowed"
        allowed.write_text(f"* {key.with_suffix('.pub').read_text()}")
        repo.git("config", "gpg.ssh.allowedSignersFile", str(allowed))
        repo.git("config", "user.signingKey", str(key))
    else:
        home = tmp_path / "gnupg"
        home.mkdir(mode=0o700)
        monkeypatch.setenv("GNUPGHOME", str(home))
        made = [
            "gpg",
            "--batch",
            "--quiet",
            "--passphrase",
            "",
            "--quick-generate-key",
            ME.email,
            "ed25519",
            "sign",
        ]
        subprocess.run(made, check=True, capture_output=True)
        repo.git("config", "user.signingKey", ME.email)
    repo.git("config", "gpg.format", request.param)
    repo.git("config", "commit.gpgSign", "true")
    yield str(request.param)
    if request.param == "openpgp":
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=False)


class TestSigned:
    def test_every_commit_is_signed_as_the_user_signs(self, signer: str, repo: Repo) -> None:
        past = grown(repo)
        done = realm(repo.path, "verify", "fix")
        assert (done.code, done.out) == (0, "fix: 4 commits of 2 runs, 4 signed: all is well\n"), (
            signer,
            done.err,
        )
        shown = repo.git("log", "--format=%an %ae %G?", f"{past.base}..refs/realm/fix").splitlines()
        assert {line[-1] for line in shown} <= {"G", "U"}
        assert {line[:-2] for line in shown} == {f"{ME.name} {ME.email}"}
        assert realm(repo.path, "drop", "fix", "c").code == 0
        assert problems(past) == []
        assert verify("fix", repo.path).signed == 3

    def test_one_that_is_not_is_found(self, signer: str, repo: Repo) -> None:
        past = grown(repo)
        repo.git("-c", "commit.gpgSign=false", "update-ref", "refs/realm/fix", past.tip)
        message = repo.git("log", "-1", "--format=%B", past.tip)
        forge(past, message, parents=(f"{past.tip}~1",))
        assert "it is not signed" in problems(past), signer

    def test_a_signature_of_something_else_is_found(self, signer: str, repo: Repo) -> None:
        past = grown(repo)
        raw = repo.git("cat-file", "commit", past.tip) + "\n"
        changed = stored(repo, "commit", raw.replace("three", "tree").encode())
        repo.git("update-ref", "refs/realm/fix", changed)
        assert "its signature is wrong" in problems(past), signer

    def test_sessions_from_before_need_a_word(self, signer: str, repo: Repo) -> None:
        repo.git("config", "commit.gpgSign", "false")
        past = grown(repo)
        assert problems(past) == [], signer
        repo.git("config", "commit.gpgSign", "true")
        assert problems(past) == ["it is not signed"] * 4


def test_work_is_kept_where_no_signature_can_be_made(repo: Repo, tmp_path: Path) -> None:
    repo.git("config", "commit.gpgSign", "true")
    repo.git("config", "gpg.format", "ssh")
    repo.git("config", "user.signingKey", str(tmp_path / "nowhere"))
    past = grown(repo)
    assert repo.files("refs/realm/fix") == ["README.md", "a", "b", "c"]
    assert problems(past) == ["it is not signed"] * 4
