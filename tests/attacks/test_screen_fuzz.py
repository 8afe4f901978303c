"""Attack: output made to break the emulator that realm keeps (raise, hang, grow, leak)."""

from __future__ import annotations

import functools
import os
import random
import re
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realm.terminal.ansi.modes import Modes
from realm.terminal.recording import playback
from realm.terminal.recording.playback import play_events
from realm.terminal.render.drawing import read
from realm.text import clean
from tests.support.screens import Screen
from tests.support.terminal import recordings

RECORDINGS = list(recordings().values())
HARMLESS = re.compile(rb"(?:[^\x00-\x1f\x7f]|\x1b\[\d+;\d+H|\x1b\[[\d;]*m)*")
C1 = re.compile("[\x80-\x9f]")
PIECES = [
    b"\x1b", b"[", b"]", b"P", b"X", b"^", b"_", b"\\", b"\x07", b"\x18", b"\x9b", b"\xc2\x9b",
    b"\xc2\x9d", b"\xc2\x9c", b"?", b">", b"<", b"=", b"!", b" ", b"$", b"#", b"(", b")", b"%",
    b";", b":", b"0", b"1", b"2", b"3", b"38", b"48", b"5", b"8", b"47", b"1049", b"2026",
    b"999999999999", b"h", b"l", b"m", b"r", b"s", b"u", b"A", b"B", b"C", b"D", b"E", b"F", b"G",
    b"H", b"I", b"J", b"K", b"L", b"M", b"P", b"S", b"T", b"X", b"Z", b"@", b"a", b"b", b"c", b"d",
    b"e", b"f", b"g", b"n", b"p", b"q", b"t", b"x", b"7", b"\n", b"\r", b"\t", b"\x08", b"\x0e",
    b"\x0f", b"\x00", b"\xff", "é你👍🏽\u0301\u200d\ufe0f\u202e\x85".encode(), b"text", b"\xe4\xbd",
]  # fmt: skip
PARAMETERS = [piece for piece in PIECES if piece.isdigit()] + [b";", b";", b":", b""]
sequences = st.builds(
    lambda mark, parameters, final: b"\x1b[" + mark + b"".join(parameters) + final,
    st.sampled_from([b"", b"", b"?", b">", b"<", b"=", b"!"]),
    st.lists(st.sampled_from(PARAMETERS), max_size=6),
    st.sampled_from([piece for piece in PIECES if len(piece) == 1 and b"@" <= piece <= b"~"]),
)
soups = st.lists(st.sampled_from(PIECES) | sequences, max_size=60).map(b"".join)
actions = st.lists(
    soups | st.tuples(st.integers(min_value=1, max_value=12), st.integers(min_value=1, max_value=14)),
    max_size=8,
)


def check(screen: Screen, modes: Modes) -> None:
    text, drawing = screen.text(), screen.ansi()
    assert text == clean(text, multiline=True)
    assert HARMLESS.fullmatch(drawing)
    assert not C1.search(drawing.decode())
    assert len(modes.undo()) < 20_000
    modes.redo(drawing)


def put(screen: Screen, modes: Modes, output: bytes) -> None:
    screen.feed(output)
    modes.feed(output)


@settings(derandomize=True, max_examples=400)
@given(actions)
def test_no_soup_of_sequences_breaks_anything(steps: list[bytes | tuple[int, int]]) -> None:
    screen, modes = Screen(5, 7), Modes()
    for step in steps:
        if isinstance(step, bytes):
            put(screen, modes, step)
        else:
            screen.resize(*step)
            modes.resize(step[0])
    check(screen, modes)


@settings(derandomize=True, max_examples=200)
@given(st.binary(max_size=300))
def test_no_noise_breaks_anything(noise: bytes) -> None:
    screen, modes = Screen(4, 9), Modes()
    put(screen, modes, noise)
    check(screen, modes)


def mutated(output: bytes, source: random.Random) -> bytes:
    """Return a recording with a percent or so of its bytes changed, dropped, doubled or moved."""
    data = bytearray(output)
    for _ in range(source.randint(1, max(2, len(data) // 100))):
        place = source.randrange(len(data))
        match source.randrange(5):
            case 0:
                data[place] = source.randrange(256)
            case 1:
                del data[place : place + source.randint(1, 40)]
            case 2:
                data[place:place] = source.choice(PIECES)
            case 3:
                data[place:place] = data[place : place + 200]
            case _:
                data[place:place] = b"%d;" % source.randrange(10**6)
        data = data or bytearray(b"x")
    return bytes(data)


@pytest.mark.slow
def test_no_mutated_recording_breaks_anything() -> None:
    """Some seconds from a fixed seed; ``REALM_FUZZ_SECONDS`` and ``_SEED`` make it others."""
    source = random.Random(int(os.environ.get("REALM_FUZZ_SEED", "20")))  # noqa: S311
    deadline = time.monotonic() + float(os.environ.get("REALM_FUZZ_SECONDS", "10"))
    rounds = 0
    while time.monotonic() < deadline:
        screen, modes = Screen(24, 80), Modes()
        output = mutated(source.choice(RECORDINGS), source)
        while output:
            cut = source.randint(1, 4000)
            put(screen, modes, output[:cut])
            if source.random() < 0.05:
                screen.resize(source.randint(1, 40), source.randint(1, 120))
            output = output[cut:]
        check(screen, modes)
        rounds += 1
    assert rounds > 10


def test_memory_stays_the_same_whatever_comes() -> None:
    source = random.Random(7)  # noqa: S311
    screen, modes = Screen(24, 80), Modes()
    floods = [
        b"\x1b]0;" + b"t" * 65536,
        b"\x1bP" + b"q" * 65536,
        b"\x1b[" + b"1;" * 32768,
        "a\u0301\u0301".encode() * 8000,
        b"\x1b7" * 12000,
        b"\x1bH\x1b[C" * 8000,
        b"\x1b[?2026h" * 2000,
        b"\x1b[?1049h\x1b[?1049l" * 2000,
        b"\x1b[38;2;1;2;3mx\x1b[38;2;3;2;1my" * 1000,
        b"\x1b#8" * 100,
        b"\x1b[?1s" * 6000,
        b"\x1b[>1u" * 6000,
    ]
    for flood in floods:
        put(screen, modes, flood)
    screen.text()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(20):
        put(screen, modes, source.choice(floods))
    screen.text()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 4_000_000


DEAR = [
    b"\x1b[9999b", "你\x1b[9999b".encode(), b"\x1b[9999I", b"\x1b[9999Z", b"\x1b[9999L", b"\x1b[9999M",
    b"\x1b[9999S", b"\x1b[9999T", b"\x1b[9999@", b"\x1b[9999P", b"\x1b[9999X", b"\x1b[K", b"\x1b[1J",
    b"\x1b[2J", b"\x1b#8", b"\x1bc", b"\x1b[L", b"\x1b[T", b"\x1b[@", b"\n", b"\x1bM", b"\x1b[4h\rx",
    b"\x1b[?2026h\x1b[?2026l", b"\x1b[?47h\x1b[?47l", b"\x1bH\x1b[C\x1b[I", b"\x1b[?47;2026;47;2026h",
    "a\u0301".encode(),
]  # fmt: skip
STARTS = [b"", b"\x1b[41m" + b"x" * 200_000, b"\x1b[H\x1b[L" * 3 + b"\x1b[4h\x1b[5;9r"]


@functools.cache
def loop() -> float:
    """Return the seconds that ten million steps of Python take here."""
    began = time.process_time()
    for _ in range(10_000_000):
        pass
    return time.process_time() - began


@pytest.mark.parametrize("sequence", DEAR)
@pytest.mark.parametrize(("size", "starts"), [((50, 200), STARTS[1:2]), ((250, 700), STARTS[::2])])
def test_no_sequence_makes_the_last_screen_wait(
    sequence: bytes, size: tuple[int, int], starts: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work is bounded in time, whatever was recorded: in a tenth of the usual here."""
    tries = [(wanted, seconds / 10) for wanted, seconds in playback._TRIES]
    monkeypatch.setattr(playback, "_TRIES", tries)
    for start in starts:
        began = time.process_time()
        flood = sequence * ((1 << 18) // len(sequence))
        assert play_events([(0.0, start), (0.0, flood)], size) is not None
        # Measured: 9 times that loop at most, for the modes and the last 256 bytes on the largest screen.
        assert time.process_time() - began < 16 * loop()


def test_what_is_newest_shows_even_when_there_is_no_time_for_all() -> None:
    floods = [b"\x1b[41m" + b"x" * 10_000, b"\x1b#8\x1b[2J" * 30_000 + b"\x1b[m\x1b[H\x1b[2Jthe end"]
    played = play_events([(0.0, flood) for flood in floods], (250, 700))
    assert played is not None
    assert read(played.screen) == "the end"
    assert not played.lacking
