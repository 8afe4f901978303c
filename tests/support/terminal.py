"""Both sides of a relay for tests: pseudo-terminals of a user and a sandbox, and tmux as a reference."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import shlex
import socket
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from realm.sandbox.stream import Demux
from tests.support.waiting import eventually

if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence

RECORDINGS = Path(__file__).parent.parent / "data" / "terminal"
ROOT = Path(__file__).parent.parent.parent
ROWS, COLUMNS = 24, 80

_TMUX = """\
set -g status off
set -g default-shell /bin/sh
set -s escape-time 0
set -g remain-on-exit on
"""


def recordings() -> dict[str, bytes]:
    """Return the recorded output of real programs in a terminal of 24 rows and 80 columns."""
    return {path.stem: path.read_bytes() for path in sorted(RECORDINGS.glob("*.raw"))}


def set_size(fd: int, rows: int, columns: int) -> None:
    """Change a pseudo-terminal's size; its foreground programs get SIGWINCH."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class PlainSandbox:
    """A sandbox's stream that carries only its program's output."""

    def parts(self, data: bytes, /) -> list[tuple[int, bytes]]:
        return [(1, data)]

    def pending(self) -> int:
        return 0


class SocketSandbox(PlainSandbox):
    """A sandbox's stream over one end of a socket pair; :attr:`peer` is the program's end."""

    def __init__(self, *, tty: bool = True) -> None:
        self.tty = tty
        self._demux = Demux()
        self._socket, self.peer = socket.socketpair()

    def fileno(self) -> int:
        return self._socket.fileno()

    def recv(self, size: int, /) -> bytes:
        return os.read(self._socket.fileno(), size)

    def parts(self, data: bytes, /) -> list[tuple[int, bytes]]:
        return super().parts(data) if self.tty else self._demux.feed(data)

    def send(self, data: bytes, /) -> int:
        return self._socket.send(data, socket.MSG_DONTWAIT)

    def close_write(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()
        self.peer.close()


class PtySandbox(PlainSandbox):
    """A sandbox whose program runs in a pseudo-terminal, as in a container with one."""

    tty = True

    def __init__(self, command: Sequence[str]) -> None:
        self._master, slave = os.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LEAD, *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        os.set_blocking(self._master, False)

    def fileno(self) -> int:
        return self._master

    def recv(self, size: int, /) -> bytes:
        try:
            return os.read(self._master, size)
        except BlockingIOError:
            raise
        except OSError:
            # A pseudo-terminal without programs gives EIO.
            return b""

    def send(self, data: bytes, /) -> int:
        return os.write(self._master, data)

    def close_write(self) -> None:
        os.write(self._master, b"\x04")

    def resize(self, rows: int, columns: int) -> None:
        set_size(self._master, rows, columns)


_LEAD = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def driver_command(program: Sequence[str], report: Path, **options: Any) -> list[str]:
    """Return a command that runs ``program`` as a sandbox and relays it to this terminal.

    Options: ``detach`` (keys), ``crash`` (raise when this text is output).  It writes how the relay ended to
    ``report``, as JSON.
    """
    settings = json.dumps({"program": list(program), "report": str(report), **options})
    return [sys.executable, "-m", "tests.support.relayed", settings]


class Seat:
    """A user's pseudo-terminal, and a command running in it."""

    def __init__(self, command: Sequence[str], *, rows: int = ROWS, columns: int = COLUMNS) -> None:
        self.output = b""
        self.master, self.slave = pty.openpty()
        set_size(self.master, rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.flags = fcntl.fcntl(self.slave, fcntl.F_GETFL)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LEAD, *command],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            cwd=ROOT,
            env={**os.environ, "TERM": "xterm-256color"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for fd in (self.master, self.slave):
            if fd >= 0:
                os.close(fd)

    def type(self, data: bytes) -> None:
        """Type ``data``, reading output meanwhile."""
        while data:
            readable, writable, _ = select.select([self.master], [self.master], [], 20)
            if readable:
                self._read()
            if writable:
                data = data[os.write(self.master, data[:1024]) :]

    def read_until(self, marker: bytes, seconds: float = 20.0) -> bytes:
        """Read until ``marker`` has come; return all output so far."""
        deadline = time.monotonic() + seconds
        while marker not in self.output:
            assert time.monotonic() < deadline, f"{marker!r} did not come: {self.output[-2000:]!r}"
            self.pump(0.1)
        return self.output

    def pump(self, seconds: float) -> None:
        """Read output for ``seconds``."""
        if select.select([self.master], [], [], seconds)[0]:
            self._read()

    def _read(self) -> None:
        self.output += os.read(self.master, 65536)

    def finish(self, seconds: float = 20.0) -> int:
        """Read until the command has ended; return its code."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"still running: {self.output[-2000:]!r}"
            self.pump(0.05)
        while select.select([self.master], [], [], 0)[0]:
            self._read()
        return self.process.returncode

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command."""
        self.process.send_signal(number)

    def settings(self) -> list[Any]:
        """Return the current line settings."""
        return termios.tcgetattr(self.slave)

    def memory(self) -> int:
        """Return the command's resident memory in bytes."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")


class Judge:
    """A terminal not written by realm: a separate tmux server with one pane."""

    FLAGS = (
        "alternate_on", "cursor_flag", "insert_flag", "keypad_cursor_flag", "keypad_flag", "mouse_any_flag",
        "mouse_button_flag", "mouse_sgr_flag", "mouse_standard_flag", "mouse_utf8_flag", "origin_flag",
        "scroll_region_lower", "scroll_region_upper", "wrap_flag", "mouse_all_flag", "cursor_x", "cursor_y",
    )  # fmt: skip

    def __init__(self, directory: Path, *, rows: int = ROWS, columns: int = COLUMNS) -> None:
        self._socket = directory / "tmux"
        config = directory / "tmux.conf"
        config.write_text(_TMUX)
        self._run("-f", str(config), "new-session", "-d", "-x", str(columns), "-y", str(rows), "cat")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._run("kill-server")

    def _run(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self._socket), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout

    def run(self, command: Sequence[str]) -> None:
        """Start ``command`` in the pane in place of its program, as in a new terminal."""
        self._run("respawn-pane", "-k", "-c", str(ROOT), shlex.join(command))

    def show(self, data: bytes, directory: Path) -> None:
        """Feed ``data`` to a fresh terminal as a program's raw output."""
        path = directory / "bytes"
        path.write_bytes(data)
        done = directory / "done"
        done.unlink(missing_ok=True)
        script = 'stty raw -echo; cat "$1"; touch "$2"; exec sleep 1000'
        self.run(["sh", "-c", script, "sh", str(path), str(done)])
        eventually(done.exists, 20)
        # The pane reads the output a moment later.
        seen = None
        while seen != (seen := (self.screen(), self.state())):
            time.sleep(0.05)

    def type(self, keys: str) -> None:
        """Type text into the pane."""
        self._run("send-keys", "-l", keys)

    def key(self, name: str) -> None:
        """Press a key, by tmux's name for it."""
        self._run("send-keys", name)

    def signal_foreground(self, number: signal.Signals) -> None:
        """Send a signal to the foreground programs, as another window's ``kill`` would."""
        # By process: terminals in containers have the same names, so ps would also list programs there.
        leader = self._run("display-message", "-p", "#{pane_pid}").strip()
        listing = ["ps", "-o", "tpgid=", "-p", leader]
        group = subprocess.run(listing, check=True, capture_output=True, text=True).stdout
        os.killpg(int(group), number)

    def resize(self, rows: int, columns: int) -> None:
        """Change the window's size."""
        self._run("resize-window", "-x", str(columns), "-y", str(rows))

    def screen(self) -> str:
        """Return the screen's text without trailing blanks."""
        lines = self._run("capture-pane", "-p").splitlines()
        return "\n".join(line.rstrip() for line in lines).rstrip("\n")

    def state(self) -> dict[str, str]:
        """Return the modes that are on."""
        line = self._run("display-message", "-p", ",".join(f"#{{{flag}}}" for flag in self.FLAGS))
        return dict(zip(self.FLAGS, line.strip().split(","), strict=True))

    def wait_for_text(self, text: str) -> None:
        """Wait until ``text`` is on the screen."""
        try:
            eventually(lambda: text in self.screen(), 20)
        except AssertionError as error:
            raise AssertionError(f"{text!r} did not come:\n{self.screen()}") from error
