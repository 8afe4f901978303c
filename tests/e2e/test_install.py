"""The installer: the files that it installs, upgrades, and leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import engines
from tests.support.install import CHECKOUT, QUIETLY, Installed, run_installer
from tests.support.repos import Repo
from tests.support.user import User
from tests.support.waiting import first_line

PLACES = {
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


def everything(home: Path) -> set[str]:
    """Return every file below ``home`` except those of other programs (git, pip, rustc)."""
    files = [path for path in home.rglob("*") if path.is_symlink() or path.is_file()]
    names = {path.relative_to(home).as_posix() for path in files}
    return {name for name in names if not name.startswith((".gitconfig", ".cache/", ".rustup/"))}


def outside(home: Path) -> set[str]:
    return {name for name in everything(home) if not name.startswith(".realm/")}


def version(home: Path) -> str:
    command = [str(Installed(home).realm), "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("program", ["realm", "git-realm"])
def test_nothing_is_imported_from_where_the_user_stands(
    installed: Installed, tmp_path: Path, program: str
) -> None:
    for module in ("click", "realm", "re", "sitecustomize"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('imported')\n")
    env = {**os.environ, "PYTHONPATH": f".:{tmp_path}", "PYTHONSTARTUP": str(tmp_path / "click.py")}
    command = [str(installed.bin / program), "config"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def played(tmp_path: Path) -> Path:
    """Return a home in which realm is installed, with scripts that play pip and realm."""
    place = tmp_path / "home/.realm/venv/bin"
    place.mkdir(parents=True)
    for name in ("python", "realm", "git-realm"):
        (place / name).write_text("#!/bin/sh\necho played\n")
        (place / name).chmod(0o755)
    return tmp_path / "home"


def test_without_a_terminal_or_yes_nothing_is_removed(played: Path) -> None:
    refused = run_installer(played, "--uninstall")
    assert refused.returncode == 1
    assert "--yes" in refused.stderr
    assert (played / ".realm/venv/bin/realm").exists()


def test_an_unknown_option_is_refused(tmp_path: Path) -> None:
    done = run_installer(tmp_path / "home", "--frobnicate")
    assert done.returncode == 2
    assert "--frobnicate" in done.stderr


_TOOLS = """bash basename cat chmod date dirname env expr git grep id ln mkdir mktemp mv rm
setsid sleep tail tar timeout touch tr uname"""


def bare_machine(place: Path, **programs: str) -> Path:
    """Return a private PATH: the programs that every machine has, and ``programs`` as shell scripts."""
    place.mkdir()
    for name in _TOOLS.split():
        (place / name).symlink_to(shutil.which(name) or pytest.fail(f"no {name} here"))
    (place / "python3").symlink_to(Path(sys.base_prefix) / "bin/python3")
    for name, script in programs.items():
        program = place / name.replace("_", "-")
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return place


@pytest.mark.parametrize(
    ("manager", "package"), [("apt-get", "docker.io"), ("dnf", "moby-engine"), ("pacman", "docker")]
)
def test_without_an_engine_the_distributions_package_is_installed(
    played: Path, tmp_path: Path, manager: str, package: str
) -> None:
    """The package manager here only notes what it was asked for."""
    log = tmp_path / "log"
    tools = bare_machine(tmp_path / "tools", **{manager.replace("-", "_"): f'echo "$@" >>{log}'})
    done = run_installer(played, "--yes", "--no-run", "--no-image", PATH=str(tools))
    assert done.returncode == 0, done.stderr
    assert package in log.read_text().split()
    assert "warning: the Docker engine is not running" in done.stderr


@pytest.mark.parametrize("programs", [{"dockerd": "exit 1", "docker": "exit 1"}, {"apt_get": "exit 1"}])
def test_who_cannot_become_root_has_realm_all_the_same(
    played: Path, tmp_path: Path, programs: dict[str, str]
) -> None:
    tools = bare_machine(tmp_path / "tools", **programs)
    (tools / "id").unlink()
    (tools / "id").write_text("#!/bin/sh\necho 1000\n")
    (tools / "id").chmod(0o755)
    done = run_installer(played, "--yes", "--no-run", "--no-image", PATH=str(tools))
    assert done.returncode == 0, done.stderr
    assert "then run this again" in done.stderr
    assert "realm is installed" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root starts an engine")
def test_an_engine_that_is_installed_and_not_running_is_started(played: Path, tmp_path: Path) -> None:
    up, pid = tmp_path / "up", tmp_path / "pid"
    tools = bare_machine(
        tmp_path / "tools",
        docker=f'[ "$1" = version ] && [ -e {up} ]',
        dockerd=f"echo $$ >{pid}; touch {up}; exec sleep 60",
        systemctl=f"touch {up}",
        service=f"touch {up}",
    )
    done = run_installer(played, "--yes", "--no-run", "--no-image", PATH=str(tools))
    assert done.returncode == 0, done.stderr
    assert "Starting the Docker engine" in done.stderr
    assert "is not running" not in done.stderr
    if pid.exists():  # no init system here: the daemon outlives the installer, and the user is told how
        os.kill(int(pid.read_text()), signal.SIGTERM)
        assert "After a restart, as root:\n    setsid sleep 60 >>/var/log/dockerd.log" in done.stderr


def test_a_base_image_that_cannot_be_pulled_is_made_of_checked_packages(tmp_path: Path) -> None:
    log = tmp_path / "log"
    tools = bare_machine(
        tmp_path / "tools",
        apt_get="exit 1",
        debootstrap=f'echo "$@" >{log}; for place; do :; done; mkdir "$place"; echo here >"$place/file"',
        docker=f'[ "$1" = import ] && [ "$3" = debian:bookworm-slim ] && tar -xO ./file >>{log}',
    )
    (tools / "id").unlink()
    (tools / "id").write_text("#!/bin/sh\necho 0\n")
    (tools / "id").chmod(0o755)
    made = [str(CHECKOUT / "container/engine"), "base", "debian:bookworm-slim"]
    env = {"PATH": str(tools), "TMPDIR": str(tmp_path)}
    done = subprocess.run(made, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    asked, content = log.read_text().splitlines()
    assert "--force-check-gpg" in asked.split()
    assert "bookworm" in asked.split()
    assert content == "here"
    assert not list(tmp_path.glob("realm-base.*"))


def test_another_image_that_cannot_be_pulled_is_not_replaced(tmp_path: Path) -> None:
    tools = bare_machine(tmp_path / "tools", apt_get="exit 1", docker="exit 1", debootstrap="exit 0")
    made = [str(CHECKOUT / "container/engine"), "base", "example.test/base:1"]
    done = subprocess.run(made, env={"PATH": str(tools)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "example.test/base:1 cannot be pulled\n")


@pytest.mark.parametrize("ready", [False, True])
def test_zsh_is_told_where_to_look(played: Path, ready: bool) -> None:
    place = played / ".local/share/zsh/site-functions"
    line = f"fpath=('{place}' $fpath); autoload -Uz compinit && compinit"
    (played / ".zshrc").write_text(f"{line}\n" if ready else "")
    done = run_installer(played, *QUIETLY, ZDOTDIR=str(played))
    assert done.returncode == 0, done.stderr
    assert (line in done.stderr) is not ready


def test_from_a_pipe_without_a_source_says_what_is_missing(tmp_path: Path) -> None:
    done = run_installer(tmp_path / "home", *QUIETLY, piped=True)
    assert done.returncode == 1
    assert "REALM_SOURCE" in done.stderr


def test_from_a_pipe_and_away_again_leaves_refs_and_what_is_not_realms(tmp_path: Path) -> None:
    home = tmp_path / "home"
    mine = home / ".local/bin/realm"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    repo = Repo.init(tmp_path / "project")
    repo.commit("Start")
    repo.git("update-ref", "refs/realm/kept", "HEAD")
    done = run_installer(home, *QUIETLY, piped=True, REALM_SOURCE=str(CHECKOUT))
    assert done.returncode == 0, done.stderr
    assert "left alone" in done.stderr
    done = run_installer(home, "--uninstall", "--yes", "--no-image", piped=True)
    assert done.returncode == 0, done.stderr
    assert everything(home) == {".local/bin/realm"}
    assert mine.read_text() == "mine"
    assert not (home / ".realm").exists()
    assert "refs/realm/kept" in repo.refs()


@pytest.mark.engine
@pytest.mark.defaults
def test_a_second_time_it_mends_and_tries_realm_out_and_drops_no_work_unasked(
    user: User, tmp_path: Path
) -> None:
    home = tmp_path / "a home"
    done = run_installer(home, *QUIETLY, PIP_USER="1")
    assert done.returncode == 0, done.stderr
    assert outside(home) == PLACES
    assert version(home).startswith("realm ")
    assert (home / ".local/share/man/man1/git-realm.1").read_text().startswith(".TH")
    assert 'export PATH="$HOME/.local/bin:$PATH"' in done.stderr

    stale = home / ".local/share/man/man1/realm-old.1"
    stale.write_text("old")
    with (home / ".realm/installed").open("a") as manifest:
        manifest.write(f"{stale}\n")
    (home / ".realm/venv/bin/python").unlink()
    (home / ".realm/projects.json").write_text('{"version": 1, "projects": {}}')
    (tmp_path / "realm").symlink_to("/bin/true")
    path = f"{tmp_path}:{home}/.local/bin:{os.environ['PATH']}"
    done = run_installer(home, "--yes", "--no-engine", PATH=path, REALM_HOME=".realm")
    assert done.returncode == 0, done.stderr
    assert f"realm is {tmp_path}/realm on your PATH, before {home}/.local/bin/realm" in done.stderr
    assert "is not on your PATH" not in done.stderr
    assert "realm works" in done.stderr
    assert outside(home) == PLACES
    assert version(home).startswith("realm ")
    assert (home / ".realm/projects.json").exists()
    assert engines.docker("image", "inspect", "-f", "{{.Os}}", "realm:latest") == "linux"

    mine = User(Installed(home), user.repo, {"REALM_HOME": str(home / ".realm")})
    process = mine.start("new", "--agent", "sh", "busy", "-c", "echo x >x; echo ready; sleep 600")
    assert first_line(process) == "ready\n"
    process.kill()
    process.communicate()
    refused = run_installer(home, "--uninstall", "--yes", "--no-image")
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    (container,) = mine.leftovers()
    forged = json.loads(engines.docker("inspect", "--format", "{{json .Config.Labels}}", container))
    copied = [word for name in forged for word in ("--label", f"{name}={forged[name]}")]
    theirs = engines.docker("create", *copied, "--label", f"realm.project={home}", "realm:latest", "true")
    volume = engines.docker("volume", "create", *copied, "--label", f"realm.project={home}")
    try:
        done = run_installer(home, "--uninstall", "--yes", "--no-image", "--force")
        assert done.returncode == 0, done.stderr
        assert list(mine.leftovers()) == []
        assert engines.labelled("volume", f"realm.project={user.repo.path}") == []
        assert everything(home) == set()
        # Somebody else's with the same labels are not ours.
        assert engines.docker("inspect", "--format", "{{.Id}}", theirs) == theirs
        assert engines.docker("volume", "inspect", "--format", "{{.Name}}", volume) == volume
    finally:
        engines.docker("rm", "--force", theirs)
        engines.docker("volume", "rm", "--force", volume)
