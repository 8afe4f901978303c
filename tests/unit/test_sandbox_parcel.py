"""Files and results on a box's stream: packed, and sieved out of its output however it is cut."""

from __future__ import annotations

import base64
import io
import itertools
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as some

from realm.sandbox import parcel
from realm.sandbox.archive import BoxFile
from realm.sandbox.parcel import LIMIT, Sieve

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "0123456789abcdef"
MARK = b"\x16\x1b_realm-0123456789abcdef;"


def framed(archive: bytes) -> bytes:
    return MARK + base64.b64encode(archive) + b"\x1b\\"


def sieved(stream: bytes, cuts: list[int]) -> tuple[bytes, bytes | None]:
    """Return what a user sees of ``stream``, which comes in pieces, and the results in it."""
    sieve = Sieve(TOKEN)
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    shown = [sieve.feed(stream[start:end]) for start, end in itertools.pairwise(places)]
    return b"".join(shown) + sieve.rest(), sieve.results()


OUTPUT = (
    some.lists(
        some.one_of(
            some.binary(max_size=40),
            some.sampled_from([MARK[:-1], MARK[:5], b"\x16", b"\x16\x16\x1b_realm-"]),
        )
    )
    .map(b"".join)
    .filter(lambda output: MARK not in output)
)
CUTS = some.lists(some.integers(0, 10_000), max_size=12)


@given(OUTPUT, some.binary(max_size=300), CUTS)
def test_results_are_taken_out_and_all_else_is_shown(output: bytes, archive: bytes, cuts: list[int]) -> None:
    assert sieved(output + framed(archive), cuts) == (output, archive)


@given(OUTPUT, CUTS)
def test_output_without_results_is_shown_as_it_is(output: bytes, cuts: list[int]) -> None:
    assert sieved(output, cuts) == (output, None)


def test_another_runs_mark_is_output() -> None:
    output = framed(b"x").replace(b"0123", b"3210")
    assert sieved(output, []) == (output, None)


@pytest.mark.parametrize(
    "results",
    [
        framed(b"work")[:-1],
        MARK,
        MARK + b"not base64!\x1b\\",
        framed(b"a") + b"late",
        MARK + b"YWJj\nYWJj\x1b\\",
    ],
    ids=["cut", "empty", "no base64", "something behind", "a line end"],
)
def test_results_that_are_not_whole_are_none(results: bytes) -> None:
    assert sieved(b"out" + results, []) == (b"out", None)


def test_endless_results_take_no_memory() -> None:
    sieve = Sieve(TOKEN)
    sieve.feed(MARK)
    for _ in range(100):
        sieve.feed(b"A" * LIMIT)
    assert len(sieve.unread()) <= 2 * LIMIT + len(MARK)
    assert sieve.results() is None


@given(OUTPUT, some.binary(max_size=300), CUTS, some.integers(0, 10_000))
def test_another_holder_goes_on_anywhere(output: bytes, archive: bytes, cuts: list[int], place: int) -> None:
    stream = output + framed(archive)
    place %= len(stream) + 1
    first, second = Sieve(TOKEN), Sieve(TOKEN)
    shown = first.feed(stream[:place])
    shown += second.feed(first.unread() + stream[place:]) + second.rest()
    assert (shown, second.results()) == (output, archive)


def test_files_become_a_length_and_an_archive(tmp_path: Path) -> None:
    (tmp_path / "pack").write_bytes(b"history")
    files = [
        BoxFile("/realm/claude/settings.json", b"{}", 0o600),
        BoxFile("/realm/pack/p", tmp_path / "pack"),
    ]
    packed = parcel.pack(files, 1000, 1000)
    assert packed is not None
    size, _, data = packed.partition(b"\n")
    assert int(size) == len(data)
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(data, validate=True))) as archive:
        names = {member.name: member for member in archive}
        assert set(names) == {"claude", "claude/settings.json", "pack", "pack/p"}
        assert names["claude/settings.json"].mode == 0o600
        content = archive.extractfile("pack/p")
        assert content is not None
        assert content.read() == b"history"


def test_files_elsewhere_and_large_ones_go_another_way() -> None:
    assert parcel.pack([BoxFile("/workspace/p/.env", b"x")], 1, 1) is None
    assert parcel.pack([BoxFile("/realm/big", b"x" * (parcel.LARGEST + 1))], 1, 1) is None
