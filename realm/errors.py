"""Errors that a user can act on.

Every expected failure is a :class:`RealmError`: one sentence that says what
happened and, where there is one, the command to run next.  Anything else that
reaches the command line's error boundary is a bug.
"""

from __future__ import annotations

from typing import Literal

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_BUG = 3
EXIT_RUN_FAILURE = 125
"""``new`` and ``resume`` pass the agent's code on; their own failures use this, as ``docker run``."""
EXIT_INTERRUPT = 130


class RealmError(Exception):
    """An expected failure: what happened, and what to do about it.

    ``message`` is one sentence without a full stop; ``hint`` is advice, best a
    command to run, and may be empty.  Both are shown to a terminal: text that
    came out of a container must be cleaned before it is put in here.
    """

    exit_code = EXIT_FAILURE

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(RealmError):
    """The command line itself is wrong (a bad name, a missing value)."""

    exit_code = EXIT_USAGE


class NotARepositoryError(RealmError):
    """The directory is not inside a git repository that realm can work on."""


class NoSuchSessionError(RealmError):
    """No session of that name where it was looked for."""


class NothingToPushError(RealmError):
    """A session has no commits."""


class NothingShownError(RealmError):
    """A run had no terminal, or wrote nothing to it."""


class RefRaceError(RealmError):
    """Another process moved a ref between realm's read and its write."""


class GitError(RealmError):
    """A git command that was expected to work did not."""


class NoGitError(GitError):
    """The git program is missing."""


class RejectedError(RealmError):
    """A sandbox's output failed a check and was not taken in."""


class SetupError(RealmError):
    """The user's setup command failed."""


class UnpreparedError(RejectedError):
    """The sandbox could not lay out its workspace: the agent never ran, nothing is in it."""


EngineTrouble = Literal[
    "unreachable", "denied", "not found", "conflict", "not running", "no space", "too old", "unsupported",
    "refused",
]  # fmt: skip
"""What is wrong with an engine or a request; ``unsupported``: it cannot mount such a volume."""


class EngineError(RealmError):
    """The Docker engine is missing, stopped, forbidden, or refused a request; ``kind`` says which."""

    def __init__(self, message: str, hint: str = "", *, kind: EngineTrouble = "refused") -> None:
        super().__init__(message, hint)
        self.kind: EngineTrouble = kind


class ImageError(EngineError):
    """The sandbox's image is missing or could not be built."""


class RunningError(RealmError):
    """A run of the session is in progress."""
