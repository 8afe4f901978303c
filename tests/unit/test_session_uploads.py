"""What is dropped onto the terminal is brought into the container; other pastes stay what they are."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from realm.errors import EngineError
from realm.session import uploads

if TYPE_CHECKING:
    from collections.abc import Callable


class Sandboxed:
    """A sandbox that takes files, or is out of reach."""

    def __init__(self, *, works: bool = True) -> None:
        self.works = works
        self.files: dict[str, bytes] = {}

    def write_file(self, path: str, data: bytes, mode: int) -> None:
        """Take a file."""
        assert mode == 0o644
        if not self.works:
            raise EngineError("gone")
        self.files[path] = data

    def read_file(self, path: str, limit: int) -> bytes | None:
        """Return the one file of the work tree."""
        return b"in the work tree" if path == "/workspace/shop/docs/a b.md" and limit > 16 else None


def _bring(
    paste: bytes, root: Path | None = None, *, works: bool = True
) -> tuple[bytes, dict[str, bytes], list[str]]:
    sandbox: Any = Sandboxed(works=works)
    said: list[str] = []
    return uploads.Uploads(sandbox, _plan(root), said.append).text(paste), sandbox.files, said


def _plan(root: Path | None = None, key: int | None = None) -> Any:
    return SimpleNamespace(
        project=SimpleNamespace(root=root or Path("/nowhere")),
        session=SimpleNamespace(workspace="/workspace/shop"),
        agent=SimpleNamespace(image_key=key),
    )


def test_a_file_comes_in_and_its_path_there_is_pasted_however_the_terminal_quotes(tmp_path: Path) -> None:
    path = tmp_path / "My shot's.png"
    path.write_bytes(b"picture")
    escaped = str(path).replace(" ", "\\ ").replace("'", "\\'")
    for text in (shlex.quote(str(path)), f"{escaped} ", f"file://{quote(str(path))}"):
        paste, files, said = _bring(text.encode())
        [(inside, data)] = files.items()
        assert data == b"picture"
        assert inside.startswith("/realm/home/dropped-")
        assert inside.endswith("-My-shot-s.png")
        assert paste == inside.encode()
        assert str(path) in said[0]
        assert inside in said[0]


@pytest.mark.parametrize("text", [
    "{0}/a {0}/b", "look at {0}/a", "a", "{0}", "{0}/none", "{0}/.env", "{0}/.ssh/id", "{0}/link", "'{0}/a",
    "{0}/a\0", "/dev/null", "{0}/fifo", "{0}/loop", "/etc/passwd", "{0}/passwd", "{0}/e\x1b[m",
    "/proc/self/environ", "/usr/bin/env",
])  # fmt: skip
def test_any_other_paste_goes_through_as_it_is(tmp_path: Path, text: str) -> None:
    (tmp_path / ".ssh").mkdir()
    for name in ("a", "b", ".env", ".ssh/id"):
        (tmp_path / name).write_text("secret")
    (tmp_path / "e\x1b[m").touch()
    for name, target in (("link", ".ssh/id"), ("loop", "loop"), ("passwd", "/etc/passwd")):
        (tmp_path / name).symlink_to(target)
    os.mkfifo(tmp_path / "fifo")
    paste = text.format(tmp_path).encode()
    assert _bring(paste) == (paste, {}, [])


def test_a_large_file_or_a_sandbox_out_of_reach_leaves_the_paste_alone(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("x")
    assert _bring(str(path).encode(), works=False) == (str(path).encode(), {}, [])
    with path.open("wb") as file:
        file.truncate(33 * 1024**2)
    assert _bring(str(path).encode()) == (str(path).encode(), {}, [])


def test_a_file_of_the_project_is_the_one_in_the_workspace(tmp_path: Path) -> None:
    for name in ("a b.md", "shot.png"):
        (tmp_path / "docs").mkdir(exist_ok=True)
        (tmp_path / "docs" / name).write_text("x")
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    for root in (tmp_path, tmp_path / "link"):
        paste = shlex.quote(str(tmp_path / "docs" / "a b.md")).encode()
        assert _bring(paste, root) == (b"'/workspace/shop/docs/a b.md'", {}, [])
    paste, files, _ = _bring(str(tmp_path / "docs" / "shot.png").encode(), tmp_path)
    assert list(files) == [paste.decode()]
    assert paste.startswith(b"/realm/home/dropped-")


@pytest.mark.parametrize("top", ["/var/home/ada", "/run/media/ada", "/var/tmp", "/private/var/folders"])
def test_homes_and_drives_lie_in_many_places(top: str) -> None:
    assert uploads._SYSTEM.match(f"{top}/a") is None


@pytest.mark.parametrize("top", ["/var/lib", "/run/lock", "/private/var/db", "/usr/share"])
def test_what_the_system_has_is_the_containers(top: str) -> None:
    assert uploads._SYSTEM.match(f"{top}/a") is not None


def _desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: str, script: str = "exit 1") -> None:
    """Have an X11 desktop whose clipboard tells these kinds; ``script`` prints the one in ``$5``."""
    program = tmp_path / "bin" / "xclip"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nif [ "$5" = TARGETS ]; then echo "{kinds}"; exit; fi\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


def _image(*, works: bool = True) -> tuple[bytes, dict[str, bytes], list[str]]:
    sandbox: Any = Sandboxed(works=works)
    said: list[str] = []
    pastes = uploads.Uploads(sandbox, _plan(key=0x16), said.append)
    assert pastes.key == 0x16
    return pastes.image(), sandbox.files, said


def test_an_image_in_the_clipboard_comes_in_as_the_best_of_its_kinds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _desktop(tmp_path, monkeypatch, "TIMESTAMP\nimage/webp\nimage/png\ntext/html", 'printf %s "$5"')
    pasted, files, said = _image()
    assert files == {pasted.decode(): b"image/png"}
    assert pasted.startswith(b"/realm/home/dropped-")
    assert pasted.endswith(b"-clipboard.png")
    assert pasted.decode() in said[0]
    assert _image(works=False) == (b"", {}, [])


@pytest.mark.parametrize(
    ("kinds", "script"),
    [
        ("UTF8_STRING\ntext/plain", "echo text"),
        ("image/png", "exit 1"),
        ("image/png", ":"),
        ("image/png", "echo half; exec sleep 100"),
        ("image/png", "exec head -c 70000000 /dev/zero"),
    ],
    ids=["text", "refused", "empty", "slow", "large"],
)
def test_a_clipboard_without_an_image_gives_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: str, script: str
) -> None:
    _desktop(tmp_path, monkeypatch, kinds, script)
    began = time.monotonic()
    assert _image() == (b"", {}, [])
    assert time.monotonic() - began < 10


def test_macos_forbids_to_kill_what_has_just_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(group: int, number: int, kill: Callable[[int, int], None] = os.killpg) -> None:
        kill(group, number)
        raise PermissionError

    monkeypatch.setattr(os, "killpg", killed)
    _desktop(tmp_path, monkeypatch, "image/png", "exec sleep 100")
    assert _image() == (b"", {}, [])


@pytest.mark.parametrize(("printed", "brought"), [("50006E", [b"P\0n"]), ("50006", [])])
def test_macos_prints_images_in_hex(
    printed: str, brought: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "osascript"
    program.write_text(
        '#!/bin/sh\n[ "$2" = "clipboard info" ] && { echo "«class PNGf», 3, «class 8BPS», 9"; exit; }\n'
        f'[ "$2" = "get the clipboard as «class PNGf»" ] && echo "«data PNGf{printed}»"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("sys.platform", "darwin")
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    _, files, _ = _image()
    assert list(files.values()) == brought


def test_without_a_desktop_no_key_asks_for_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    sandbox: Any = Sandboxed()
    assert uploads.Uploads(sandbox, _plan(key=0x16), str).key is None
