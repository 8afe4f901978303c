"""The use-cases' requests and results, and the UI that they speak through; cheap to import."""

# No "annotations" import here: NamedTuple would compile each annotation at every start.
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from realm.model import Project, Session, SessionRow

FURTHER = "_REALM_FURTHER"
"""Set for a new session that is created with others, so that only the first one reports what concerns all."""


class At(NamedTuple):
    """A session, and one of its turns where ``name@turn`` was typed (:mod:`realm.store.turns`)."""

    name: str
    turn: int | None = None

    def __str__(self) -> str:
        return self.name if self.turn is None else f"{self.name}@{self.turn}"


class NewRequest(NamedTuple):
    """``realm new``: ``directory`` is the project or any directory inside it.

    ``neighbours`` are other directories as ``--with`` names them (:mod:`realm.session.neighbours`).
    """

    name: str
    directory: Path
    agent_args: tuple[str, ...] = ()
    remote: bool = False
    base: str | None = None
    wip: bool = False
    include: tuple[str, ...] = ()
    neighbours: tuple[str, ...] = ()
    image: str | None = None
    agent: str | None = None
    no_input: bool = False
    detach: bool = False
    no_record: bool = False


class ResumeRequest(NamedTuple):
    """``realm resume``: without ``directory`` the session is looked for here, then elsewhere.

    With a ``turn`` it is first put back to where that ended.
    """

    name: str
    directory: Path | None = None
    agent_args: tuple[str, ...] = ()
    rebase: bool = False
    take: str | None = None
    approve: bool = False
    neighbours: tuple[str, ...] = ()
    image: str | None = None
    no_input: bool = False
    detach: bool = False
    no_record: bool = False
    turn: int | None = None


class TryRequest(NamedTuple):
    """``realm try``: without a ``command`` it is a shell; ``host`` is in a work tree of this machine."""

    at: At
    directory: Path | None = None
    command: tuple[str, ...] = ()
    host: bool = False
    include: tuple[str, ...] = ()
    image: str | None = None
    no_input: bool = False


class PushRequest(NamedTuple):
    """``realm push``: ``branch`` and ``remote`` default to the session's name and ``realm.remote``.

    ``message`` is that of a squashed commit; the prompts where it is empty.  With a ``turn``
    (:mod:`realm.store.turns`) it is pushed as it was when that ended.  With ``yes`` nothing is asked.
    """

    name: str
    directory: Path | None = None
    branch: str | None = None
    remote: str | None = None
    squash: bool = False
    message: str = ""
    turn: int | None = None
    force: bool = False
    yes: bool = False


class PushResult(NamedTuple):
    """What a push did; ``lines`` are the server's own words, cleaned."""

    remote: str
    branch: str
    oid: str
    commits: int
    up_to_date: bool = False
    lines: tuple[str, ...] = ()


class Listing(NamedTuple):
    """Sessions, newest first, and what could not be listed; ``gone`` projects among that."""

    rows: tuple[SessionRow, ...] = ()
    warnings: tuple[str, ...] = ()
    gone: int = 0


class Removal(NamedTuple):
    """What ``realm remove`` would take away, and the ids that bring it back.

    ``session`` is ``None`` where the record is damaged, or has the id of another session;
    ``unpushed`` counts the commits that only this session has, ``inside`` those of them in submodules and in
    repositories beside the project.  ``given_up`` says that work in its container goes with it that could
    not be saved.  ``lost`` says what a restoring could not bring back beside the project.
    """

    name: str
    project: Project
    code: str
    meta: str | None = None
    session: Session | None = None
    unpushed: int = 0
    inside: int = 0
    given_up: bool = False
    lost: tuple[str, ...] = ()


class Check(NamedTuple):
    """One line of ``realm doctor``."""

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    hint: str = ""


class UI(Protocol):
    """How realm talks to the user: on standard error, with text that the caller has cleaned."""

    interactive: bool
    """Whether somebody can answer a question."""

    def warn(self, text: str) -> None:
        """Show a warning; the work continues."""

    def info(self, text: str) -> None:
        """Say what was done."""

    def progress(self, text: str) -> AbstractContextManager[None]:
        """Show that something is going on until the context ends."""

    def confirm(self, question: str) -> bool:
        """Ask a yes/no question; ``False`` when nobody can answer."""
