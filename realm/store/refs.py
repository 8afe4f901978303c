"""The refs of sessions: their names, and moving them in transactions.

``refs/realm/<name>`` is the code, ``refs/realm-meta/<name>`` the record; both move in one git transaction,
each only from the value that was read.  ``refs/realm-trash/<name>/<unix>/{code,meta}`` keeps a removed
session, with its other branches (:mod:`realm.store.branches`) below ``branches``, and
``refs/realm-tmp/<machine>@<process>@<since>/<object id>`` keeps fetched commits until a session's ref points
to them.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from realm import clock
from realm.errors import GitError, RealmError, RefRaceError, UsageError
from realm.git import GitResult, failure, git, reason
from realm.paths import machine
from realm.store import holding
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from realm.model import Project

CODE = "refs/realm/"
META = "refs/realm-meta/"
BRANCHES = "refs/realm-branches/"
TRASH = "refs/realm-trash/"
TEMPORARY = "refs/realm-tmp/"

LONGEST = 64
"""Characters in a name, at most."""
PATIENCE = 2.0
"""Seconds to wait for another git's lock."""
LONG_PATIENCE = 30.0
"""Seconds to wait, at most, for a lock that may still be in use."""
KEEP_DAYS = 30
"""Days that a removed session is kept."""

_SINCE = int(time.time())
_HINT = "letters, digits, '-', '_' and '.' make a name, such as fix-login"
_PLAIN = "(?!HEAD$)[A-Za-z0-9_][A-Za-z0-9_-]{0,38}"
"""Most names, too short to be an object id."""
_TRASHED = TRASH + r"([^/]+)/([0-9]{1,12})/(code|meta|branches/[^/]+/[^/]+)"
_LOCKED = rb"Unable to create '(.+\.lock)': File exists"
_BROKEN = rb"unable to resolve reference '([^']+)': reference broken"
_LOST = (
    rb"is at [0-9a-f]+ but expected|reference already exists"
    rb"|unable to resolve reference|is missing but expected"
)


class RefUpdate(NamedTuple):
    """A move of ``ref`` from ``old`` (``None``: it must not exist) to ``new`` (``None``: delete it)."""

    ref: str
    old: str | None
    new: str | None


class Tips(NamedTuple):
    """Where a session's refs point; ``None`` where there is no ref."""

    code: str | None
    meta: str | None


class Trash(NamedTuple):
    """A removed session: the time of removal (seconds since the epoch) and the values of its refs.

    ``branches`` are those below :data:`BRANCHES` and the name, as ``<kind>/<name>``; if ``code`` and ``meta``
    are ``None``, only branches were overwritten or deleted.
    """

    name: str
    when: int
    code: str | None
    meta: str | None
    branches: Mapping[str, str] = {}

    def updates(self) -> list[RefUpdate]:
        """Return the updates that delete it from the trash."""
        return [RefUpdate(here, oid, None) for here, _, oid in self._moves()]

    def _moves(self) -> list[tuple[str, str, str]]:
        """Return each ref's name in the trash, its original name, and its value."""
        found = [("code", CODE + self.name, self.code), ("meta", META + self.name, self.meta)]
        found += [(f"branches/{at}", f"{BRANCHES}{self.name}/{at}", oid) for at, oid in self.branches.items()]
        top = f"{TRASH}{self.name}/{self.when}"
        return [(f"{top}/{part}", ref, oid) for part, ref, oid in found if oid is not None]

    def exchanged(self, now: Mapping[str, str]) -> list[RefUpdate]:
        """Return the updates that restore a session's other branches, which are ``now`` (values by ref)."""
        then = {f"{BRANCHES}{self.name}/{at}": oid for at, oid in self.branches.items()}
        names = sorted({*now, *then})
        return [RefUpdate(ref, now.get(ref), then.get(ref)) for ref in names if now.get(ref) != then.get(ref)]

    def moved_in(self) -> list[RefUpdate]:
        """Return the updates that create its refs in the trash; :meth:`taken_away` deletes the originals."""
        return [RefUpdate(here, None, oid) for here, _, oid in self._moves()]

    def taken_away(self) -> list[RefUpdate]:
        """Return the updates that delete the original refs."""
        return [RefUpdate(ref, oid, None) for _, ref, oid in self._moves()]


def check_name(name: str) -> None:
    """Raise :class:`UsageError`, which says why, if ``name`` cannot be a session's name.

    A valid name is also a valid branch name and a valid last part of a ref.
    """
    problem = _problem(name)
    if problem:
        other = name.replace("/", "-")
        branch = re.fullmatch("[^/]+(/[^/]+)+", name) and not _problem(other)
        raise UsageError(problem, f"{other} is one: realm push {other} --as {name}" if branch else _HINT)


def is_name(name: str) -> bool:
    """Tell whether ``name`` can be a session's."""
    return bool(re.fullmatch(_PLAIN, name)) or not _problem(name)


def _problem(name: str) -> str:  # noqa: C901, PLR0911 - one sentence for each kind of bad name
    readable = re.sub("[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", name)
    shown = f"the session name '{clean(readable, limit=80)}'"
    if not name:
        return "the session name is empty"
    if re.search("[\ud800-\udfff]", name):
        return f"{shown} is not valid UTF-8"
    if re.search(r"[\x00-\x1f\x7f-\x9f]", name):
        return f"{shown} holds a control character"
    if len(name) > LONGEST:
        return f"{shown} has {len(name)} characters, more than {LONGEST}"
    if "/" in name:
        return f"{shown} holds a '/'"
    if name[0] in "-.":
        return f"{shown} starts with '{name[0]}'"
    if ".." in name:
        return f"{shown} holds '..'"
    if name.endswith(".") or name.lower().endswith(".lock"):
        return f"{shown} ends with '{'.' if name.endswith('.') else '.lock'}', which git does not allow"
    bad = re.search(r"[^A-Za-z0-9._-]", name)
    if bad:
        return f"{shown} holds {'a space' if bad.group() == ' ' else repr(clean(bad.group()))}"
    if name == "HEAD" or re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name):
        return f"{shown} means something else to git"
    return ""


def check_new(project: Project, name: str) -> None:
    """Check that a session can be created with this name.

    Raises :class:`UsageError` for an invalid name or one that differs from an existing one only by case,
    :class:`RealmError` when the session exists.
    """
    check_name(name)
    result = git("for-each-ref", "--format=%(refname)", CODE, META, project=project)
    for ref in result.lines:
        prefix = CODE if ref.startswith(CODE) else META
        taken = ref.removeprefix(prefix).split("/")[0]
        if taken == name and prefix == CODE:
            raise RealmError(
                f"the session '{name}' exists already",
                f"realm resume {name} continues it, realm attach {name} shows it while it runs",
            )
        if taken != name and taken.casefold() == name.casefold():
            raise UsageError(
                f"the name '{name}' differs from the session '{clean(taken)}' only by case",
                "choose another name",
            )


def tips(project: Project, name: str) -> Tips:
    """Return where the session's two refs point."""
    code, meta = CODE + name, META + name
    found = _values(project, (code, meta))
    return Tips(found.get(code), found.get(meta))


def _values(project: Project, names: Sequence[str]) -> dict[str, str]:
    """Return the values of the refs that exist."""
    return {ref: oid for ref, oid in below(project, *names).items() if ref in names}


def below(project: Project, *patterns: str) -> dict[str, str]:
    """Return the refs that match git's patterns, such as a prefix with a slash, and their values."""
    shown = git("for-each-ref", "--format=%(objectname) %(refname)", *patterns, project=project)
    pairs = (line.split(" ", 1) for line in shown.lines)
    return {ref: oid for oid, ref in pairs}


def transact(
    project: Project, updates: Sequence[RefUpdate], reason: str, held: Sequence[str] = (), *,
    patient: bool = False,
) -> None:  # fmt: skip
    """Move all refs or none: each must still have its update's ``old`` value.

    Objects that pass from one ref to another, as in a rename, are held meanwhile
    (:mod:`realm.store.holding`).  The refs' objects and ``held`` are released at the end, even on failure.
    ``reason`` goes to the reflog if the user keeps one.  A lock is waited for; with ``patient`` up to
    :data:`LONG_PATIENCE` seconds if it is no older.  Raises :class:`RefRaceError` when a ref has another
    value and :class:`RealmError` when one is symbolic or stays locked.
    """
    _refuse_symbolic(project, [update.ref for update in updates])
    orders = [b"start\0", *(_order(project, update) for update in updates)]
    text = b"".join([*orders, b"prepare\0commit\0"])
    begun = time.monotonic()
    try:
        if going := _going(updates):
            holding.hold(project, going)
        while updates:
            result = git(
                "update-ref", "-m", reason, "--stdin", "-z", project=project, stdin=text, check=False
            )
            if result.code == 0:
                return
            lock = re.search(_LOCKED, result.err)
            if lock is None:
                raise _refused(project, updates, result)
            path, waited = Path(lock[1].decode("utf-8", "surrogateescape")), time.monotonic() - begun
            if waited > (LONG_PATIENCE if patient and (_age(path) or 0) < LONG_PATIENCE else PATIENCE):
                raise _locked(path)
            from random import uniform

            time.sleep(uniform(0.01, 0.1))  # noqa: S311 - jitter, not a secret
    finally:
        holding.release([*(update.new for update in updates), *held])


def _going(updates: Sequence[RefUpdate]) -> list[str]:
    """Return the objects that pass from a deleted ref to another in this transaction."""
    lost = {update.old for update in updates if update.old}
    is_any_gone = any(update.old and update.new is None for update in updates)
    kept = (update.new for update in updates if (is_any_gone and update.old is None) or update.new in lost)
    return sorted({oid for oid in kept if oid})


def _order(project: Project, update: RefUpdate) -> bytes:
    """Return one command of ``git update-ref --stdin -z`` that does not follow symbolic refs."""
    ref, old, new = update.ref, update.old or project.zero, update.new
    if new is not None:
        text = f"option no-deref\0update {ref}\0{new}\0{old}\0"
    elif update.old is not None:
        text = f"option no-deref\0delete {ref}\0{old}\0"
    else:
        text = f"option no-deref\0verify {ref}\0{old}\0"
    return text.encode()


def _refuse_symbolic(project: Project, names: list[str]) -> None:
    """Raise when a ref is symbolic: writing through one would move another ref, such as a branch.

    Symbolic refs are never packed, so that their files are enough, even for a dangling one; only a reftable
    needs git.
    """
    targets = [_symbolic_target(project.common_dir / name) for name in names]
    if (project.common_dir / "reftable").is_dir():
        shown = git("for-each-ref", "--format=%(symref)", *names, project=project).lines
        targets += [line for line in shown if line]
    for target in targets:
        if target:
            raise RealmError(
                f"a ref of the session is a symbolic ref to {clean(target)}, which realm does not follow",
                "git symbolic-ref --delete REF, after a look at: git for-each-ref refs/realm refs/realm-meta",
            )


def _symbolic_target(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(1000)
    except OSError:
        return ""
    return head[4:].decode("utf-8", "replace").strip() if head.startswith(b"ref:") else ""


def _refused(project: Project, updates: Sequence[RefUpdate], result: GitResult) -> RealmError:
    """Return the error for a transaction that git refused."""
    broken = re.search(_BROKEN, result.err)
    if broken:
        ref = clean(broken[1])
        path = shlex.quote(clean(str(project.common_dir / ref)))
        return RealmError(f"{ref} is broken", f"rm {path}, or choose another name")
    if not re.search(_LOST, result.err):
        if re.search(
            rb"Permission denied|Read-only file system|No space left|unable to create directory", result.err
        ):
            return GitError(
                f"the repository cannot be written: {reason(result.err)}",
                failure("update-ref", result.err).hint or f"ls -ld '{clean(str(project.common_dir))}'",
            )
        return failure("update-ref", result.err)
    now = _values(project, [update.ref for update in updates])
    moved = [update.ref for update in updates if now.get(update.ref) != update.old] or [updates[0].ref]
    name = moved[0].split("/", 2)[2]
    what = f"{moved[0]} points to {now[moved[0]][:12]}" if moved[0] in now else f"{moved[0]} is gone"
    return RefRaceError(
        f"the session '{clean(name)}' was changed by somebody else: {what} now{_winner(project, name)}",
        "realm list shows what there is, then the same again",
    )


def _winner(project: Project, name: str) -> str:
    """Return, as the end of a sentence, the run that moved the session."""
    form = "%s%x00%(trailers:key=Realm-Started,valueonly)"
    shown = git(
        "log", "-1", f"--format={form}", "--end-of-options", META + name, "--", project=project, check=False
    )
    found = re.match(r"Run (\d{1,9}) of [^\0]*\0(\d{4}-\d\d-\d\dT[\d:.]{8,15}Z)\n", shown.text + "\n")
    if found is None:
        return ""
    try:
        when = datetime.fromisoformat(found[2]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return ""
    return f" (run {found[1]}, started {when})"


def _locked(path: Path) -> RealmError:
    shown, age = clean(str(path)), _age(path)
    old = "" if age is None else f", {age:.0f} seconds old"
    return RealmError(
        f"a ref is locked by another git: {shown}{old}",
        f"if no git is running any more: rm {shlex.quote(shown)}",
    )


def _age(path: Path) -> float | None:
    """Return the age of a lock in seconds, ``None`` if it is gone."""
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return None


def temporary(oid: str) -> str:
    """Return the ref by which this process protects a fetched commit from git's garbage collection."""
    return f"{TEMPORARY}{machine()}@{os.getpid()}@{_SINCE}/{oid}"


def list_trash(project: Project, name: str | None = None) -> list[Trash]:
    """Return removed sessions, only those called ``name`` if given, the latest first."""
    found: dict[tuple[str, int], dict[str, str]] = {}
    for ref, oid in below(project, f"{TRASH}{name}/" if name else TRASH).items():
        match = re.fullmatch(_TRASHED, ref)
        if match:
            found.setdefault((match[1], int(match[2])), {})[match[3]] = oid
    rows = [
        Trash(
            name, when, refs.get("code"), refs.get("meta"),
            {part.removeprefix("branches/"): oid for part, oid in refs.items() if "/" in part},
        )
        for (name, when), refs in found.items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-row.when, row.name))


def latest_trash(project: Project, name: str) -> Trash | None:
    """Return the session called ``name`` that was removed last."""
    return next((trash for trash in list_trash(project, name) if trash.code or trash.meta), None)


def _trash(
    name: str, tips: Tips, known: Sequence[Trash], branches: Mapping[str, str], when: float | None = None
) -> Trash:
    """Return a new entry for the trash, which has ``known`` already; ``branches`` are ids by full ref."""
    last = next((trash.when for trash in known if trash.name == name), None)
    # A clock that is far behind would make it old at once.
    now = int(max(time.time(), clock.passed()) if when is None else when)
    top = f"{BRANCHES}{name}/"
    parts = {ref.removeprefix(top): oid for ref, oid in branches.items()}
    return Trash(name, now if last is None else max(now, last + 1), tips.code, tips.meta, parts)


def trash_updates(
    name: str, tips: Tips, known: Sequence[Trash], when: float | None = None,
    branches: Mapping[str, str] = {},
) -> list[RefUpdate]:  # fmt: skip
    """Return the updates that move a session's refs into the trash, which has ``known`` already."""
    trash = _trash(name, tips, known, branches, when)
    return trash.moved_in() + trash.taken_away()


def keep_updates(
    project: Project, name: str, tips: Tips, branches: Mapping[str, str] = {}
) -> list[RefUpdate]:
    """Return the updates that copy a session's current refs into the trash; the session itself stays."""
    return _trash(name, tips, list_trash(project, name), branches).moved_in()


def replace_updates(project: Project, name: str, tips: Tips, code: str, meta: str) -> list[RefUpdate]:
    """Return the updates that set a session's refs to new commits and keep the current ones in the trash."""
    own = [RefUpdate(CODE + name, tips.code, code), RefUpdate(META + name, tips.meta, meta)]
    return own + keep_updates(project, name, tips)


def rename_updates(
    old: str, tips: Tips, new: str, meta: str | None, branches: Mapping[str, str] = {}
) -> list[RefUpdate]:
    """Return the updates that rename a session to ``new``, with ``meta`` as its record.

    ``branches`` are its other branches, ids by full ref.
    """
    before = {CODE + old: tips.code, META + old: tips.meta, **branches}
    after = {CODE + new: tips.code, META + new: meta, **renamed(old, new, branches)}
    away = [RefUpdate(ref, oid, None) for ref, oid in before.items()]
    return away + [RefUpdate(ref, None, oid) for ref, oid in after.items()]


def renamed(old: str, new: str, branches: Mapping[str, str]) -> dict[str, str]:
    """Return the refs of a session's other branches, with their ids, under the session's new name."""
    top = f"{BRANCHES}{old}/"
    return {f"{BRANCHES}{new}/{ref.removeprefix(top)}": oid for ref, oid in branches.items()}


def restore_updates(trash: Trash) -> list[RefUpdate]:
    """Return the updates that bring a removed session back."""
    return [RefUpdate(update.ref, None, update.old) for update in trash.taken_away()] + trash.updates()


def expire_trash(project: Project, known: Sequence[Trash]) -> list[Trash]:
    """Delete the entries of the trash that are older than :data:`KEEP_DAYS` days, and return them."""
    limit = clock.before(KEEP_DAYS)
    old = [trash for trash in known if trash.when < limit]
    if old:
        transact(project, [update for trash in old for update in trash.updates()], "realm: trash expired")
    return old
