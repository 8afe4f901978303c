from __future__ import annotations

import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from realm.errors import UsageError
from realm.store.refs import check_name, is_name

GOOD = (
    "a",
    "fix-login",
    "Fix_2.1",
    "0",
    "_x",
    "a.b.c",
    "x" * 64,
    "a-",
    "deadbeef",
    "lock",
    "a.locked",
    "HEAD2",
)
BAD = {
    "": "is empty",
    "a/b": "holds a '/'",
    "/": "holds a '/'",
    "-x": "starts with '-'",
    ".x": "starts with '.'",
    "..": "starts with '.'",
    "a..b": "holds '..'",
    "a.": "ends with '.'",
    "a.lock": "ends with '.lock'",
    "a.LOCK": "ends with '.lock'",
    "x" * 65: "65 characters",
    "a b": "holds a space",
    "a\nb": "control character",
    "a\x1b[2Jb": "control character",
    "a\x00": "control character",
    "a\x7f": "control character",
    "a\x9bb": "control character",
    "ü": "holds 'ü'",
    "a@{b": "holds '@'",
    "a:b": "holds ':'",
    "a~1": "holds '~'",
    "a*": "holds '*'",
    "a\\b": r"holds '\\\\'",
    "a\udcffb": "not valid UTF-8",
    "HEAD": "means something else to git",
    "a" * 40: "means something else to git",
}


@pytest.mark.parametrize("name", GOOD)
def test_good(name: str) -> None:
    check_name(name)
    assert is_name(name)


@pytest.mark.parametrize("name", BAD)
def test_bad(name: str) -> None:
    with pytest.raises(UsageError, match=BAD[name]) as caught:
        check_name(name)
    assert caught.value.message.isprintable()
    assert caught.value.hint
    assert not is_name(name)


ALPHABET = "aA0_.-@{~^:?*[\\/ \n\x7fük"


@given(st.text("aA0_.-", max_size=6) | st.text(ALPHABET, max_size=12) | st.text(max_size=70))
@example("a.lock")
def test_what_passes_also_passes_git(name: str) -> None:
    if not is_name(name):
        return
    done = subprocess.run(["git", "check-ref-format", "--branch", name], capture_output=True, check=False)
    assert done.returncode == 0
    for ref in (f"refs/realm/{name}", f"refs/realm-trash/{name}/1/code"):
        assert subprocess.run(["git", "check-ref-format", ref], check=False).returncode == 0
