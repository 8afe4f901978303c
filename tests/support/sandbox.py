"""Sandboxes for tests: the entry script on the host itself, and real ones on the engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realm.model import Identity
from realm.sandbox import creation, docker, history, image, lookup, repositories
from realm.sandbox import report as reports
from realm.sandbox.creation import snapshot
from realm.sandbox.image import recipe
from realm.sandbox.image.build import build_own
from realm.sandbox.layout import Owner
from realm.sandbox.repositories import Contents, Repositories
from realm.sandbox.spec import SandboxSpec
from realm.sandbox.workspace import Checkout
from realm.store import history as histories
from realm.store.repo import discover
from tests.support.repos import Repo, git

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from realm.sandbox.docker import Engine
    from realm.sandbox.history import Ready
    from realm.sandbox.report import Report
    from realm.sandbox.sandbox import Sandbox
    from realm.sandbox.transfer import SandboxFile

ENTRY = Path(__file__).resolve().parents[2] / "container" / "entry"
SHELLS = ("dash", "busybox")


def shell_path(shell: str, directory: Path) -> tuple[list[str], str]:
    """Return the command of ``shell`` and a PATH; with busybox there is nothing else on it but git."""
    if shell != "busybox":
        return [shell], os.environ["PATH"]
    listed = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
    busybox, found = shutil.which("busybox"), shutil.which("git")
    assert busybox is not None
    assert found is not None
    directory.mkdir(exist_ok=True)
    for name in {*listed} - {"git"}:
        (directory / name).symlink_to(busybox)
    (directory / "git").symlink_to(found)
    return [str(directory / "sh")], str(directory)


@dataclass
class HostSandbox:
    """A sandbox without an engine: the entry script on directories below ``root``."""

    root: Path
    repo: Repo
    shell: str = "dash"
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.workspace.mkdir(parents=True)
        for name in ("git", "out", "home", "claude"):
            (self.state / name).mkdir(parents=True)
        self.command, self.path = shell_path(self.shell, self.root / "bin")
        self.tip = self.repo.head()
        self.layout = Repositories(
            self.tip, Identity("Ada Tester", "ada@example.com"), "work",
            contents=Contents(objects=(str(self.repo.path / ".git" / "objects"),)),
        )  # fmt: skip

    @property
    def workspace(self) -> Path:
        return self.root / "workspace" / "project"

    @property
    def state(self) -> Path:
        return self.root / "realm"

    def holds(self, **changes: Any) -> None:
        """Let the workspace's repository have other contents than its tip's objects."""
        self.layout = self.layout._replace(contents=self.layout.contents._replace(**changes))

    def lay_out(self) -> None:
        """Lay out the sandbox as the host does, once."""
        if (self.state / "layout").exists():
            return
        self.layout = self.layout._replace(tip=self.tip)
        for file in repositories.files(self.layout):
            path = self.state / Path(file.path).relative_to("/realm")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.data if isinstance(file.data, bytes) else file.data.read_bytes())
        (self.state / "layout" / "conversations").write_text("claude/projects/*/????.jsonl\n")
        (self.state / "git" / "unready").write_text("yes\n")

    def variables(self) -> dict[str, str]:
        """Return the environment that a container would have."""
        own = {
            "PATH": self.path,
            "HOME": str(self.state / "home"),
            "REALM_STATE_DIR": str(self.state),
            "REALM_WORKSPACE": str(self.workspace),
            "REALM_SESSION": "work",
            "REALM_RUN": "1",
            "REALM_TIP": self.tip,
            "LANG": "C.UTF-8",
        }
        return own | self.environment

    def entry(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run the entry script with ``arguments``, in a sandbox that the host laid out."""
        self.lay_out()
        return subprocess.run(
            [*self.command, str(ENTRY), *arguments],
            env=self.variables(), input=stdin, capture_output=True, check=False, timeout=120,
        )  # fmt: skip

    def run(self, script: str, *, code: int = 0) -> Report:
        """Run ``script`` as the agent and return the report."""
        done = self.entry("run", "sh", "-c", script)
        assert done.returncode == code, done.stderr.decode(errors="replace")
        return self.report()

    def report(self) -> Report:
        """Return the report, read as the host reads it."""
        destination = self.root / f"collected-{uuid.uuid4().hex}"
        destination.mkdir()
        with subprocess.Popen(
            ["tar", "--format=ustar", "-C", str(self.state), "-cf", "-", "out"], stdout=subprocess.PIPE
        ) as tar:
            assert tar.stdout is not None
            reports.receive(iter(lambda: tar.stdout.read(65536), b""), destination, 1 << 30)  # type: ignore[union-attr]
        return reports.load(destination)

    def turn(self, verb: str, text: str = "{}") -> None:
        """Call the entry script as a hook does."""
        assert self.entry("turn", verb, stdin=text.encode()).returncode == 0

    def taken(self, report: Report) -> Repo:
        """Return a repository with only the host's objects and the report's pack."""
        return unpacked(self.repo, report, self.root / f"taken-{uuid.uuid4().hex}")

    def tree(self, report: Report, point: int = -1) -> list[str]:
        """Return the paths in a reported snapshot."""
        return self.taken(report).files(report.points[point].snapshot)


def unpacked(repo: Repo, report: Report, where: Path) -> Repo:
    """Return a new repository at ``where`` that borrows from ``repo`` and has the report's pack."""
    made = Repo.init(where, bare=True)
    (where / "objects" / "info" / "alternates").write_text(f"{repo.path / '.git' / 'objects'}\n")
    if report.pack is not None:
        with report.pack.open("rb") as pack:
            subprocess.run(
                ["git", "index-pack", "--strict", "--fix-thin", "--stdin"],
                cwd=where, stdin=pack, check=True, capture_output=True,
            )  # fmt: skip
    return made


@dataclass
class Laboratory:
    """Sandboxes of a test on the engine, removed when it is over."""

    engine: Engine
    repo: Repo
    root: Path
    exclude: bytes = b""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def spec(self, *command: str, **changes: Any) -> SandboxSpec:
        """Return the description of a sandbox on the repository that runs ``command``."""
        environment = {"REALM_TIP": self.repo.head(), "REALM_SESSION": "work", "REALM_RUN": "1"}
        made = SandboxSpec(
            image=recipe.REFERENCE,
            command=("run", *command),
            uid=os.getuid() or 1000,
            gid=os.getgid() if os.getuid() else 1000,
            workspace="/workspace/project",
            owner=Owner(self.id, "test", 1, str(self.repo.path), self.repo.head(), int(time.time())),
            environment=environment | dict(changes.pop("environment", {})),
            network=changes.pop("network", "none"),
            volumes=changes.pop("volumes", "plain"),
        )
        return made._replace(**changes)

    def create(self, *command: str, put: Sequence[SandboxFile] = (), **changes: Any) -> Sandbox:
        """Return a sandbox that is not started."""
        with self.outfit() as (ready, layout, checkout):
            spec = self.spec(*command, **changes)._replace(history=ready.volume)
            return creation.create(self.engine, spec, [*put, *layout], checkout)

    @contextmanager
    def outfit(self) -> Iterator[tuple[Ready, list[SandboxFile], Checkout]]:
        """Yield a sandbox's history at HEAD, its repositories, and its base checkout."""
        seen = histories.find(discover(self.repo.path), histories.HistoryChoice(), self.repo.head())
        shop = history.Workshop(self.engine, recipe.REFERENCE, self.spec().owner, _quietly)
        with history.prepared(shop, seen) as ready:
            laid = Repositories(
                self.repo.head(), Identity("Ada Tester", "ada@example.com"), "work",
                contents=Contents(objects=ready.objects), exclude=self.exclude,
            )  # fmt: skip
            layout = [*repositories.files(laid), *ready.files]
            base = [*repositories.files(laid._replace(branch="", exclude=b"")), *ready.files]
            yield ready, layout, Checkout(laid.tip, seen.key, seen.place, base, seen.contains, _quietly)

    def snapshot(self, sandbox: Sandbox) -> None:
        """Take the last snapshot of a dead sandbox."""
        with self.outfit() as (ready, layout, _):
            snapshot(self.engine, sandbox, self.spec()._replace(history=ready.volume), layout)

    def run(self, script: str, **changes: Any) -> Ran:
        """Run ``script`` in a sandbox to its end."""
        sandbox = self.create("sh", "-c", script, **changes)
        output = follow(sandbox)
        code = sandbox.wait()
        directory = self.root / f"collected-{uuid.uuid4().hex}"
        directory.mkdir()
        return Ran(
            sandbox, code, output[0].decode(errors="replace"), output[1].decode(errors="replace"), directory
        )

    def clean(self) -> None:
        """Remove every sandbox and base volume of this test."""
        for role in ("box", "salvage", "base"):
            for sandbox in lookup.find(self.engine, session_id=self.id, role=role):
                sandbox.remove()
        words = ["docker", "volume", "ls", "-q", "--filter", f"label=realm.maker={self.id}"]
        names = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
        if names:
            subprocess.run(["docker", "volume", "rm", "-f", *names], capture_output=True, check=True)


def _quietly(_: str) -> AbstractContextManager[object]:
    return nullcontext()


@dataclass
class Ran:
    """A sandbox that has ended."""

    sandbox: Sandbox
    code: int
    stdout: str
    stderr: str
    directory: Path

    def report(self) -> Report:
        """Return its report."""
        return self.sandbox.collect(self.directory)


def follow(sandbox: Sandbox, stdin: bytes = b"") -> tuple[bytes, bytes]:
    """Start ``sandbox``, give it ``stdin``, and return its output (and error output, without a terminal)."""
    stream = sandbox.attach()
    try:
        sandbox.start()
        stream._socket.setblocking(True)
        if stdin:
            stream._socket.sendall(stdin)
        stream.close_write()
        data = b"".join(iter(lambda: stream.recv(65536), b""))
    finally:
        stream.close()
    return (data, b"") if sandbox.tty else demux(data)


def demux(data: bytes) -> tuple[bytes, bytes]:
    """Split the engine's frames into output and error output."""
    parts = (bytearray(), bytearray())
    offset = 0
    while offset + 8 <= len(data):
        size = int.from_bytes(data[offset + 4 : offset + 8], "big")
        parts[data[offset] == 2].extend(data[offset + 8 : offset + 8 + size])
        offset += 8 + size
    return bytes(parts[0]), bytes(parts[1])


def laboratory(repo: Repo, root: Path) -> Iterator[Laboratory]:
    """Yield a laboratory with realm's image, for use as a fixture."""
    with docker.connect() as connection:
        if image.status(connection).missing:
            build_own(connection, recipe.Inputs())
        made = Laboratory(connection, repo, root)
        try:
            yield made
        finally:
            made.clean()


def environment_of(sandbox: Sandbox) -> Mapping[str, Any]:
    """Return what the engine shows of ``sandbox`` to everyone who may inspect it."""
    done = subprocess.run(["docker", "inspect", sandbox.id], check=True, capture_output=True)
    found: list[Mapping[str, Any]] = json.loads(done.stdout)
    return found[0]


__all__ = ["ENTRY", "SHELLS", "HostSandbox", "Laboratory", "Ran", "demux", "environment_of", "follow", "git"]
