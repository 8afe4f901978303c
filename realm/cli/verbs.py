"""The verbs by section: what it takes to find, list and complete them without importing any."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SECTIONS: dict[str, dict[str, str]] = {
    "Sessions": {
        "new": "Start a session: Claude Code in a throw-away container",
        "resume": "Continue a session, in the same conversation",
        "attach": "Show a background agent in this terminal",
        "stop": "Stop agents and save their work",
        "list": "List sessions, those that need you first",
        "fork": "Start a new session from the end of a turn",
        "rewind": "Take a session back to the end of a turn",
        "rename": "Rename a session",
        "remove": "Remove sessions and everything that belongs to them",
        "restore": "Bring a removed session back",
    },
    "While an agent works": {
        "send": "Send a running agent a prompt or an answer",
        "wait": "Wait until agents have ended",
        "logs": "Print what an agent said or wrote, as text",
        "screen": "Show the current or last screen of sessions",
        "exec": "Run a shell or a command beside a running agent",
        "net": "Show which hosts a container was refused",
        "port": "Reach a server in a container from this machine",
    },
    "Review": {
        "log": "List the turns of a session, with their prompts",
        "show": "Show a turn: prompt, closing words, changes, screen",
        "diff": "Show what a session or one of its turns changed",
        "try": "Run a command on a session's work and keep nothing",
        "replay": "Play the recording of a run",
        "audit": "Show the conditions of runs: image, limits, network",
        "verify": "Check that a session is as realm wrote it",
        "grep": "Search prompts, answers and screens",
        "compare": "Show several sessions side by side",
        "conflicts": "Show which sessions conflict with each other",
    },
    "Take the work": {
        "apply": "Apply a session's changes to the work tree",
        "merge": "Merge a session into the current branch",
        "push": "Push sessions to branches on a remote",
        "pr": "Push a session and open a pull or merge request",
        "share": "Share a session on a remote, for another machine",
        "fetch": "Fetch a session that was shared on a remote",
        "drop": "Drop files from a session's commits",
        "rescue": "Write a container's files to a directory",
    },
    "Setup": {
        "init": "Set up a project: packages, image, set-up command",
        "allow": "Let containers reach a host",
        "cache": "Show or clear what tools have cached for a project",
        "include": "Show or approve what is copied into containers",
        "build": "Build the image that containers are made from",
        "gc": "Remove what killed commands left behind",
        "doctor": "Check that everything realm needs is there",
        "config": "Show every setting, its value and where it comes from",
        "completion": "Print the completion script for a shell",
        "help": "Explain a command",
    },
}
"""Sections, verbs and summaries, in the order of the help."""

SUMMARIES = {verb: summary for verbs in SECTIONS.values() for verb, summary in verbs.items()}
HIDDEN = ("_manpage",)
"""For scripts: the installer uses it to write the manual page."""

RUNNING = frozenset(("new", "resume", "attach", "try", "wait", "exec"))
"""The verbs that run a program and pass its exit code on."""

AGENT = frozenset(("new", "resume"))
"""The verbs whose last arguments are the agent's."""

ELSEWHERE = {
    "rm": "remove", "delete": "remove", "del": "remove", "destroy": "remove", "ls": "list", "ps": "list",
    "status": "list", "st": "list", "start": "new or resume", "run": "new", "create": "new", "open": "attach",
    "continue": "resume", "kill": "stop", "cancel": "stop", "mv": "rename", "undo": "rewind", "pull": "fetch",
    "prune": "gc", "clean": "gc", "version": "--version", "tail": "logs",
}  # fmt: skip
"""Verbs of other tools, and realm's equivalents."""

_SHORT = 2
"""The length of an option such as ``-f``."""

GLOBAL_VALUES = ("-C", "--color")
"""Options before the verb that take a value."""


def program() -> str:
    """Return realm's name in messages: ``realm``, or ``git realm`` when git started it."""
    name = sys.argv[0].rpartition("/")[2] if sys.argv else ""
    return "git realm" if name == "git-realm" else "realm"


def find_verb(arguments: Sequence[str]) -> tuple[str | None, int]:
    """Return the verb of a command line and its index; the verb is ``None`` when there is none.

    Only options before the verb are read, known or not.
    """
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if not word.startswith("-"):
            return word, position
        position += 2 if word in GLOBAL_VALUES else 1
    return None, position


def closest(word: str, known: Sequence[str]) -> list[str]:
    """Return up to three of ``known`` that ``word`` may be a misspelling of, the likeliest first.

    A short option such as ``-f`` matches any long option that begins with its letter.
    """
    import difflib

    begun = f"-{word}" if len(word) == _SHORT and word[0] == "-" else word
    starts = [verb for verb in known if word and verb.startswith(begun)]
    return list(dict.fromkeys([*starts, *difflib.get_close_matches(word, known, n=3, cutoff=0.65)]))[:3]
