"""README.md's examples of a session, and of a day, print what the page shows; the API is a stand-in."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.repos import Repo
from tests.support.user import User

if TYPE_CHECKING:
    from tests.support.api import MessagesApi
    from tests.support.install import Installed

pytestmark = [pytest.mark.engine, pytest.mark.defaults]

README = Path(__file__).resolve().parents[2] / "README.md"
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def steps(part: str) -> list[tuple[str, list[str]]]:
    """Return the commands of a part of the page with the lines that it shows below each."""
    text = README.read_text(encoding="utf-8")
    found = re.search(rf"<!-- {part}:.*?-->(.*?)<!-- {part} ends -->", text, re.DOTALL)
    assert found is not None
    commands: list[tuple[str, list[str]]] = []
    for line in "".join(_BLOCK.findall(found[1])).splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            commands[-1][1].append(line)
    return commands


def shape(lines: list[str]) -> list[str]:
    """Return lines with ids and times made alike, columns one blank apart, and sessions by name."""
    text = [re.sub(r"\b[0-9a-f]{40}\b|\b[0-9a-f]{10}\b|\b[0-9a-f]{7}\b", "ID", line) for line in lines]
    text = [re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "THEN", line) for line in text]
    text = [re.sub(r"just now|\d+ minutes? ago|  now   |  \d+m    ", " WHEN ", line) for line in text]
    text = [re.sub(r"took \d+ s\b", "took a while", line) for line in text]
    text = [re.sub(r" +", " ", line).rstrip() for line in text]
    return sorted(text) if text and text[0].startswith("NAME ") else text


TASKS = """\
write app/tax.py with def tax(price): return price // 5
write app/ship.py with def ship(price): return 4
write app/gift.py with def gift(price): return price + 2
write NOTES with Prices are in cents.
write app/price.py with def total(prices): return max(prices)
"""


@pytest.fixture
def shopkeeper(sealed: Path, installed: Installed, api: MessagesApi, user: User, claude: User) -> User:
    """Return the person of the quickstart: in ``~/src/shop``, which has an ``origin``."""
    shop = Repo.init(sealed / "src/shop")
    shop.write("app/price.py", "def total(prices):\n    return sum(prices)\n")
    shop.write("tasks.txt", TASKS)
    shop.commit("Start a shop")
    shop.git("remote", "add", "origin", str(Repo.init(sealed / "origin.git", bare=True).path))
    return User(installed, shop, dict(claude.extra))


@pytest.mark.parametrize("part", ["quickstart", "day"])
def test_it_prints_what_the_page_shows(shopkeeper: User, part: str) -> None:
    commands = steps(part)
    assert len(commands) > 5
    for command, expected in commands:
        script = f"GIT_PAGER=cat; export GIT_PAGER; {command}; echo and the code is $?"
        with shopkeeper.shell(script, columns=100) as terminal:
            terminal.wait_for(r"and the code is \d", 120)
            printed, _, code = terminal.history().partition("and the code is ")
        assert code.split()[0] == "0", printed
        lines = [line for line in printed.splitlines() if line.strip()]
        if "realm wait" in command:  # one that has ended before is not waited for, and they end in any order
            assert {*shape(lines)} <= {*shape(expected)}, command
        else:
            assert shape(lines) == shape(expected), command


def test_they_are_about_realm() -> None:
    verbs = {shlex.split(command)[1] for command, _ in steps("quickstart") if command.startswith("realm ")}
    assert verbs == {"new", "resume", "list", "push", "remove", "restore"}
    verbs = {shlex.split(command)[1] for command, _ in steps("day") if command.startswith("realm ")}
    assert verbs == {"new", "wait", "list", "show", "conflicts", "merge", "remove"}
