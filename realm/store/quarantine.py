"""A throw-away repository in which objects are created or checked before the project gets them.

The host creates it; it borrows the project's objects and reads only its own configuration.  Objects given to
the project are held, so that garbage collection spares them until a session's ref points to them;
:func:`sweep` removes the marks that killed processes left.
"""

from __future__ import annotations

import mmap
import os
import re
import shutil
import signal
import stat
import struct
import subprocess
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, NamedTuple

from realm.errors import GitError, RejectedError
from realm.git import GitResult, failure, git, reason, run
from realm.paths import is_forgotten, make_private, scratched, tidy
from realm.store import holding
from realm.store.batch import CatFile
from realm.store.refs import TEMPORARY
from realm.store.stores import is_partial, lend
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence
    from pathlib import Path

    from realm.model import Project

_KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "GIT_EXEC_PATH", "TMPDIR", "SYSTEMROOT")

# Small windows: address space is limited, and a project's packs may be large.
_SMALL = ("-c", "core.packedGitWindowSize=16m", "-c", "core.packedGitLimit=256m")

_LIMITED = 'ulimit -v "$1" 2>/dev/null; ulimit -t "$2" 2>/dev/null; shift 2; exec "$@"'


MIB = 1024 * 1024
GIB = 1024 * MIB


class Limits(NamedTuple):
    """Limits of one intake; sizes are bytes, times seconds.

    Beyond one for which nothing else is said, the whole intake is refused, and the work stays in the sandbox.
    """

    pack: int = 4 * GIB
    """The pack as it comes."""
    total: int = 64 * GIB
    """All objects, unpacked."""
    objects: int = 5_000_000
    entries: int = 2_000_000
    """The entries of all trees."""
    file: int = GIB
    """A larger file is left out."""
    tree: int = 64 * MIB
    commit: int = 4 * MIB
    commits: int = 10_000
    """More commits are not kept one by one."""
    depth: int = 200
    """A path with more directories is left out."""
    path: int = 4000
    """A longer path is left out."""
    memory: int = 4 * GIB
    """The memory of a git that reads the pack."""
    cpu: int = 900
    """Its processor time."""
    wall: float = 1800.0
    """The time of each git, and of the checks after it."""


_HELD = re.escape(TEMPORARY) + r"([^/@]+)@(\d{1,12})@(\d{1,12})/[0-9a-f]+"
_LARGE = 1 << 31
"""The bit in a pack index's offset that refers to the table of large offsets."""
_NOTHING = b"early EOF"
"""git's error when no pack came, as nothing is new."""
_NO_THREAD = b"unable to create thread"
"""git's error when there is no memory for a thread."""
_UNCLEAN = b"fsck error in pack"
"""git's error when a pack is complete but an object in it fails the check."""
_PROBLEM = re.compile(rb"^error: object ([0-9a-f]{40,64}): (.*)", re.MULTILINE)
"""git's words about each such object."""


class UncleanError(RejectedError):
    """The content of objects failed git's strict check; ``problems`` has git's words by the objects' ids."""

    def __init__(self, message: str, problems: Mapping[str, str]) -> None:
        super().__init__(message)
        self.problems = problems


class Quarantine:
    """An open quarantine; made by :func:`quarantine`."""

    def __init__(self, path: Path, project: Project, earlier: Path | None = None) -> None:
        self.path = path
        self.project = project
        self._earlier = earlier
        self.partial = is_partial(project)
        self.bases: frozenset[str] = frozenset()
        """Objects of the project that the pack has deltas against but does not contain."""
        self._pack: Path | None = None
        self.prefix = ["git", *_SMALL]
        self.env = {key: os.environ[key] for key in _KEPT if key in os.environ} | {
            "GIT_DIR": str(path),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "HOME": str(path),
            "LC_ALL": "C",
        }
        self._lay_out()

    def _lay_out(self) -> None:
        for name in ("objects/pack", "refs"):
            (self.path / name).mkdir(parents=True)
        (self.path / "HEAD").write_text("ref: refs/heads/none\n")
        config = "[core]\nrepositoryFormatVersion = 1\nbare = true\n"
        config += "[gc]\nauto = 0\n[protocol]\nallow = never\n[extensions]\n"
        if self.project.object_format != "sha1":
            config += f"objectFormat = {self.project.object_format}\n"
        if self.partial:  # missing objects were promised to the project; none is ever fetched here
            config += "partialClone = none\n"
        (self.path / "config").write_text(config)
        earlier = [self._earlier] if self._earlier and self._earlier.is_dir() else []
        lend(self.path / "objects", [*self.project.object_stores, *earlier])
        if self.project.shallow:
            (self.path / "shallow").write_text("".join(f"{oid}\n" for oid in self.project.shallow))

    @property
    def aside(self) -> Project:
        """The project, but writing new objects here; :meth:`give` moves them into it."""
        return self.project._replace(aside=self.path / "objects")

    def cat_file(self) -> CatFile:
        """Return a reader of the quarantine's and the project's objects."""
        return CatFile(argv=[*self.prefix, "cat-file", "--batch"], env=self.env)

    def take_in(self, pack: Path, limits: Limits, *, strict: bool = True) -> dict[str, tuple[str, int]]:
        """Unpack ``pack`` here and return the type and size of each object in it by id.

        Raises :class:`RejectedError` when git finds a fault or a limit is exceeded, :class:`UncleanError`
        when the fault is in an object's content, and :class:`GitError` when the disk is full.  Without
        ``strict`` the objects' content is not checked: nothing may leave the quarantine unchecked.
        """
        result = self._index_pack(pack, limits, strict=strict)
        words = result.out.split()
        found = list((self.path / "objects" / "pack").glob("*.idx"))
        if len(words) < 2 or len(found) != 1:  # noqa: PLR2004 - "pack <id>"
            raise RejectedError("the container's pack was refused: git did not say what is in it")
        oids = index_ids(found[0], len(self.project.zero) // 2)
        if len(oids) > limits.objects:
            raise RejectedError(
                f"the container's pack was refused: more than {limits.objects} objects (realm.limit.objects)"
            )
        sizes = self._sizes(oids, limits)
        self._pack = found[0]
        self.bases = frozenset(oids[_count(pack) :])
        return {oid: size for oid, size in sizes.items() if oid not in self.bases}

    def earlier(self, limits: Limits) -> dict[str, tuple[str, int]]:
        """Return the type and size of each object taken in earlier, as :meth:`take_in` does.

        Raises :class:`RejectedError` when all of them together exceed ``limits``.
        """
        width = len(self.project.zero) // 2
        packs = (self._earlier / "pack").glob("*.idx") if self._earlier else ()
        oids: set[str] = set()
        for path in packs:
            oids.update(index_ids(path, width))
            if len(oids) > limits.objects:
                raise RejectedError(
                    f"the container handed over more than {limits.objects} objects (realm.limit.objects)"
                )
        return self._sizes(list(oids), limits) if oids else {}

    def keep(self, name: str) -> None:
        """Keep the pack that was taken in with the earlier ones, as ``pack-<name>``."""
        if self._earlier is None:
            return
        place = make_private(self._earlier / "pack") / f"pack-{name}"
        if self._pack is not None:
            # The index last: without it git ignores the pack.
            shutil.move(self._pack.with_suffix(".pack"), place.with_suffix(".pack"))
            shutil.move(self._pack, place.with_suffix(".idx"))

    def check_closed(
        self, tips: Sequence[str], known: Sequence[str], fresh: Container[str], limits: Limits
    ) -> None:
        """Raise :class:`RejectedError` if ``tips`` reach an object that the sandbox was not given.

        That is any object neither in ``fresh`` nor reached by ``known``, the commits that the sandbox began
        with: otherwise an agent that knows an id, of a stash say, could get its content into the session and
        read it in the next run.
        """
        below = [f"^{oid}" for oid in known]
        files, others = self._reached([*tips, *below], limits)
        strange = {oid for oid in (*files, *others, *self.bases) if oid not in fresh}
        if strange:  # git may list objects of older states again; excluding the whole history takes longer
            of_files, of_others = self._reached(known, limits)
            bases = self.bases & (of_files | of_others)
            strange -= (files & of_files) | (others & of_others) | (bases - files - others)
        if strange:
            raise RejectedError(
                f"the container's pack was refused: it names {len(strange)} objects of the repository that "
                f"were not in the container, {min(strange)} among them"
            )

    def _reached(self, revisions: Sequence[str], limits: Limits) -> tuple[set[str], set[str]]:
        """Return the objects that trees name as files, missing ones included, and all others.

        Except in a partial clone git has checked the links already, and all are returned as files.
        """
        found = []
        for filters in ([], ["--filter=blob:none"])[: 2 if self.partial else 1]:
            order = ("rev-list", "--objects", "--no-object-names", "--missing=print", *filters, "--stdin")
            result = self.limited(limits, *order, stdin="".join(f"{oid}\n" for oid in revisions).encode())
            if result.code != 0:
                raise RejectedError(f"the container's pack was refused: {reason(result.err)}")
            found.append({word.lstrip("?") for word in result.out.decode("ascii", "replace").split()})
        every, others = found[0], found[1] if self.partial else set()
        return every - others, others

    def give(self, oid: str, known: Sequence[str]) -> None:
        """Put the objects that the commit ``oid`` reaches and ``known`` do not into the project, as a pack.

        It is protected until :func:`realm.store.refs.transact` has moved a session's ref to ``oid``.  Raises
        :class:`GitError` when the project cannot be written and :class:`RejectedError` when an object is
        missing.
        """
        wanted = "".join(f"{each}\n" for each in (oid, *(f"^{tip}" for tip in known))).encode()
        try:
            packed, unpacked = self._given(wanted, oid)
        except OSError as problem:
            raise unwritable(str(problem).encode()) from problem
        if unpacked.code == 0 or (packed.code == 0 and _NOTHING in unpacked.err):
            return
        if not failure("index-pack", unpacked.err).hint and packed.code not in (0, -signal.SIGPIPE):
            raise RejectedError(f"the work cannot be packed: {reason(packed.err)}")
        raise unwritable(unpacked.err)

    def _given(self, wanted: bytes, oid: str) -> tuple[GitResult, GitResult]:
        """Pack objects here and put them into the project; return both results."""
        argv = ["pack-objects", "-q", "--revs", "--stdout", "--non-empty", "--delta-base-offset"]
        with subprocess.Popen(
            [*self.prefix, *argv], cwd=self.path, env=self.env,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as packing:  # fmt: skip
            assert packing.stdin and packing.stdout and packing.stderr  # noqa: PT018, S101 - for the types
            packing.stdin.write(wanted)
            packing.stdin.close()
            unpacked = holding.put_in(self.project, packing.stdout, oid)
            packing.stdout.close()  # ends pack-objects if the reader stopped early
            err = packing.stderr.read()
        return GitResult(packing.returncode, b"", err), unpacked

    def limited(self, limits: Limits, *arguments: str, stdin: IO[bytes] | bytes | None = None) -> GitResult:
        """Run git here within the limits; raises :class:`RejectedError` when it takes too long."""
        memory = (limits.memory + _index_bytes(self.project)) // 1024
        argv = ["sh", "-c", _LIMITED, "sh", str(memory), str(limits.cpu), *self.prefix, *arguments]
        try:
            return run(argv, cwd=self.path, env=self.env, stdin=stdin, timeout=limits.wall, check=False)
        except GitError as problem:
            at = ": realm.limit.seconds" if isinstance(problem.__cause__, subprocess.TimeoutExpired) else ""
            raise RejectedError(f"the container's pack was refused: {problem.message}{at}") from problem

    def _index_pack(self, pack: Path, limits: Limits, *, strict: bool) -> GitResult:
        order = ["index-pack", "--stdin", "--fix-thin", "--threads=4", f"--max-input-size={limits.pack}"]
        # Objects that a partial clone lacks may still be named: check_closed verifies that.
        how = ["--fsck-objects" if self.partial else "--strict"] if strict else []
        with _opened(pack) as file:
            result = self.limited(limits, *order, *how, stdin=file)
        if result.code == 0:
            return result
        failed = failure("index-pack", result.err)
        if failed.hint:
            raise failed
        if _UNCLEAN in result.err:
            problems = {oid.decode(): clean(text, limit=200) for oid, text in _PROBLEM.findall(result.err)}
            raise UncleanError(f"the container's pack was refused: {_cause(result.err)}", problems)
        what = _cause(result.err) or f"git ended with {result.code}, at realm.limit.memory or .seconds"
        if _NO_THREAD in result.err:
            what += " (realm.limit.memory)"
        raise RejectedError(f"the container's pack was refused: {what}")

    def _sizes(self, oids: list[str], limits: Limits) -> dict[str, tuple[str, int]]:
        asked = "".join(f"{oid}\n" for oid in oids).encode()
        argv = [*self.prefix, "cat-file", "--batch-check", "--buffer"]
        result = run(argv, cwd=self.path, env=self.env, stdin=asked)
        rows = (line.split() for line in result.out.decode("ascii", "replace").splitlines())
        sizes = {row[0]: (row[1], int(row[2])) for row in rows}
        tops = {"tree": limits.tree, "commit": limits.commit, "tag": limits.commit}
        for oid, (kind, size) in sizes.items():
            if kind in tops and size > tops[kind]:
                raise RejectedError(f"the container's pack was refused: the {kind} {oid} has {size} bytes")
        total = sum(size for _, size in sizes.values())
        if total > limits.total:
            raise RejectedError(
                f"the container's pack was refused: it unpacks to {total} bytes (realm.limit.total)"
            )
        return sizes


def unwritable(err: bytes) -> GitError:
    """Return the error for a project that takes no objects; ``err`` is what git said, or the system."""
    problem = failure("index-pack", err)
    return GitError(
        f"the repository cannot be written: {problem.message}",
        problem.hint or 'ls -ld "$(git rev-parse --git-path objects)"',
    )


def _cause(err: bytes) -> str:
    """Return what git found wrong with a pack, and in which object if git names one."""
    about = (line for line in err.splitlines() if line.startswith(b"error: object "))
    detail = clean(next(about, b"").removeprefix(b"error: "), limit=200)
    return f"{reason(err)}: {detail}" if detail else reason(err)


def _opened(pack: Path) -> IO[bytes]:
    """Open a sandbox's pack, which must be a regular file and not a link."""
    try:
        descriptor = os.open(pack, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        raise RejectedError(f"the container's pack cannot be opened: {problem.strerror}") from problem
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RejectedError("the container's pack is not a plain file")
    return os.fdopen(descriptor, "rb")


def _index_bytes(project: Project) -> int:
    """Return the bytes of the project's pack indexes, which git maps as a whole."""
    total = 0
    for store in project.object_stores:
        for path in (store / "pack").glob("*"):
            if path.suffix != ".pack" and path.is_file():
                total += path.stat().st_size
    return total


def _count(pack: Path) -> int:
    """Return the object count in a pack's header; git appends bases that the pack lacked after these."""
    with _opened(pack) as file:
        return int.from_bytes(file.read(12)[8:], "big")


def index_ids(path: Path, width: int) -> list[str]:
    """Return the ids in a pack index (gitformat-pack, version 2) in the pack's order.

    ``width`` is an id's bytes.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:8] != b"\xfftOc\0\0\0\x02":
            raise RejectedError("the container's pack was refused: its index is not version 2")
        count = struct.unpack_from(">I", data, 8 + 255 * 4)[0]
        start = 8 + 256 * 4
        ids = data[start : start + count * width]
        start += count * (width + 4)
        offsets = list(struct.unpack_from(f">{count}I", data, start))
        large = start + count * 4
        for place, offset in enumerate(offsets):
            if offset & _LARGE:
                offsets[place] = struct.unpack_from(">Q", data, large + (offset & ~_LARGE) * 8)[0]
    order = sorted(range(count), key=offsets.__getitem__)
    return [ids[at * width : (at + 1) * width].hex() for at in order]


@contextmanager
def quarantine(project: Project, earlier: Path | None = None) -> Iterator[Quarantine]:
    """Create a quarantine for objects of ``project`` after a :func:`sweep`, and remove it at the end.

    ``earlier`` is an object directory, which may not exist, with packs that were taken in before and have
    not become part of the project.
    """
    sweep(project)
    with scratched("quarantine") as path:
        yield Quarantine(path, project, earlier)


def sweep(project: Project) -> int:
    """Remove what killed processes left in a project; return the number of things removed.

    These are temporary refs, ``.keep`` files and incomplete packs.
    """
    packs = 0
    with suppress(OSError):
        packs = tidy(project.object_stores[0])
    return _sweep_refs(project) + holding.sweep(project) + packs


def _sweep_refs(project: Project) -> int:
    try:
        packed = TEMPORARY.encode() in (project.common_dir / "packed-refs").read_bytes()
    except OSError:
        packed = False
    loose = any(files for _, _, files in os.walk(project.common_dir / TEMPORARY))
    if not packed and not loose and not (project.common_dir / "reftable").exists():
        return 0
    listed = git("for-each-ref", "--format=%(refname)", TEMPORARY, project=project, check=False).lines
    owned = ((line, re.fullmatch(_HELD, line)) for line in listed)
    gone = [line for line, found in owned if found and is_forgotten(found[1], int(found[2]), int(found[3]))]
    if gone:
        orders = "".join(f"option no-deref\0delete {ref}\0\0" for ref in gone)
        git("update-ref", "--stdin", "-z", project=project, stdin=orders.encode(), check=False)
    return len(gone)
