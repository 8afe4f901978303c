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
    """A git repository as a user stands in it.

    ``root`` is the top of the work tree (a linked work tree's own), ``git_dir``
    that work tree's git directory, ``common_dir`` the repository's.  ``subdir``
    is where the user stands below ``root``, with ``/`` between parts and empty
    at the top.  ``object_stores`` are directories: the repository's own first,
    then every alternate, transitively.  ``shallow`` lists the boundary commits
    of a shallow clone.  New objects go to the directory ``aside``, where there is one, which
    borrows these.
    """

    root: Path
    git_dir: Path
    common_dir: Path
    name: str
    subdir: str = ""
    object_format: str = "sha1"
    object_stores: tuple[Path, ...] = ()
    shallow: tuple[str, ...] = ()
    aside: Path | None = None

    @property
    def zero(self) -> str:
        """The id that stands for "no object" in this repository's format."""
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
    """It is paused, because the engine's disk is nearly full."""
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
    """What is fixed about a session when it is made (``session.json``).

    ``workspace`` is the absolute path in the sandbox, the same in every run.
    ``created`` is seconds since the epoch.  ``conversation`` is the id that the
    agent's conversation has; ``None`` where the agent keeps none.  ``agent`` is
    the program given with ``--agent`` (empty: Claude Code).  ``pushed`` maps
    ``"<remote> <branch>"`` to the commit that realm last put there.  ``include``
    are the ignored files and directories that each run gets copies of, as paths
    from the project's top, ``neighbours`` what each run has beside the project.
    """

    id: str
    name: str
    project: str
    workspace: str
    base: str
    created: float
    subdir: str = ""
    agent: tuple[str, ...] = ()
    image: str = ""
    conversation: str | None = None
    pushed: Mapping[str, str] = {}
    include: tuple[str, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()

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
    """What is kept beside a session's work (:mod:`realm.store.branches`).

    ``commits`` are those that nothing else has: no branch, no tag, not the session itself.  ``path`` is
    that of the submodule, or of the repository beside the project, which it was left in.
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

    @property
    def may_be_allowed(self) -> bool:
        """Whether ``realm allow`` lets it through; a host that cannot be told is ``?``."""
        return self.why not in ("private", "login") and self.host != "?"


class Budget(NamedTuple):
    """What a run may cost: tokens, and dollars; 0 for no limit."""

    tokens: int = 0
    dollars: float = 0.0


class Run(NamedTuple):
    """One container lifetime of a session (``runs/NNNN/run.json``).

    Times are seconds since the epoch; ``ended`` and ``exit_code`` are ``None``
    while the run goes on.  ``before`` and ``after`` are the session's commits
    at both ends.  ``prompts`` are the first lines of what the agent was asked,
    ``closing`` is the first line of what it said last, ``stopped`` whether ``realm stop`` ended it.
    ``dropped`` is how many bytes of output no screen was made of, because they
    came faster than they could be looked at; ``incomplete`` names the screens
    that may lack some of them (``screen``, ``turns/0002.screen``).  ``taken`` is set
    while the run goes on and ``after`` is not its last commit yet.

    What was said is kept by turn, as far as it is new.  ``continues`` is the run whose
    conversation this one goes on with (0: none).  ``switches`` are the turns with which the agent
    went over to another, and the earlier turn at whose end that one was left (0: before the first;
    ``None``: it is new); ``said`` is the bytes of all of the one that it is in.
    ``kept`` is what was kept beside the session's work when the run had ended, ``took`` how many
    seconds each prompt took, by what the agent noted, ``ends`` when the turn of each ended, 0 where
    either is not known.  ``died`` says in a word or two why the sandbox did not end by itself,
    where that is so.  ``weakened`` are the user's docker flags and settings that took protection
    from it.  ``network`` is what it could reach: ``open``, ``allow`` or ``none``, empty where an
    earlier version did not say; ``refused`` what it was refused, the most frequent first.  ``risky``
    are the kinds of files that the session changed by its end and that programs run or obey unasked
    (:mod:`realm.store.risky`).
    ``neighbours`` are the repositories that it had beside the project, by name, and their commits then.
    """

    number: int
    started: float
    before: str
    ended: float | None = None
    exit_code: int | None = None
    after: str | None = None
    prompts: tuple[str, ...] = ()
    closing: str = ""
    stopped: bool = False
    notes: tuple[str, ...] = ()
    dropped: int = 0
    incomplete: tuple[str, ...] = ()
    taken: Taken | None = None
    continues: int = 0
    switches: tuple[tuple[int, int | None], ...] = ()
    said: int = 0
    kept: tuple[Kept, ...] = ()
    took: tuple[float, ...] = ()
    ends: tuple[float, ...] = ()
    died: str = ""
    weakened: tuple[str, ...] = ()
    network: str = ""
    refused: tuple[Refusal, ...] = ()
    risky: tuple[str, ...] = ()
    neighbours: tuple[tuple[str, str], ...] = ()


class Totals(NamedTuple):
    """The size of a session's work: turns, and the difference base..tip."""

    turns: int = 0
    files: int = 0
    insertions: int = 0
    deletions: int = 0


class Summary(NamedTuple):
    """What a session's record tells without being opened; times are seconds since the epoch.

    ``runs`` is the number of the last run, ``state``, ``started``, ``exit_code``, ``ended`` and
    ``stopped`` are that run's.  ``prompt`` is the first line of the first thing that the agent was
    asked, ``words`` that of what it said last.  ``pushed`` is where the commit ``pushed_tip``, the
    session's last one then, was pushed, a remote and a branch; ``request`` is the address of the pull
    or merge request that realm made of it.  ``died`` is why the last run was cut off, ``beside`` what
    is kept beside the session's work, both in words, ``weakened`` what took protection from the last
    run's sandbox, ``risky`` what of the changes programs run or obey unasked,
    ``network`` what its sandbox could reach.
    """

    id: str = ""
    project: str = ""
    created: float = 0.0
    state: State = State.EXITED
    base: str = ""
    runs: int = 0
    totals: Totals = Totals()
    started: float | None = None
    exit_code: int | None = None
    ended: float | None = None
    prompt: str = ""
    words: str = ""
    stopped: bool = False
    pushed_tip: str = ""
    pushed: str = ""
    died: str = ""
    beside: str = ""
    request: str = ""
    weakened: str = ""
    risky: str = ""
    network: str = ""


class SessionRow(NamedTuple):
    """One line of ``realm list``: what the record of a session tells, and what it is doing now.

    ``tip`` is its last commit, ``since`` when ``activity`` began, ``merged_into`` and
    ``pushed_to`` are the branches that have all of its work, ``refused`` how many requests of its last
    run were refused.
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


class Checkpoint(NamedTuple):
    """A state of the workspace that a sandbox reported (untrusted, syntax checked).

    ``head`` is the commit that the workspace's HEAD was at, ``snapshot`` a
    commit whose tree is everything that was not ignored; its parent is
    ``head``.  ``turn`` numbers the prompts of the run from 1; 0 is before any.
    """

    head: str
    snapshot: str
    turn: int
    time: float


class Left(NamedTuple):
    """What an agent left beside its work (untrusted): a commit, and the full name of its ref.

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
