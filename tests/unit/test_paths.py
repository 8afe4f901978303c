from __future__ import annotations

import fcntl
import os
import subprocess
import time
from pathlib import Path

import pytest

from realm.paths import make_private, realm_home, scratched, tidy, tidy_files

GONE = 999_999_999
"""No process has that number."""


@pytest.mark.parametrize(
    ("given", "home"),
    [("", "/home/ada/.realm"), ("/srv/realm", "/srv/realm"), (".", "/home/ada"), ("a/b", "/home/ada/a/b")],
)
def test_realms_directory_is_the_same_from_everywhere(
    given: str, home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("REALM_HOME", given)
    assert realm_home() == Path(home)


def test_a_place_that_takes_no_directory_is_a_refusal_of_the_system() -> None:
    with pytest.raises(PermissionError) as refused:
        make_private(Path("/proc/realm/runs"))
    assert refused.value.filename.startswith("/proc/realm")


def test_realms_directory_is_the_owners_alone_and_gits_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("REALM_HOME")
    made = make_private(realm_home() / "runs/one")
    (made / "key").touch()
    assert {path.stat().st_mode & 0o777 for path in (made, made.parent, realm_home())} == {0o700}
    status = ["git", "-C", str(tmp_path), "status", "--porcelain", "--untracked-files=all"]
    assert subprocess.run(status, check=True, capture_output=True).stdout == b""
    monkeypatch.setenv("REALM_HOME", ".")
    make_private(realm_home() / "runs")
    assert not (tmp_path / ".gitignore").exists()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REALM_HOME", str(tmp_path / "realm"))
    return tmp_path / "realm"


def left(home: Path, host: str, pid: int, *, hours: float = 0) -> Path:
    """Return a scratch directory of another process."""
    path = make_private(home / "tmp") / f"quarantine@{host}@{pid}@abc"
    (path / "objects").mkdir(parents=True)
    os.utime(path, (time.time() - hours * 3600,) * 2)
    return path


def test_what_is_locked_is_in_use_whatever_its_name_says(home: Path) -> None:
    """A realm in a container of the same name has its processes to itself."""
    theirs = left(home, os.uname().nodename, GONE, hours=100)
    lock = os.open(theirs, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert tidy() == 0
    assert theirs.is_dir()
    os.close(lock)
    assert tidy() == 1
    assert not theirs.exists()


def test_a_scratch_directory_is_locked_while_it_is_in_use(home: Path) -> None:
    with scratched("quarantine") as own:
        other = os.open(own, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(other)
    assert list((home / "tmp").iterdir()) == []


@pytest.mark.parametrize("is_ours", [False, True])
def test_of_another_machine_or_a_number_in_use_again_a_day_tells(home: Path, *, is_ours: bool) -> None:
    owner = (os.uname().nodename, os.getpid()) if is_ours else ("laptop-old", GONE)
    path = left(home, *owner, hours=23)
    assert tidy() == 0
    assert path.is_dir()
    os.utime(path, (time.time() - 25 * 3600,) * 2)
    assert tidy() == 1
    assert not path.exists()


def test_quarantines_of_an_earlier_version_go_when_nobody_holds_them(home: Path) -> None:
    former = make_private(home / "quarantine")
    (former / ".lock").touch()
    for name in ("app-abc", "app-def"):
        (former / name / "objects").mkdir(parents=True)
        (former / name / "lock").touch()
    with (former / "app-def/lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert tidy() == 1
        assert sorted(path.name for path in former.iterdir()) == [".lock", "app-def"]
    assert tidy() == 1
    assert not former.exists()


def test_files_that_were_never_put_in_their_place_go_after_a_day(home: Path) -> None:
    place = make_private(home / "approvals")
    left = [place / f".{name}.0123456789ab" for name in ("old", "new")]
    for path in (*left, place / "old", place / ".old"):
        path.touch()
        if "old" in path.name:
            os.utime(path, (0, 0))
    assert tidy_files() == 1
    assert sorted(path.name for path in place.iterdir()) == [".new.0123456789ab", ".old", "old"]
