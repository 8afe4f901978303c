"""A sandbox's report of its run, read from untrusted files that the sandbox wrote.

They are the files in ``/realm/out`` that ``container/end`` writes.  Only well-formed numbers, ids and paths
are used; everything else is left out.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from realm.errors import RejectedError
from realm.model import LONGEST_TRANSCRIPT, Checkpoint, Left
from realm.sandbox.transfer import Member, Reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SMALL = 4096
"""Largest point or id, in bytes."""
REPORT_LIMIT = 1024 * 1024
HOOK_LIMIT = 16 * 1024 * 1024
"""Largest JSON of one hook, in bytes; a prompt may contain whole files."""
MAX_TURNS = 10_000
MAX_LINES = 1000

MAX_LEFT = 200
"""Most branches, stashes and the like taken from a sandbox."""

_TOO_LONG = "transcript.size"
_TURN = rb"turns/(\d{4,5})\.(prompt\.json|stop\.json|point)"
_POINT = rb"([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) (\d{1,12})\n?"
_STATE = _POINT.removesuffix(rb"\n?") + rb" (\d{1,5})\n?"
_SAID = rb"(\d{1,12}) ([^\n]+)\n?"
_APART = rb"[0-9a-f]{16}\.(inner|left)|[0-9a-f]{64}\.lfs"
_KEPT = rb"[0-9a-f]{16}\.kept"
_INNER = rb"point ([0-9a-f]{16}) ([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) (\d{1,5})"
_PUBLISHED = rb"upstream ([0-9a-f]{40}|[0-9a-f]{64}) ([^\0-\x1f\x7f]{1,4000})"
_LEFT = rb"([0-9a-f]{40}|[0-9a-f]{64}) ([^\0-\x20\x7f]{1,1000})"


class Others(NamedTuple):
    """What else an agent left in a repository; stashes are newest first.

    ``is_all`` is whether the list is complete; ``pack`` has the objects that are not in the work's pack.
    """

    left: tuple[Left, ...] = ()
    is_all: bool = False
    pack: Path | None = None


class Report(NamedTuple):
    """The results of a run."""

    points: tuple[Checkpoint, ...] = ()
    """The reported states, in order, the end of the run last."""
    prompts: Mapping[int, bytes] = {}
    """The JSON of the hooks for prompts, by turn, as received."""
    stops: Mapping[int, bytes] = {}
    """The JSON of the hooks for turns' ends, by turn, as received."""
    exit_code: int | None = None
    complete: bool = False
    """Whether the sandbox finished its report."""
    signalled: bool = False
    """Whether it was sent a signal to end."""
    errors: tuple[str, ...] = ()
    """The sandbox's own messages, like the next two not cleaned."""
    nested: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    pack: Path | None = None
    """A file on the host."""
    transcript: Path | None = None
    """A file on the host: the transcript from byte ``begins`` on."""
    conversation: str | None = None
    """The transcript's path in the sandbox."""
    too_long: int = 0
    """Bytes of a transcript that was refused as too large."""
    begins: int = 0
    others: Others = Others()
    """What else the agent left in the project's repository."""
    inner: Mapping[str, tuple[Checkpoint, ...]] = {}
    """The states of submodules by key, in order."""
    inner_packs: Mapping[str, Path] = {}
    """Submodules' packs by key."""
    inner_others: Mapping[str, Others] = {}
    """What else the agent left in submodules, by key."""
    published: tuple[tuple[str, str], ...] = ()
    """Ids and paths of submodules' commits that a remote has."""
    plain: tuple[str, ...] = ()
    """Submodules that were replaced by ordinary files."""
    large: tuple[Path, ...] = ()
    """Files managed by Git LFS, ``<SHA-256>.lfs``."""


NOTHING = Report()


def receive(pieces: Iterator[bytes], directory: Path, limit: int) -> None:
    """Save the known files of the archive ``pieces`` in ``directory``, under the host's own names.

    Raises ``RejectedError`` when the archive is longer than ``limit`` bytes.
    """
    reader = Reader(pieces, limit)
    for member in reader.files():
        if (name := _known(member)) is not None:
            with (directory / name).open("wb") as file:
                member.save(file)
        elif member.name.removeprefix(b"out/") == b"transcript":
            (directory / _TOO_LONG).write_text(str(member.size))
    reader.drain()


_LIMITS = {
    b"end.point": SMALL,
    b"conversation": SMALL,
    b"inner": REPORT_LIMIT,
    b"kept": REPORT_LIMIT,
    b"report": REPORT_LIMIT,
    b"rebase": REPORT_LIMIT,
    b"transcript": LONGEST_TRANSCRIPT,
}


def _known(member: Member) -> str | None:
    """Return the name for ``member`` on the host; ``None`` when it is unknown or too large."""
    name = member.name.removeprefix(b"out/")
    if name in (b"pack", b"kept.pack") or re.fullmatch(_APART, name):
        return name.decode()
    if name in _LIMITS:
        return name.decode() if member.size <= _LIMITS[name] else None
    if re.fullmatch(_KEPT, name):
        return name.decode() if member.size <= REPORT_LIMIT else None
    found = re.fullmatch(_TURN, name)
    if found is None or not 0 < int(found[1]) <= MAX_TURNS or member.size > HOOK_LIMIT:
        return None
    return f"{int(found[1])}.{found[2].decode()}"


_TURN_LIMITS = {
    b"point": SMALL,
    b"said": 2 * SMALL,
    b"words": LONGEST_TRANSCRIPT,
    b"inner": REPORT_LIMIT,
    b"kept": REPORT_LIMIT,
    b"prompt.json": HOOK_LIMIT,
    b"stop.json": HOOK_LIMIT,
}


def receive_turn(pieces: Iterator[bytes], directory: Path, limit: int) -> Report:
    """Save the results of a turn from the archive ``pieces``, and return them.

    Raises ``RejectedError`` when the archive is longer than ``limit`` bytes, or has no state.
    """
    reader = Reader(pieces, limit)
    for member in reader.files():
        name = member.name.rpartition(b"/")[2]
        is_pack = name in (b"pack", b"kept.pack") or re.fullmatch(_APART, name)
        limit = REPORT_LIMIT if re.fullmatch(_KEPT, name) else _TURN_LIMITS.get(name, -1)
        if is_pack or member.size <= limit:
            with (directory / name.decode()).open("wb") as file:
                member.save(file)
    reader.drain()
    found = re.fullmatch(_STATE, _bytes(directory / "point"))
    if found is None or (turn := int(found[4])) > MAX_TURNS:
        raise RejectedError("the container handed over a turn without its state")
    prompt, stop = directory / "prompt.json", directory / "stop.json"
    said = re.fullmatch(_SAID, _bytes(directory / "said"))
    return Report(
        points=(Checkpoint(found[1].decode(), found[2].decode(), turn, float(found[3])),),
        prompts={turn: prompt.read_bytes()} if prompt.is_file() else {},
        stops={turn: stop.read_bytes()} if stop.is_file() else {},
        pack=_existing(directory / "pack"),
        transcript=_existing(directory / "words") if said else None,
        conversation=said[2].decode("ascii", "replace") if said else None,
        begins=int(said[1]) if said else 0,
        others=_others(directory / "kept", directory / "kept.pack"),
        **_of_submodules(directory),
    )


def load(directory: Path) -> Report:
    """Return the report whose files :func:`receive` saved."""
    texts: dict[str, list[str]] = {"error": [], "nested": [], "plain": [], "conflict": []}
    values: dict[str, str] = {}
    for key, value in (*_lines(directory / "rebase"), *_lines(directory / "report")):
        if key in texts:
            texts[key].append(value)
        else:
            values[key] = value
    code = values.get("exit", "")
    conversation = _bytes(directory / "conversation").strip().decode("ascii", "replace")
    return Report(
        points=tuple(_points(directory)),
        prompts=_hooks(directory, "prompt.json"),
        stops=_hooks(directory, "stop.json"),
        exit_code=int(code) if re.fullmatch(r"\d{1,3}", code, re.ASCII) else None,
        complete=values.get("done") == "yes",
        signalled=values.get("told") == "yes",
        errors=tuple(texts["error"]),
        nested=tuple(texts["nested"]),
        plain=tuple(texts["plain"]),
        conflicts=tuple(texts["conflict"]),
        pack=_existing(directory / "pack"),
        transcript=_existing(directory / "transcript"),
        conversation=conversation or None,
        too_long=int(_bytes(directory / _TOO_LONG) or 0),
        others=_others(directory / "kept", directory / "kept.pack"),
        **_of_submodules(directory),
    )


def _of_submodules(directory: Path) -> dict[str, Any]:
    """Return the fields of a report about submodules."""
    points: dict[str, list[Checkpoint]] = {}
    published = []
    for line in _bytes(directory / "inner").split(b"\n"):
        if found := re.fullmatch(_INNER, line):
            head, snapshot = found[2].decode(), found[3].decode()
            points.setdefault(found[1].decode(), []).append(Checkpoint(head, snapshot, int(found[4]), 0.0))
        elif found := re.fullmatch(_PUBLISHED, line):
            published.append((found[1].decode(), os.fsdecode(found[2])))
    packs = {key: directory / f"{key}.inner" for key in points}
    return {
        "inner": {key: tuple(found) for key, found in points.items()},
        "inner_packs": {key: path for key, path in packs.items() if path.is_file()},
        "inner_others": {
            path.stem: _others(path, path.with_suffix(".left")) for path in directory.glob("*.kept")
        },
        "published": tuple(published),
        "large": tuple(sorted(directory.glob("*.lfs"))),
    }


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    for line in _bytes(path).decode("utf-8", "surrogateescape").split("\n")[:MAX_LINES]:
        key, _, value = line.partition(" ")
        if key:
            yield key, value


def _turns(directory: Path, kind: str) -> list[tuple[int, Path]]:
    found = ((int(path.name.partition(".")[0]), path) for path in directory.glob(f"[0-9]*.{kind}"))
    return sorted(found)


def _hooks(directory: Path, kind: str) -> dict[int, bytes]:
    return {turn: path.read_bytes() for turn, path in _turns(directory, kind)}


def _points(directory: Path) -> Iterator[Checkpoint]:
    turn = 0
    for turn, path in _turns(directory, "point"):
        if (point := _point(path, turn)) is not None:
            yield point
    prompts = _turns(directory, "prompt.json")
    last = max(turn, prompts[-1][0] if prompts else 0)
    if (point := _point(directory / "end.point", last)) is not None:
        yield point


def _others(listed: Path, pack: Path) -> Others:
    lines = _bytes(listed).split(b"\n")
    found = (match for line in lines[:MAX_LEFT] if (match := re.fullmatch(_LEFT, line)))
    left = tuple(Left(match[1].decode(), match[2].decode("utf-8", "surrogateescape")) for match in found)
    return Others(left, lines[-2:] == [b"all", b""], _existing(pack))


def _point(path: Path, turn: int) -> Checkpoint | None:
    found = re.fullmatch(_POINT, _bytes(path))
    return Checkpoint(found[1].decode(), found[2].decode(), turn, float(found[3])) if found else None
