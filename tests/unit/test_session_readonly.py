"""A tool that fails on the image's read-only system is told of, with the setting that helps."""

from __future__ import annotations

import json
import time

import pytest

from realm.session import readonly


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("touch: cannot touch '/opt/x': Read-only file system", "/opt/x"),
        ("sh: 1: cannot create /opt/tool/db/x: Read-only file system", "/opt/tool/db"),
        ("OSError: [Errno 30] Read-only file system: '/srv/data/x.txt'", "/srv/data"),
        ("Error: EROFS: read-only file system, mkdir '/opt/node/cache'", "/opt/node"),
        ("mkdir /go: read-only file system", "/go"),
        ("cannot create `/opt/cargo/registry`\n\nCaused by:\n  Read-only file system", "/opt/cargo"),
        ("touch: \N{LEFT SINGLE QUOTATION MARK}/usr/x\u2019: Read-only file system", "/usr"),
    ],
)  # fmt: skip
def test_the_place_is_told_with_what_makes_it_writable(said: str, place: str) -> None:
    for text in (said, json.dumps({"content": said}), f'[1.0, "o", {json.dumps(said)}]'):
        [note] = readonly.notes([b"", text.encode()])
        assert note.startswith(f"{place} is read-only in the container: ")
        assert ("realm.packages" in note) == (place == "/usr")
        assert (f"git config --add realm.cachePath {place} " in note) == (place != "/usr")


def test_where_nothing_can_be_cached_a_place_in_memory_is_named() -> None:
    (note,) = readonly.notes([b"cannot create /boot/x: Read-only file system"])
    assert "realm.dockerArgs '--tmpfs /boot/x:exec'" in note


def test_an_environment_of_condas_is_named_with_the_way_to_another() -> None:
    said = (
        "EnvironmentNotWritableError: The current user does not have write permissions to the target "
        "environment.\n  environment location: /opt/conda\n  uid: 1000\n"
    )
    for text in (said, json.dumps({"content": said})):
        (note,) = readonly.notes([b"", text.encode()])
        assert note.startswith("conda's /opt/conda is read-only in the container: realm.setup 'conda create")


@pytest.mark.parametrize("path", ["foo/bar/x", "/opt/" + "a" * 150 + "/" + "b" * 150 + "/x"])
def test_no_part_of_a_path_is_taken_for_all_of_it(path: str) -> None:
    assert readonly.notes([f"touch: cannot touch '{path}': Read-only file system".encode()]) == []


def test_places_of_realms_own_and_talk_about_the_words_are_nothing() -> None:
    said = (
        b"touch: cannot touch '/history/x': Read-only file system\nWhat is a read-only file system, you ask?"
    )
    assert readonly.notes([said, b"cp: cannot create '/realm/entry': Read-only file system"]) == []


def test_a_flood_of_them_is_cut_short() -> None:
    said = b"".join(b"cannot create /opt/%d/x: Read-only file system\n" % number for number in range(1000))
    assert len(readonly.notes([said])) == 3


def test_hostile_text_costs_no_time() -> None:
    path = b"/a" * 120 + b"a" * 60
    sign = b": Read-only file system"
    started = time.process_time()
    conda = b"EnvironmentNotWritableError environment location: " * 40_000
    for text in (conda, path * 15_000, (path + sign) * 10_000, b"/tmp/x" + path[:90] + sign * 150_000):
        assert len(readonly.notes([text])) <= 3
    assert time.process_time() - started < 1
