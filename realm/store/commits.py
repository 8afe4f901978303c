"""The commits of a session: each one is written by the host.

The last paragraph of a message names session, run and turn, one ``Realm-<Key>:
<value>`` a line; no line of the text above can be mistaken for one.  Nor does one speak
for the user, as ``Signed-off-by`` with their name or address does: that is theirs to write.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

from realm.errors import GitError, RejectedError
from realm.git import git
from realm.model import TurnText
from realm.store.objects import DIRECTORY, CommitDate, Objects
from realm.store.verify import Findings
from realm.text import clean, first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping

    from realm.model import Checkpoint, Identity, Project
    from realm.store.batch import CatFile
    from realm.store.objects import Entry
    from realm.store.quarantine import Limits
    from realm.store.verify import Verifier

SUBJECT = 72
BODY = 2000
COMMIT_LIMIT = 4 * 1024 * 1024
"""The largest commit of a session that is read, in bytes."""

_FORGED = re.compile(r"[\s>#*]*realm-", re.IGNORECASE)
_SPEAKING = re.compile(r"[\s>#*]*[a-z0-9-]+-by\s*[:=#]", re.IGNORECASE)
"""A trailer that says what somebody did; git lets other characters stand for the colon."""
_TRAILER = r"[A-Za-z0-9][A-Za-z0-9-]*: \S.*"
_AUTHOR = re.compile(r"^author .*> (\d{1,12}) [+-]\d{4}$", re.MULTILINE)
_HEADER = re.compile(r"^(?:(tree|parent) ([0-9a-f]{40}|[0-9a-f]{64})|(encoding) (\S+))$", re.MULTILINE)


class BoxCommit(NamedTuple):
    """The useful parts of a commit that a sandbox made; ``when`` is seconds since the epoch."""

    oid: str
    tree: str
    parents: tuple[str, ...]
    when: float
    message: str


def parse_commit(oid: str, data: bytes) -> BoxCommit:
    """Return the commit in an object's content; :class:`RejectedError` when it has no tree."""
    raw_head, _, raw = data.partition(b"\n\n")
    head = raw_head.decode("utf-8", "replace")
    fields = [(match[1] or match[3], match[2] or match[4]) for match in _HEADER.finditer(head)]
    tree = next((value for key, value in fields if key == "tree"), "")
    if not tree:
        raise RejectedError(f"the container's commit {oid} has no tree")
    encoding = next((value for key, value in fields if key == "encoding"), "utf-8")
    try:
        message = raw.decode(encoding, "replace")
    except (LookupError, ValueError):
        message = raw.decode("utf-8", "replace")
    found = _AUTHOR.search(head)
    parents = tuple(value for key, value in fields if key == "parent")
    return BoxCommit(oid, tree, parents, float(found[1]) if found else 0.0, message)


def moment(when: float) -> CommitDate:
    """Return a commit's date in the local time zone."""
    return CommitDate(int(when), int(time.localtime(when).tm_gmtoff))


def commit_tree(project: Project, *, tree: str, parent: str, message: str, identity: Identity) -> str:
    """Write a commit of ``tree`` on ``parent`` and return its id; no hook runs, nothing is signed."""
    date = moment(time.time())
    made = Objects(project.object_format)
    oid = made.commit(tree, [parent], message, (identity, date), (identity, date))
    made.store(project, oid)
    return oid


def tree_of(project: Project, commit: str) -> str:
    """Return the id of a commit's tree."""
    return git("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}", project=project).text


class Naming(NamedTuple):
    """What all commits of an intake share; ``started`` is seconds since the epoch."""

    session: str
    run: int
    identity: Identity
    started: float
    texts: Mapping[int, TurnText]
    replay: bool = False

    def agents(self, message: str, turn: int) -> str:
        """Return the message for an agent's commit.

        A replayed one keeps its own, which is realm's already.
        """
        if self.replay:
            return clean(message, multiline=True, joined=True)
        return agent_message(message, self.session, self.run, turn, self.identity)

    def turns(self, turn: int) -> str:
        """Return the message for a turn's uncommitted changes."""
        text = self.texts.get(turn, TurnText())
        return turn_message(text, self.session, self.run, turn, self.identity)


class Twin(NamedTuple):
    """The host's commit for an agent's; ``exact`` means that it has exactly the same files."""

    oid: str
    exact: bool


class Chain:
    """Builds the host's commits on ``tip``, point by point.

    ``head`` is the agent's commit that corresponds to ``tip``, ``base`` the one that the run began on, whose
    files are not checked.  ``fresh`` are the ids of objects from the sandbox: a commit that is not among them
    is the project's own, where the walk along the agent's commits ends.  ``twins`` are the host's commits by
    the agent's, ``states`` those by the points' snapshots.
    """

    def __init__(
        self,
        tip: str,
        objects: CatFile,
        made: Objects,
        verifier: Verifier,
        naming: Naming,
        *,
        limits: Limits,
        fresh: Container[str],
        base: str,
        head: str,
    ) -> None:
        self.tip = tip
        self._fresh = fresh
        self.turns: dict[int, list[str]] = {}
        self.twins: dict[str, Twin] = {}
        self.states: dict[str, str] = {}
        self.notes = Findings()
        self._objects = objects
        self._made = made
        self._verifier = verifier
        self._naming = naming
        self._limits = limits
        self._left = limits.commits
        self._head = head
        self._base = self._commit(base).tree
        self._tree = self._commit(tip).tree
        self._now = time.time()
        self._latest = min(naming.started, self._now)

    def add(self, point: Checkpoint) -> None:
        """Add the changes up to ``point``; raises :class:`RejectedError` if its files are missing."""
        for commit in self._agents_own(point):
            message = self._naming.agents(commit.message, point.turn)
            self._write(self._tree_of(commit), message, commit.when, point.turn)
            own = self._verifier.tree(commit.tree, self._base)
            self.twins[commit.oid] = Twin(self.tip, own == self._tree)
        tree = self._verifier.tree(self._commit(point.snapshot).tree, self._base)
        if tree != self._tree:
            self._write(tree, self._naming.turns(point.turn), point.time, point.turn)
        self.states[point.snapshot] = self.tip
        if point.head in self._fresh and point.head not in self.twins:
            own = self._verifier.tree(self._commit(point.head).tree, self._base)
            self.twins[point.head] = Twin(self.tip, own == self._tree)

    def _tree_of(self, commit: BoxCommit) -> str:
        """Return the tree for an agent's commit: its changes, on top of what is recorded already."""
        own = self._verifier.tree(commit.tree, self._base)
        parent = self._commit(commit.parents[0]).tree if commit.parents else None
        before = self._verifier.tree(parent, self._base) if parent else None
        merged = overlay(before, own, self._tree, self._verifier.read, self._made)
        # The combination of two commits is checked again: they may be harmless only separately.
        return self._verifier.tree(merged, self._base) if merged else self._made.tree([])

    def _write(self, tree: str, message: str, when: float, turn: int) -> None:
        self._latest = min(max(self._latest, when), self._now)
        person = self._naming.identity
        dates = (person, moment(self._latest)), (person, moment(self._now))
        self.tip = self._made.commit(tree, [self.tip], message, *dates)
        self._tree = tree
        self.turns.setdefault(turn, []).append(self.tip)

    def _agents_own(self, point: Checkpoint) -> list[BoxCommit]:
        """Return the agent's commits since the last point, the oldest first."""
        if point.head == self._head:
            return []
        found: list[BoxCommit] = []
        try:
            commit = self._commit(point.head)
            while commit.oid != self._head and commit.oid in self._fresh and len(found) < self._left:
                found.append(commit)
                if not commit.parents:
                    break
                commit = self._commit(commit.parents[0])
        except RejectedError:
            found, commit = [], None
        before, self._head = self._head, point.head
        if commit is None or commit.oid != before:
            most = self._limits.commits
            lost = commit is None or any(one.oid not in self.twins for one in found)
            self.notes.add(
                f"the agent made more than {most} commits (realm.limit.commits): only its files were kept"
                if len(found) >= self._left
                else "the agent rewrote its history: its files were kept"
                + (", its commits since then not" if lost else "")
            )
            return []
        if any(len(commit.parents) > 1 for commit in found):
            self.notes.add("the agent made merges: they were kept as commits with one parent")
        self._left -= len(found)
        return found[::-1]

    def _commit(self, oid: str) -> BoxCommit:
        made = self._made.data(oid)
        if made is not None:
            return parse_commit(oid, made)
        try:
            found = self._objects.get(oid, self._limits.commit)
        except GitError as problem:
            raise RejectedError(
                f"the container's commit {oid} cannot be read: {problem.message}"
            ) from problem
        if found is None or found.kind != "commit":
            raise RejectedError(f"the container's commit {oid} is missing")
        return parse_commit(oid, found.data)


def body_text(text: str, user: Identity) -> str:
    """Return text for a message's body: cleaned, cut, without what only realm or the user may write."""
    lines = (line.rstrip() for line in clean(text, multiline=True, joined=True).splitlines())
    kept = "\n".join(_others(lines, user)).strip()
    kept = re.sub(r"\n{3,}", "\n\n", kept)
    return kept if len(kept) <= BODY else kept[: BODY - 1].rstrip() + "…"


def _others(lines: Iterable[str], user: Identity) -> Iterator[str]:
    """Yield the lines except realm's trailers and those that speak for the user (``Signed-off-by``)."""
    own = [text.strip().casefold() for text in (user.name, user.email) if text.strip()]
    trailer: list[str] = []
    for line in (*lines, ""):
        if trailer and line[:1].isspace():  # continues the trailer's value
            trailer.append(line)
            continue
        said = " ".join(" ".join(trailer).split()).casefold()
        if not any(text in said for text in own):
            yield from trailer
        trailer = [line] if _SPEAKING.match(line) else []
        if not trailer and not _FORGED.match(line):
            yield line


def trailers(session: str, run: int, turn: int) -> str:
    """Return the last paragraph of a message."""
    return f"Realm-Session: {session}\nRealm-Run: {run}\nRealm-Turn: {turn}\n"


def turn_message(text: TurnText, session: str, run: int, turn: int, user: Identity) -> str:
    """Return the message for what a turn left uncommitted: the prompt, and the closing words."""
    subject = first_line(text.prompt, SUBJECT, joined=True) or f"Work of run {run}"
    return _joined(subject, body_text(text.answer, user), trailers(session, run, turn))


def agent_message(message: str, session: str, run: int, turn: int, user: Identity) -> str:
    """Return the message for a commit that the agent made; its own trailers stay beside realm's."""
    lines = clean(message, multiline=True, joined=True).strip().splitlines()
    whole = lines[0].strip() if lines else ""
    subject = first_line(whole, SUBJECT, joined=True) or f"Work of run {run}"
    rest = "\n".join(lines[1:] if subject == whole else lines)
    return _joined(subject, body_text(rest, user), trailers(session, run, turn))


def _joined(subject: str, body: str, last: str) -> str:
    if not body:
        return f"{subject}\n\n{last}"
    paragraph = body.rsplit("\n\n", 1)[-1].splitlines()
    gap = "\n" if all(re.fullmatch(_TRAILER, line) for line in paragraph) else "\n\n"
    return f"{subject}\n\n{body}{gap}{last}"


def overlay(
    parent: str | None,
    commit: str | None,
    last: str | None,
    read: Callable[[str], list[Entry]],
    made: Objects,
) -> str | None:
    """Return the tree ``last`` with the differences between the trees ``parent`` and ``commit``.

    An agent commits some of its files and leaves others for later, but the earlier turns' commits already
    have those others: its own tree, put on top, would remove them in one commit and bring them back in the
    next.

    ``None`` stands for a missing directory.  Where both changed a file, ``commit``'s version is taken.  New
    trees are added to ``made``.
    """
    if last in (parent, commit):
        return commit
    if commit == parent:
        return last
    before, after, now = (_entries(tree, read) for tree in (parent, commit, last))
    merged = []
    for name in sorted({*before, *after, *now}):
        entry = _entry(before.get(name), after.get(name), now.get(name), read, made)
        if entry is not None:
            merged.append(entry)
    return made.tree(merged) if merged else None


def _entries(tree: str | None, read: Callable[[str], list[Entry]]) -> dict[bytes, Entry]:
    return {entry.name: entry for entry in read(tree)} if tree is not None else {}


def _entry(
    before: Entry | None,
    after: Entry | None,
    now: Entry | None,
    read: Callable[[str], list[Entry]],
    made: Objects,
) -> Entry | None:
    if after == before:
        return now
    if now in (before, after):
        return after
    shown = after or now
    below = (_directory(before), _directory(after), _directory(now))
    if shown and (after is None or below[1]) and (now is None or below[2]):
        tree = overlay(*below, read=read, made=made)
        return shown._replace(oid=tree) if tree else None
    return after


def _directory(entry: Entry | None) -> str | None:
    """Return the tree of a directory, ``None`` for anything else."""
    return entry.oid if entry is not None and entry.mode == DIRECTORY else None
