"""Runs the command line within the test, with fake use-cases and captured streams."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import realm.session
from realm.cli import output
from realm.cli.app import run

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


@dataclass(frozen=True)
class Result:
    """A command's exit code, standard output and standard error."""

    code: int
    out: str
    err: str


class CommandLine:
    """Runs a command line when called; ``fake`` replaces a use-case's functions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.program = "/usr/bin/realm"

    def fake(self, module: str, **functions: Callable[..., Any]) -> None:
        """Replace ``realm.session.<module>`` by a module that has only ``functions``."""
        made = ModuleType(f"realm.session.{module}")
        for name, function in functions.items():
            setattr(made, name, function)
        self._monkeypatch.setitem(sys.modules, made.__name__, made)
        self._monkeypatch.setattr(realm.session, module, made, raising=False)

    def terminal(self, columns: int = 80) -> None:
        """Let all streams pass for a terminal of that width."""
        self._monkeypatch.setattr(output, "is_terminal", lambda stream: stream is not None)
        self._monkeypatch.setenv("COLUMNS", str(columns))
        self._monkeypatch.setenv("NO_COLOR", "1")

    def __call__(self, *arguments: str) -> Result:
        output.choose_color("auto")
        self._monkeypatch.setattr(sys, "argv", [self.program, *arguments])
        self._capsys.readouterr()
        code = run(list(arguments))
        caught = self._capsys.readouterr()
        return Result(code, caught.out, caught.err)
