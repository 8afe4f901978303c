from __future__ import annotations

import posixpath
import re
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from realm.store import names
from realm.store.names import link_problem, name_problem

part = st.sampled_from(["a", "b", ".", "..", "", ".git", "up"])
targets = st.lists(part, min_size=1, max_size=8).map("/".join)


@given(targets, st.integers(0, 4))
def test_accepted_link_stays_inside(target: str, depth: int) -> None:
    if link_problem(b"link", target.encode(), depth):
        return
    start = "/".join(f"d{at}" for at in range(depth))
    found = posixpath.normpath(posixpath.join("/root", start, target))
    assert found == "/root" or found.startswith("/root/")
    assert ".git" not in found.split("/")


@given(st.binary(max_size=300))
def test_accepted_name_is_one_harmless_part(name: bytes) -> None:
    if name_problem(name):
        return
    assert name
    assert not set(name) & set(b"/\\\0\n\r\x1b\x7f")
    assert len(name) <= 255
    assert name.lower() not in (b".git", b"git~1", b".", b"..")


words = st.sampled_from(
    ["con", "AUX", "lpt1", "nul", ".git", "GIT~1", "head", "a", "Z9", "_", "-", ".", "..", " ", "x" * 250]
)


@given(st.lists(words | st.text(max_size=2), max_size=5).map("".join))
def test_what_passes_for_a_plain_name_is_one(text: str) -> None:
    """The checks say the same of it where they are made."""
    name = text.encode("utf-8", "surrogatepass")
    checks = (names.name_problem, names.oddity, names.seen, names.folded, names.is_taken_for_git)
    found = [check(name) for check in checks]
    with mock.patch.object(names, "_PLAIN", re.compile(b"(?!)")):
        assert [check(name) for check in checks] == found
