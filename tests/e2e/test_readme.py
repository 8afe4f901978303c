"""The quickstart of README.md, typed into a terminal, prints what the page shows; the API is a stand-in."""

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

pytestmark = pytest.mark.engine

README = Path(__file__).resolve().parents[2] / "README.md"
_QUICKSTART = re.compile(r"<!-- quickstart:.*?-->(.*?)<!-- quickstart ends -->", re.DOTALL)
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def steps() -> list[tuple[str, list[str]]]:
    """Return the quickstart's commands with the lines that the page shows below each."""
    found = _QUICKSTART.search(README.read_text(encoding="utf-8"))
    assert found is not None
    commands: list[tuple[str, list[str]]] = []
    for line in "".join(_BLOCK.findall(found[1])).splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            commands[-1][1].append(line)
    return commands


def shape(lines: list[str]) -> list[str]:
    """Return lines with ids and times made alike, and columns one blank apart."""
    text = [re.sub(r"\b[0-9a-f]{40}\b|\b[0-9a-f]{10}\b|\b[0-9a-f]{7}\b", "ID", line) for line in lines]
    text = [re.sub(r"just now|\d+ minutes? ago", "WHEN", line) for line in text]
    return [re.sub(r" +", " ", line).rstrip() for line in text]


@pytest.fixture
def shopkeeper(sealed: Path, installed: Installed, api: MessagesApi, user: User, claude: User) -> User:
    """Return the person of the quickstart: in ``~/src/shop``, which has an ``origin``."""
    shop = Repo.init(sealed / "src/shop")
    shop.write("app/price.py", "def total(prices):\n    return sum(prices)\n")
    shop.commit("Start a shop")
    shop.git("remote", "add", "origin", str(Repo.init(sealed / "origin.git", bare=True).path))
    return User(installed, shop, dict(claude.extra))


def test_the_quickstart_prints_what_the_page_shows(shopkeeper: User) -> None:
    commands = steps()
    assert len(commands) > 5
    for command, expected in commands:
        script = f"GIT_PAGER=cat; export GIT_PAGER; {command}; echo ended $?"
        with shopkeeper.shell(script, columns=100) as terminal:
            terminal.wait()
            printed, _, code = terminal.history().partition("ended ")
        assert code.split()[0] == "0", printed
        assert shape([line for line in printed.splitlines() if line.strip()]) == shape(expected), command


def test_the_quickstart_is_about_realm() -> None:
    verbs = {shlex.split(command)[1] for command, _ in steps() if command.startswith("realm ")}
    assert verbs == {"new", "resume", "list", "push", "remove", "restore"}
