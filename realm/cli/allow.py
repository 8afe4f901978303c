"""``realm allow``: the hosts that containers may reach."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import Completed, common, here, json_option
from realm.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = (
    ("allow docs.example.com", "let this project's containers reach it, running ones too"),
    ("allow --global .example.com", "it and all names below it, for all projects"),
    ("allow --remove docs.example.com", "no longer"),
    ("allow --list", "list all hosts that they may reach"),
)
NOTE = (
    "Writes realm.allow to your own git configuration, which does not come with a clone. It has an "
    "effect with realm.network allow, the default. A name allows ports 443 and 80, example.com:8443 "
    "that port; 10.1.2.3 or 10.1.0.0/16 allow private addresses."
)


def _hosts(context: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """Offer hosts that were refused lately, or that can be removed."""
    from realm.session import net

    directory = here(context.params.get("directory"))
    removing = bool(context.params.get("remove"))
    words = [str(host) for host in net.allowed(directory)] if removing else net.refused_lately(directory)
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


@verb("allow", EXAMPLES, NOTE)
@click.argument("hosts", nargs=-1, type=Completed("host", _hosts))
@click.option("--remove", is_flag=True, help="no longer allow these hosts")
@click.option("--global", "everywhere", is_flag=True, help="for all projects, not only this one")
@click.option("--list", "listing", is_flag=True, help="list the hosts that containers may reach")
@json_option
@common
def command(
    hosts: tuple[str, ...],
    directory: Path | None,
    remove: bool,
    everywhere: bool,
    listing: bool,
    as_json: bool,
) -> None:
    """Change or show the list."""
    from realm.session import net

    place = here(directory)
    if listing or as_json:
        if hosts or remove:
            raise UsageError("--list lists all hosts", "leave out the other arguments")
        _show(place, as_json=as_json)
        return
    if not hosts:
        raise UsageError("no host was given", "realm allow example.com, or realm allow --list")
    changed = (net.refuse if remove else net.allow)(hosts, place, everywhere=everywhere)
    what = "no longer allowed" if remove else "allowed"
    now = "; running containers know it already" if changed else ""
    output.say(f"{', '.join(hosts)}: {what}{now}")
    if os.environ.get("REALM_ALLOW"):
        output.hint("REALM_ALLOW is set in this shell: it overrides git config")
    if net.policy(place) != "allow":
        output.hint("git config realm.network allow: without it this has no effect")


def _show(directory: Path, *, as_json: bool) -> None:
    from realm.session import net

    rows = [(str(host), False) for host in net.allowed(directory)]
    rows += [(str(host), True) for host in net.usual()]
    if as_json:
        output.json([{"host": host, "usual": usual} for host, usual in rows])
        return
    for host, _ in rows:
        output.data(host)
