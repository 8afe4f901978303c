"""What a sandbox reports of its run, read from files that the sandbox wrote: nothing in them is trusted.

The files are those of ``/realm/out`` that ``container/end`` writes.  A
number, an id or a path is taken only when it looks like one; everything else
is left out.
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
"""Bytes that a point or an id may have."""
REPORT_LIMIT = 1024 * 1024
HOOK_LIMIT = 16 * 1024 * 1024
"""Bytes of one hook's JSON; a prompt may have whole files in it."""
MAX_TURNS = 10_000
MAX_LINES = 1000

MAX_LEFT = 200
"""Branches, stashes and the like that are taken from a sandbox."""

_TOO_LONG = "transcript.size"
_TURN = re.compile(rb"turns/(\d{4,5})\.(prompt\.json|stop\.json|point)")
_POINT = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) (\d{1,12})\n?")
_STATE = re.compile(_POINT.pattern.removesuffix(rb"\n?") + rb" (\d{1,5})\n?")
_SAID = re.compile(rb"(\d{1,12}) ([^\n]+)\n?")
_APART = re.compile(rb"[0-9a-f]{16}\.(inner|left)|[0-9a-f]{64}\.lfs")
_KEPT = re.compile(rb"[0-9a-f]{16}\.kept")
_INNER = re.compile(
    rb"point ([0-9a-f]{16}) ([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) (\d{1,5})"
)
_PUBLISHED = re.compile(rb"upstream ([0-9a-f]{40}|[0-9a-f]{64}) ([^\0-\x1f\x7f]{1,4000})")
_LEFT = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) ([^\0-\x20\x7f]{1,1000})")


class Others(NamedTuple):
    """What else an agent left in a repository; stashes are newest first.

    ``is_all`` is whether there is no more of that; ``pack`` has what of it is not in the work's.
    """

    left: tuple[Left, ...] = ()
    is_all: bool = False
    pack: Path | None = None


class Report(NamedTuple):
    """The results of a run.

    ``points`` are the states reported, in order, the end of the run last;
    ``prompts`` and ``stops`` the hooks' JSON by turn, exactly as received.
    ``complete`` is whether the sandbox finished its report, ``told`` whether it was sent
    a signal to end.  ``errors``, ``nested``
    and ``conflicts`` are the sandbox's own words (not cleaned).  ``pack`` and
    ``transcript`` are files on the host, ``conversation`` the latter's path inside;
    ``too_long`` the bytes of a transcript that was more than is taken.  The transcript
    is that from byte ``begins`` on.

    ``inner`` are the states of submodules by key, in order, ``inner_packs`` their packs,
    ``inner_others`` what else was left in them, and ``published`` ids and paths of commits of such that
    a remote has; ``plain`` are those whose files are in their place.  ``large`` are files of Git LFS's,
    ``<SHA-256>.lfs``.

    ``others`` is what else the agent left in the project's repository.
    """

    points: tuple[Checkpoint, ...] = ()
    prompts: Mapping[int, bytes] = {}
    stops: Mapping[int, bytes] = {}
    exit_code: int | None = None
    complete: bool = False
    told: bool = False
    errors: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    pack: Path | None = None
    transcript: Path | None = None
    conversation: str | None = None
    too_long: int = 0
    begins: int = 0
    others: Others = Others()
    inner: Mapping[str, tuple[Checkpoint, ...]] = {}
    inner_packs: Mapping[str, Path] = {}
    inner_others: Mapping[str, Others] = {}
    published: tuple[tuple[str, str], ...] = ()
    plain: tuple[str, ...] = ()
    large: tuple[Path, ...] = ()


NOTHING = Report()


def receive(pieces: Iterator[bytes], directory: Path, limit: int) -> None:
    """Save the known files of the archive ``pieces`` in ``directory``, by names of our own.

    Raises ``RejectedError`` when there is more than ``limit`` bytes of it.
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
    """Return the name that ``member`` gets on the host; ``None`` when it is unknown or too large."""
    name = member.name.removeprefix(b"out/")
    if name in (b"pack", b"kept.pack") or _APART.fullmatch(name):
        return name.decode()
    if name in _LIMITS:
        return name.decode() if member.size <= _LIMITS[name] else None
    if _KEPT.fullmatch(name):
        return name.decode() if member.size <= REPORT_LIMIT else None
    found = _TURN.fullmatch(name)
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
    """Save what is handed over at the end of a turn, the archive ``pieces``, and return it.

    Raises ``RejectedError`` when it is more than ``limit`` bytes, or says no state.
    """
    reader = Reader(pieces, limit)
    for member in reader.files():
        name = member.name.rpartition(b"/")[2]
        is_pack = name in (b"pack", b"kept.pack") or _APART.fullmatch(name)
        limit = REPORT_LIMIT if _KEPT.fullmatch(name) else _TURN_LIMITS.get(name, -1)
        if is_pack or member.size <= limit:
            with (directory / name.decode()).open("wb") as file:
                member.save(file)
    reader.drain()
    found = _STATE.fullmatch(_bytes(directory / "point"))
    if found is None or (turn := int(found[4])) > MAX_TURNS:
        raise RejectedError("the container handed over a turn without its state")
    prompt, stop = directory / "prompt.json", directory / "stop.json"
    said = _SAID.fullmatch(_bytes(directory / "said"))
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
        told=values.get("told") == "yes",
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
        if found := _INNER.fullmatch(line):
            head, snapshot = found[2].decode(), found[3].decode()
            points.setdefault(found[1].decode(), []).append(Checkpoint(head, snapshot, int(found[4]), 0.0))
        elif found := _PUBLISHED.fullmatch(line):
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
    found = (match for line in lines[:MAX_LEFT] if (match := _LEFT.fullmatch(line)))
    left = tuple(Left(match[1].decode(), match[2].decode("utf-8", "surrogateescape")) for match in found)
    return Others(left, lines[-2:] == [b"all", b""], _existing(pack))


def _point(path: Path, turn: int) -> Checkpoint | None:
    found = _POINT.fullmatch(_bytes(path))
    return Checkpoint(found[1].decode(), found[2].decode(), turn, float(found[3])) if found else None
