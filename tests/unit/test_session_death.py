"""What is said of a sandbox that ended before it had saved its work."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from realm.sandbox.answers import End
from realm.session import death

if TYPE_CHECKING:
    from realm.sandbox.sandbox import Sandbox

KILLED = End(137, out_of_memory=False, memory=0)


@pytest.mark.parametrize(
    ("end", "short"),
    [
        (KILLED, "killed, exit 137"),
        (End(137, out_of_memory=True, memory=0), "out of memory"),
        (End(255, out_of_memory=False, memory=0), "engine restarted"),
        (End(130, out_of_memory=False, memory=0), None),  # the user's Ctrl-C, in its first moment
        (None, "container removed"),
    ],
)
def test_why_it_died(end: End | None, short: str | None) -> None:
    sandbox = cast("Sandbox", SimpleNamespace(end=lambda: end))
    found = death.of(sandbox, 1, end.code if end else 137, reported=False)
    assert (found.short if found else None) == short


def test_one_that_the_user_stopped_and_that_did_not_listen_is_none() -> None:
    sandbox = cast("Sandbox", SimpleNamespace(end=lambda: KILLED))
    assert death.of(sandbox, 1, KILLED.code, reported=False, asked=True) is None
