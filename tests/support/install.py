"""realm as users install it: by ``install.sh`` into a separate home, once for the whole test run."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.sealed import sealed_environment

if TYPE_CHECKING:
    import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
QUIETLY = ("--yes", "--no-engine", "--no-image", "--no-run")
_SHARED = os.environ.get("REALM_TEST_SHARED")
"""The directory shared by all parts of a test run, if there are several."""


@dataclass(frozen=True)
class Installed:
    """An installation below ``home``; ``bin`` holds ``realm`` and ``git-realm``."""

    home: Path

    @property
    def bin(self) -> Path:
        return self.home / ".local/bin"

    @property
    def realm(self) -> Path:
        return self.bin / "realm"

    @property
    def python(self) -> Path:
        """The interpreter of realm's private environment."""
        return self.home / ".realm/venv/bin/python"


def run_installer(
    home: Path, *arguments: str, piped: bool = False, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the checkout's installer for a user whose home is ``home``.

    With ``piped`` bash reads it from a pipe, as with ``curl … | bash``, and no checkout is at hand.
    """
    home.mkdir(parents=True, exist_ok=True)
    shared = {"PIP_CACHE_DIR": str(Path(tempfile.gettempdir()) / f"realm-tests-pip-{os.getuid()}")}
    env = sealed_environment(home, engine=True) | shared | environment
    env.pop("PYTHONPATH", None)
    script = CHECKOUT / "install.sh"
    command = ["bash", "-s", "--", *arguments] if piped else ["bash", str(script), *arguments]
    with script.open() if piped else Path(os.devnull).open() as stdin:
        return subprocess.run(
            command, env=env, cwd=home, stdin=stdin, capture_output=True, text=True, timeout=600, check=False
        )


def shared_directory(factory: pytest.TempPathFactory) -> Path:
    """Return the directory shared by all workers of this test run."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def install_once(place: Path) -> Installed:
    """Install realm in ``place``, or where all parts of this run share it, unless somebody did.

    Its processes say where they are on SIGABRT.  Raises RuntimeError with what the installer said.
    """
    home = Path(_SHARED or place) / "installed"
    with (home.parent / "installed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "done").exists():
            done = run_installer(home, *QUIETLY)
            if done.returncode != 0:
                raise RuntimeError(f"install.sh failed:\n{done.stderr}")
            program = home / ".realm/venv/bin/realm"
            program.write_text(program.read_text().replace(" -I\n", " -IXfaulthandler\n", 1))
            (home / "done").touch()
    return Installed(home)
