"""Why a run ended before its sandbox could save the work, as far as the engine knows."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, NamedTuple

from realm.sandbox.docker import KILLED

if TYPE_CHECKING:
    from realm.sandbox.sandbox import Sandbox

_LOST = 255
"""The exit code that an engine gives a container whose end it did not see."""
_INTERRUPTED = 128 + signal.SIGINT
"""The exit code of an agent that the user's Ctrl-C ended."""


class Death(NamedTuple):
    """Why, in a word or two, and as a sentence."""

    short: str
    text: str


def of(sandbox: Sandbox, run: int, code: int, *, reported: bool, asked: bool = False) -> Death | None:
    """Return why a stopped sandbox died; ``None`` if it ended by itself, or as requested.

    ``code`` is the run's exit code, ``reported`` whether the sandbox saved its work, ``asked`` whether realm
    told it to end.
    """
    if reported and code != KILLED:
        text = f"the container of run {run} was stopped by another program, or by the engine as it shut down"
        return Death("stopped from outside", text) if not asked and sandbox.was_signalled() else None
    end = sandbox.end()
    if end is None:
        return Death("container removed", f"the container of run {run} was removed by another program")
    if end.out_of_memory:
        limit = f"its limit of {end.memory / 1024**2:.0f} MiB" if end.memory else "what the machine has"
        return Death(
            "out of memory",
            f"run {run} needed more memory than {limit}, and was killed: realm.memory sets the limit",
        )
    if asked or reported or code != end.code or end.code == _INTERRUPTED:  # by realm, or the user's Ctrl-C
        return None
    if end.code == _LOST:
        return Death("engine restarted", f"run {run} was cut off: the engine, or its machine, was restarted")
    return Death(f"killed, exit {code}", f"the container of run {run} was killed (exit {code})")
