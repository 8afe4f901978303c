"""The manual page git-realm(1), generated from the commands.

groff_man(7) describes the format.  ``realm _manpage`` writes it; the same text serves as realm(1).
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

import click

from realm import __version__
from realm.cli import output
from realm.cli.app import EXAMPLES, PLAIN_GIT, application, load
from realm.cli.command import SETTINGS as CLICK
from realm.cli.command import Verb, option_rows, usage
from realm.cli.verbs import SECTIONS
from realm.config import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DATE = "2026-11-23"
"""The date of the last change, fixed so that builds are reproducible."""

DESCRIPTION = """\
realm runs Claude Code, or another agent, unattended in a throw-away container. The agent works on a copy
of the project's last commit; the project's own files are never mounted. Its work comes back into the
project's repository turn by turn, as ordinary commits below refs/realm. Branches, index and work tree
stay as they are. Every command can also be called as git realm.
"""
REFS = (
    ("refs/realm/<name>", "the session's commits, one per turn, on top of the commit it started on"),
    (
        "refs/realm-meta/<name>",
        "the record, a commit per run: conversation, screen, recording. May hold secrets",
    ),
    ("refs/realm-trash/", "what was removed or replaced; realm restore brings it back"),
)
SCRIPTS = "Times are ISO-8601 in UTC. Keys are only ever added."
JSON = {
    "list": (
        "a list of sessions: name, id (never changes), project (path), created, started, ended (of the "
        "last run), state (running, exited, or salvage for interrupted), activity (working, asks, rang, "
        "stuck for an error that cut its turn short, paused, ready for waiting at its prompt, done, "
        "failed, stopped, interrupted) and since, question, paused (the reason, or the command that ends "
        "it, or null), prompt (first line of the first one), last_words (first line of the last answer), "
        "exit_code, died (why the last run was cut off: out of memory; killed, exit 137; engine restarted; "
        "container removed; stopped from outside; or null), also_kept (branches, stashes and the like "
        "beside its work, in words, or null), risky (changes that programs run or obey unasked, in words, "
        "or null), weakened (flags and settings that took protection from its container, or null), network "
        "(open, allow or none), refused (requests refused in the last run), merged_into and pushed_to "
        "(branches that have all of its work, or null), pull_request (its address, or null), runs and "
        "turns (numbers), files, insertions and deletions (against the base), ref, base and tip (commit "
        "ids)"
    ),
    "log": (
        "a list of turns: turn (its number, as in name@2), run, prompt (first line), ended (or null), "
        "seconds (or null), files, commits (ids, the oldest first), before and after (the commits at both "
        "ends)"
    ),
    "show": (
        "the keys of log, with the whole prompt, and answer, exit_code (if the run ended with this turn, "
        "else null), notes (what the run said about its work, such as files that were left out, likewise "
        "with its last turn), tokens_in, tokens_out, cost (dollars; these three null if unknown), screen "
        "(plain text, or null), submodules (path and commits of each with commits of the turn, repositories "
        "beside the project included)"
    ),
    "audit": (
        "a list of runs: run, started, ended, exit_code, before and after (commits), realm, image, agent, "
        "agent_version, network, credentials, login, git_hosts, registries, weakened, flags, included, "
        "container (what the engine reported, or null: image, user, network, memory in bytes, cpus, pids, "
        "limits, read_only, privileged, capabilities, protection, runtime, mounts, workspace (most bytes of "
        "the work tree, 0 for no limit)), refused (connections by host and port, or null), tokens_in, "
        "tokens_out and cost (dollars; null if unknown)"
    ),
    "verify": (
        "session, ok, commits, runs and signed (numbers), problems (a list of commit, an id or null, and "
        "what) and notes"
    ),
    "grep": "a list of lines: project, name, turn (as in name@2), where (prompt, answer or screen) and line",
    "compare": (
        "a list of sessions: name, tip, turns, files, insertions, deletions, shared (how many of its "
        "files others changed, too), same (another one with exactly the same files, or null) and, with "
        "--check, exit_code, seconds and last (the last line printed)"
    ),
    "conflicts": "a list of one, other (a session, or the checked-out branch) and paths",
    "net": (
        "network (open, allow, none, or null if unknown) and refused, a list of host, port, why (name: "
        "not allowed; address: an address instead of a name; private: an allowed name that leads to a "
        "private address; login: only for reading) and times"
    ),
    "allow": "with --list, a list of host and usual (whether it is of realm's own list)",
    "cache": "a list of name (usually a tool's) and size (bytes)",
    "include": "a list of path, source (.worktreeinclude or realm.include) and approved",
    "doctor": "a list of name, status (ok, warn, fail), detail and hint",
    "config": "a list of key, value, source, variable, help and problem (what is wrong with the value)",
}
"""The output of each command with ``--json``; keys are only ever added."""
AWAY = """\
If no terminal shows an agent, or the one that does is not focused, sh runs the command in realm.notify
with REALM_EVENT (turn, waiting, refused, paused or ended), REALM_SESSION and REALM_PROJECT set; a
terminal that is not focused rings and shows a notification, unless realm.bell says otherwise. The
command is read only from the environment or the user's own git configuration.
"""
FILES = (
    ("~/.realm", "realm's own files; REALM_HOME names another directory"),
    ("~/.realm/logs", "logs of bugs"),
    (".worktreeinclude", "in a project: ignored files to copy in, in the syntax of gitignore(5)"),
)
_LOGIN = "ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN, CLAUDE_CODE_OAUTH_TOKEN, ANTHROPIC_BASE_URL"
ENVIRONMENT = (
    (_LOGIN, "the agent's login; passed on if set, otherwise the login of ~/.claude is used"),
    ("DOCKER_HOST, DOCKER_CONTEXT", "which Docker engine to use"),
    ("NO_COLOR, CLICOLOR_FORCE", "no colour, or colour in pipes too"),
    ("REALM_DEBUG", "set to 1: show tracebacks of errors"),
    ("REALM_HOME", "where realm keeps its own files (default: ~/.realm)"),
)
_OWN_FAILURE = (
    "realm new, resume, attach, try, exec and wait: realm itself failed, for whatever reason; other "
    "codes are those of the program that ran"
)
STATUS = (
    ("0", "success"),
    ("1", "an expected failure, such as an unknown session"),
    ("2", "the command line is wrong"),
    ("3", "a bug in realm; the message names a log file"),
    ("125", _OWN_FAILURE),
    ("130", "interrupted"),
    ("141", "the reader of the output went away"),
)


def escape(text: str) -> str:
    """Return ``text`` escaped for roff, on one line."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = text.replace("~", "\\(ti").replace("^", "\\(ha").replace("\n", " ")
    text = re.sub(r"[^\x00-\x7f]", lambda char: f"\\[u{ord(char[0]):04X}]", text)
    return f"\\&{text}" if text.startswith(".") else text


def _text(text: str) -> Iterator[str]:
    """Yield ``text`` in short input lines, as is usual in roff."""
    for line in textwrap.wrap(text, 70, break_on_hyphens=False, break_long_words=False):
        yield escape(line)


def _list(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, meaning in rows:
        yield ".TP"
        yield f"\\fB{escape(term)}\\fR"
        yield from _text(meaning)


def _context(command: click.Command, name: str) -> click.Context:
    root = click.Context(application, info_name="realm", **CLICK)
    return root if command is application else click.Context(command, parent=root, info_name=name)


def _verb(name: str) -> Iterator[str]:
    command = load(name)
    context = _context(command, name)
    yield f".SS {escape(usage(context))}"
    yield f"{escape(command.help or '')}."
    yield from _list(row for row in option_rows(command, context) if "--help" not in row[0])
    if isinstance(command, Verb):
        yield from (".PP", *_text(command.note)) if command.note else ()
        yield ".PP"
        yield ".RS"
        yield ".nf"
        for line, meaning in command.examples:
            yield escape(f"realm {line}    # {meaning}")
        yield ".fi"
        yield ".RE"


def _settings() -> Iterator[str]:
    for setting in SETTINGS:
        default = f" (default: {setting.default})" if setting.default else ""
        yield ".TP"
        yield f"\\fB{escape(f'realm.{setting.key}')}\\fR, \\fB{escape(setting.variable)}\\fR"
        yield from _text(f"{setting.help}{default}")


def page() -> str:
    """Return the manual page as roff."""
    context = _context(application, "realm")
    lines = [
        f'.TH GIT\\-REALM 1 "{_DATE}" "realm {escape(__version__)}" "Git Manual"',
        ".SH NAME",
        "git\\-realm, realm \\- run Claude Code in a throw\\-away container",
        ".SH SYNOPSIS",
        f"\\fB{escape(usage(context))}\\fR",
        ".SH DESCRIPTION",
        *_text(DESCRIPTION),
        ".SH EXAMPLES",
        *_list((f"realm {line}", meaning) for line, meaning in EXAMPLES),
        *_list(PLAIN_GIT),
        ".SH OPTIONS",
        *_list(option_rows(application, context)),
    ]
    for title, verbs in SECTIONS.items():
        lines += [f".SH {title.upper()}", *(line for name in verbs for line in _verb(name))]
    lines += [".SH REFS", *_list(REFS), ".SH SETTINGS", *_settings(), ".SH ENVIRONMENT", *_list(ENVIRONMENT)]
    lines += ['.SH "WHILE AWAY"', *_text(AWAY), '.SH "OUTPUT FOR SCRIPTS"', *_text(SCRIPTS)]
    lines += _list((f"realm {verb} --json", keys) for verb, keys in JSON.items())
    lines += [".SH FILES", *_list(FILES), '.SH "EXIT STATUS"', *_list(STATUS)]
    lines += [
        ".SH SEE ALSO",
        "\\fBgit\\fR(1), \\fBgit\\-log\\fR(1), \\fBgit\\-push\\fR(1), \\fBdocker\\fR(1)",
    ]
    return "\n".join(lines) + "\n"


@click.command(hidden=True, help="Write the manual page")
def command() -> None:
    """Write the page to standard output."""
    output.data(page().rstrip("\n"))
