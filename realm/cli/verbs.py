"""The verbs by section: enough to find, list and complete them without importing any of them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SECTIONS: dict[str, dict[str, str]] = {
    "Sessions": {
        "new": "Start a session: Claude Code in a throw-away container",
        "resume": "Go on with a session, in the same conversation",
        "attach": "Show an agent that runs in the background",
        "stop": "End agents from elsewhere; their work is saved",
        "list": "List sessions: which need you, what the others do",
        "fork": "Start a second session where a turn of one ended",
        "rewind": "Put a session back to where a turn ended",
        "rename": "Give a session another name",
        "remove": "Remove sessions and everything that belongs to them",
        "restore": "Bring a removed session back",
    },
    "While an agent works": {
        "send": "Give a running agent a prompt, or an answer",
        "wait": "Wait until agents have ended",
        "logs": "Print what an agent wrote, as text",
        "screen": "Show the screens of sessions, as they are or were last",
        "exec": "Run a shell or a command beside an agent",
        "net": "Show which hosts a container was refused",
        "port": "Reach a server in a container from this machine",
    },
    "Review": {
        "log": "List the turns of a session, with their prompts",
        "show": "Show a turn: prompt, closing words, changes, screen",
        "diff": "Show what a session, or a turn of it, changed",
        "try": "Run a command on what a session made, keep nothing",
        "replay": "Play the recording of a run",
        "audit": "Show under what runs went: image, limits, network",
        "verify": "Check that a session is as realm wrote it",
        "grep": "Look for words in prompts, answers and screens",
        "compare": "Show several sessions side by side",
        "conflicts": "Tell which sessions collide when merged",
    },
    "Take the work": {
        "apply": "Bring what a session changed into the work tree",
        "merge": "Merge a session into the current branch",
        "push": "Push sessions to branches on a remote",
        "pr": "Push a session and make a pull or merge request of it",
        "share": "Share a session on a remote, for another machine",
        "fetch": "Take a session that was shared on a remote",
        "drop": "Leave files out of the commits of a session",
        "rescue": "Write the files of a container to a directory",
    },
    "Setup": {
        "init": "Set a project up: packages, image, set-up command",
        "allow": "Let containers reach a host",
        "cache": "Show or clear what tools cache of a project",
        "include": "Show or approve what is copied into containers",
        "build": "Build the image that containers are made from",
        "gc": "Remove what commands that were killed left over",
        "doctor": "Check that everything realm needs is there",
        "config": "Show every setting, its value and where it comes from",
        "completion": "Print the completion script for a shell",
        "help": "Explain a command",
    },
}
"""Section, verb, summary, in the order in which help shows them."""

SUMMARIES = {verb: summary for verbs in SECTIONS.values() for verb, summary in verbs.items()}
HIDDEN = ("_manpage",)
"""For scripts: the installer writes the manual page with it."""

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
"""What other tools call a verb, and what it is here."""

GLOBAL_VALUES = ("-C", "--color")
"""Options before the verb that take a value."""


def program() -> str:
    """Return the name realm was called by: ``realm``, or ``git realm`` when git called it."""
    name = sys.argv[0].rpartition("/")[2] if sys.argv else ""
    return "git realm" if name == "git-realm" else "realm"


def find_verb(arguments: Sequence[str]) -> tuple[str | None, int]:
    """Return the verb of a command line and where it stands; ``None`` when there is none.

    Only realm's options before the verb are looked at, known or not.
    """
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if not word.startswith("-"):
            return word, position
        position += 2 if word in GLOBAL_VALUES else 1
    return None, position


def closest(word: str, known: Sequence[str]) -> list[str]:
    """Return up to three of ``known`` that ``word`` may have been meant to be, the likeliest first."""
    import difflib

    starts = [verb for verb in known if word and verb.startswith(word)]
    return list(dict.fromkeys([*starts, *difflib.get_close_matches(word, known, n=3, cutoff=0.65)]))[:3]
