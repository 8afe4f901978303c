"""The size of a session's work."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from realm.git import git
from realm.model import Totals

if TYPE_CHECKING:
    from realm.model import Project

_NUMBER = re.compile(r"[0-9]{1,12}")


def diffstat(project: Project, base: str, tip: str) -> Totals:
    """Return how many files and lines differ between two commits (no turns), as ``git diff`` counts them."""
    if base == tip:
        return Totals()
    text = git(
        *(
            "diff-tree",
            "-r",
            "-M",
            "--shortstat",
            "--no-ext-diff",
            "--no-textconv",
            "--end-of-options",
            base,
            tip,
        ),
        project=project,
    ).text
    found = {word: int(number) for number, word in re.findall(r"(\d+) (file|insertion|deletion)", text)}
    return Totals(
        files=found.get("file", 0),
        insertions=found.get("insertion", 0),
        deletions=found.get("deletion", 0),
    )


def count_turns(project: Project, base: str, tip: str) -> int:
    """Return how many turns changed something between two commits, by the commits' trailers."""
    if base == tip:
        return 0
    keys = (f"%(trailers:key=Realm-{key},valueonly,separator=%x20)" for key in ("Run", "Turn"))
    lines = _log(project, f"--format={'%x00'.join(keys)}", base, tip)
    return len({line for line in lines if line.strip("\0 ")})


def turn_times(project: Project, base: str, tip: str) -> dict[tuple[int, int], float]:
    """Return when each turn that changed something ended, by run and turn, in seconds since the epoch."""
    keys = (f"%(trailers:key=Realm-{key},valueonly,separator=%x20)" for key in ("Run", "Turn"))
    form = f"--format=%at%x00{'%x00'.join(keys)}"
    times: dict[tuple[int, int], float] = {}
    for line in _log(project, form, base, tip):
        # An agent's own message may have such trailers too: realm's stand last.
        words = [field.split()[-1:] for field in line.split("\0")]
        numbers = [int(word[0]) for word in words if word and _NUMBER.fullmatch(word[0])]
        if len(numbers) == 3:  # noqa: PLR2004 - time, run, turn
            moment, run, turn = numbers
            times[run, turn] = max(times.get((run, turn), 0.0), float(moment))
    return times


def _log(project: Project, form: str, base: str, tip: str) -> list[str]:
    return git("log", form, "--end-of-options", f"{base}..{tip}", "--", project=project).text.splitlines()


def totals(project: Project, base: str, tip: str) -> Totals:
    """Return turns, files and lines of the work between two commits; two git processes."""
    return diffstat(project, base, tip)._replace(turns=count_turns(project, base, tip))
