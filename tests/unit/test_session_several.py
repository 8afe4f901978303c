"""Files of tasks as people write them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from realm.errors import UsageError
from realm.session import several

if TYPE_CHECKING:
    from pathlib import Path


def test_a_list_from_any_editor(tmp_path: Path) -> None:
    file = tmp_path / "tasks.md"
    file.write_bytes(
        b"\xef\xbb\xbf# Today\r\n\r\n- fix the -x option\r\n* [ ] add docs\r\n- [x] write tests\r\n"
        b"-v is ignored\r\n  1. two\r\n"
    )
    assert several.read_tasks(str(file)) == ["fix the -x option", "add docs", "-v is ignored", "1. two"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no task"),
        (b"# later\n\n", "no task"),
        (b"one\0two\n", "not text"),
        (b"\xff\xfeo\0", "not UTF-8"),
        (b"a task\n" * 200_000, "more than 1,000,000 bytes"),
    ],
)
def test_what_is_no_file_of_tasks(tmp_path: Path, data: bytes, said: str) -> None:
    file = tmp_path / "tasks"
    file.write_bytes(data)
    with pytest.raises(UsageError, match=said) as caught:
        several.read_tasks(str(file))
    assert "one per line" in caught.value.hint


def test_the_further_ones_start_side_by_side_and_what_they_say_stays_apart(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    first = ["sh", "-c", f"echo one >&2; read word <{pipe}; echo $word >&2; exit 3"]  # waits for the second
    second = ["sh", "-c", f"echo two >{pipe}; echo $_REALM_FURTHER >&2; cat"]
    assert several._start([first, second]) == [(3, "one\ntwo\n"), (0, "1\n")]
