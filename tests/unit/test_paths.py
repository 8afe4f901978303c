from __future__ import annotations

from pathlib import Path

import pytest

from realm.paths import make_private, realm_home


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
