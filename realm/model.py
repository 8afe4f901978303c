"""The nouns of realm as immutable values; nothing here reads files or runs programs."""

# No "annotations" import here: NamedTuple would compile each annotation at every start.
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

WORKSPACE_ROOT = "/workspace"
"""The parent of workspaces in every sandbox: a conversation's file name depends on it."""
LONGEST_TRANSCRIPT = 512 * 1024**2
"""The longest conversation taken out of a container, in bytes."""


class Project(NamedTuple):
    """A git repository, and the user's directory in it."""

    root: Path
    """The top of the work tree (a linked work tree's own)."""
    git_dir: Path
    """The work tree's git directory."""
    common_dir: Path
    """The repository's git directory."""
    name: str
    subdir: str = ""
    """The user's directory below ``root``, with ``/`` between parts, empty at the top."""
    object_format: str = "sha1"
    object_stores: tuple[Path, ...] = ()
    """Directories: the repository's own first, then every alternate, transitively."""
    shallow: tuple[str, ...] = ()
    """The boundary commits of a shallow clone."""
    aside: Path | None = None
    """A directory for new objects, which borrows from ``object_stores``; by default they go to the first."""

    @property
    def zero(self) -> str:
        """The id that means "no object" in this repository's format."""
        return "0" * (64 if self.object_format == "sha256" else 40)


class Identity(NamedTuple):
    """Who writes commits: the user's git identity."""

    name: str
    email: str


class State(StrEnum):
    """What a session is doing, as far as git and the run's lock tell."""

    RUNNING = "running"
    EXITED = "exited"
    INTERRUPTED = "salvage"
    """The run ended without its holder: its work is still in the sandbox."""


class Activity(StrEnum):
    """What an agent does, as its terminal and its hooks tell."""

    WORKING = "working"
    ASKS = "asks"
    """It waits for the answer to a question."""
    RANG = "rang"
    """It rang the bell of its terminal while it was working."""
    PAUSED = "paused"
    """Its container is paused: by realm, as the engine's disk is nearly full, or by the user."""
    READY = "ready"
    """It waits for a first prompt."""
    STUCK = "stuck"
    """An error, such as the model's API's, cut its turn short, and it waits for the user."""
    DONE = "done"
    """It has ended a turn, or ended by itself without an error."""
    FAILED = "failed"
    STOPPED = "stopped"
    """The user ended it."""
    INTERRUPTED = "interrupted"
    """Its run was interrupted."""


class Neighbour(NamedTuple):
    """Another directory beside the project in a session's sandboxes.

    ``path`` is absolute on the host, ``name`` is the directory's beside the workspace.  ``base`` is a
    repository's starting commit; empty for a plain directory.  The commits of a ``writable`` one are taken
    into it, on ``refs/realm/<ref>``.
    """

    path: str
    name: str
    base: str = ""
    writable: bool = False
    ref: str = ""


class Session(NamedTuple):
    """The data of a session that are not a run's (``session.json``)."""

    id: str
    name: str
    project: str
    workspace: str
    """The absolute path in the sandbox, the same in every run."""
    base: str
    created: float
    """Seconds since the epoch."""
    subdir: str = ""
    agent: tuple[str, ...] = ()
    """The program given with ``--agent``, empty for Claude Code."""
    image: str = ""
    conversation: str | None = None
    """The id of the agent's conversation; ``None`` if the agent has none."""
    pushed: Mapping[str, str] = {}
    """The commits that realm last pushed, by ``"<remote> <branch>"``."""
    include: tuple[str, ...] = ()
    """Ignored files and directories to copy into each run, relative to the project's top."""
    neighbours: tuple[Neighbour, ...] = ()
    """Directories that each run has beside the project."""

    def beside(self, name: str) -> str:
        """Return the path, in the sandbox, of the directory of that name beside the project."""
        return f"{self.workspace.rpartition('/')[0]}/{name}"


class Taken(NamedTuple):
    """How far a running run's work is in git.

    ``number`` is the last hand-over taken in, ``turn`` its turn, ``ended`` when that ended (0: none did);
    ``head`` and ``snapshot`` are the sandbox's own commits, which the host rewrote.
    """

    number: int
    turn: int
    head: str
    snapshot: str
    ended: float = 0.0


class Kept(NamedTuple):
    """A ref kept beside a session's work (:mod:`realm.store.branches`).

    ``commits`` is the number of those that no branch, no tag and not the session itself has.  ``path`` is the
    submodule, or the repository beside the project, that it was left in.
    """

    kind: str
    name: str
    oid: str
    commits: int
    path: str = ""


class Refusal(NamedTuple):
    """A host that a run was refused: at which port, why, and how many ``times``.

    ``why`` is ``name`` (it is not allowed), ``address`` (an address instead of a name), ``private`` (it is
    allowed, but leads to a private address) or ``login`` (a registry may only be read).
    """

    host: str
    port: int
    why: str
    times: int = 1


class Budget(NamedTuple):
    """What a run may cost: tokens, and dollars; 0 for no limit."""

    tokens: int = 0
    dollars: float = 0.0


class Run(NamedTuple):
    """One container lifetime of a session (``runs/NNNN/run.json``); times are seconds since the epoch."""

    number: int
    started: float
    before: str
    """The session's commit at the run's start."""
    ended: float | None = None
    """``None``, like ``exit_code``, while the run is in progress."""
    exit_code: int | None = None
    after: str | None = None
    """The session's commit at the run's end."""
    prompts: tuple[str, ...] = ()
    """The first lines of the prompts."""
    closing: str = ""
    """The first line of the agent's last message."""
    stopped: bool = False
    """Whether ``realm stop`` ended it."""
    notes: tuple[str, ...] = ()
    dropped: int = 0
    """Bytes of output that came too fast to be drawn on a screen."""
    incomplete: tuple[str, ...] = ()
    """Screens that may lack some of these bytes (``screen``, ``turns/0002.screen``)."""
    taken: Taken | None = None
    """Set while the run is in progress and ``after`` is not its last commit yet."""
    continues: int = 0
    """The run whose conversation this one continues; 0 for none.  A run keeps only what it added, by turn."""
    switches: tuple[tuple[int, int | None], ...] = ()
    """Turns at which the agent switched to another conversation, each with the earlier turn at whose end it
    had left that one (0: before the first; ``None``: a new one)."""
    said: int = 0
    """Bytes of the whole current conversation."""
    kept: tuple[Kept, ...] = ()
    """The refs kept beside the session's work at the run's end."""
    took: tuple[float, ...] = ()
    """Seconds that each prompt took, as the agent noted; 0 if unknown."""
    ends: tuple[float, ...] = ()
    """When each prompt's turn ended; 0 if unknown."""
    died: str = ""
    """In a word or two, why the sandbox did not end by itself, if so."""
    weakened: tuple[str, ...] = ()
    """The user's docker flags and settings that reduced the sandbox's protection."""
    network: str = ""
    """``open``, ``allow`` or ``none``; empty in records of earlier versions."""
    refused: tuple[Refusal, ...] = ()
    """The most frequent first."""
    risky: tuple[str, ...] = ()
    """Kinds of changed files that programs run or obey unasked (:mod:`realm.store.risky`)."""
    neighbours: tuple[tuple[str, str], ...] = ()
    """The repositories beside the project, by name, and their commits."""


class Totals(NamedTuple):
    """The size of a session's work: turns, and the difference base..tip."""

    turns: int = 0
    files: int = 0
    insertions: int = 0
    deletions: int = 0


class Summary(NamedTuple):
    """The summary of a session in its record's commit; times are seconds since the epoch.

    ``state``, ``started``, ``exit_code``, ``ended``, ``stopped``, ``died``, ``weakened`` and ``network`` are
    the last run's.
    """

    id: str = ""
    project: str = ""
    created: float = 0.0
    state: State = State.EXITED
    base: str = ""
    runs: int = 0
    """The number of the last run."""
    totals: Totals = Totals()
    started: float | None = None
    exit_code: int | None = None
    ended: float | None = None
    prompt: str = ""
    """The first line of the first prompt."""
    words: str = ""
    """The first line of the agent's last message."""
    stopped: bool = False
    pushed_tip: str = ""
    """The session's tip when it was pushed last."""
    pushed: str = ""
    """The remote and branch of that push."""
    died: str = ""
    """In words, why the run was cut off."""
    beside: str = ""
    """In words, what is kept beside the session's work."""
    request: str = ""
    """The address of the pull or merge request that realm made."""
    weakened: str = ""
    """What reduced the sandbox's protection."""
    risky: str = ""
    """Kinds of changed files that programs run or obey unasked."""
    network: str = ""


class SessionRow(NamedTuple):
    """One line of ``realm list``: a session's summary, and its current activity.

    ``tip`` is its last commit, ``since`` when ``activity`` began, ``merged_into`` and ``pushed_to`` are the
    branches that have all of its work, ``refused`` is the number of its last run's refused requests,
    ``paused`` is why its container is paused, or the command that ends that.
    """

    name: str
    project: Path
    tip: str
    state: State
    summary: Summary
    activity: Activity = Activity.DONE
    since: float | None = None
    question: str = ""
    merged_into: str = ""
    pushed_to: str = ""
    refused: int = 0
    paused: str = ""


class Checkpoint(NamedTuple):
    """A state of the workspace that a sandbox reported (untrusted, syntax checked).

    ``head`` is the commit of the workspace's HEAD, ``snapshot`` a commit on top of it with all files that are
    not ignored.  ``turn`` numbers the prompts of the run from 1; 0 is before any.
    """

    head: str
    snapshot: str
    turn: int
    time: float


class Left(NamedTuple):
    """A commit that an agent left beside its work (untrusted), and the full name of its ref.

    A stash is called ``stash``, a commit that no ref points to ``detached``.
    """

    oid: str
    name: str


class TurnText(NamedTuple):
    """The prompt and answer of one turn (untrusted text, not cleaned)."""

    prompt: str = ""
    answer: str = ""


class Question(NamedTuple):
    """A question with numbered options, of which ``several`` or only one may be picked."""

    text: str
    options: tuple[str, ...] = ()
    several: bool = False
