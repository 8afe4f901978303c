"""The contents of a record: ``session.json``, ``run.json`` and the summary; read as untrusted.

A record may have been fetched from anywhere.  Every field that realm acts on
has a grammar: an id is a UUID, an object id is hex of the repository's format,
a path is relative and stays inside, a number has bounds.  One invalid field
makes the whole record damaged.

The summary of a session is the message of its record's last commit.  Its
subject is ``Run <n> of <name>``; its last paragraph has a ``Realm-<Key>:
<value>`` on each line, so that one ``git for-each-ref`` lists every session.
Times are ISO-8601 in UTC.  A value that is not plain text in one line is
written as a JSON string.  Unknown keys are skipped.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from realm.errors import RealmError
from realm.model import WORKSPACE_ROOT, Kept, Neighbour, Refusal, Run, Session, State, Summary, Taken, Totals
from realm.store.refs import META, is_name
from realm.text import clean, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

VERSION = 1

T = TypeVar("T")

_TEXT_LIMIT = 128 * 1024
_LIST_LIMIT = 10_000
MOST_NEIGHBOURS = 50
"""Directories that a session may have beside the project."""
_PATH_LIMIT = 4096
_MOST = 10**15
_LAST_SECOND = 253_402_300_800

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_OID = {"sha1": re.compile(r"[0-9a-f]{40}"), "sha256": re.compile(r"[0-9a-f]{64}")}
_CONVERSATION = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")
_IMAGE = re.compile(r"([0-9A-Za-z][0-9A-Za-z._/:@-]{0,499})?")
_WORKSPACE = re.compile(re.escape(WORKSPACE_ROOT) + r"(/(?!\.\.?(/|$))[0-9A-Za-z._-]{1,100}){1,8}")
_NEIGHBOUR = r"(?!\.(\.|git)?$)[0-9A-Za-z._-]{1,100}"
_SCREEN = re.compile(r"screen|turns/[0-9]{4,5}\.screen")
_NETWORK = re.compile(r"(open|allow|none)?")
_HOST = r"[0-9A-Za-z._:?-]{1,255}"
_PORTS = 100_000
REASONS = ("name", "address", "private", "login")
"""The reasons for which a sandbox is refused a host."""
_REFUSED_LIMIT = 1000
_REMOTE = re.compile(r"[^\0-\x1f\x7f]{1,4096}")
_ADDRESS = re.compile(r"(https?://[\x21-\x7e]{1,2000})?")


def is_oid(text: str, object_format: str) -> bool:
    """Tell whether ``text`` is a full object id."""
    return _OID[object_format].fullmatch(text) is not None


def is_address(text: str) -> bool:
    """Tell whether ``text`` is a valid web address for a summary."""
    return bool(text) and _ADDRESS.fullmatch(text) is not None


def is_inside(path: str) -> bool:
    """Tell whether ``path`` is relative, normalized and without ``..``."""
    parts = path.split("/")
    return "\0" not in path and len(path) <= _PATH_LIMIT and not {"", ".", ".."} & set(parts)


def _is_includable(path: str) -> bool:
    return is_inside(path) and ".git" not in path.casefold().split("/")


def _is_absolute(path: str) -> bool:
    return path.startswith("/") and "\0" not in path and len(path) <= _PATH_LIMIT


def dump(found: Session | Run) -> bytes:
    """Return ``session.json`` or ``run.json``."""
    whole = fitting(found) if isinstance(found, Run) else found
    fields = {**whole._asdict(), "version": VERSION}
    return json.dumps(fields, indent=2, sort_keys=True, allow_nan=False).encode("ascii") + b"\n"


_NOTES_LIMIT, _PROMPTS_LIMIT, _KEPT_LIMIT = 1_000_000, 1_300_000, 700_000
"""Most bytes written of lists that a sandbox controls; together below the limit for reading a run."""
_ITEM = 64
"""Most bytes of a list's item without its texts."""
_MORE = r"and ([0-9]{1,9}) more notes?"


def fitting(run: Run) -> Run:
    """Return ``run`` with lists short enough for :func:`load_run`, whatever a sandbox put into them.

    Notes and kept items are cut off at the first that does not fit; prompts lose only their text, as turns
    are counted by them.
    """
    prompts = run.prompts[:_LIST_LIMIT]
    fit = _fitting([(prompt,) for prompt in prompts], _PROMPTS_LIMIT)
    kept = [(one.kind, one.name, one.oid, one.path) for one in run.kept]
    return run._replace(
        prompts=(*prompts[:fit], *("\N{HORIZONTAL ELLIPSIS}" for _ in prompts[fit:])),
        notes=_noted(run.notes),
        took=run.took[:_LIST_LIMIT],
        ends=run.ends[:_LIST_LIMIT],
        incomplete=run.incomplete[:_LIST_LIMIT],
        kept=run.kept[: _fitting(kept, _KEPT_LIMIT)],
        refused=run.refused[:_REFUSED_LIMIT],
    )


def _noted(notes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the notes that fit, and a last one with the number of the others, including earlier ones."""
    counted = [int(found[1]) if (found := re.fullmatch(_MORE, note)) else 0 for note in notes]
    own = [note for note, count in zip(notes, counted, strict=True) if not count]
    fit = _fitting([(note,) for note in own], _NOTES_LIMIT)
    more = sum(counted) + len(own) - fit
    return (*own[:fit], *([f"and {plural(more, 'more note')}"] if more else []))


def _fitting(items: Sequence[tuple[str, ...]], limit: int) -> int:
    """Return how many of the first items fit into ``limit`` bytes of JSON, and into a list."""
    size = 0
    for count, item in enumerate(items):
        size += _ITEM + sum(len(json.dumps(text)) for text in item)
        if size > limit or count == _LIST_LIMIT - 1:
            return count
    return len(items)


def load_session(data: bytes, name: str, object_format: str) -> Session:
    """Return the session in the ``session.json`` of the record of ``name``.

    Raises :class:`RealmError` when it is damaged or written by a newer realm.
    """
    fields = _Fields(data, name, "session.json")
    oid = _OID[object_format].fullmatch
    workspace = fields.text("workspace", _WORKSPACE.fullmatch)
    return Session(
        id=fields.text("id", _UUID.fullmatch),
        name=fields.text("name", name.__eq__),
        project=fields.text("project", _is_absolute),
        workspace=workspace,
        base=fields.text("base", oid),
        created=fields.time("created"),
        subdir=fields.text("subdir", lambda path: path == "" or is_inside(path), ""),
        agent=fields.texts("agent"),
        image=fields.text("image", _IMAGE.fullmatch, ""),
        conversation=fields.maybe("conversation", lambda key: fields.text(key, _CONVERSATION.fullmatch)),
        pushed=fields.mapping("pushed", _REMOTE.fullmatch, oid),
        include=fields.texts("include", _is_includable),
        neighbours=fields.rows("neighbours", lambda row: _neighbour(row, oid, workspace), _names_differ),
    )


def _neighbour(row: Any, is_oid: Callable[[str], object], workspace: str) -> Neighbour | None:
    match row:
        case [str(path), str(name), str(base), bool(writable), str(ref)] if (
            _is_absolute(path)
            and re.fullmatch(_NEIGHBOUR, name)
            and (is_oid(base) or not (base or writable))
            and name != workspace.rpartition("/")[2]
            and (not ref or (base and is_name(ref)))
        ):
            return Neighbour(path, name, base, writable, ref)
    return None


def _names_differ(rows: Sequence[Neighbour]) -> bool:
    return len({one.name for one in rows}) == len(rows)


def _began(row: Any, is_oid: Callable[[str], object]) -> tuple[str, str] | None:
    match row:
        case [str(name), str(oid)] if re.fullmatch(_NEIGHBOUR, name) and is_oid(oid):
            return name, oid
    return None


def load_run(data: bytes, name: str, number: int, object_format: str) -> Run:
    """Return the run in the ``run.json`` of run ``number``; raises as :func:`load_session` does."""
    fields = _Fields(data, name, f"runs/{number:04d}/run.json")
    oid = _OID[object_format].fullmatch
    return Run(
        number=fields.whole("number", number, number),
        started=fields.time("started"),
        before=fields.text("before", oid),
        ended=fields.maybe("ended", fields.time),
        exit_code=fields.maybe("exit_code", lambda key: fields.whole(key, -(2**31), 2**31 - 1)),
        after=fields.maybe("after", lambda key: fields.text(key, oid)),
        prompts=fields.texts("prompts"),
        closing=fields.text("closing", lambda _: True, ""),
        stopped=fields.flag("stopped"),
        notes=fields.texts("notes"),
        dropped=fields.maybe("dropped", lambda key: fields.whole(key, 0, _MOST)) or 0,
        incomplete=fields.texts("incomplete", _SCREEN.fullmatch),
        taken=fields.maybe("taken", lambda key: _taken(fields.items(key), oid)),
        continues=fields.maybe("continues", lambda key: fields.whole(key, 0, number - 1)) or 0,
        switches=_switches(fields),
        said=fields.maybe("said", lambda key: fields.whole(key, 0, _MOST)) or 0,
        died=fields.text("died", lambda _: True, ""),
        kept=tuple(fields.maybe("kept", lambda key: _kept(fields.items(key), oid)) or ()),
        took=fields.seconds("took"),
        ends=fields.seconds("ends"),
        weakened=fields.texts("weakened"),
        network=fields.text("network", _NETWORK.fullmatch, ""),
        refused=tuple(fields.maybe("refused", lambda key: _refused(fields.items(key))) or ()),
        risky=fields.texts("risky"),
        neighbours=fields.rows("neighbours", lambda row: _began(row, oid), lambda _: True),
    )


def _kept(found: list[Any], is_oid: Callable[[str], object]) -> list[Kept]:
    """Return the valid entries of ``kept``."""
    rows = []
    for item in found[:_LIST_LIMIT]:
        match item:
            case [str(kind), str(name), str(oid), int(commits), *more] if (
                len(kind) + len(name) < _PATH_LIMIT and is_oid(oid) and 0 <= commits <= _MOST
            ):
                path = more[0] if more and isinstance(more[0], str) and len(more[0]) < _PATH_LIMIT else ""
                rows.append(Kept(clean(kind), clean(name), oid, commits, clean(path)))
    return rows


def _refused(found: list[Any]) -> list[Refusal]:
    """Return the valid entries of ``refused``."""
    rows = []
    for item in found[:_REFUSED_LIMIT]:
        match item:
            case [str(host), int(port), str(why), int(count)] if (
                re.fullmatch(_HOST, host) and 0 <= port < _PORTS and why in REASONS and 0 <= count <= _MOST
            ):
                rows.append(Refusal(host, port, why, count))
    return rows


def _switches(fields: _Fields) -> tuple[tuple[int, int | None], ...]:
    """Return the valid entries of ``switches``."""
    rows: list[tuple[int, int | None]] = []
    for item in (fields.maybe("switches", fields.items) or [])[:_LIST_LIMIT]:
        match item:
            case [int(turn), None] if 0 < turn <= _MOST:
                rows.append((turn, None))
            case [int(turn), int(onto)] if 0 <= onto < turn <= _MOST:
                rows.append((turn, onto))
    return tuple(rows)


def _taken(found: list[Any], is_oid: Callable[[str], object]) -> Taken | None:
    """Parse ``taken``: two numbers, two ids, a time; ``None`` if it is invalid."""
    match found:
        case [int(number), int(turn), str(head), str(snapshot), *more] if (
            0 <= min(number, turn) <= max(number, turn) <= _MOST and is_oid(head) and is_oid(snapshot)
        ):
            ended = more[0] if more and isinstance(more[0], (int, float)) else 0.0
            return Taken(number, turn, head, snapshot, float(ended) if 0 <= ended < _LAST_SECOND else 0.0)
    return None


class _Fields:
    """The fields of a JSON object in a session's record, each checked when it is read."""

    def __init__(self, data: bytes, session: str, path: str) -> None:
        self._session = session
        self._path = path
        try:
            found = json.loads(data.decode("utf-8"))
        except (ValueError, RecursionError):
            raise self._error("is not valid JSON") from None
        if not isinstance(found, dict):
            raise self._error("is not a JSON object")
        version = found.get("version")
        if type(version) is not int or version < 1:
            raise self._error("has no version")
        if version > VERSION:
            raise RealmError(
                f"{self._shown} was written by a newer realm (version {version})", "upgrade realm"
            )
        self._found: dict[str, Any] = found

    @property
    def _shown(self) -> str:
        return f"{self._path} in the record of '{self._session}'"

    def _error(self, what: str) -> RealmError:
        return RealmError(
            f"{self._shown} is damaged: it {what}", f"git show {META}{self._session}:{self._path}"
        )

    def _get(self, key: str, default: object, kind: type | tuple[type, ...]) -> Any:
        value = self._found.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self._error(f"has no valid '{key}'")
        return value

    def items(self, key: str) -> list[Any]:
        """Return a list of anything."""
        return list(self._get(key, None, list))

    def text(self, key: str, is_good: Callable[[str], object], default: str | None = None) -> str:
        """Return a string for which ``is_good`` is true."""
        value = self._get(key, default, str)
        if len(value) > _TEXT_LIMIT or not is_good(value):
            raise self._error(f"has no valid '{key}'")
        return str(value)

    def time(self, key: str) -> float:
        """Return a finite number from 0 to the year 9999, in seconds."""
        value = self._get(key, None, (int, float))
        if not 0 <= value < _LAST_SECOND:  # also refuses NaN
            raise self._error(f"has no valid '{key}'")
        return float(value)

    def whole(self, key: str, least: int, most: int) -> int:
        """Return an integer within bounds."""
        value = self._get(key, None, int)
        if not least <= value <= most:
            raise self._error(f"has no valid '{key}'")
        return int(value)

    def flag(self, key: str) -> bool:
        """Return a boolean, false if the field is missing or null."""
        value = self._found.get(key)
        if value not in (None, True, False) or isinstance(value, int) != isinstance(value, bool):
            raise self._error(f"has no valid '{key}'")
        return value is True

    def maybe(self, key: str, read: Callable[[str], T]) -> T | None:
        """Return the field as parsed by ``read``, ``None`` if it is missing or null."""
        return None if self._found.get(key) is None else read(key)

    def texts(self, key: str, is_good: Callable[[str], object] | None = None) -> tuple[str, ...]:
        """Return a list of valid strings, empty if it is missing."""
        value = self._get(key, [], list)
        good = all(_is_text(item) and (is_good is None or is_good(item)) for item in value)
        if len(value) > _LIST_LIMIT or not good:
            raise self._error(f"has no valid '{key}'")
        return tuple(value)

    def rows(
        self, key: str, read: Callable[[Any], T | None], are_good: Callable[[Sequence[T]], bool]
    ) -> tuple[T, ...]:
        """Return a short list with each item parsed by ``read``, empty if it is missing."""
        found = [read(item) for item in self._get(key, [], list)[: MOST_NEIGHBOURS + 1]]
        good = [row for row in found if row is not None]
        if len(found) > MOST_NEIGHBOURS or len(good) != len(found) or not are_good(good):
            raise self._error(f"has no valid '{key}'")
        return tuple(good)

    def seconds(self, key: str) -> tuple[float, ...]:
        """Return a list of numbers of seconds, empty if it is missing."""
        value = self._get(key, [], list)
        good = all(type(item) in (int, float) and 0 <= item < _LAST_SECOND for item in value)
        if len(value) > _LIST_LIMIT or not good:
            raise self._error(f"has no valid '{key}'")
        return tuple(map(float, value))

    def mapping(
        self, key: str, is_key: Callable[[str], object], is_value: Callable[[str], object]
    ) -> dict[str, str]:
        """Return an object whose keys and values are valid strings, empty if it is missing."""
        found = self._get(key, {}, dict)
        good = all(_is_text(value) and is_key(name) and is_value(value) for name, value in found.items())
        if len(found) > _LIST_LIMIT or not good:
            raise self._error(f"has no valid '{key}'")
        return dict(found)


def _is_text(item: object) -> bool:
    return isinstance(item, str) and len(item) <= _TEXT_LIMIT and "\0" not in item


_SUMMARY_LIMIT = 100_000
_LINE = re.compile(r"^Realm-([A-Za-z]+): (.*)$", re.MULTILINE)
_NUMBER = re.compile("-?[0-9]{1,15}")
_WHEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{1,6})?Z")


def iso(when: float) -> str:
    """Return a time as ISO-8601 in UTC, to the microsecond."""
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def write_summary(name: str, summary: Summary) -> str:
    """Return the message of a record's commit."""
    totals = summary.totals
    lines = {
        "Version": str(VERSION),
        "Id": summary.id,
        "Project": _quoted(summary.project),
        "Created": iso(summary.created),
        "State": summary.state.value,
        "Base": summary.base,
        "Run": str(summary.runs),
        "Turns": str(totals.turns),
        "Files": str(totals.files),
        "Insertions": str(totals.insertions),
        "Deletions": str(totals.deletions),
        "Started": "" if summary.started is None else iso(summary.started),
        "Exit": "" if summary.exit_code is None else str(summary.exit_code),
        "Ended": "" if summary.ended is None else iso(summary.ended),
        "Prompt": _quoted(summary.prompt) if summary.prompt else "",
        "Words": _quoted(summary.words) if summary.words else "",
        "Died": _quoted(summary.died) if summary.died else "",
        "Beside": _quoted(summary.beside) if summary.beside else "",
        "Weakened": _quoted(summary.weakened) if summary.weakened else "",
        "Risky": _quoted(summary.risky) if summary.risky else "",
        "Network": summary.network,
    }
    if summary.stopped:
        lines["Stopped"] = "yes"
    if summary.pushed_tip:
        lines["Pushed"] = f"{summary.pushed_tip} {_quoted(summary.pushed)}"
    if summary.request:
        lines["Request"] = summary.request
    body = "".join(f"Realm-{key}: {value}\n" for key, value in lines.items() if value)
    return f"Run {summary.runs} of {name}\n\n{body}"


def _quoted(value: str) -> str:
    plain = value and clean(value) == value and value.strip() == value and not value.startswith('"')
    return value if plain else json.dumps(value)


def read_summary(message: str, object_format: str) -> Summary:
    """Return the summary in a record's commit message; :class:`RealmError` when it is not one of realm's."""
    found: dict[str, str] = {}
    for key, value in _LINE.findall(message[:_SUMMARY_LIMIT]):
        found.setdefault(key, value)
    if "Version" not in found:
        raise RealmError("the record is not one of realm's")
    pushed_tip, _, pushed = found.get("Pushed", "").partition(" ")
    try:
        if _number(found["Version"]) > VERSION:
            raise RealmError("the record was written by a newer realm", "upgrade realm")
        return Summary(
            id=_checked(found["Id"], _UUID.fullmatch),
            project=_checked(_unquoted(found["Project"]), _is_absolute),
            created=_time(found["Created"]),
            state=State(found["State"]),
            base=_checked(found["Base"], _OID[object_format].fullmatch),
            runs=_number(found["Run"]),
            totals=Totals(
                *(_number(found.get(key, "0")) for key in ("Turns", "Files", "Insertions", "Deletions"))
            ),
            started=_time(found["Started"]) if "Started" in found else None,
            exit_code=_number(found["Exit"], signed=True) if "Exit" in found else None,
            ended=_time(found["Ended"]) if "Ended" in found else None,
            prompt=_unquoted(found.get("Prompt", "")),
            words=_unquoted(found.get("Words", "")),
            stopped="Stopped" in found,
            pushed_tip=_checked(pushed_tip, lambda oid: not oid or _OID[object_format].fullmatch(oid)),
            pushed=_unquoted(pushed),
            died=_unquoted(found.get("Died", "")),
            beside=_unquoted(found.get("Beside", "")),
            weakened=_unquoted(found.get("Weakened", "")),
            risky=_unquoted(found.get("Risky", "")),
            network=_checked(found.get("Network", ""), _NETWORK.fullmatch),
            request=_checked(found.get("Request", ""), _ADDRESS.fullmatch),
        )
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError) as problem:
        raise RealmError(f"the record's summary is damaged ({clean(str(problem), limit=60)})") from problem


def _checked(value: str, is_good: Callable[[str], object]) -> str:
    if not is_good(value):
        raise ValueError(value)
    return value


def _unquoted(value: str) -> str:
    found = json.loads(value) if value.startswith('"') else value
    if not isinstance(found, str):
        raise TypeError(value)
    return found


def _time(text: str) -> float:
    _checked(text, _WHEN.fullmatch)
    return datetime.fromisoformat(text).timestamp()  # it ends in Z


def _number(text: str, *, signed: bool = False) -> int:
    if not _NUMBER.fullmatch(text) or (text[0] == "-" and not signed):
        raise ValueError(text)
    return int(text)
