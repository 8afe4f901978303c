"""Files into and out of a sandbox, as tar archives.

An archive from a sandbox is hostile: it is never unpacked by the names in it.  A reader yields regular files
one by one, and the caller keeps those that it knows.
"""

from __future__ import annotations

import stat
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple

from realm.errors import RejectedError
from realm.paths import shipped
from realm.sandbox import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from realm.sandbox.docker import Engine

CHUNK = 256 * 1024
_MAX_HEADER = 64 * 1024
"""Largest extended header that is accepted, in bytes."""
_LARGEST_TIME = 2**33


class SandboxFile(NamedTuple):
    """A file to put into a sandbox.

    ``path`` is absolute inside.  ``data`` is the content, or a file on the host (a symbolic link is copied as
    a link, a directory with its content).  ``owner`` is ``user``, as whom everything runs, or ``root``;
    missing parent directories are created for the same owner.
    """

    path: str
    data: bytes | Path = b""
    mode: int = 0o644
    owner: Literal["user", "root"] = "user"


class Entry(NamedTuple):
    """One member of an archive to write: its header, with a relative name, and its content.

    The content may be an iterator of pieces, with as many bytes in all as the header says.
    """

    info: tarfile.TarInfo
    data: bytes | Path | Iterator[bytes] | None = None


def entry_script() -> SandboxFile:
    """Return the script that every container made by realm runs."""
    return SandboxFile(layout.ENTRY, shipped("container")["entry"], 0o555, owner="root")


def put(engine: Engine, container: str, path: str, entries: Iterable[Entry]) -> None:
    """Unpack ``entries`` into directory ``path`` of a container."""
    engine.put(container, path, write(entries))


def write(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield the archive of ``entries`` with the current time."""
    for info, data in entries:
        yield _header(info)
        if isinstance(data, Path):
            yield from _content(data, info.size)
        elif isinstance(data, bytes):
            yield data
        elif data:
            yield from data
        yield b"\0" * (-info.size % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _header(info: tarfile.TarInfo) -> bytes:
    info.mtime = min(int(time.time()), _LARGEST_TIME)
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def packed(name: str, user: tuple[int, int], entries: Sequence[Entry]) -> Entry:
    """Return a member that is itself an archive, of ``entries``."""
    whole = entry(name, user, 0o600, write(entries))
    sizes = (
        len(_header(info)) + -(-info.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE for info, _ in entries
    )
    whole.info.size = sum(sizes) + 2 * tarfile.BLOCKSIZE
    return whole


def _content(path: Path, size: int) -> Iterator[bytes]:
    """Yield exactly ``size`` bytes, even if the file changes meanwhile."""
    left = size
    with path.open("rb") as file:
        while left and (piece := file.read(min(CHUNK, left))):
            left -= len(piece)
            yield piece
    while left:
        piece = b"\0" * min(CHUNK, left)
        left -= len(piece)
        yield piece


def entry(
    name: str, user: tuple[int, int], mode: int = 0o755, data: bytes | Path | Iterator[bytes] | None = None
) -> Entry:
    """Return a member of an archive, a directory without ``data``."""
    info = tarfile.TarInfo(name)
    info.mode = mode
    info.uid, info.gid = user
    if data is None:
        info.type = tarfile.DIRTYPE
    elif isinstance(data, bytes):
        info.size = len(data)
    elif isinstance(data, Path):
        status = data.lstat()
        info.size = status.st_size
        if stat.S_ISLNK(status.st_mode):
            info.type, info.linkname, info.size = tarfile.SYMTYPE, str(data.readlink()), 0
            data = None
    return Entry(info, data)


def entries(
    root: str, files: Iterable[SandboxFile], directories: Iterable[str], user: tuple[int, int]
) -> list[Entry]:
    """Return the members that put ``files`` and the user's ``directories`` below ``root``.

    Paths are absolute inside; those that are not below ``root`` are left out, as are files of the host that
    are not regular files, links or directories.
    """
    made: dict[str, Entry] = {}
    prefix = root.rstrip("/") + "/"

    def parents(name: str, owner: tuple[int, int] = user) -> None:
        parts = name.split("/")
        for depth in range(1, len(parts)):
            part = "/".join(parts[:depth])
            made.setdefault(part, entry(part, owner))

    for directory in directories:
        if directory.startswith(prefix):
            name = directory.removeprefix(prefix).rstrip("/")
            parents(name)
            made.setdefault(name, entry(name, user))
    for given in files:
        for file in _expand(given):
            if file.path.startswith(prefix) and _is_usual(file):
                name = file.path.removeprefix(prefix)
                owner = (0, 0) if file.owner == "root" else user
                parents(name, owner)
                made[name] = entry(name, owner, file.mode, file.data)
    return list(made.values())


def _expand(file: SandboxFile) -> Iterator[SandboxFile]:
    if not (isinstance(file.data, Path) and file.data.is_dir() and not file.data.is_symlink()):
        yield file
        return
    for child in sorted(file.data.iterdir()):
        mode = stat.S_IMODE(child.lstat().st_mode)
        yield from _expand(SandboxFile(f"{file.path.rstrip('/')}/{child.name}", child, mode, file.owner))


def _is_usual(file: SandboxFile) -> bool:
    if isinstance(file.data, bytes):
        return True
    mode = file.data.lstat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


# -- out of a sandbox ------------------------------------------------------------


TOO_LARGE = "the container's results are larger than allowed (realm.limit.results)"


class Reader:
    """Yields the regular files of an untrusted archive.

    ``pieces`` is the archive as it arrives; after ``limit`` bytes ``RejectedError`` is raised.  Supported are
    POSIX ustar, GNU's long names, and path and size in PAX headers (IEEE 1003.1).
    """

    def __init__(self, pieces: Iterator[bytes], limit: int) -> None:
        self._pieces = pieces
        self._left = limit
        self._buffer = bytearray()

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            piece = next(self._pieces, b"")
            self._left -= len(piece)
            if self._left < 0:
                raise RejectedError(TOO_LARGE)
            if not piece:
                raise RejectedError("the container's results end in the middle")
            self._buffer += piece
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def copy(self, size: int, write: Callable[[bytes], object]) -> None:
        """Pass the next ``size`` bytes to ``write``, and skip their padding.

        A size above the limit is refused before reading, as a sparse file costs a container nothing.
        """
        if size > self._left + len(self._buffer):
            raise RejectedError(TOO_LARGE)
        left = size
        while left:
            piece = self._take(min(left, CHUNK))
            left -= len(piece)
            write(piece)
        self._take(-size % tarfile.BLOCKSIZE)

    def _header(self, size: int) -> bytes:
        """Return an extended header; empty when it is too long."""
        held = bytearray()
        self.copy(size, held.extend if size <= _MAX_HEADER else lambda _: None)
        return bytes(held)

    def files(self) -> Iterator[Member]:
        """Yield each regular file; the next step skips content that was not read."""
        name, records = b"", dict[bytes, bytes]()
        while True:
            block = self._take(tarfile.BLOCKSIZE)
            if not block.strip(b"\0"):
                return
            kind, size = block[156:157], _size(block)
            if kind == tarfile.GNUTYPE_LONGNAME:
                name = self._header(size).rstrip(b"\0")
            elif kind == tarfile.XHDTYPE:
                records = _records(self._header(size))
            elif kind in {tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE}:
                self._header(size)
            else:
                size = _decimal(records.get(b"size", b"%d" % size))
                if kind in tarfile.REGULAR_TYPES and kind != tarfile.GNUTYPE_SPARSE:
                    member = Member(self, records.get(b"path") or name or _name(block), size)
                    yield member
                    member.skip()
                else:
                    self.copy(size, lambda _: None)
                name, records = b"", {}

    def drain(self) -> None:
        """Read to the end of the stream, so that the connection can be reused."""
        for piece in self._pieces:
            self._left -= len(piece)
            if self._left < 0:
                raise RejectedError(TOO_LARGE)


class Member:
    """One regular file of an archive; its content can be read only until the reader goes on."""

    def __init__(self, reader: Reader, name: bytes, size: int) -> None:
        self.name = name
        self.size = size
        self._reader: Reader | None = reader

    def read(self) -> bytes:
        """Return the content; the caller must have checked ``size``."""
        held = bytearray()
        self._give(held.extend)
        return bytes(held)

    def save(self, file: BinaryIO) -> None:
        """Write the content to ``file``."""
        self._give(file.write)

    def skip(self) -> None:
        """Skip the content unless it was read."""
        if self._reader is not None:
            self._give(lambda _: None)

    def _give(self, write: Callable[[bytes], object]) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.copy(self.size, write)


def first_file(pieces: Iterator[bytes], limit: int) -> bytes | None:
    """Return an archive's first regular file; ``None`` if there is none or it is larger than ``limit``."""
    reader = Reader(pieces, limit + 64 * 1024)
    found = None
    for member in reader.files():
        if found is None and member.size <= limit:
            found = member.read()
    reader.drain()
    return found


def _name(block: bytes) -> bytes:
    prefix, name = block[345:500].rstrip(b"\0"), block[:100].rstrip(b"\0")
    return prefix + b"/" + name if prefix and block[257:263] == b"ustar\0" else name


def _size(block: bytes) -> int:
    if block[257:262] != b"ustar" or sum(block[:148]) + sum(block[156:]) + 8 * 32 != _octal(block[148:156]):
        raise RejectedError("the container's results are not an archive")
    return _octal(block[124:136])


def _octal(field: bytes) -> int:
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise RejectedError("the container's results are not an archive") from None


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 19:  # noqa: PLR2004 - digits of 2**63
        raise RejectedError("the container's results are not an archive")
    return int(text)


def _records(data: bytes) -> dict[bytes, bytes]:
    """Return the records of a PAX header: ``LENGTH KEY=VALUE`` and a line feed, LENGTH that of the whole."""
    found: dict[bytes, bytes] = {}
    while data:
        length, space, _ = data.partition(b" ")
        end = _decimal(length) if space else 0
        if not len(length) + 1 < end <= len(data) or data[end - 1 : end] != b"\n":
            raise RejectedError("the container's results are not an archive")
        key, _, value = data[len(length) + 1 : end - 1].partition(b"=")
        found[key] = value
        data = data[end:]
    return found
