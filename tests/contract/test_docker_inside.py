"""What the engine inside a sandbox lacks is said before anything is run: container/docker by itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).resolve().parents[2] / "container" / "docker"
_START = f"state={{0}} layout={{0}}; . {_SCRIPT}; start_docker; await_docker; echo $missing"
_TOOLS = ("dockerd", "ip", "socat")


def _said(tmp_path: Path, **programs: str) -> str:
    """Start the engine with these ``programs`` in the place of the image's; return what is missing."""
    found = tmp_path / "bin"
    found.mkdir()
    for name, script in programs.items():
        (found / name).write_text(f"#!/bin/sh\n{script}\n")
        (found / name).chmod(0o755)
    lines = f"mkdir {tmp_path}/docker; {_START.format(tmp_path)}"
    done = subprocess.run(
        ["/bin/sh", "-c", lines], env={"PATH": f"{found}:/usr/bin:/bin"}, capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("programs", "missing"),
    [
        ({"unshare": "exit 1"}, "the kernel, or a security module, gives no user namespaces"),
        ({"unshare": '[ "$2" = true ] || { echo no users were mapped for it; exit 1; }'},
         "no users were mapped for it"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(tmp_path: Path, programs: dict[str, str], missing: str) -> None:
    rest = dict.fromkeys(_TOOLS, "exit 0")
    assert _said(tmp_path, **rest | programs) == missing


def test_an_image_without_an_engine_is_said(tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", _START.format(tmp_path)],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "the image has no dockerd\n"
