"""Files of tasks as people write them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from realm.cli.ui import TerminalUI
from realm.errors import UsageError
from realm.session import several
from realm.session.requests import NewRequest
from realm.store import refs, repo

if TYPE_CHECKING:
    from pathlib import Path


def test_a_list_from_any_editor(tmp_path: Path) -> None:
    file = tmp_path / "tasks.md"
    file.write_bytes(
        b"\xef\xbb\xbf# Today\r\n\r\n- fix the -x option\r\n* [ ] add docs\r\n- [x] write tests\r\n"
        b"-v is ignored\r\n  1. two\r\n+ make it a + b - c\r\n"
    )
    assert several.read_tasks(str(file)) == [
        "fix the -x option", "add docs", "-v is ignored", "1. two", "make it a + b - c"
    ]  # fmt: skip


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
    ended: dict[str, tuple[int, str]] = {}
    several._start({"a": first, "b": second}, ended)
    assert ended == {"a": (3, "one\ntwo\n"), "b": (0, "1\n")}


def start_instead(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have ``script`` run with a session's name in the place of realm."""
    monkeypatch.setattr(several, "_command", lambda _request, name, *_: ("sh", "-c", script, name))
    monkeypatch.setattr(refs, "check_new", lambda *_: None)
    monkeypatch.setattr(repo, "discover", lambda *_: None)
    monkeypatch.setattr(repo, "resolve_commit", lambda *_: "")


def test_what_keeps_the_first_from_starting_is_said_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    start_instead("echo error: no login for $0 >&2; exit 125", monkeypatch)
    assert several.several(NewRequest("try", tmp_path), [()] * 5, TerminalUI()) == 125
    assert capfd.readouterr() == ("", "error: no login for try-1\n")


def test_an_interrupt_tells_what_begins_and_kills_none_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    go_on, here = tmp_path / "go-on", os.getpid()
    # Ctrl-C comes while the second ones start, and goes to all of the terminal's processes.
    script = (
        f"[ -z $_REALM_FURTHER ] && exit; echo $0 >>{go_on}; n=0;"
        f"while [ $(wc -l <{go_on}) -lt 4 ] && [ $n -lt 1000 ]; do sleep 0.01; n=$((n + 1)); done;"
        f"[ $0 != try-2 ] || kill -INT {here}; sleep 0.5; echo $0 began >&2"
    )
    start_instead(script, monkeypatch)
    with pytest.raises(KeyboardInterrupt) as caught:
        several.several(NewRequest("try", tmp_path), [()] * 8, TerminalUI())
    begun = [f"try-{number}" for number in range(1, 6)]
    (told,) = caught.value.__notes__
    assert told == (
        "5 sessions in the background: try-1, try-2, try-3, try-4 and try-5; "
        f"realm stop {' '.join(begun)} ends them"
    )
    assert capsys.readouterr().err.splitlines() == [f"{name} began" for name in begun[1:]]
