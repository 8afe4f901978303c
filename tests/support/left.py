"""What a program's output leaves switched on in a terminal, determined independently of realm's code."""

from __future__ import annotations

import re

_SEQUENCE = re.compile(
    rb"\x1b\[(?P<mark>[<-?]?)(?P<numbers>[0-9;:]*)(?P<between>[ -/]*)(?P<final>[@-~])"
    rb"|\x1b\](?P<code>\d+);?(?P<text>[^\x07\x1b]*)(?:\x07|\x1b\\)"
    rb"|\x1b(?P<slot>[()*+])(?P<set>.)|\x1b(?P<keypad>[=>])|(?P<shift>[\x0e\x0f])"
)
_ON_AT_START = {"7", "8", "25"}
_ALTERNATE = {"47", "1047", "1049"}
_TITLES = {"0", "2"}
_OPEN = {"8": r"[^;]*;.+", "9": "4;[1-4].*"}
"""OSC numbers that leave something on, and the pattern of their text in that case."""
_WIDE = {38, 48, 58}
_PEN = (
    ("weight", {1, 2, 22}, 22),
    ("italic", {3, 20, 23}, 23),
    ("underline", {4, 21, 24}, 24),
    ("blink", {5, 6, 25}, 25),
    ("reverse", {7, 27}, 27),
    ("hidden", {8, 28}, 28),
    ("struck", {9, 29}, 29),
    ("font", set(range(10, 20)), 10),
    ("colour", {*range(30, 40), *range(90, 98)}, 39),
    ("background", {*range(40, 50), *range(100, 108)}, 49),
    ("other", set(range(50, 90)), 59),
)
"""Renditions that change something, and the one that undoes it."""


def left_on(data: bytes) -> set[str]:
    """Return what is on after ``data``: nothing after a clean exit."""
    account = _Account()
    for match in _SEQUENCE.finditer(data):
        account.take({name: (value or b"").decode("latin-1") for name, value in match.groupdict().items()})
    return account.on | {f"kitty keys {screen}" for screen, depth in account.depths.items() if depth}


class _Account:
    def __init__(self) -> None:
        self.on: set[str] = set()
        self.depths = {"main": 0, "alternate": 0}

    def _note(self, name: str, *, on: bool) -> None:
        (self.on.add if on else self.on.discard)(name)

    def take(self, found: dict[str, str]) -> None:
        if found["final"]:
            self._control(found["mark"] + found["between"] + found["final"], found["numbers"])
        elif found["code"] in _TITLES:
            self._note("title", on=found["text"] != "")
        elif found["code"] in _OPEN:
            text = re.fullmatch(_OPEN[found["code"]], found["text"], re.DOTALL)
            self._note(f"command {found['code']}", on=text is not None)
        elif found["slot"]:
            self._note(f"character set {found['slot']}", on=found["set"] != "B")
        elif found["keypad"]:
            self._note("keypad", on=found["keypad"] == "=")
        elif found["shift"]:
            self._note("shift", on=found["shift"] == "\x0e")

    def _control(self, name: str, numbers: str) -> None:
        first, _, rest = numbers.partition(";")
        if name in {"?h", "?l"}:
            for mode in numbers.split(";"):
                self._mode(mode, on=name == "?h")
        elif name in {"h", "l"}:
            self._note(f"ANSI mode {numbers}", on=name == "h")
        elif name in {">u", "<u"}:
            screen = "alternate" if "alternate screen" in self.on else "main"
            self.depths[screen] = max(0, self.depths[screen] + (1 if name == ">u" else -int(numbers or 1)))
        elif name in {"=u", " q"}:
            self._note({"=u": "kitty keys set", " q": "cursor shape"}[name], on=first not in {"", "0"})
        elif name == ">m":
            self._note(f"other keys {first}", on=rest not in {"", "0"})
        elif name == "r":
            self._note("scroll region", on=numbers != "")
        elif name == "m":
            self._pen([int(number.partition(":")[0] or 0) for number in numbers.split(";")])

    def _mode(self, mode: str, *, on: bool) -> None:
        if mode in _ALTERNATE:
            self._note("alternate screen", on=on)
        else:
            self._note(f"mode {mode}", on=on != (mode in _ON_AT_START))

    def _pen(self, numbers: list[int]) -> None:
        while numbers:
            number = numbers.pop(0)
            if number in _WIDE and numbers:
                del numbers[: 2 if numbers[0] == 5 else 4]
            for name, codes, off in _PEN:
                if number == 0 or number in codes:
                    self._note(f"pen {name}", on=number not in {0, off})
