"""What realm asks of an agent, with the answers for a program that nothing is known about.

A further agent is one file with a subclass of :class:`Agent`, which answers what
it knows better, and one line in the registry (:mod:`realm.agents`).  Paths "in
the state directory" are those below the directory that a sandbox keeps beside
its workspace, with ``/`` between parts.
"""

# Annotations are no texts here: each would be compiled when its NamedTuple is made, at every start.
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import ClassVar, NamedTuple

from realm.model import Activity, Question, TurnText

BEFORE = "login-before.json"
"""The host's login as it was before a sandbox renewed it, below realm's directory."""


class Login(NamedTuple):
    """How the agent will prove who it is: ``variables`` and, or, a copy of the host's ``credentials``.

    ``source`` says in words where it was found; empty when there is none.  With
    ``is_placeholder`` the variables are no secret: they only look like the login.
    ``is_lent`` is of variables that a program of the user's gives, others later.  ``ends`` is when one
    ends that nobody renews, in seconds since the epoch.
    """

    variables: Mapping[str, str] = {}
    credentials: bytes | None = None
    source: str = ""
    is_placeholder: bool = False
    is_lent: bool = False
    ends: float | None = None

    @property
    def is_renewed(self) -> bool:
        """Whether the host has another one later, while a run goes on."""
        return self.is_lent or self.credentials is not None


class Api(NamedTuple):
    """A model's API as it is reached with a login: the secret ``headers`` go with what is asked at ``url``.

    ``paths`` is a regular expression of what may be asked, from the URL's own path on.
    """

    url: str
    headers: Mapping[str, str]
    paths: str


class HomeFile(NamedTuple):
    """A file that the agent needs: its path in the state directory, its content, its permission bits."""

    path: str
    content: bytes
    mode: int = 0o600


class Match(Enum):
    """What became of the host's login: as it was, renewed, or kept from a sandbox that offered another."""

    SAME = 1
    RENEWED = 2
    REFUSED = 3


class Renewal(NamedTuple):
    """The host's login after it was compared with a sandbox's, and what to write over the sandbox's."""

    match: Match = Match.SAME
    inside: bytes | None = None


class Said(NamedTuple):
    """One entry of a conversation, untrusted and not yet cleaned.

    ``who`` is ``user``, ``agent`` or ``tool``; a tool's ``text`` is its name and what it was
    called with, on one line.  ``time`` is ISO 8601, empty when the agent did not say.
    """

    who: str
    text: str
    time: str = ""


class Press(NamedTuple):
    """The next key that answers questions, and what the screen shows of them before it.

    No key where the screen shows other answers, which only its user may give.
    """

    key: bytes
    state: str


class News(NamedTuple):
    """What an agent's hook said, untrusted and not yet cleaned.

    ``activity`` is what the agent does now; of one that asks there are the ``question``
    and, where numbers answer all that it asks, the ``parts`` of it; ``prompt`` is what it was just
    asked, ``words`` what it just answered, ``conversation`` the id of its conversation.
    """

    activity: Activity
    question: str = ""
    parts: tuple[Question, ...] = ()
    prompt: str = ""
    words: str = ""
    conversation: str = ""


class Exchange(NamedTuple):
    """A prompt and what followed it, untrusted and not yet cleaned.

    ``answer`` are the last words, ``line`` is where in the conversation's file it begins, counted
    from 0; ``began`` and ``ended`` are ISO 8601, empty when the agent did not say.  ``cost`` is in
    dollars; 0, as the numbers of tokens, where it is not known.
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
    """What the field for prompts on an agent's screen has in it."""

    EMPTY = 1
    DRAFT = 2
    BUSY = 3
    """It is there, and the agent works."""
    NONE = 4
    """No such field is to be seen."""


Rows = Sequence[Sequence[tuple[str, str]]]
"""What a screen shows (untrusted): rows of texts, each with the parameters of its SGR sequence."""


class Agent:
    """A program that realm runs in a sandbox; here one that nothing is known about.

    ``words`` are the program and its first arguments as ``--agent`` gives them, and what
    ``session.json`` keeps; none for the default agent.
    """

    name: ClassVar[str]
    """What people call it."""

    image_part: ClassVar[str | None] = None
    """What the image must have for it, by the name in the label ``realm.<part>-version``."""

    options: ClassVar[frozenset[str] | None] = None
    """Its own long options, with their dashes; ``None`` when they are not known."""

    closing: ClassVar[re.Pattern[bytes] | None] = None
    """What it prints when it ends that must not stay on the user's screen (without control sequences)."""

    suspends_to_background: ClassVar[bool] = False
    """Whether Ctrl-Z hands the run to a background holder; otherwise the agent gets the key."""

    image_key: ClassVar[int | None] = None
    """The control key at which it takes an image from the clipboard; it does with the path of one, too."""

    tells_turns: ClassVar[bool] = False
    """Whether its hooks tell where a turn begins and ends."""

    credentials: ClassVar[str | None] = None
    """Where its login lies in the state directory, if it has one that can be renewed."""

    credentials_limit: ClassVar[int] = 0
    """Bytes that this file may have."""

    renewal: ClassVar[Sequence[str]] = ()
    """What renews its login on this machine when that is about to end."""

    conversations: ClassVar[str | None] = None
    """Which files of the state directory are its conversations, as a pattern of the shell's.

    The newest is the run's, and should be one that :meth:`conversation_id` knows.
    """

    worktrees: ClassVar[str] = ""
    """Where in the project it makes linked work trees of its own, which are no part of the project."""
    resumes: ClassVar[str] = ""
    """What the JSON of the hook at a turn's beginning has in it where the turn before goes on by itself."""

    def __init__(self, words: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> None:
        self.words = tuple(words)
        self.environ = os.environ if environ is None else environ
        """The user's environment, with the settings that are for agents by the names of their variables."""

    def argv(self, arguments: Sequence[str], *, conversation: str | None, resume: bool) -> list[str]:
        """Return the program and its arguments; the user's ``arguments`` stay as they are.

        ``resume`` tells whether ``conversation`` has been put back to go on with.
        """
        del conversation, resume
        return [*self.words, *arguments]

    def told(self, text: str) -> tuple[str, ...]:
        """Return the arguments by which it knows ``text`` from the beginning of a conversation."""
        del text
        return ()

    def worktree(self, arguments: Sequence[str]) -> tuple[str, str] | None:
        """Return path and branch of the linked work tree that the user's arguments ask for."""
        del arguments
        return None

    def environment(self, state: str) -> dict[str, str]:
        """Return the variables that it needs, none of them secret; ``state`` is the state directory."""
        del state
        return {}

    def settings(self) -> dict[str, str]:
        """Return the variables that the user's own settings give it."""
        return {}

    def outside(self) -> dict[str, str]:
        """Return the variables that it needs on this machine to be the one that a sandbox has."""
        return {}

    def wants_screen(self, arguments: Sequence[str], *, listens: bool = True) -> bool:
        """Tell whether it needs a terminal even while nobody watches it.

        ``listens`` is whether it has an input; of a program without one nobody knows that it needs more.
        """
        del arguments
        return listens

    def prompt(self, arguments: Sequence[str]) -> str:
        """Return the prompt that the user's arguments give it, empty for none or where that is in doubt."""
        del arguments
        return ""

    def find_login(self, given: Mapping[str, str] | None = None) -> Login:
        """Return the login to use; ``given`` are variables that the sandbox gets anyway.

        Raises :class:`RealmError`, with the ways to log in, when it needs one and there is none.
        """
        del given
        return Login()

    def warnings(self, login: Login) -> list[str]:
        """Return what the user should know before a run."""
        del login
        return []

    def renew(self, inside: bytes) -> Renewal:
        """Compare a sandbox's login with the host's, and renew the host's where it was renewed in there.

        Raises ``OSError`` when the host's cannot be written.
        """
        del inside
        return Renewal()

    def api(self, login: Login, given: Mapping[str, str]) -> Api | None:
        """Return how the model's API is reached with a login; ``None`` where nobody could stand in for it.

        ``given`` as for :meth:`find_login`.
        """
        del login, given
        return None

    def login_ends(self) -> float | None:
        """Return when the login on this machine ends unless it is renewed, in seconds since the epoch."""
        return None

    def unrenewed(self, login: Login) -> Login:
        """Return the login without what renews it, which works once: until it ends both sides have it."""
        return login

    def keyless(self, login: Login, api: Api, url: str, placeholder: str, given: Mapping[str, str]) -> Login:
        """Return the login as a sandbox gets it in which the API is at ``url``, without any key.

        It has no key among ``given``, as for :meth:`find_login`, either.
        """
        del api, url, placeholder, given
        return login

    def reaches(self, login: Login, given: Mapping[str, str]) -> list[str]:
        """Return the URLs without which it can do nothing; ``given`` as for :meth:`find_login`."""
        del login, given
        return []

    def files(
        self, login: Login, directory: str, *, sealed: bool = False, more: Sequence[str] = ()
    ) -> Iterable[HomeFile]:
        """Return what it needs in its home to start in ``directory`` without questions.

        ``more`` are further directories that it is to work in.
        With ``sealed`` the sandbox's only way out is realm's proxy, and no other counts.
        """
        del login, directory, sealed, more
        return ()

    def new_conversation(self) -> str | None:
        """Return the id of a new conversation; ``None`` when it keeps none that realm knows of."""
        return None

    def conversation_file(self, directory: str, conversation: str) -> str | None:
        """Return where a conversation held in ``directory`` lies in the state directory."""
        del directory, conversation
        return None

    def helpers(self, conversation: str) -> str:
        """Return the directory of its helpers' conversations, by the path of its own; empty for none."""
        del conversation
        return ""

    def conversation_id(self, path: str) -> str | None:
        """Return the id of the conversation whose file is ``path``, a whole path or a name without ending.

        ``None`` when no conversation's file is called so (untrusted).
        """
        del path
        return None

    def moved(self, data: bytes, conversation: str) -> bytes:
        """Return a conversation's file as that of the one with the id ``conversation``."""
        del conversation
        return data

    def turn_texts(self, prompts: Mapping[int, bytes], answers: Mapping[int, bytes]) -> dict[int, TurnText]:
        """Return what was asked and answered, by turn, from what its hooks reported (untrusted)."""
        del prompts, answers
        return {}

    def news(self, told: bytes) -> News | None:
        """Return what its hook said in ``told`` (untrusted), ``None`` for nothing of interest."""
        del told
        return None

    def paste(self, text: str) -> bytes | None:
        """Return the keys that give it ``text`` as a prompt, ``None`` where that cannot be done by keys."""
        del text
        return None

    def press(
        self, rows: Rows, questions: Sequence[Question], picks: Sequence[Collection[int]]
    ) -> Press | None:
        """Return the next key that gives its questions the options ``picks``, numbers from 1 for each.

        ``None`` where the screen does not show them, or not as they can be answered.
        """
        del rows, questions, picks
        return None

    def field(self, rows: Rows) -> Field:
        """Return what its field for prompts has in it."""
        del rows
        return Field.NONE

    def read(self, lines: Iterable[bytes]) -> Iterator[Said]:
        """Yield what is said in the ``lines`` of a conversation's file (untrusted)."""
        del lines
        return iter(())

    def spent(self, lines: Iterable[bytes]) -> Iterator[tuple[str, int, float]]:
        """Yield what messages in the ``lines`` of a conversation's file cost (untrusted).

        That is an id, tokens sent and received, and dollars; a message may come again, with more.
        """
        del lines
        return iter(())

    def exchanges(self, lines: Iterable[bytes]) -> Iterator[Exchange]:
        """Yield the prompts in the ``lines`` of a conversation's file, with what followed (untrusted)."""
        del lines
        return iter(())
