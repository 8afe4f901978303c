"""asciicast v2: what is written is what is read; strangers' casts do no harm; cut to a size."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realm.errors import RealmError
from realm.terminal.recording import cast
from realm.terminal.recording.cast import MARKER, OUTPUT, RESIZE, Header, Moment
from realm.terminal.recording.segments import Size
from tests.support.cast import check
from tests.support.screens import Screen
from tests.support.terminal import recordings

plain = st.text(st.characters(exclude_categories=["Cs", "Cc"]))
sizes = st.builds(Size, st.integers(1, 1000), st.integers(1, 1000))
headers = st.builds(
    Header,
    size=sizes,
    timestamp=st.none() | st.integers(0, 2_000_000_000).map(float),
    title=st.from_regex(r"[a-z ]{0,40}", fullmatch=True).map(str.strip),
    env=st.dictionaries(st.sampled_from(["TERM", "SHELL"]), st.just("x")),
)
gaps = st.floats(0, 1e6, allow_nan=False)


@st.composite
def casts(draw: st.DrawFn) -> list[Moment]:
    """Draw events in the order of their times."""
    now, events = 0.0, []
    for _ in range(draw(st.integers(0, 12))):
        now = round(now + draw(gaps), 6)
        size = draw(sizes)
        event = draw(
            st.tuples(st.sampled_from([OUTPUT, MARKER]), st.text(st.characters(exclude_categories=["Cs"])))
            | st.just((RESIZE, f"{size.columns}x{size.rows}"))
        )
        events.append(Moment(now, *event))
    return events


@settings(derandomize=True)
@given(headers, casts())
def test_what_is_written_is_what_is_read(header: Header, events: list[Moment]) -> None:
    data = b"".join(cast.lines(header, events))
    check(data)
    found, read = cast.read(data)
    assert found == header
    assert list(read) == events


@settings(derandomize=True)
@given(st.lists(st.tuples(gaps, st.binary(max_size=30) | sizes), max_size=20))
def test_any_recording_makes_a_cast(recorded: list[tuple[float, bytes | Size]]) -> None:
    recorded.sort(key=lambda event: event[0])
    data = b"".join(cast.lines(Header(Size(24, 80), 1.0), cast.moments(recorded)))
    check(data)
    _, events = cast.read(data)
    assert [cast.parse_size(event.data) for event in events if event.code == RESIZE] == [
        event for _, event in recorded if isinstance(event, Size)
    ]


@pytest.mark.parametrize("name", recordings())
@pytest.mark.parametrize("step", [1, 7, 4096])
def test_characters_and_sequences_that_were_cut_in_two_come_whole(name: str, step: int) -> None:
    output = recordings()[name]
    pieces = ((place / 100, output[place : place + step]) for place in range(0, len(output), step))
    direct, played = Screen(24, 80), Screen(24, 80)
    direct.feed(output)
    for event in cast.moments(pieces):
        assert "\ufffd" not in event.data
        played.feed(event.data.encode())
    assert played.ansi() == direct.ansi()


def test_times_count_from_the_beginning() -> None:
    events = cast.moments([(100.0, Size(5, 9)), (100.5, b"a\xc3"), (101.25, b"\xa9"), (102.0, b"\xff")])
    assert list(events) == [(0.0, "r", "9x5"), (0.5, "o", "a"), (1.25, "o", "é"), (2.0, "o", "\ufffd")]


class TestCut:
    EVENTS = (
        Moment(0.0, RESIZE, "100x40"),
        Moment(0.5, OUTPUT, "\x1b[?1049h\x1b[31m"),
        *(Moment(1.0 + number, OUTPUT, f"line {number:04d}\r\n") for number in range(1000)),
    )

    def test_all_of_it_when_it_fits(self) -> None:
        data = cast.cut(Header(Size(24, 80), 50.0), self.EVENTS, 1 << 20)
        header, events = cast.read(data)
        assert (header.size, header.timestamp) == ((24, 80), 50.0)
        assert tuple(events) == self.EVENTS

    def test_the_newest_in_the_state_it_was_in_and_a_note(self) -> None:
        data = cast.cut(Header(Size(24, 80), 50.0), self.EVENTS, 4000, lost=7)
        check(data)
        header, events = cast.read(data)
        marker, state, *kept = list(events)
        assert len(data) < 4300
        assert kept[-1].data == "line 0999\r\n"
        assert len(kept) > 50
        first = int(kept[0].data.split()[1])
        assert header.size == (40, 100)
        assert header.timestamp == int(51.0 + first)
        assert kept[0].time == 0.0
        assert kept[-1].time == pytest.approx(999 - first)
        lost = sum(len(event.data) for event in self.EVENTS[: 2 + first]) + 7
        assert marker == (0.0, MARKER, f"{lost} bytes of earlier output were not kept")
        screen = Screen(40, 100)
        screen.feed(state.data.encode())
        assert screen.alternate
        assert state.data.endswith("\x1b[31m")

    def test_a_recording_without_its_beginning_says_so(self) -> None:
        _, events = cast.read(cast.cut(Header(Size(24, 80)), self.EVENTS, 1 << 20, lost=5))
        assert next(events) == (0.0, MARKER, "5 bytes of earlier output were not kept")

    def test_nothing_at_all_fits(self) -> None:
        header, events = cast.read(cast.cut(Header(Size(24, 80)), self.EVENTS, 1))
        assert header.size == (40, 100)
        assert [event.code for event in events] == [MARKER, OUTPUT]


HEADER = b'{"version": 2, "width": 80, "height": 24}\n'


class TestStrangers:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\n",
            b"{}",
            b"[]\n",
            b"null\n",
            b'{"version": 1, "width": 80, "height": 24, "stdout": []}',
            b'{"version": "2"}\n',
            b"\xff\xfe\n",
            b"[" * 100_000 + b"\n",
            b'{"version": 2, "width": ' + b"9" * 5000 + b"}\n",
            b'{"version": 2, "title": "' + b"x" * 100_000 + b'"}\n',
        ],
    )
    def test_what_is_no_cast_is_refused_at_once(self, data: bytes) -> None:
        with pytest.raises(RealmError, match=r"^the recording is damaged: "):
            cast.read(data)

    @pytest.mark.parametrize(
        "line",
        [
            b"{}", b"[]", b'[1, "o"]', b'["1", "o", "x"]', b'[1, 2, "x"]', b'[1, "o", 2]',
            b'[true, "o", "x"]', b'[NaN, "o", "x"]', b'[Infinity, "o", "x"]',
            b'[1e999, "o", "x"]', b'[1e300, "o", "x"]',
            b"[" + b"9" * 5000 + b', "o", "x"]', b"\xff", b"[" * 100_000, b'[1, "o", "x"',
        ],
    )  # fmt: skip
    def test_a_line_that_is_no_event_is_named(self, line: bytes) -> None:
        _, events = cast.read(HEADER + b'[1, "o", "a"]\n' + line + b"\n", "session.cast")
        assert next(events) == (1.0, "o", "a")
        with pytest.raises(RealmError, match=r"^session\.cast is damaged: line 3 is no"):
            next(events)

    def test_a_last_line_that_was_cut_short_ends_it(self) -> None:
        assert list(cast.read(HEADER + b'[1, "o", "a"]\n[2, "o", "b')[1]) == [(1.0, "o", "a")]
        assert list(cast.read(HEADER[:-1])[1]) == []

    def test_odd_values_are_brought_into_bounds(self) -> None:
        line = {
            "version": 2,
            "width": 10**9,
            "height": -1,
            "timestamp": 1e300,
            "title": "a\x1b]0;b\x07",
            "env": 1,
        }
        header, _ = cast.read(json.dumps(line).encode())
        assert header == Header(Size(24, 80), None, "a]0;b", {})
        lines = b'[5, "o", "a"]\n[-1, "o", "b"]\n\n[3, "x", "c"]\n[1e14, "r", "9999x9999", 1]\n'
        events = list(cast.read(HEADER + lines)[1])
        assert [event.time for event in events] == [5, 5, 10 * 365 * 86400]
        assert [event.data for event in events] == ["a", "b", "9999x9999"]

    @pytest.mark.parametrize("text", ["", "x", "0x5", "5x0", "-1x5", "5", "99999x5", "٣x٣", "5x5\n"])
    def test_what_is_no_size(self, text: str) -> None:
        assert cast.parse_size(text) is None

    def test_a_size_is_bounded(self) -> None:
        assert cast.parse_size("9999x50") == (50, 1000)

    @settings(derandomize=True, max_examples=300)
    @given(st.binary(max_size=200))
    def test_noise_breaks_nothing(self, noise: bytes) -> None:
        try:
            list(cast.read(noise)[1])
            list(cast.read(HEADER + noise)[1])
        except RealmError:
            pass
