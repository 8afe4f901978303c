from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from realm.cli.boundary import CommandLineError, guard
from realm.errors import RealmError, UsageError
from realm.paths import make_private

if TYPE_CHECKING:
    from collections.abc import Callable


def raising(error: BaseException) -> Callable[[list[str]], int]:
    def command(_: list[str]) -> int:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "agent_code"),
    [
        (RealmError("it broke"), 1, 125),
        (UsageError("it broke"), 2, 125),
        (CommandLineError("it broke"), 2, 125),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 1, 125),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 1, 125),
        (MemoryError(), 1, 125),
        (RuntimeError("can't start new thread"), 1, 125),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), 1, 125),
        (ValueError("it broke"), 3, 125),
        (KeyboardInterrupt(), 130, 130),
        (KeyboardInterrupt(15), 143, 143),
        (BrokenPipeError(), 141, 141),
    ],
)
def test_every_kind_of_failure_has_its_exit_code(error: BaseException, code: int, agent_code: int) -> None:
    assert guard(raising(error), ["list"]) == code
    assert guard(raising(error), ["-C", "/", "resume", "x"]) == agent_code


def test_an_error_is_said_with_a_hint_below(capsys: pytest.CaptureFixture[str]) -> None:
    guard(raising(RealmError("it broke", "mend it")), ["list"])
    assert capsys.readouterr() == ("", "error: it broke\n\nhint: mend it\n")


def test_without_a_hint_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    guard(raising(RealmError("it broke")), ["list"])
    assert capsys.readouterr().err == "error: it broke\n"


def test_where_a_command_line_is_wrong_its_help_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    guard(raising(UsageError("--agent is empty")), ["new", "x"])
    assert capsys.readouterr().err == "error: --agent is empty\n\nhint: realm new --help explains it\n"


def test_a_usage_error_shows_how_the_command_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    guard(raising(CommandLineError("wrong", "realm x --help", "realm x <name>")), ["x"])
    assert capsys.readouterr().err == "error: wrong\n\nusage: realm x <name>\nhint: realm x --help\n"


def test_control_characters_never_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    guard(raising(RealmError("a\x1b]0;title\x07b\udcff", "c\x9bd\u202e")), ["list"])
    assert capsys.readouterr().err == "error: a]0;titleb\n\nhint: cd\n"


def test_a_refusal_of_the_system_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    guard(raising(OSError(errno.ENOSPC, "No space left on device", "/x/y")), ["list"])
    assert "error: No space left on device: /x/y\n" in capsys.readouterr().err


def test_a_full_disk_is_named_where_the_system_names_no_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = make_private(tmp_path / "home")
    monkeypatch.setenv("REALM_HOME", str(home))

    def asked(place: object) -> SimpleNamespace:
        free = 0 if place == home else 10**6
        return SimpleNamespace(f_bavail=free, f_frsize=4096, f_files=10, f_favail=10)

    monkeypatch.setattr(os, "statvfs", asked)
    guard(raising(OSError(errno.ENOSPC, "No space left on device")), ["list"])
    assert f"error: No space left on device: {home}\n" in capsys.readouterr().err


def test_a_bug_is_logged_without_the_command_line(capsys: pytest.CaptureFixture[str], sealed: Path) -> None:
    assert guard(raising(ValueError("it broke")), ["list", "my secret prompt"]) == 3
    err = capsys.readouterr().err
    assert "Traceback" not in err
    named = re.search(r"log (\S+)", err)
    assert named is not None
    log = Path(named[1])
    assert log.parent == sealed / ".realm" / "logs"
    assert log.stat().st_mode & 0o777 == 0o600
    assert "ValueError: it broke" in log.read_text()
    assert "verb list" in log.read_text()
    assert "secret" not in log.read_text()


def test_a_bug_without_room_for_a_log_is_still_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("REALM_HOME", str(tmp_path / "file"))
    assert guard(raising(ValueError("it broke")), ["list"]) == 3
    assert "this is a bug in realm: ValueError: it broke" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError("it broke"), RealmError("it broke")])
def test_the_traceback_is_shown_to_those_who_ask(
    error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REALM_DEBUG", "1")
    guard(raising(error), ["list"])
    assert "Traceback" in capsys.readouterr().err


def test_the_commands_own_code_is_passed_on() -> None:
    assert guard(lambda _: 42, ["new", "x"]) == 42
