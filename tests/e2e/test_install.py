"""The installer: what it puts where, upgrades, and leaves behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import engines
from tests.support.install import CHECKOUT, Installed, run_installer
from tests.support.repos import Repo
from tests.support.sealed import sealed_environment
from tests.support.user import User

QUIETLY = ("--yes", "--no-engine", "--no-image", "--no-run")


def everything(home: Path) -> set[str]:
    """Return every file below ``home`` but for what other programs (git, pip, rustc) keep there."""
    files = [path for path in home.rglob("*") if path.is_symlink() or path.is_file()]
    names = {path.relative_to(home).as_posix() for path in files}
    return {name for name in names if not name.startswith((".gitconfig", ".cache/", ".rustup/"))}


def outside(home: Path) -> set[str]:
    return {name for name in everything(home) if not name.startswith(".realm/")}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which realm was installed, for tests that leave it as it is."""
    made = tmp_path_factory.mktemp("install") / "home"
    done = run_installer(made, *QUIETLY)
    assert done.returncode == 0, done.stderr
    return made


def test_puts_commands_pages_and_completions_in_place(home: Path) -> None:
    assert outside(home) == {
        ".local/bin/realm",
        ".local/bin/git-realm",
        ".local/share/man/man1/realm.1",
        ".local/share/man/man1/git-realm.1",
        ".local/share/bash-completion/completions/realm",
        ".local/share/bash-completion/completions/git-realm",
        ".local/share/zsh/site-functions/_realm",
        ".local/share/zsh/site-functions/_git-realm",
        ".config/fish/completions/realm.fish",
    }
    version = subprocess.run([Installed(home).realm, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("realm ")
    page = (home / ".local/share/man/man1/git-realm.1").read_text()
    assert page.startswith(".TH")


def test_says_how_to_get_it_on_path(tmp_path: Path) -> None:
    plain = f"/usr/local/bin:/usr/bin:/bin:{_python_directory()}"
    done = run_installer(tmp_path / "home", *QUIETLY, PATH=plain)
    assert done.returncode == 0, done.stderr
    assert 'export PATH="$HOME/.local/bin:$PATH"' in done.stderr
    again = run_installer(tmp_path / "home", *QUIETLY, PATH=f"{tmp_path}/home/.local/bin:{plain}")
    assert again.returncode == 0, again.stderr
    assert "is not on your PATH" not in again.stderr


def _python_directory() -> str:
    return str(Path(shutil.which("python3") or "/usr/bin/python3").parent)


def test_twice_is_an_upgrade_that_mends(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert run_installer(home, *QUIETLY).returncode == 0
    before = outside(home)
    stale = home / ".local/share/man/man1/realm-old.1"
    stale.write_text("old")
    with (home / ".realm/installed").open("a") as manifest:
        manifest.write(f"{stale}\n")
    (home / ".realm/venv/bin/python").unlink()
    (home / ".realm/projects.json").write_text('{"version": 1, "projects": {}}')
    done = run_installer(home, *QUIETLY)
    assert done.returncode == 0, done.stderr
    assert outside(home) == before
    assert subprocess.run([Installed(home).realm, "--version"], check=False).returncode == 0
    assert (home / ".realm/projects.json").exists()


def test_uninstall_leaves_nothing_but_refs(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert run_installer(home, *QUIETLY).returncode == 0
    (home / ".local/bin/other").write_text("somebody else's")
    repo = Repo.init(tmp_path / "project")
    repo.commit("Start")
    repo.git("update-ref", "refs/realm/kept", "HEAD")
    done = run_installer(home, "--uninstall", "--yes", "--no-image")
    assert done.returncode == 0, done.stderr
    assert everything(home) == {".local/bin/other"}
    assert not (home / ".realm").exists()
    assert "refs/realm/kept" in repo.refs()


def test_does_not_overwrite_what_is_not_realms(tmp_path: Path) -> None:
    home = tmp_path / "home"
    mine = home / ".local/bin/realm"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    done = run_installer(home, *QUIETLY)
    assert done.returncode == 0
    assert "left alone" in done.stderr
    run_installer(home, "--uninstall", "--yes", "--no-image")
    assert mine.read_text() == "mine"


def test_without_a_terminal_or_yes_nothing_is_removed(home: Path) -> None:
    refused = run_installer(home, "--uninstall")
    assert refused.returncode == 1
    assert "--yes" in refused.stderr
    assert Installed(home).realm.exists()


def piped(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installer as ``curl … | bash`` does."""
    home = tmp_path / "home"
    home.mkdir()
    env = sealed_environment(home) | environment
    with (CHECKOUT / "install.sh").open() as script:
        return subprocess.run(
            ["bash", "-s", "--", *QUIETLY],
            stdin=script,
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )


def test_from_a_pipe_with_a_source(tmp_path: Path) -> None:
    done = piped(tmp_path, REALM_SOURCE=str(CHECKOUT))
    assert done.returncode == 0, done.stderr
    assert Installed(tmp_path / "home").realm.exists()


def test_from_a_pipe_without_a_source_says_what_is_missing(tmp_path: Path) -> None:
    done = piped(tmp_path)
    assert done.returncode == 1
    assert "REALM_SOURCE" in done.stderr


def test_an_unknown_option_is_refused(tmp_path: Path) -> None:
    done = run_installer(tmp_path / "home", "--frobnicate")
    assert done.returncode == 2
    assert "--frobnicate" in done.stderr


@pytest.mark.engine
def test_builds_the_image_tries_it_out_and_goes_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = run_installer(home, "--yes", "--no-engine")
    assert done.returncode == 0, done.stderr
    assert "realm works" in done.stderr
    assert engines.docker("image", "inspect", "-f", "{{.Os}}", "realm:latest") == "linux"
    done = run_installer(home, "--uninstall", "--yes", "--no-image")
    assert done.returncode == 0, done.stderr
    assert not (home / ".realm").exists()


@pytest.mark.engine
def test_uninstall_keeps_boxes_with_work_unless_forced(user: User, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert run_installer(home, *QUIETLY).returncode == 0
    mine = User(Installed(home), user.repo, {"REALM_HOME": str(home / ".realm")})
    process = mine.start("new", "--agent", "sh", "busy", "-c", "echo x >x; echo ready; sleep 600")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.communicate()
    refused = run_installer(home, "--uninstall", "--yes", "--no-image")
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    assert len(list(mine.leftovers())) == 1
    done = run_installer(home, "--uninstall", "--yes", "--no-image", "--force")
    assert done.returncode == 0, done.stderr
    assert list(mine.leftovers()) == []
    assert engines.labelled("volume", f"realm.project={user.repo.path}") == []


_TOOLS = "bash basename cat chmod dirname env git grep id ln mkdir mktemp mv rm sleep uname"


@pytest.mark.parametrize(
    ("manager", "package"), [("apt-get", "docker.io"), ("dnf", "moby-engine"), ("pacman", "docker")]
)
def test_without_an_engine_the_distributions_package_is_installed(
    tmp_path: Path, manager: str, package: str
) -> None:
    """The package manager here only notes what it was asked for."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in _TOOLS.split():
        (tools / name).symlink_to(shutil.which(name) or pytest.fail(f"no {name} here"))
    (tools / "python3").symlink_to(Path(sys.base_prefix) / "bin/python3")
    log = tmp_path / "log"
    (tools / manager).write_text(f'#!/bin/sh\necho "$@" >>{log}\n')
    (tools / manager).chmod(0o755)
    done = run_installer(tmp_path / "home", "--yes", "--no-run", "--no-image", PATH=str(tools))
    assert done.returncode == 0, done.stderr
    assert package in log.read_text().split()
    assert "warning: the Docker engine is not running" in done.stderr
