"""``realm audit``: the conditions under which a session's runs ran."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import SESSION, common, json_option
from realm.text import clean, plural

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from realm.sandbox.answers import Conditions, Mounted
    from realm.session.audit import Audit

EXAMPLES = (
    ("audit quick-fix", "image, agent, network, login, limits, mounts, flags and tokens of each run"),
    ("audit quick-fix --run 2 --json", "one run, for scripts"),
)
NOTE = (
    "All of it comes from the session's record; what it says of the container is what the engine "
    "reported before the container was removed."
)


@verb("audit", EXAMPLES, NOTE)
@click.argument("name", type=SESSION)
@click.option("--run", metavar="<n>", type=click.IntRange(min=1), help="show only this run")
@json_option
@common
def command(name: str, directory: Path | None, run: int | None, as_json: bool) -> None:
    """Show each run as a paragraph, or as JSON."""
    from realm.session.audit import audit

    found = audit(name, directory, run)
    if as_json:
        output.json([_record(one) for one in found])
    elif found:
        output.write("\n".join("".join(_paragraph(name, one)) for one in found))
    else:
        output.hint(f"no runs yet: realm resume {name} starts one")


def _paragraph(name: str, one: Audit) -> Iterator[str]:
    run = one.run
    facts = [time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.started))]
    if run.ended is None:
        facts.append("not over")
    else:
        facts.append(output.duration(max(0.0, run.ended - run.started)))
        facts.append(f"exit code {run.exit_code}")
    title = output.paint(f"run {run.number} of {name}", "bold", sys.stdout)
    yield f"{title}: {', '.join(facts)}\n"
    for key, values in _rows(one):
        for place, value in enumerate(values or ["not known"]):
            yield f"  {key if place == 0 else '':<13} {value}\n"


def _rows(one: Audit) -> Iterator[tuple[str, list[str]]]:
    yield "image", [one.image] if one.image else []
    yield "agent", [f"{one.agent} {one.agent_version}".rstrip()]
    yield "network", [one.network] if one.network else []
    yield "credentials", [f"{one.credentials}: {one.login}" if one.login else one.credentials or "none"]
    if one.git_hosts:
        yield "git logins", [f"{host}, to fetch from" for host in one.git_hosts]
    if one.registries:
        yield "registries", [f"{host}, to read with a login" for host in one.registries]
    if (container := one.container) is not None:
        yield "limits", [_limits(container)]
        yield "protection", [_protection(container)]
        yield "mounts", [_mounted(mount) for mount in container.mounts]
    if one.run.weakened:
        yield "weakened by", [clean(words, limit=200) for words in one.run.weakened]
    if one.flags:
        yield "docker flags", [*one.flags]
    if one.included:
        yield "included", [*one.included]
    if one.refused is not None:
        yield (
            "refused",
            [f"{host}: {plural(times, 'time')}" for host, times in one.refused.items()] or ["nothing"],
        )
    if one.tokens is not None:
        cost = f", ${one.tokens.cost:.2f}" if one.tokens.cost else ""
        yield "tokens", [f"{one.tokens.sent:,} in, {one.tokens.received:,} out{cost}"]


def _mounted(mount: Mounted) -> str:
    parts = (mount.target, mount.kind, mount.source, "" if mount.writable else "read-only")
    return " ".join(part for part in parts if part)


def _limits(container: Conditions) -> str:
    memory = f"{container.memory / 1024**3:.1f} GiB of memory" if container.memory else "memory not limited"
    cpus = f"{container.cpus:g} processors" if container.cpus else "processors not limited"
    pids = f"{container.pids} processes" if container.pids > 0 else "processes not limited"
    work = [f"workspace of {container.workspace / 1024**3:.1f} GiB"] if container.workspace else []
    return ", ".join([memory, cpus, pids, *work, *container.limits])


def _protection(container: Conditions) -> str:
    if container.privileged:
        return "none: privileged"
    given = f"capabilities: {' '.join(container.capabilities)}" if container.capabilities else "no capability"
    root = "read-only root" if container.read_only else "writable root"
    runtime = [f"runtime {container.runtime}"] if container.runtime not in ("", "runc") else []
    return ", ".join([f"user {container.user}", given, root, *container.protection, *runtime])


def _record(one: Audit) -> dict[str, object]:
    run, tokens = one.run, one.tokens
    container = one.container
    return {
        "run": run.number,
        "started": output.iso(run.started),
        "ended": output.iso(run.ended),
        "exit_code": run.exit_code,
        "before": run.before,
        "after": run.after,
        "realm": one.realm,
        "image": one.image,
        "agent": one.agent,
        "agent_version": one.agent_version,
        "network": one.network,
        "credentials": one.credentials,
        "login": one.login,
        "git_hosts": one.git_hosts,
        "registries": one.registries,
        "weakened": [clean(words, limit=200) for words in run.weakened],
        "flags": one.flags,
        "included": one.included,
        "container": container
        and {**container._asdict(), "mounts": [mount._asdict() for mount in container.mounts]},
        "refused": one.refused,
        "tokens_in": tokens.sent if tokens else None,
        "tokens_out": tokens.received if tokens else None,
        "cost": tokens.cost if tokens and tokens.cost else None,
    }
