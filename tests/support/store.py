"""For tests of the store: a simulated sandbox, and a forge for git objects that git would not create."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import time
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from realm.model import Checkpoint, Identity, Run, Session, State, Totals, TurnText
from realm.store import record, refs, repo
from realm.store.ingest import Ingested, Intake, ingest
from tests.support.repos import Repo, git

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from realm.model import Project
    from realm.store.quarantine import Limits

ME = Identity("Ada Tester", "ada@example.com")
SESSION_ID = "5e555e55-0000-4000-8000-5e555e555e55"
STARTED = 1_700_000_000.0
KINDS = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}


def project_of(made: Repo, subdir: str = "") -> Project:
    """Return the project as realm sees it."""
    return repo.discover(made.path / subdir)


def session(name: str = "fix", **changes: object) -> Session:
    """Return a session's fixed facts."""
    fields: dict[str, object] = {
        "id": SESSION_ID,
        "name": name,
        "project": "/home/ada/project",
        "workspace": "/workspace/project",
        "base": "1" * 40,
        "created": STARTED,
    }
    return Session(**(fields | changes))  # type: ignore[arg-type]


def add_session(project: Project, name: str = "fix", *, state: State = State.EXITED) -> str:
    """Create a session at HEAD with one run, and return its meta commit."""
    base = repo.resolve_commit(project, "HEAD")
    run = Run(1, STARTED, base)
    meta = record.write(
        project,
        parent=None,
        previous=None,
        session=session(name, base=base),
        run=run,
        totals=Totals(),
        state=state,
        files={"screen.txt": b"hello\n"},
    )
    updates = [refs.RefUpdate(refs.CODE + name, None, base), refs.RefUpdate(refs.META + name, None, meta)]
    refs.transact(project, updates, "test")
    return meta


@dataclass
class Sandbox:
    """A clone in place of the workspace, and its report."""

    project: Project
    workspace: Repo
    tip: str
    points: list[Checkpoint] = field(default_factory=list)

    @classmethod
    def start(cls, project: Project, path: Path, tip: str | None = None) -> Sandbox:
        """Create the workspace at ``path``, on ``tip`` (default: HEAD)."""
        tip = tip or repo.resolve_commit(project, "HEAD")
        git(path.parent, "clone", "-q", "--shared", "--no-checkout", str(project.common_dir), str(path))
        workspace = Repo(path)
        workspace.git("checkout", "-q", "-B", "work", tip)
        return cls(project, workspace, tip)

    def point(self, turn: int = 1, when: float | None = None) -> Checkpoint:
        """Take a snapshot of all files, as at the end of a turn."""
        head = self.workspace.head()
        self.workspace.git("add", "-A")
        tree = self.workspace.git("write-tree")
        snapshot = self.workspace.git("commit-tree", tree, "-p", head, "-m", "snapshot")
        self.points.append(Checkpoint(head, snapshot, turn, time.time() if when is None else when))
        return self.points[-1]

    def pack(self) -> Path:
        """Pack the points, as the sandbox's entry script does."""
        path = self.workspace.path.parent / "sandbox.pack"
        oids = [oid for point in self.points for oid in (point.head, point.snapshot)]
        orders = "".join(f"{oid}\n" for oid in oids) + f"^{self.tip}\n"
        command = ["git", "pack-objects", "--revs", "--thin", "--stdout", "-q"]
        with path.open("wb") as file:
            subprocess.run(command, cwd=self.workspace.path, input=orders.encode(), stdout=file, check=True)
        return path

    def intake(self, texts: Mapping[int, TurnText] | None = None) -> Intake:
        """Return the host's intake."""
        return intake(self.project, self.tip, self.points, self.pack(), texts=texts)

    def ingest(self, texts: Mapping[int, TurnText] | None = None) -> Ingested:
        """Take it in, and move the session's ref to it."""
        return take(self.intake(texts))


def intake(
    project: Project,
    tip: str,
    points: Sequence[Checkpoint],
    pack: Path | None,
    *,
    texts: Mapping[int, TurnText] | None = None,
    name: str = "fix",
    run: int = 1,
    started: float = STARTED,
) -> Intake:
    """Return an intake with defaults for what a test does not care about."""
    return Intake(project, name, run, tip, points, texts or {}, pack, started, ME)


def take(wanted: Intake, limits: Limits | None = None) -> Ingested:
    """Take in and move ``refs/realm/<name>`` to the result."""
    done = ingest(wanted, limits)
    ref = refs.CODE + wanted.session
    now = refs.tips(wanted.project, wanted.session).code
    refs.transact(wanted.project, [refs.RefUpdate(ref, now, done.tip)], "test")
    return done


def oid_of(kind: str, data: bytes) -> str:
    """Return the id of an object in a sha1 repository."""
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data, usedforsecurity=False).hexdigest()


Line = tuple[str, bytes, str]
"""A tree's line: mode, name, id."""


class Forge:
    """Creates packs of arbitrary objects; nothing is checked or sorted."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.tip = repo.resolve_commit(project, "HEAD")
        self.objects: list[bytes] = []
        self._added: set[tuple[str, bytes]] = set()

    def add(self, kind: str, data: bytes, *, packed: bool = True) -> str:
        """Add an object (or, without ``packed``, only name it) and return its id."""
        if packed and (kind, data) not in self._added:
            self._added.add((kind, data))
            self.objects.append(_entry(KINDS[kind], len(data), zlib.compress(data)))
        return oid_of(kind, data)

    def delta(self, base: str, commands: bytes, source: int, target: int) -> None:
        """Add an object as a delta (gitformat-pack) of the object ``base``, with these sizes."""
        body = _size(source) + _size(target) + commands
        self.objects.append(_entry(7, len(body), bytes.fromhex(base) + zlib.compress(body)))

    def blob(self, data: bytes = b"x\n") -> str:
        return self.add("blob", data)

    def tree(self, *lines: Line, packed: bool = True) -> str:
        data = b"".join(b"%s %s\0" % (mode.encode(), name) + bytes.fromhex(oid) for mode, name, oid in lines)
        return self.add("tree", data, packed=packed)

    def commit(
        self, tree: str, parent: str | None = None, message: bytes = b"Work\n", **fields: bytes
    ) -> str:
        person = b"Eve <eve@example.com> 1700000100 +0000"
        head = b"tree %s\n" % tree.encode()
        if parent != "":
            head += b"parent %s\n" % (parent or self.tip).encode()
        head += b"author %s\n" % fields.get("author", person)
        head += b"committer %s\n%s\n" % (fields.get("committer", person), fields.get("more", b""))
        return self.add("commit", head + message)

    def file(self, path: str = "payload", mode: str = "100644", data: bytes = b"x\n") -> str:
        """Return a commit whose tree holds one file with the name ``path``."""
        return self.commit(self.tree((mode, path.encode("utf-8", "surrogateescape"), self.blob(data))))

    def pack(self, path: Path) -> Path:
        """Write the pack."""
        body = b"PACK" + struct.pack(">II", 2, len(self.objects)) + b"".join(self.objects)
        path.write_bytes(body + hashlib.sha1(body, usedforsecurity=False).digest())
        return path

    def intake(self, path: Path, snapshot: str, head: str | None = None, turn: int = 1) -> Intake:
        """Return the intake of one point."""
        point = Checkpoint(head or self.tip, snapshot, turn, time.time())
        return intake(self.project, self.tip, [point], self.pack(path))


def _entry(kind: int, size: int, rest: bytes) -> bytes:
    first, size = kind << 4 | size & 15, size >> 4
    head = bytearray()
    while size:
        head.append(first | 0x80)
        first, size = size & 0x7F, size >> 7
    return bytes([*head, first]) + rest


def _size(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def copy_command(offset: int, size: int) -> bytes:
    """Return a delta's copy command (offset and size below 2**24)."""
    return bytes([0xFF]) + struct.pack("<I", offset) + struct.pack("<I", size)[:3]


@dataclass(frozen=True)
class Seen:
    """The parts of a repository that a session must not change."""

    refs: dict[str, str]
    files: dict[str, tuple[bytes, int]]
    stash: str
    head: str


def seen(made: Repo) -> Seen:
    """Record the state of everything but objects and realm's refs."""
    own = {name: oid for name, oid in made.refs().items() if not name.startswith("refs/realm")}
    return Seen(
        own, dict(_files(made.path)), made.git("stash", "list"), made.git("symbolic-ref", "HEAD", check=False)
    )


def _files(root: Path) -> Iterator[tuple[str, tuple[bytes, int]]]:
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        skipped = (".git/objects", ".git/refs/realm", ".git/packed-refs", ".git/logs/refs/realm")
        if path.is_file() and not path.is_symlink() and not name.startswith(skipped):
            yield name, (path.read_bytes(), path.stat().st_mtime_ns)


def object_count(made: Repo) -> int:
    """Return how many objects the repository holds, packed and loose."""
    lines = dict(line.split(": ") for line in made.git("count-objects", "-v").splitlines())
    return int(lines["count"]) + int(lines["in-pack"])


def assert_sound(made: Repo) -> None:
    """Check that git finds nothing wrong in the repository."""
    done = subprocess.run(
        ["git", "fsck", "--strict", "--no-dangling"], cwd=made.path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr, done.stderr
