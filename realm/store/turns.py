"""The turns of a session, numbered through all of its runs: ``<name>@1`` is the first.

A turn is identified by the trailers ``Realm-Run`` and ``Realm-Turn`` of its commits, or, if it changed
nothing, by the prompt in its run's record.  Changes of a run before its first prompt, and all changes of an
agent without prompts, are a turn too (``Realm-Turn: 0``) if there are commits of it.  Turns are counted in
the order of runs and prompts: later runs never change a number.

Commits without these trailers (uncommitted changes included by ``--wip``, the user's own on top) belong to no
turn; the next turn begins on them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import RealmError
from realm.git import git
from realm.text import clean, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from realm.model import Project, Run

WIP = "Uncommitted changes when "
"""The beginning of the subject of the commit that ``realm new --wip`` makes."""
_NUMBER = re.compile(r"[0-9]{1,6}")
_MOST = 100_000
"""Limit for the prompts of one run."""
_FORM = "%x00".join(
    [
        "/%H", "%at", "%s",  # the slash tells a commit from file names, which never begin with one
        *(f"%(trailers:key=Realm-{key},valueonly,separator=%x20)" for key in ("Run", "Turn")),
    ]
)  # fmt: skip
_FIELDS = 5


class Commit(NamedTuple):
    """A commit of a session's chain."""

    oid: str
    when: float
    """Seconds since the epoch."""
    subject: str
    """Clean text."""
    key: tuple[int, int] | None
    """Run and turn, ``None`` for a commit that belongs to no turn."""
    files: tuple[bytes, ...] = ()
    """The files that it changed."""


class Turn(NamedTuple):
    """One turn of a session."""

    number: int
    """Counts through the whole session."""
    run: int
    turn: int
    """Counts within the run, as in the trailer."""
    before: str
    """The commit that it begins on."""
    after: str
    """The commit that it ends with, the same if it changed nothing."""
    commits: tuple[Commit, ...] = ()
    """Its own commits, the oldest first."""
    took: float | None = None
    """Seconds, ``None`` if not noted."""
    ended: float | None = None
    """Seconds since the epoch, ``None`` if not noted."""
    prompt: str = ""
    """The first line, clean text."""

    @property
    def files(self) -> int:
        """Number of files that it changed."""
        return len({name for commit in self.commits for name in commit.files})


def chain(project: Project, base: str, tip: str) -> list[Commit]:
    """Return the commits from ``base`` (exclusive) to ``tip``, the oldest first; one git process."""
    if base == tip:
        return []
    how = ("log", "-z", "--reverse", "--topo-order", "--name-only", "--no-show-signature")
    asked = (*how, f"--format={_FORM}", "--end-of-options", f"{base}..{tip}", "--")
    return list(_commits(git(*asked, project=project).out.split(b"\0")))


def _commits(cells: list[bytes]) -> Iterator[Commit]:
    place = 0
    while place + _FIELDS <= len(cells):
        fields = [cell.decode("utf-8", "replace") for cell in cells[place : place + _FIELDS]]
        oid, when, subject, *numbers = fields
        place += _FIELDS
        start = place
        while place < len(cells) and not cells[place].startswith(b"/"):
            place += 1
        files = tuple(name.removeprefix(b"\n") for name in cells[start:place] if name)
        yield Commit(oid.strip("/\n"), float(when or 0), clean(subject), _key(numbers), files)


def _key(numbers: Sequence[str]) -> tuple[int, int] | None:
    # An agent's own message may have such trailers as well: realm's come last.
    last = [found.split()[-1:] for found in numbers]
    if not all(word and _NUMBER.fullmatch(word[0]) for word in last):
        return None
    return int(last[0][0]), int(last[1][0])


def base(project: Project, tip: str) -> str:
    """Return the base of a session without a record: the newest commit that realm did not make."""
    form = "--format=%H %(trailers:key=Realm-Session,valueonly,separator=%x2C)"
    asked = ("log", "--first-parent", f"--max-count={_MOST}", form, "--end-of-options", tip, "--")
    last = tip
    for line in git(*asked, project=project).lines:
        last, _, session = line.partition(" ")
        if not session:
            break
    return last


def turns(project: Project, base: str, tip: str, runs: Sequence[Run]) -> list[Turn]:
    """Return every turn of a session, the first one first.

    ``base`` and ``tip`` are the ends of its chain, ``runs`` its record's (empty if there is no record).
    """
    return among(chain(project, base, tip), base, runs)


def among(commits: Sequence[Commit], base: str, runs: Sequence[Run]) -> list[Turn]:
    """Return the turns among the ``commits`` of a session's :func:`chain`; see :func:`turns`."""
    made: dict[tuple[int, int], list[int]] = {}
    for place, commit in enumerate(commits):
        if commit.key is not None:
            made.setdefault(commit.key, []).append(place)
    places = {commit.oid: place for place, commit in enumerate(commits)}
    known = {run.number: run for run in runs}
    found: list[Turn] = []
    end = -1  # index of the last turn's end in the chain
    for run, turn in _keys(made, runs):
        record = known.get(run)
        own = made.get((run, turn), [])
        if not own and record is not None and (not found or found[-1].run != run):
            end = max(end, places.get(record.before, -1))
        begin, end = (own[0] - 1, own[-1]) if own else (end, end)
        mine = tuple(commits[place] for place in own)
        prompts = record.prompts if record is not None else ()
        prompt = first_line(prompts[turn - 1]) if 0 < turn <= len(prompts) else ""
        found.append(
            Turn(
                number=len(found) + 1,
                run=run,
                turn=turn,
                before=commits[begin].oid if begin >= 0 else base,
                after=commits[end].oid if end >= 0 else base,
                commits=mine,
                took=_took(record, turn, mine),
                ended=mine[-1].when if mine else _noted(record, turn),
                prompt=prompt or (mine[-1].subject if mine else ""),
            )
        )
    return found


def _took(record: Run | None, turn: int, commits: Sequence[Commit]) -> float | None:
    """Return how long a turn took: as the agent noted, else, for a run's first, the time since its start."""
    if record is None:
        return None
    if 0 < turn <= len(record.took) and record.took[turn - 1]:
        return record.took[turn - 1]
    return max(0.0, commits[-1].when - record.started) if commits and turn <= 1 else None


def _noted(record: Run | None, turn: int) -> float | None:
    """Return the end of a turn that changed nothing, if it was noted."""
    noted = record.ends[turn - 1 : turn] if record is not None and turn > 0 else ()
    return noted[0] or None if noted else None


def _keys(made: dict[tuple[int, int], list[int]], runs: Sequence[Run]) -> list[tuple[int, int]]:
    asked = {(run.number, turn) for run in runs for turn in range(1, min(len(run.prompts), _MOST) + 1)}
    return sorted({*made, *asked})


def pick(name: str, found: Sequence[Turn], number: int) -> Turn:
    """Return the turn ``number`` of ``found``, all turns of the session ``name``."""
    if 0 < number <= len(found):
        return found[number - 1]
    if not found:
        hint = f"realm logs {name} writes what its agent said"
        raise RealmError(f"session {name} has no turn: none has ended, and nothing was changed", hint)
    one = "one turn" if len(found) == 1 else f"turns 1 to {len(found)}"
    raise RealmError(f"session {name} has no turn {number}", f"it has {one}: realm log {name}")
