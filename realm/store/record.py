"""The record of a session: ``refs/realm-meta/<name>``, format version 1.

The ref points to a chain of commits, one for each run, the latest on top; the
first has no parent.  While a run is in progress its commit says ``Realm-State:
running``; each later write for the same run replaces that commit (same
parent).  The commit's message is the summary that ``realm list`` shows, see
:mod:`realm.store.schema`, which also has every field's grammar.  The tree::

    session.json              the session's fields that are not of one run
    runs/0001/run.json        one run: number, times, commits, exit code
    runs/0001/<file>          its other files: screen.txt, screen.ans, session.cast
    runs/0001/talk/<file>     each turn's part of the conversation, in the agent's own format: 0001.jsonl
    runs/0001/turns/<file>    the terminal's content at the end of a turn: 0001.screen.txt, 0001.screen.ans
    runs/0002/…

Both JSON files are one object, UTF-8, keys sorted, indented by two, with
``"version": 1``.  Readers skip unknown keys, and refuse a higher version than
theirs.  Fields are those of :class:`realm.model.Session` and
:class:`realm.model.Run`; times are seconds since the epoch (numbers); a field
without a value may be missing or null.  ``screen.txt`` is plain text,
``screen.ans`` draws the same on an empty screen with only text, cursor
positions and colours.  If output came faster than it could be processed,
``run.json`` has the number of skipped bytes in ``dropped``, and in
``incomplete`` the names of screens that may lack some of it, because the program
had not redrawn everything since: ``screen``, ``turns/0002.screen``.

No part of a conversation is stored twice: a run has what it added to the
conversation of the run that it ``continues``, and to those that the agent
switched to meanwhile (``switches``).  :meth:`Record.conversation` joins the
parts; earlier versions kept the whole in each run's ``transcript.jsonl``.

A record may have been fetched from elsewhere: it is read as untrusted, with
limits on sizes and a grammar for every field; one that breaks them is damaged.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Self

from realm.errors import GitError, NoSuchSessionError, RealmError
from realm.git import git
from realm.model import Identity, Run, Session, State, Summary, Totals
from realm.store.batch import CatFile, RawObject, TooLargeError
from realm.store.branches import describe
from realm.store.refs import META, check_name
from realm.store.schema import dump, load_run, load_session, read_summary, write_summary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from realm.model import Project
    from realm.store.objects import Entry

AUTHOR = Identity("realm", "realm@localhost")
"""The default author of records."""

JSON_LIMIT = 4 * 1024 * 1024
FILE_LIMIT = 512 * 1024 * 1024
_COMMIT_LIMIT = 1024 * 1024
_TREE_LIMIT = 16 * 1024 * 1024

_AT_ONCE = 200
"""Runs whose files are requested from git together: their names fill a third of a pipe's buffer."""

_FILE_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}"
_BELOW = r"turns/[0-9]{4,5}\.screen\.(?:txt|ans)|talk/[0-9]{4,5}\.jsonl"
_TALK = rb"([0-9]{4,5})\.jsonl"
_DRAWING = rb"([0-9]{4,5})\.screen\.ans"
_WHOLE = "transcript.jsonl"
"""The file in which earlier versions kept the whole conversation."""
_RUN_NAME = rb"[0-9]{4,9}"


def run_directory(number: int) -> str:
    """Return the path of a run's directory in the record."""
    return f"runs/{number:04d}"


def talk_file(turn: int) -> str:
    """Return the name of the file, in the run's directory, with a turn's part of the conversation."""
    return f"talk/{turn:04d}.jsonl"


class Record:
    """The current record of a session, open for reading with one git process; a context manager.

    With ``commit`` it is the record in that commit, wherever the session's ref points.  Every read raises
    :class:`NoSuchSessionError` when there is no record, and :class:`RealmError` when it is damaged or from a
    newer realm.
    """

    def __init__(self, project: Project, name: str, commit: str = "") -> None:
        check_name(name)
        self._project = project
        self._name = name
        self._format = project.object_format
        self._objects = CatFile(project)
        self._commit = commit

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._objects.close()

    def session(self) -> Session:
        """Return the contents of ``session.json``."""
        data = self.file("session.json", JSON_LIMIT)
        if data is None:
            raise self._damaged("it has no session.json")
        return load_session(data, self._name, self._format)

    def numbers(self) -> list[int]:
        """Return the numbers of the recorded runs, from 1 on; a record from elsewhere may have none."""
        numbers = sorted(int(name) for name in self._names("runs") if re.fullmatch(_RUN_NAME, name))
        if numbers != list(range(1, len(numbers) + 1)):
            raise self._damaged("its runs are not numbered from 1 on")
        return numbers

    def _names(self, path: str) -> list[bytes]:
        """Return the names in a directory, without importing a parser for trees."""
        found = self._get(path, _TREE_LIMIT)
        if found is None or found.kind != "tree":
            return []
        width = 32 if self._format == "sha256" else 20
        return re.findall(rb"[0-7]+ ([^\0]+)\0(?s:.{%d})" % width, found.data)

    def run(self, number: int) -> Run:
        """Return a recorded run."""
        path = _run_file(number)
        data = self.file(path, JSON_LIMIT)
        if data is None:
            raise self._damaged(f"it has no {path}")
        return load_run(data, self._name, number, self._format)

    def runs(self) -> list[Run]:
        """Return every recorded run, the first one first."""
        runs, numbers = [], self.numbers()
        for some in (numbers[at : at + _AT_ONCE] for at in range(0, len(numbers), _AT_ONCE)):
            self._objects.ask(f"{self._commit}:{_run_file(number)}" for number in some)
            runs += [self.run(number) for number in some]
        return runs

    def last(self) -> Run | None:
        """Return the last recorded run without reading the others; ``None`` if there is none."""
        numbers = self.numbers()
        return self.run(numbers[-1]) if numbers else None

    def file(self, path: str, limit: int = FILE_LIMIT) -> bytes | None:
        """Return a file, such as ``runs/0001/screen.txt``; ``None`` when it is not there.

        Raises :class:`RealmError` when it has more than ``limit`` bytes.
        """
        found = self._get(path, limit)
        return found.data if found is not None and found.kind == "blob" else None

    def files(self, number: int) -> dict[str, bytes]:
        """Return the files of a run by name, without ``run.json`` and the conversation."""
        kept = {}
        for place in ("", "turns/"):
            entries = _tree(
                self._objects,
                self._format,
                self.commit(),
                f"{run_directory(number)}/{place}".rstrip("/").encode(),
            )
            for name in sorted(entries):
                path = f"{place}{name.decode('utf-8', 'replace')}"
                known = re.fullmatch(_BELOW, path) if place else re.fullmatch(_FILE_NAME, path)
                data = self.file(f"{run_directory(number)}/{path}") if known else None
                if data is not None and path not in ("run.json", _WHOLE):
                    kept[path] = data
        return kept

    def talk(self, number: int) -> dict[int, str]:
        """Return the paths of a run's parts of the conversation by turn, in order; turn 0 is before any."""
        directory = f"{run_directory(number)}/talk"
        found = (match for name in self._names(directory) if (match := re.fullmatch(_TALK, name)))
        return {turn: f"{directory}/{turn:04d}.jsonl" for turn in sorted(int(match[1]) for match in found)}

    def screens(self, number: int) -> set[int]:
        """Return the turns of a run that have a screen."""
        directory = f"{run_directory(number)}/turns".encode()
        names = _tree(self._objects, self._format, self.commit(), directory)
        return {int(match[1]) for name in names if (match := re.fullmatch(_DRAWING, name))}

    def said(self, number: int) -> bytes:
        """Return a run's part of the conversation (in an old record, with all before it), which may be empty.

        It is in the agent's own format, as everywhere here.
        """
        whole = self.file(f"{run_directory(number)}/{_WHOLE}")
        return whole or b"".join(self.file(path) or b"" for path in self.talk(number).values())

    def conversation(self, number: int, turn: int | None = None) -> bytes:
        """Return the conversation at a run's end, from its beginning; at most 512 MiB of it.

        With ``turn`` it is that at the turn's end; an old record cannot tell.
        """
        parts: list[bytes] = []
        while number > 0 and sum(map(len, parts)) < FILE_LIMIT:
            if whole := self.file(f"{run_directory(number)}/{_WHOLE}"):
                parts.append(whole)
                break
            run, talk = self.run(number), self.talk(number)
            switches = dict(run.switches)
            number = run.continues
            for at in sorted({*talk, *switches}, reverse=True):
                if turn is not None and at > turn:
                    continue
                parts.append((self.file(talk[at]) if at in talk else None) or b"")
                if at in switches:
                    turn = switches[at]
                    if turn is None:
                        return b"".join(reversed(parts))
            turn = None
        return b"".join(reversed(parts))

    def commit(self) -> str:
        """Return the commit that the record is read from."""
        self._get("", _TREE_LIMIT)
        return self._commit

    def summary(self) -> Summary:
        """Return the summary in the record's commit message; an empty one if it is invalid."""
        return _summary(self._objects, self._format, self.commit())

    def amend(self, session: Session, summary: Summary | None = None) -> str:
        """Return a commit like this one, with the same parents, but with ``session`` and its ``summary``.

        For changes between runs, such as after a push.  No ref is moved.
        """
        from realm.store.objects import FILE, CommitDate, Entry, Objects

        current = self.commit()
        made = Objects(self._project.object_format)
        commit = self._objects.get(current, _COMMIT_LIMIT)
        root = _tree(self._objects, self._format, current, b"")
        if commit is None or not root:
            raise self._damaged("it has no files")
        head, _, message = commit.data.decode("utf-8", "replace").partition("\n\n")
        parents = re.findall(r"^parent ([0-9a-f]+)$", head, re.MULTILINE)
        if summary is not None or session.name != self._name:
            told = summary or self.summary()
            message = write_summary(session.name, told) if told.id else message
        root[b"session.json"] = Entry(b"session.json", FILE, made.blob(dump(session)))
        now = AUTHOR, CommitDate(int(time.time()))
        oid = made.commit(made.tree(root.values()), parents, message, now, now)
        made.store(self._project, oid)
        return oid

    def _get(self, path: str, limit: int) -> RawObject | None:
        ref = META + self._name
        try:
            if not self._commit:
                commit = self._objects.get(ref, _COMMIT_LIMIT)
                if commit is None:
                    raise NoSuchSessionError(f"there is no record of a session '{self._name}'", "realm list")
                if commit.kind != "commit":
                    raise self._damaged(f"it is a {commit.kind}")
                self._commit = commit.oid
            return self._objects.get(f"{self._commit}:{path}", limit)
        except TooLargeError as problem:
            what = f"{path} in the record of '{self._name}' is too large: {problem.message}"
            raise RealmError(what, f"git log {ref}") from None
        except GitError as problem:
            raise RealmError(
                f"the record of '{self._name}' cannot be read: {problem.message}", "git fsck"
            ) from None

    def _damaged(self, why: str) -> RealmError:
        return RealmError(f"the record of '{self._name}' is damaged: {why}", f"git log {META}{self._name}")


def _run_file(number: int) -> str:
    return f"{run_directory(number)}/run.json"


def read_session(project: Project, name: str) -> Session:
    """Return the contents of a session's ``session.json``; raises as :class:`Record` does."""
    with Record(project, name) as found:
        return found.session()


def read_runs(project: Project, name: str) -> list[Run]:
    """Return the recorded runs of a session, the first one first; raises as :class:`Record` does."""
    with Record(project, name) as found:
        return found.runs()


def read_file(project: Project, name: str, path: str, limit: int = FILE_LIMIT) -> bytes | None:
    """Return one file of a session's record, ``None`` when it is not there."""
    with Record(project, name) as found:
        return found.file(path, limit)


def write(
    project: Project,
    *,
    parent: str | None,
    previous: str | None,
    session: Session,
    run: Run,
    totals: Totals,
    state: State,
    files: Mapping[str, bytes],
    identity: Identity = AUTHOR,
) -> str:
    """Write the record of a run and return the new meta commit; no session's ref is moved.

    ``parent`` is the commit of the run before (``None`` for the first run), ``previous`` the commit that
    this one replaces, whose files of this run are kept unless ``files`` (content by file name, a turn's
    below ``turns/`` or ``talk/``) replaces them.  Raises :class:`GitError` when the repository cannot be
    written.
    """
    from realm.store.objects import DIRECTORY, FILE, CommitDate, Entry, Objects

    of_run = {file: data for file, data in files.items() if not re.fullmatch(_BELOW, file)}
    for file in of_run:
        if not re.fullmatch(_FILE_NAME, file) or file in ("run.json", "turns", "talk"):
            raise ValueError(f"not a name of a record's file: {file!r}")
    made = Objects(project.object_format)
    number = f"{run.number:04d}".encode()
    with CatFile(project) as objects:
        root, runs, kept, *below = (
            _tree(objects, project.object_format, commit, path)
            for commit, path in (
                (parent, b""), (parent, b"runs"), (previous, b"runs/" + number),
                (previous, b"runs/" + number + b"/turns"), (previous, b"runs/" + number + b"/talk"),
            )
        )  # fmt: skip
        before = _summary(objects, project.object_format, previous or parent)
    for file, data in {**of_run, "run.json": dump(run)}.items():
        kept[file.encode()] = Entry(file.encode(), FILE, made.blob(data))
    for directory, entries in zip((b"turns", b"talk"), below, strict=True):
        for file in files.keys() - of_run:
            place, _, name = file.encode().partition(b"/")
            if place == directory:
                entries[name] = Entry(name, FILE, made.blob(files[file]))
        if entries:
            kept[directory] = Entry(directory, DIRECTORY, made.tree(entries.values()))
    runs[number] = Entry(number, DIRECTORY, made.tree(kept.values()))
    root[b"runs"] = Entry(b"runs", DIRECTORY, made.tree(runs.values()))
    root[b"session.json"] = Entry(b"session.json", FILE, made.blob(dump(session)))
    summary = Summary(
        session.id, session.project, session.created, state, session.base, run.number, totals,
        run.started, run.exit_code, run.ended, before.prompt or next(iter(run.prompts), ""),
        run.closing or before.words, run.stopped, before.pushed_tip, before.pushed, run.died,
        describe(run.kept) if run.ended is not None or run.kept else before.beside, before.request,
        ", ".join(run.weakened), ", ".join(run.risky) if run.after is not None else before.risky,
        run.network,
    )  # fmt: skip
    message = write_summary(session.name, summary)
    now = identity, CommitDate(int(time.time()))
    oid = made.commit(made.tree(root.values()), [parent] if parent else [], message, now, now)
    made.store(project, oid)
    return oid


def _summary(objects: CatFile, object_format: str, commit: str | None) -> Summary:
    """Return the summary in a meta commit's message; an empty one if it is invalid."""
    found = objects.get(commit, _COMMIT_LIMIT) if commit else None
    message = found.data.decode("utf-8", "replace").partition("\n\n")[2] if found else ""
    try:
        return read_summary(message, object_format)
    except RealmError:
        return Summary()


def rewritten(
    project: Project, commit: str, change: Callable[[str, bytes], bytes], reword: Callable[[str], str]
) -> str:
    """Return the record of ``commit`` with ``change`` applied to each file (path and content).

    ``reword`` is applied to the summaries.  All earlier commits of the record are rewritten too.  The same
    record always gives the same id, and ``commit`` itself if nothing changes.  The result is held
    (:mod:`realm.store.holding`).
    """
    from realm.store.objects import DIRECTORY, Objects, read_tree

    made = Objects(project.object_format)
    asked = ("rev-list", "--first-parent", "--reverse", "--end-of-options", commit, "--")
    known: dict[tuple[str, str], str] = {}
    with CatFile(project) as objects:

        def again(oid: str, path: str) -> str:
            if (oid, path) in known:
                return known[oid, path]
            found = objects.get(oid, FILE_LIMIT)
            new = oid
            if found is not None and found.kind == "blob":
                data = change(path, found.data)
                new = made.blob(data) if data != found.data else oid
            elif found is not None and found.kind == "tree":
                rows = read_tree(found.data, project.object_format)
                below = [
                    row._replace(oid=again(row.oid, f"{path}{row.name.decode('utf-8', 'replace')}"
                                                    f"{'/' if row.mode == DIRECTORY else ''}"))
                    for row in rows
                ]  # fmt: skip
                new = made.tree(below) if below != rows else oid
            known[oid, path] = new
            return new

        before: str | None = None
        last = commit
        for oid in git(*asked, project=project).lines:
            found = objects.get(oid, _COMMIT_LIMIT)
            data = found.data if found is not None else b""
            head, _, message = data.partition(b"\n\n")
            text = message.decode("utf-8", "surrogateescape")
            said = reword(text).encode("utf-8", "surrogateescape")
            old = re.search(rb"^tree ([0-9a-f]+)$", head, re.MULTILINE)
            tree = again(old[1].decode(), "") if old else ""
            parents = [line[7:].decode() for line in head.split(b"\n") if line.startswith(b"parent ")]
            wanted = [before] if before and parents else parents
            same = old is not None and tree == old[1].decode() and said == message and wanted == parents
            before = last = oid if same else made.rewritten(head + b"\n\n" + said, tree, *wanted)
    if last != commit:
        made.store(project, last)
    return last


def count_turns(project: Project, meta: str | None) -> int:
    """Return how many turns a session had at the end of the run that ``meta`` records; 0 for ``None``."""
    with CatFile(project) as objects:
        return _summary(objects, project.object_format, meta).totals.turns


def of_run(project: Project, meta: str, number: int) -> str | None:
    """Return the record at the end of run ``number``, from a later one, ``meta``; ``None`` for run 0."""
    if number < 1:
        return None
    form = "--format=%H %(trailers:key=Realm-Run,valueonly,separator=%x20)"
    asked = ("log", "--no-show-signature", "--first-parent", form, "--end-of-options", meta, "--")
    for line in git(*asked, project=project).lines:
        oid, _, run = line.partition(" ")
        if run.strip() == str(number):
            return oid
    return None


def parent(project: Project, meta: str) -> str | None:
    """Return the record of the run before the one that ``meta`` records, ``None`` for the first."""
    with CatFile(project) as objects:
        commit = objects.get(meta, _COMMIT_LIMIT)
    head = commit.data.partition(b"\n\n")[0].decode("utf-8", "replace") if commit else ""
    found = re.search(r"^parent ([0-9a-f]+)$", head, re.MULTILINE)
    return found[1] if found else None


def _tree(objects: CatFile, object_format: str, commit: str | None, path: bytes) -> dict[bytes, Entry]:
    """Return the entries of a directory of a meta commit by name; empty when it is missing."""
    from realm.store.objects import read_tree

    if commit is None:
        return {}
    found = objects.get(f"{commit}:{path.decode()}", _TREE_LIMIT)
    if found is None or found.kind != "tree":
        return {}
    return {entry.name: entry for entry in read_tree(found.data, object_format)}
