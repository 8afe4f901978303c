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
    """``realm new``."""

    name: str
    directory: Path
    """The project, or any directory inside it."""
    agent_args: tuple[str, ...] = ()
    remote: bool = False
    """Whether to start on the remote's branch of the same name, fetched."""
    base: str | None = None
    """The commit to start on, in place of ``HEAD``."""
    wip: bool = False
    """Whether to include uncommitted changes."""
    include: tuple[str, ...] = ()
    """Ignored files to copy in."""
    neighbours: tuple[str, ...] = ()
    """Other directories as ``--with`` names them (:mod:`realm.session.neighbours`)."""
    image: str | None = None
    """``None``: the setting decides, as for ``agent``."""
    agent: str | None = None
    no_input: bool = False
    """Whether nothing is asked, and the agent has no input."""
    detach: bool = False
    """Whether it runs in the background from the start."""
    no_record: bool = False
    """Whether its screen is not recorded."""


class ResumeRequest(NamedTuple):
    """``realm resume``; see :class:`NewRequest` for what both have."""

    name: str
    directory: Path | None = None
    """``None``: the session is looked for here, then elsewhere."""
    agent_args: tuple[str, ...] = ()
    rebase: bool = False
    """Whether its commits are first replayed on the project's ``HEAD``."""
    take: str | None = None
    """The revision up to which the user's own commits are first put on top."""
    approve: bool = False
    """Whether what its record asks for is approved."""
    neighbours: tuple[str, ...] = ()
    image: str | None = None
    no_input: bool = False
    detach: bool = False
    no_record: bool = False
    turn: int | None = None
    """The turn to whose end it is first put back."""


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
    """``realm push``."""

    name: str
    directory: Path | None = None
    branch: str | None = None
    """``None``: the session's name."""
    remote: str | None = None
    """``None``: the one of ``realm.remote``."""
    squash: bool = False
    """Whether to push a single commit."""
    message: str = ""
    """That commit's message; empty: the prompts."""
    turn: int | None = None
    """The turn (:mod:`realm.store.turns`) up to whose end it is pushed; ``None``: all."""
    force: bool = False
    """Whether the branch is overwritten, whatever it has."""
    yes: bool = False
    """Whether nothing is asked."""


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
    """What ``realm remove`` would take away, and the ids that bring it back."""

    name: str
    project: Project
    code: str
    """The session's last commit."""
    meta: str | None = None
    """Its record's last commit."""
    session: Session | None = None
    """``None`` if the record is damaged, or has the id of another session."""
    unpushed: int = 0
    """The number of commits that only this session has."""
    inside: int = 0
    """How many of them are in submodules, and in repositories beside the project."""
    given_up: bool = False
    """Whether work in its container that could not be saved goes with it."""
    lost: tuple[str, ...] = ()
    """What ``realm restore`` could not bring back beside the project."""


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
