"""What realm asks of an agent, with answers for a program that nothing is known about.

To add an agent, write one file with a subclass of :class:`Agent`, which overrides what it knows better, and
one line in the registry (:mod:`realm.agents`).  Paths "in the state directory" are relative to the directory
that a sandbox keeps beside its workspace, with ``/`` between parts.
"""

# No "from __future__ import annotations": NamedTuple would compile each annotation's text at every start.
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import ClassVar, NamedTuple

from realm.model import Activity, Question, TurnText

BEFORE = "login-before.json"
"""Below realm's directory: the host's login before one that a sandbox renewed replaced it."""


class Login(NamedTuple):
    """How the agent logs in: by ``variables``, by a copy of the host's ``credentials`` file, or both.

    ``source`` says in words where the login was found; it is empty when there is none.  With
    ``is_placeholder`` the variables hold no secret but stand-ins of the same form.  ``is_lent`` means that a
    program of the user's printed the key and may print others later.  ``ends`` is when a login expires that
    nobody renews, in seconds since the epoch.
    """

    variables: Mapping[str, str] = {}
    credentials: bytes | None = None
    source: str = ""
    is_placeholder: bool = False
    is_lent: bool = False
    ends: float | None = None

    @property
    def is_renewed(self) -> bool:
        """Whether the host may get a new one while the run goes on."""
        return self.is_lent or self.credentials is not None


class Api(NamedTuple):
    """A model's API and the secret ``headers`` that requests to ``url`` need.

    ``paths`` is a regular expression for the paths that may be requested, beginning with the URL's own path.
    """

    url: str
    headers: Mapping[str, str]
    paths: str


class HomeFile(NamedTuple):
    """A file in the agent's home: its path in the state directory, its content, its permission bits."""

    path: str
    content: bytes
    mode: int = 0o600


class Match(Enum):
    """What happened to the host's login: unchanged, renewed, or a sandbox's offer of another one refused."""

    SAME = 1
    RENEWED = 2
    REFUSED = 3


class Renewal(NamedTuple):
    """The result of comparing a sandbox's login with the host's; ``inside`` is to replace the former."""

    match: Match = Match.SAME
    inside: bytes | None = None


class Said(NamedTuple):
    """One entry of a conversation, untrusted and not cleaned.

    ``who`` is ``user``, ``agent`` or ``tool``; a tool's ``text`` is its name and arguments on one line.
    ``time`` is ISO 8601, empty when unknown.
    """

    who: str
    text: str
    time: str = ""


class Press(NamedTuple):
    """The next key to press to answer questions, and the state of the screen before it.

    ``key`` is empty where the screen shows other answers: only the user may submit those.
    """

    key: bytes
    state: str


class News(NamedTuple):
    """What an agent's hook reported, untrusted and not cleaned.

    ``activity`` is what the agent does now.  When it asks, ``question`` is the text and ``parts`` are all its
    questions, if they can be answered by numbers.  ``prompt`` is the prompt it just got, ``words`` the answer
    it just gave, ``conversation`` the id of its conversation.
    """

    activity: Activity
    question: str = ""
    parts: tuple[Question, ...] = ()
    prompt: str = ""
    words: str = ""
    conversation: str = ""


class Exchange(NamedTuple):
    """A prompt and what followed it, untrusted and not cleaned.

    ``answer`` is the agent's last message; ``line`` is the prompt's line in the conversation's file, from 0;
    ``began`` and ``ended`` are ISO 8601, empty when unknown.  ``cost`` is in dollars; costs and numbers of
    tokens are 0 when unknown.
    """

    prompt: str
    answer: str = ""
    line: int = 0
    began: str = ""
    ended: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0


class Field(Enum):
    """What is in the prompt field on an agent's screen."""

    EMPTY = 1
    DRAFT = 2
    BUSY = 3
    """The field is shown, and the agent is working."""
    NONE = 4
    """The screen shows no such field."""


Rows = Sequence[Sequence[tuple[str, str]]]
"""The rows of a screen (untrusted), each a list of texts with the parameters of their SGR sequence."""


class Agent:
    """A program that realm runs in a sandbox; this class is for one that nothing is known about.

    ``words`` are the program and its first arguments, as given with ``--agent`` and kept in ``session.json``;
    empty for the default agent.  ``environ`` is the user's environment (default: the process's own).
    """

    name: ClassVar[str]
    """Its name for users."""

    image_part: ClassVar[str | None] = None
    """The part of the image that it needs: the label ``realm.<part>-version`` must be there."""

    options: ClassVar[frozenset[str] | None] = None
    """Its own long options, with their dashes; ``None`` when they are not known."""

    closing: ClassVar[re.Pattern[bytes] | None] = None
    """The text it prints on exit that must not stay on the user's screen, without control sequences."""

    suspends_to_background: ClassVar[bool] = False
    """Whether Ctrl-Z hands the run to a background holder; otherwise the key goes to the agent."""

    image_key: ClassVar[int | None] = None
    """The control key that makes it read an image from the clipboard.

    A pasted path of an image has the same effect.
    """

    tells_turns: ClassVar[bool] = False
    """Whether its hooks report where a turn begins and ends."""

    credentials: ClassVar[str | None] = None
    """The file of its login in the state directory, if it has one that can be renewed."""

    credentials_limit: ClassVar[int] = 0
    """The file's largest size in bytes."""

    renewal: ClassVar[Sequence[str]] = ()
    """The command that renews its login on this machine when it is about to expire."""
    lasting_login: ClassVar[str] = ""
    """The command with which the user gets a login that lasts; empty if there is none."""

    conversations: ClassVar[str | None] = None
    """A shell pattern for the files of its conversations in the state directory.

    The newest is the run's, and its name should be one that :meth:`conversation_id` knows.
    """

    worktrees: ClassVar[str] = ""
    """Where in the project it makes linked work trees of its own, which are not part of the project."""
    resumes: ClassVar[str] = ""
    """A text in the hook's JSON at a turn's beginning by which the previous turn goes on without the user."""

    def __init__(self, words: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> None:
        self.words = tuple(words)
        self.environ = os.environ if environ is None else environ
        """The user's environment and the settings that are for agents, by the names of their variables."""

    def argv(self, arguments: Sequence[str], *, conversation: str | None, resume: bool) -> list[str]:
        """Return the command line; the user's ``arguments`` are passed on unchanged.

        ``resume`` says whether ``conversation`` exists in the sandbox and is to be continued.
        """
        del conversation, resume
        return [*self.words, *arguments]

    def instructions(self, text: str) -> tuple[str, ...]:
        """Return the arguments that add ``text`` to its instructions from the beginning of a conversation."""
        del text
        return ()

    def worktree(self, arguments: Sequence[str], transcript: bytes | None) -> tuple[str, str] | None:
        """Return path and branch of the linked work tree that the agent starts in, if any.

        The user's arguments name it, or the conversation that it continues (untrusted) was last there.
        """
        del arguments, transcript
        return None

    def environment(self, state: str) -> dict[str, str]:
        """Return the variables that it needs, without secrets; ``state`` is the state directory's path."""
        del state
        return {}

    def settings(self) -> dict[str, str]:
        """Return the variables that the user's own settings for the agent set."""
        return {}

    def host_environment(self) -> dict[str, str]:
        """Return the variables for a start on this machine with the same login and settings."""
        return {}

    def directories(self, arguments: Sequence[str]) -> list[str]:
        """Return the directories besides its own that the arguments let it work in, as they are named."""
        del arguments
        return []

    def wants_screen(self, arguments: Sequence[str], *, listens: bool = True) -> bool:
        """Tell whether it needs a terminal even while no user is attached.

        ``listens`` is whether it has an input; an unknown program without one is run without a terminal.
        """
        del arguments
        return listens

    def prompt(self, arguments: Sequence[str]) -> str:
        """Return the prompt among the user's arguments; empty when there is none or that is unclear."""
        del arguments
        return ""

    def find_login(self, given: Mapping[str, str] | None = None) -> Login:
        """Return the login to use.

        ``given`` are the variables that the sandbox gets by settings and docker flags. Raises
        :class:`RealmError`, with the ways to log in, when it needs one and there is none.
        """
        del given
        return Login()

    def warnings(self, login: Login) -> list[str]:
        """Return warnings to show before a run."""
        del login
        return []

    def renew(self, inside: bytes) -> Renewal:
        """Compare a sandbox's login with the host's, and store it there if it is a renewal.

        Raises ``OSError`` when the host's cannot be written.
        """
        del inside
        return Renewal()

    def api(self, login: Login, given: Mapping[str, str]) -> Api | None:
        """Return how a proxy reaches the model's API with a login.

        ``None`` where none could stand in for the agent.  ``given`` as for :meth:`find_login`.
        """
        del login, given
        return None

    def login_ends(self) -> float | None:
        """Return when the login on this machine expires unless it is renewed, in seconds since the epoch."""
        return None

    def unrenewed(self, login: Login) -> Login:
        """Return the login without its refresh token, which works once only.

        Both sides can use it until it expires.
        """
        return login

    def keyless(self, login: Login, api: Api, url: str, placeholder: str, given: Mapping[str, str]) -> Login:
        """Return the login for a sandbox that has no key and reaches the API at ``url``.

        ``placeholder`` stands for each key; keys among ``given`` (as for :meth:`find_login`) are removed too.
        """
        del api, url, placeholder, given
        return login

    def reaches(self, login: Login, given: Mapping[str, str]) -> list[str]:
        """Return the URLs that it cannot work without; ``given`` as for :meth:`find_login`."""
        del login, given
        return []

    def files(
        self, login: Login, directory: str, *, sealed: bool = False, more: Sequence[str] = ()
    ) -> Iterable[HomeFile]:
        """Return the files that its home needs for it to start in ``directory`` without questions.

        ``more`` are further directories to work in.  With ``sealed`` the sandbox's only way out is realm's
        proxy, so no other proxy is configured.
        """
        del login, directory, sealed, more
        return ()

    def new_conversation(self) -> str | None:
        """Return the id for a new conversation; ``None`` when realm cannot choose one."""
        return None

    def conversation_file(self, directory: str, conversation: str) -> str | None:
        """Return the path, in the state directory, of a conversation held in ``directory``."""
        del directory, conversation
        return None

    def helpers(self, conversation: str) -> str:
        """Return the directory of its subagents' conversations, given the path of its own; empty for none."""
        del conversation
        return ""

    def conversation_id(self, path: str) -> str | None:
        """Return the id of the conversation in the file ``path`` (untrusted).

        ``path`` is a whole path or a name without its ending. ``None`` when it is not the name of a
        conversation's file.
        """
        del path
        return None

    def with_id(self, data: bytes, conversation: str) -> bytes:
        """Return a conversation's file ``data`` with its id changed to ``conversation``."""
        del conversation
        return data

    def turn_texts(self, prompts: Mapping[int, bytes], answers: Mapping[int, bytes]) -> dict[int, TurnText]:
        """Return prompts and answers by turn, from what its hooks reported (untrusted)."""
        del prompts, answers
        return {}

    def news(self, message: bytes) -> News | None:
        """Return what its hook reported in ``message`` (untrusted); ``None`` for nothing of interest."""
        del message
        return None

    def paste(self, text: str) -> bytes | None:
        """Return the keys that enter ``text`` as a prompt; ``None`` where keys cannot do that."""
        del text
        return None

    def press(
        self, rows: Rows, questions: Sequence[Question], picks: Sequence[Collection[int]]
    ) -> Press | None:
        """Return the next key that answers ``questions`` with the options ``picks``, numbered from 1.

        ``None`` where the screen does not show the questions, or not in a form that keys can answer.
        """
        del rows, questions, picks
        return None

    def field(self, rows: Rows) -> Field:
        """Return the state of its prompt field."""
        del rows
        return Field.NONE

    def read(self, lines: Iterable[bytes]) -> Iterator[Said]:
        """Yield the entries in the ``lines`` of a conversation's file (untrusted)."""
        del lines
        return iter(())

    def spent(self, lines: Iterable[bytes]) -> Iterator[tuple[str, int, float]]:
        """Yield what messages in the ``lines`` of a conversation's file cost (untrusted).

        Each is a message's id, its tokens read and written, and dollars; the same id may come again with
        higher numbers.
        """
        del lines
        return iter(())

    def exchanges(self, lines: Iterable[bytes]) -> Iterator[Exchange]:
        """Yield the prompts in the ``lines`` of a conversation's file, with what followed (untrusted)."""
        del lines
        return iter(())
