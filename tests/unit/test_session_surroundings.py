"""What a sandbox takes over of the user's terminal, language and time zone."""

from __future__ import annotations

from pathlib import Path

import pytest

from realm.session.surroundings import passed_on

NOWHERE = Path("/nowhere/localtime")


def of(**environ: str) -> dict[str, str]:
    return passed_on(environ, NOWHERE)


@pytest.mark.parametrize(
    "term",
    ["xterm-kitty", "xterm-ghostty", "alacritty", "foot", "wezterm", "st-256color", "xterm\nX=1", "../x"],
)
def test_a_terminal_that_images_do_not_know_is_one_that_they_do(term: str) -> None:
    assert of(TERM=term)["TERM"] == "xterm-256color"


@pytest.mark.parametrize("term", ["xterm", "xterm-256color", "tmux-256color", "screen", "linux", "dumb"])
def test_a_terminal_that_images_know_stays(term: str) -> None:
    assert of(TERM=term)["TERM"] == term


def test_without_a_terminal_there_is_none() -> None:
    assert "TERM" not in of(TERM="")
    assert "TERM" not in of()


def test_what_programs_tell_terminals_apart_by_goes_in() -> None:
    given = {"TERM_PROGRAM": "ghostty", "KITTY_WINDOW_ID": "1", "COLORTERM": "truecolor", "NO_COLOR": "1"}
    assert of(**given, SECRET="x").items() >= given.items()
    assert "SECRET" not in of(**given, SECRET="x")


@pytest.mark.parametrize(
    ("given", "locale"),
    [
        ({}, "C.UTF-8"),
        ({"LANG": "en_US.UTF-8"}, "C.UTF-8"),
        ({"LANG": "C", "LC_ALL": "de_DE.UTF-8"}, "C.UTF-8"),
        ({"LANG": "de_DE@euro"}, "C.UTF-8"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "C"}, "C"),
        ({"LANG": "en_US.UTF-8", "LC_CTYPE": "POSIX"}, "POSIX"),
    ],
)
def test_the_locale_is_one_that_every_image_has(given: dict[str, str], locale: str) -> None:
    found = of(**given)
    assert found["LANG"] == locale
    assert "LC_ALL" not in found


@pytest.mark.parametrize(
    ("link", "zone"),
    [
        ("/usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"),
        ("../usr/share/zoneinfo/Etc/UTC", "Etc/UTC"),
        ("/var/db/timezone/zoneinfo/America/Argentina/Salta", "America/Argentina/Salta"),
        ("/usr/share/zoneinfo/../../../etc/passwd", ""),
        ("/somewhere/else", ""),
    ],
)
def test_the_machines_time_zone_goes_in_by_name(tmp_path: Path, link: str, zone: str) -> None:
    localtime = tmp_path / "localtime"
    localtime.symlink_to(link)
    assert passed_on({}, localtime).get("TZ", "") == zone
    assert passed_on({"TZ": "Asia/Tokyo"}, localtime)["TZ"] == "Asia/Tokyo"


def test_a_machine_whose_time_zone_is_no_link_tells_none(tmp_path: Path) -> None:
    (tmp_path / "localtime").write_bytes(b"TZif2")
    assert "TZ" not in passed_on({}, tmp_path / "localtime")
