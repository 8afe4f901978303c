"""The terminal's figures: output, keys and attaching, each against docker's own on the same pseudo-terminal.

The rivals run in containers of the same image with the options of a sandbox that
matter here: no log (``--log-driver none``) where that is said, an init, a
read-only root.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from typing import TYPE_CHECKING

from tests.bench.measure import Figure
from tests.bench.outer import ROWS, Outer
from tests.support import engines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.bench.setting import Setting

FULL = os.environ.get("REALM_BENCH_FULL") == "1"
AMOUNT = 60 if FULL else 24
"""Megabytes of output that are relayed at a time."""
ROUNDS = 7 if FULL else 2
KEYS = 1000 if FULL else 120
ATTACHES = 15 if FULL else 3
SETTLE = 0.3
"""Seconds after the start until a program is at rest."""

_LINE = "0123456789abcdefghijklmnopqrstuvwxyz" * 2
_FLOOD = f"""
stty -echo -icanon; yes {_LINE} | head -c 4000000 >/tmp/lines; i=0
while [ $i -lt %d ]; do set -- "$@" /tmp/lines; i=$((i + 1)); done
printf rea; printf dy; head -c 1 >/dev/null; cat "$@"; printf end-of-; printf flood; head -c 1 >/dev/null
"""
_ECHO = "stty raw -echo; printf rea; printf dy; exec cat"
_DRAW = f"""
draw() {{ printf '\\033[2J\\033[H'; for row in $(seq {ROWS - 1}); do
echo "row $row {_LINE}"; done; printf 'last row'; }}
trap draw WINCH; stty -echo; draw; while :; do sleep 1000 & wait $!; done
"""


_NO_LOG = ("--log-driver", "none")


def docker_options(image: str, script: str, log: Sequence[str] = _NO_LOG) -> list[str]:
    """Return docker's words for a container as equal to a sandbox as is needed."""
    like_a_sandbox = ["--init", "--read-only", "--tmpfs", "/tmp:exec"]
    return ["--rm", "-it", *like_a_sandbox, *log, "--entrypoint", "bash", image, "-c", script]


def terminal_figures(setting: Setting, image: str) -> Iterator[Figure]:
    """Measure all of it."""
    yield from flood_figures(setting, image)
    yield from key_figures(setting, image)
    yield attach_figure(setting)


# Output -------------------------------------------------------------------------


def flood_figures(setting: Setting, image: str) -> Iterator[Figure]:
    """Throughput against ``docker run``, processor time against the bare relay, memory.

    The bar is for ``docker run -it`` as people type it, with the log that the
    engine keeps then.  A sandbox has none, so with ``REALM_BENCH_FULL=1`` there is a
    comparison with docker without a log, too, and with what the engine gives to
    somebody who reads it and writes nothing: no relay can be faster.
    """
    script = _FLOOD % (AMOUNT // 4)
    whose = ("realm", "logged", "bare", *(("docker", "nothing") if FULL else ()))
    rates: dict[str, list[float]] = {who: [] for who in whose}
    costs: dict[str, list[float]] = {who: [] for who in whose}
    run = setting.realm_run(script, program="bash")
    for number in range(ROUNDS):
        for who in whose:
            with Outer(_command(setting, who, image, script, setting.named(run, number)), setting) as outer:
                rate, cost, _ = _flooded(outer, AMOUNT)
                rates[who].append(rate)
                costs[who].append(cost)
                outer.type(b"x")
                outer.finish()
    speed, price = ({who: statistics.median(taken[who]) for who in whose} for taken in (rates, costs))
    name = f"output, {AMOUNT} MB"
    yield Figure(name, speed["realm"], "docker run -it", speed["logged"], 1.2, "x", "MB/s", least=True)
    yield Figure("processor per GB", price["realm"], "select, read, write", price["bare"], 1.2)
    if FULL:
        docker, against = "docker run -it, no log", f"{name}, for comparison"
        yield Figure(against, speed["realm"], docker, speed["docker"], 1, "x", "MB/s", least=True)
        yield Figure(against, speed["realm"], "read, nothing written", speed["nothing"], None, "x", "MB/s")
        yield Figure("processor per GB, for comparison", price["realm"], docker, price["docker"], 1)
    yield from memory_figures(setting)


def _command(setting: Setting, who: str, image: str, script: str, ours: list[str]) -> list[str]:
    if who == "realm":
        return ours
    if who in {"docker", "logged"}:
        return ["docker", "run", *docker_options(image, script, _NO_LOG if who == "docker" else ())]
    return _bare(setting, image, script, *(["--only-read"] if who == "nothing" else []))


def _bare(setting: Setting, image: str, script: str, *options: str) -> list[str]:
    container = engines.docker("create", *docker_options(image, script))
    return [str(setting.python), str(setting.bare), container, *options]


def _flooded(outer: Outer, amount: int) -> tuple[float, float, int]:
    """Let the flood of ``amount`` megabytes come.

    Return megabytes per second, processor seconds per GB, growth in bytes.
    """
    outer.expect(b"ready")
    time.sleep(SETTLE)
    outer.discard()
    memory, cpu = outer.memory("VmRSS"), outer.cpu()
    began = outer.type(b"x")
    outer.flood(b"end-of-flood")
    took, cost = time.perf_counter() - began, outer.cpu() - cpu
    return amount / took, cost / amount * 1e3, outer.memory("VmHWM") - memory


def memory_figures(setting: Setting) -> Iterator[Figure]:
    """What realm's memory grows by at most during one long flood, and how large its recording is then."""
    amount = 1000 if FULL else AMOUNT
    run = setting.named(setting.realm_run(_FLOOD % (amount // 4), program="bash"), 0)
    with Outer(run, setting) as outer:
        _, _, growth = _flooded(outer, amount)
        time.sleep(1)
        recorded = sum(file.stat().st_size for file in _recordings(setting))
        outer.type(b"x")
        outer.finish()
    yield Figure(f"memory after {amount} MB", growth / 1e6, "before", 0, 40, "MB more", "MB")
    yield Figure(f"recording of {amount} MB", recorded / 1e6, "realm.recordLimit", 0, 8.4, "MB", "MB")


def _recordings(setting: Setting) -> Iterator[Path]:
    return setting.home.glob(".realm/runs/*/recording/*/*.rec")


# Keys ---------------------------------------------------------------------------


def key_figures(setting: Setting, image: str) -> Iterator[Figure]:
    """From a key to its echo, by turns through realm and through ``docker attach``."""
    container = engines.docker("run", "--detach", *docker_options(image, _ECHO))
    try:
        run = setting.named(setting.realm_run(_ECHO, program="bash"), 0)
        attach = ["docker", "attach", container]
        with Outer(run, setting) as ours, Outer(attach, setting) as theirs:
            ours.expect(b"ready")
            time.sleep(3 * SETTLE)
            times = _echoes(ours, theirs)
            ours.type(b"\x10\x11")
            ours.finish()
    finally:
        engines.docker("rm", "--force", container, check=False)
    for name, value, bar in (("median", statistics.median, 0), ("p99", _p99, 4)):
        yield Figure(
            f"key to echo, {name} of {KEYS}", value(times[0]) * 1e3, "docker attach, no log",
            value(times[1]) * 1e3, bar, "ms more", "ms",
        )  # fmt: skip


def _echoes(ours: Outer, theirs: Outer) -> tuple[list[float], list[float]]:
    times: tuple[list[float], list[float]] = ([], [])
    pauses = random.Random(1)  # noqa: S311 - no secret
    for number in range(KEYS + 10):
        for outer, taken in zip((ours, theirs), times, strict=True):
            # Some keys come while a relay still has to do with the one before, some when it sleeps.
            time.sleep(pauses.uniform(0.002, 0.04))
            took = outer.echo(b"k")
            if number >= 10:
                taken.append(took)
    return times


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


# Attaching ----------------------------------------------------------------------


def attach_figure(setting: Setting) -> Figure:
    """From the command to the whole screen, against the first byte of ``docker attach`` to the same one."""
    run = setting.named(setting.realm_run(_DRAW, "--detach", program="bash"), 0)
    name = run[run.index("bash") + 1]
    with Outer(run, setting) as outer:
        outer.finish()
    sandbox = engines.labelled("container", f"realm.session={name}", f"realm.project={setting.directory}")[0]
    ours: list[float] = []
    theirs: list[float] = []
    every = [f"row {row} ".encode() for row in range(1, ROWS)]
    for number in range(ATTACHES + 1):
        with Outer([str(setting.realm), "attach", name], setting) as outer:
            took = outer.expect(*every, b"last row") - outer.began
            time.sleep(SETTLE)
            outer.type(b"\x10\x11")
            outer.finish()
        with Outer(["docker", "attach", sandbox], setting) as outer:
            other = outer.first() - outer.began
        if number:
            ours.append(took * 1e3)
            theirs.append(other * 1e3)
    return Figure(
        "attach to whole screen", statistics.median(ours), "docker attach to first byte",
        statistics.median(theirs), 150, "ms more", "ms",
    )  # fmt: skip
