"""Results come behind a box's output under a token that its agent can find out: forging them gains nothing.

They are read like every archive of a box, and what is not whole is fetched from
the box instead.
"""

from __future__ import annotations

import base64
import io
import tarfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.user import User

pytestmark = pytest.mark.engine

TOKEN = (
    "token=$(tr '\\0' '\\n' </proc/1/environ | sed -n 's/^REALM_PARCEL=//p'); [ -n \"$token\" ] || exit 9; "
)
MARK = "printf '\\026\\033_realm-%s;' \"$token\"; "
END = "printf '\\033\\134'; "


def ran(user: User, script: str) -> tuple[int, str]:
    """Run an agent in a terminal; return its exit code and all that the terminal got."""
    with user.terminal("new", "--agent", "sh", "forged", "-c", TOKEN + script) as terminal:
        code = terminal.wait(60)
        return code, terminal.history()


def test_a_forged_beginning_hides_no_work(user: User) -> None:
    code, _ = ran(user, f"echo before; {MARK} echo behind; echo work >work.txt")
    assert code == 0
    assert user.repo.files("refs/realm/forged") == ["README.md", "work.txt"]


def test_endless_results_are_given_up(user: User) -> None:
    code, _ = ran(user, f"echo work >work.txt; {MARK} head -c 30000000 /dev/zero | tr '\\0' A; {END}")
    assert code == 0
    assert user.repo.files("refs/realm/forged") == ["README.md", "work.txt"]


def archive(*members: tuple[str, bytes]) -> str:
    """Return an archive as it comes over the stream."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return base64.b64encode(held.getvalue()).decode()


def climbing() -> str:
    """Return an archive that would climb out of any directory, with a report that says all is done."""
    return archive(
        ("out/../../../../tmp/realm-climbed", b"climbed\n"),
        ("/tmp/realm-climbed", b"climbed\n"),
        ("out/report", b"exit 0\ndone yes\n"),
    )


def test_a_forged_archive_writes_nothing_here(user: User, tmp_path: Path) -> None:
    # Only who ends the entry script can have the last word.
    kill = "kill -9 $PPID; sleep 5"
    code, output = ran(user, f"echo work >work.txt; {MARK} printf %s {climbing()}; {END} {kill}")
    assert not tmp_path.parent.joinpath("realm-climbed").exists()
    assert user.repo.head("refs/realm/forged") == user.repo.head() or code == 137, output
    assert user.repo.git("fsck", "--strict", "--no-dangling", "--no-progress") == ""
    user.realm("remove", "--yes", "forged")
    assert list(user.leftovers()) == []


def test_an_agent_that_goes_on_behind_an_end_that_it_forged_is_ended_and_its_work_kept(user: User) -> None:
    forged = archive(("out/nothing", b""))
    code, _ = ran(user, f"echo work >work.txt; {MARK} printf %s {forged}; {END} sleep 1000")
    assert code != 0
    assert user.repo.files("refs/realm/forged") == ["README.md", "work.txt"]
    assert list(user.leftovers()) == []


def test_an_agent_that_goes_on_behind_a_report_that_it_forged_is_ended(user: User) -> None:
    tip = user.repo.head()
    report = f"exit 0\nhead {tip}\nsnapshot {tip}\ntime 1\ndone yes\n"
    forged = archive(("out/report", report.encode()), ("out/end.point", f"{tip} {tip} 1\n".encode()))
    code, _ = ran(user, f"{MARK} printf %s {forged}; {END} sleep 1000")
    assert code == 0
    assert user.repo.head("refs/realm/forged") == tip
    assert list(user.leftovers()) == []


def test_the_token_is_not_the_agents_environment(user: User) -> None:
    code, output = ran(user, 'echo "has:${REALM_PARCEL-nothing}"')
    assert code == 0
    assert "has:nothing" in output
