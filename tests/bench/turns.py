"""From the end of a turn to the session's ref, while the agent goes on."""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
from typing import TYPE_CHECKING

from tests.bench.measure import Figure
from tests.support import engines
from tests.support.api import MessagesApi
from tests.support.repos import Repo
from tests.support.user import KEY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.setting import Setting

BARS = {80_000: 1.5}
"""Seconds, 1 where nothing else is said."""
TURNS = 5
NAME = "turns"
_HOOK = "sh /etc/claude-code/turn"
_TURN = f"echo {{}} | {_HOOK} start; for n in $(seq 20); do echo work >made-$t-$n; done; date +%s.%N >began; echo {{}} | {_HOOK} stop; sleep 1.5"  # noqa: E501 - a line of shell
"""A turn that the agent plays within its own: 20 files, and when its end began."""


def turn_figures(setting: Setting, files: int) -> Figure:
    """Measure turns of one run: from the hook that says that one has ended to the moved ref."""
    with MessagesApi(engines.gateway()) as api:
        setting.env |= {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": api.url}
        prompt = f"run sleep 3; for t in $(seq {TURNS}); do {_TURN}; done"
        moved, over = dict[str, float](), threading.Event()
        ref = setting.directory / ".git/refs/realm" / NAME
        watcher = threading.Thread(target=_watch, args=(ref, moved, over), daemon=True)
        watcher.start()
        subprocess.run(
            [setting.realm, "new", NAME, "-p", prompt], cwd=setting.directory, env=setting.env, check=True,
            capture_output=True,
        )  # fmt: skip
        over.set()
        watcher.join()
    repo = Repo(setting.directory)
    # The first two are the base, and a turn to warm up.
    taken = [moved[oid] - float(repo.git("show", f"{oid}:began")) for oid in list(moved)[2:]]
    return Figure(
        f"turn's end to ref, {files} files", statistics.median(taken), "nothing", 0.0,
        BARS.get(files, 1.0), "s more",
    )  # fmt: skip


def _watch(ref: Path, moved: dict[str, float], over: threading.Event) -> None:
    """Note when the ref is seen to have moved, every few milliseconds."""
    while not over.is_set():
        try:
            oid = ref.read_text().strip()
        except OSError:
            oid = ""
        if oid:
            moved.setdefault(oid, time.time())
        time.sleep(0.005)
