from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realm.terminal.relay.detach import Matcher

KEYS = (16, 17)
"""ctrl-p,ctrl-q"""


@pytest.mark.parametrize(
    ("typed", "passed", "detached"),
    [
        ([b"hello"], b"hello", False),
        ([b"\x10\x11"], b"", True),
        ([b"\x10", b"\x11"], b"", True),
        ([b"ab\x10\x11cd"], b"ab", True),
        ([b"\x10x"], b"\x10x", False),
        ([b"\x10"], b"", False),
        ([b"\x10\x10\x11"], b"\x10", True),
        ([b"\x10\x10x"], b"\x10\x10x", False),
        ([b"\x11\x10"], b"\x11", False),
        ([b"\x1b[112;5u\x1b[113;5u"], b"", True),
        ([b"\x1b[112;5u", b"\x1b[112;5:3u\x1b[113;5u"], b"", True),
        ([b"\x1b[112;133u\x1b[113;69u"], b"", True),
        ([b"\x1b[27;5;112~\x1b[27;5;113~"], b"", True),
        ([b"\x1b[11", b"2;5u\x1b[113;5u"], b"", True),
        ([b"\x1b[112;5ux"], b"\x1b[112;5ux", False),
        ([b"\x1b[112;6u\x1b[113;5u"], b"\x1b[112;6u\x1b[113;5u", False),
        ([b"\x1b"], b"\x1b", False),
        ([b"\x1b[A\x1b[1;5C"], b"\x1b[A\x1b[1;5C", False),
    ],
)
def test_the_sequence_is_found_and_all_else_passes(
    typed: list[bytes], passed: bytes, *, detached: bool
) -> None:
    matcher = Matcher(KEYS)
    results = [matcher.feed(data) for data in typed]
    assert b"".join(data for data, _ in results) == passed
    assert results[-1][1] is detached


@given(st.lists(st.binary(max_size=20)))
def test_without_keys_everything_passes(typed: list[bytes]) -> None:
    matcher = Matcher(())
    assert b"".join(matcher.feed(data)[0] for data in typed) == b"".join(typed)


@given(st.lists(st.text("ab\x1b[;:5u~\x10", max_size=12)))
def test_what_is_not_the_sequence_is_lost_nowhere(typed: list[str]) -> None:
    matcher = Matcher(KEYS)
    sent = "".join(typed).encode()
    passed = b"".join(matcher.feed(data.encode())[0] for data in typed)
    # Keys that neither begin nor continue anything release what is held.
    passed += matcher.feed(b"zz")[0]
    assert passed == sent + b"zz"


@pytest.mark.parametrize("key", [b"\x1a", b"\x1b[122;5u", b"\x1b[27;5;122~"])
def test_ctrl_z_is_asked_about_in_every_form(key: bytes) -> None:
    assert Matcher(KEYS).feed(b"a" + key) == (b"a" + key, False)
    matcher = Matcher(KEYS, lambda: True)
    assert matcher.feed(b"a" + key + b"b") == (b"a", True)
    assert matcher.suspended
    matcher = Matcher((), lambda: False)
    assert matcher.feed(b"a" + key + b"b") == (b"a" + key + b"b", False)
    assert not matcher.suspended


def test_ctrl_z_behind_a_beginning_of_the_detach_keys_takes_that_along() -> None:
    assert Matcher(KEYS, lambda: True).feed(b"\x10\x1a") == (b"\x10", True)


def test_ctrl_z_as_the_detach_key_detaches() -> None:
    matcher = Matcher((0x1A,), lambda: True)
    assert matcher.feed(b"\x1a") == (b"", True)
    assert not matcher.suspended
