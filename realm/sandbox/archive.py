"""Tar streams into and out of a box.

Going in, an archive depends on nothing but its entries.  Coming out, an
archive is hostile: it is never unpacked by the names in it.  A reader hands out
regular files one by one and the caller keeps those that it knows.  The format
is POSIX ustar with GNU's long names (``tarfile`` would cost 25 ms at each start).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple

from realm.errors import RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

BLOCK = 512
CHUNK = 256 * 1024
SHORT_NAME = 100
"""Bytes that a header has for a name."""
MAX_NAME = 4096
"""The largest size accepted for a long name, in bytes."""

_FILE, _LINK, _DIRECTORY, _LONG_NAME = b"0", b"2", b"5", b"L"
_METADATA = {b"x", b"g", b"L", b"K"}


class BoxFile(NamedTuple):
    """A file to put into a box.

    ``path`` is absolute in the box.  ``data`` is the content, or a host file to
    read it from (a symbolic link goes in as a link, a directory with all that
    is in it).  ``owner`` is ``user``, the box's user, or ``root``; directories on
    the way are made where they are missing, and are the user's.
    """

    path: str
    data: bytes | Path = b""
    mode: int = 0o644
    owner: Literal["user", "root"] = "user"


class Entry(NamedTuple):
    """One member of an archive to write; ``data`` ``None`` makes a directory, ``target`` a link."""

    name: bytes
    mode: int
    uid: int
    gid: int
    data: bytes | Path | None = None
    size: int = 0
    target: bytes = b""


def _number(value: int, width: int) -> bytes:
    text = b"%0*o" % (width - 1, value)
    if len(text) < width:
        return text + b"\0"
    return b"\x80" + value.to_bytes(width - 1, "big")


def _header(entry: Entry, name: bytes, kind: bytes, size: int, mtime: int) -> bytes:
    fields = [
        name[:100].ljust(100, b"\0"),
        _number(entry.mode & 0o7777, 8),
        _number(entry.uid, 8),
        _number(entry.gid, 8),
        _number(size, 12),
        _number(mtime, 12),
        b" " * 8,
        kind,
        entry.target[:100].ljust(100, b"\0"),
        b"ustar\x0000".ljust(8, b"\0"),
    ]
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % BLOCK)


def _head(entry: Entry, mtime: int) -> bytes:
    kind = _LINK if entry.target else _DIRECTORY if entry.data is None else _FILE
    name = entry.name + (b"/" if kind == _DIRECTORY else b"")
    before = b""
    for long, mark in ((name, _LONG_NAME), (entry.target, b"K")):
        if len(long) > SHORT_NAME:
            plain = Entry(b"", 0, 0, 0)
            before += _header(plain, b"././@LongLink", mark, len(long) + 1, 0) + _padded(long + b"\0")
    return before + _header(entry, name, kind, entry.size, mtime)


def _content(path: Path, size: int) -> Iterator[bytes]:
    """Yield exactly ``size`` bytes, whatever happens to the file meanwhile."""
    left = size
    with path.open("rb") as file:
        while left and (piece := file.read(min(CHUNK, left))):
            left -= len(piece)
            yield piece
    while left:
        piece = b"\0" * min(CHUNK, left)
        left -= len(piece)
        yield piece


def write(entries: Iterable[Entry], mtime: int = 0) -> Iterator[bytes]:
    """Yield the archive of ``entries``; ``mtime`` is every member's time, in seconds since the epoch."""
    for entry in entries:
        yield _head(entry, mtime)
        if isinstance(entry.data, Path):
            yield from _content(entry.data, entry.size)
            yield b"\0" * (-entry.size % BLOCK)
        elif entry.data:
            yield _padded(entry.data)
    yield b"\0" * (2 * BLOCK)


def _expand(file: BoxFile) -> Iterator[BoxFile]:
    if not (isinstance(file.data, Path) and file.data.is_dir() and not file.data.is_symlink()):
        yield file
        return
    for child in sorted(file.data.iterdir()):
        mode = stat.S_IMODE(child.lstat().st_mode)
        yield from _expand(BoxFile(f"{file.path.rstrip('/')}/{child.name}", child, mode, file.owner))


def _entry(file: BoxFile, name: bytes, uid: int, gid: int) -> Entry:
    if isinstance(file.data, bytes):
        return Entry(name, file.mode, uid, gid, file.data, len(file.data))
    status = file.data.lstat()
    if stat.S_ISLNK(status.st_mode):
        return Entry(name, 0o777, uid, gid, b"", 0, os.fsencode(file.data.readlink()))
    return Entry(name, file.mode, uid, gid, file.data, status.st_size)


def entries(
    root: str, files: Iterable[BoxFile], directories: Iterable[str], uid: int, gid: int
) -> list[Entry]:
    """Return the members that put ``files`` and user-owned ``directories`` below ``root``.

    Every path is absolute in the box; those that are not below ``root`` are
    left out.  Only regular files, links and directories of the host go in.
    """
    made: dict[bytes, Entry] = {}
    prefix = os.fsencode(root.rstrip("/") + "/")

    def parents(name: bytes) -> None:
        parts = name.split(b"/")
        for depth in range(1, len(parts)):
            part = b"/".join(parts[:depth])
            made.setdefault(part, Entry(part, 0o755, uid, gid))

    for directory in directories:
        name = os.fsencode(directory)
        if name.startswith(prefix):
            name = name[len(prefix) :].rstrip(b"/")
            parents(name)
            made.setdefault(name, Entry(name, 0o755, uid, gid))
    for given in files:
        for file in _expand(given):
            name = os.fsencode(file.path)
            if name.startswith(prefix) and _is_usual(file):
                name = name[len(prefix) :]
                parents(name)
                owner = (0, 0) if file.owner == "root" else (uid, gid)
                made[name] = _entry(file, name, *owner)
    return list(made.values())


def _is_usual(file: BoxFile) -> bool:
    if isinstance(file.data, bytes):
        return True
    mode = file.data.lstat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


class Reader:
    """Hands out the regular files of an untrusted archive.

    ``pieces`` is the archive as it arrives, ``limit`` how many bytes of it are
    read in all before ``RejectedError``.
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
                raise RejectedError("the box's results are larger than allowed")
            if not piece:
                raise RejectedError("the box's results end in the middle")
            self._buffer += piece
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def copy(self, size: int, write: Callable[[bytes], object]) -> None:
        """Give the next ``size`` bytes to ``write``, and pass over their padding."""
        left = size
        while left:
            piece = self._take(min(left, CHUNK))
            left -= len(piece)
            write(piece)
        self._take(-size % BLOCK)

    def files(self) -> Iterator[Member]:
        """Yield each regular file; what was not taken of one is skipped by the next step."""
        name: bytes | None = None
        while True:
            block = self._take(BLOCK)
            if not block.strip(b"\0"):
                return
            kind, size = block[156:157], _size(block)
            if kind == _LONG_NAME and size <= MAX_NAME:
                held = bytearray()
                self.copy(size, held.extend)
                name = bytes(held).rstrip(b"\0")
            elif kind in {_FILE, b"\0"}:
                member = Member(self, block[:SHORT_NAME].rstrip(b"\0") if name is None else name, size)
                yield member
                member.skip()
                name = None
            else:
                # A name of a kind that we do not read makes the member unknown.
                self.copy(size, lambda _: None)
                name = b"" if kind in _METADATA else None

    def drain(self) -> None:
        """Read what follows the archive's end, so that the connection can be used again."""
        for piece in self._pieces:
            self._left -= len(piece)
            if self._left < 0:
                raise RejectedError("the box's results are larger than allowed")


class Member:
    """One regular file of an archive: its name, and its content while the reader stands there."""

    def __init__(self, reader: Reader, name: bytes, size: int) -> None:
        self.name = name
        self.size = size
        self._reader: Reader | None = reader

    def read(self) -> bytes:
        """Return the content; the caller has looked at ``size``."""
        held = bytearray()
        self._give(held.extend)
        return bytes(held)

    def save(self, file: BinaryIO) -> None:
        """Write the content to ``file``."""
        self._give(file.write)

    def skip(self) -> None:
        """Pass over the content unless it was taken."""
        if self._reader is not None:
            self._give(lambda _: None)

    def _give(self, write: Callable[[bytes], object]) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.copy(self.size, write)


def _size(block: bytes) -> int:
    if block[257:262] != b"ustar" or sum(block[:148]) + sum(block[156:]) + 8 * 32 != _octal(block[148:156]):
        raise RejectedError("the box's results are no archive")
    return _octal(block[124:136])


def _octal(field: bytes) -> int:
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise RejectedError("the box's results are no archive") from None
