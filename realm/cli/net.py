"""``realm net``: the requests that a session's container was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from realm import hosts
from realm.cli import output
from realm.cli.command import verb
from realm.cli.params import SESSION, common, json_option
from realm.text import clean, plural

if TYPE_CHECKING:
    from pathlib import Path

    from realm.model import Refusal

EXAMPLES = (
    ("net quick-fix", "what its container was refused, and how to allow it"),
    ("net quick-fix -f", "as it happens, until the agent ends"),
)
NOTE = "Shows the last run, with realm.network allow. For the hosts that are allowed, see realm allow --list."
_WHY = {
    "address": "an address instead of a name",
    "login": "it is only for reading, with a login",
    "private": "it leads to a private address: allow the address itself",
}
_HERE = "the container itself, which needs no proxy: the program ignores NO_PROXY"


@verb("net", EXAMPLES, NOTE)
@click.argument("name", type=SESSION)
@click.option("-f", "--follow", is_flag=True, help="keep showing them until the agent ends")
@json_option
@common
def command(name: str, directory: Path | None, follow: bool, as_json: bool) -> None:
    """Print a line for each host that was refused."""
    from realm.session import net

    found = net.seen(name, directory)
    if as_json:
        output.json({"network": found.network or None, "refused": [one._asdict() for one in found.refused]})
        return
    if follow:
        for refusal in net.follow(name, directory):
            output.data(_line(refusal))
            output.flush()
        return
    for refusal in found.refused:
        output.data(_line(refusal))
    if not found.refused:
        words = {"allow": "nothing was refused", "none": "its container has no network"}
        output.hint(words.get(found.network, "its container's network is open: nothing is refused"))


def _line(refusal: Refusal) -> str:
    from realm.session import refusals

    host = hosts.at(clean(refusal.host), refusal.port)
    reason = _HERE if host.is_here else _WHY.get(refusal.why, "")
    why = f" ({reason})" if reason else ""
    advice = f": realm allow {host}" if refusals.may_be_allowed(refusal) else ""
    return f"denied: {host}, {plural(refusal.times, 'time')}{why}{advice}"
