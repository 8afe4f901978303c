"""Checks asciicasts, written only from the published description of version 2."""

from __future__ import annotations

import json
from typing import Any


def check(data: bytes) -> list[list[Any]]:
    """Return the events of a cast; AssertionError when it violates the format."""
    assert data.endswith(b"\n")
    header, *events = [
        json.loads(line, parse_constant=_refuse) for line in data.decode("utf-8").split("\n")[:-1]
    ]
    assert header["version"] == 2
    for key in ("width", "height"):
        assert type(header[key]) is int
        assert header[key] > 0
    assert type(header.get("timestamp", 0)) is int
    assert type(header.get("title", "")) is str
    assert all(type(value) is str for value in header.get("env", {}).values())
    assert set(header) <= {
        "version", "width", "height", "timestamp", "duration", "idle_time_limit", "command", "title", "env",
        "theme",
    }  # fmt: skip
    before = 0.0
    for event in events:
        moment, code, text = event
        assert type(moment) in {int, float}
        assert moment >= before
        assert code in {"o", "i", "m", "r"}
        assert type(text) is str
        if code == "r":
            columns, rows = text.split("x")
            assert int(columns) > 0
            assert int(rows) > 0
        before = moment
    return events


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")
