"""A screen read back, and its pictures: text, colours, SVG, HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realm.terminal.render.drawing import Drawing, below
from realm.terminal.render.pictures import INK, PAPER, html, svg
from tests.support.screens import Screen
from tests.support.terminal import recordings

NAMESPACE = "{http://www.w3.org/2000/svg}"


def parse(picture: bytes) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314 - to see whether it can be parsed is the test


def still(output: bytes, rows: int = 24, columns: int = 80) -> Drawing:
    screen = Screen(rows, columns)
    screen.feed(output)
    return Drawing(screen.ansi())


def texts(picture: bytes) -> dict[str, dict[str, str]]:
    """Return the attributes of each text in an SVG picture, without the title's."""
    found = parse(picture).iter(f"{NAMESPACE}text")
    return {element.text or "": element.attrib for element in list(found)[1:]}


class _Reader(HTMLParser):
    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.styles: dict[str, str] = {}
        self.body = ""
        self.tags: list[str] = []
        self._style = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._style = dict(attrs).get("style") or (self._style if tag == "i" else "")

    def handle_endtag(self, _tag: str) -> None:
        self._style = ""

    def handle_data(self, data: str) -> None:
        if "pre" in self.tags:
            self.body += data
            self.styles[data] = self._style


@pytest.mark.parametrize("name", recordings())
def test_every_form_has_the_screens_text(name: str) -> None:
    screen = Screen(24, 80)
    screen.feed(recordings()[name])
    found = Drawing(screen.ansi())
    assert found.text().rstrip("\n") == screen.text()
    assert re.sub(r"\x1b\[[\d;]*m", "", found.ansi()).split() == screen.text().split()
    again = Screen(24, 80)
    again.feed(found.ansi().replace("\n", "\r\n").rstrip().encode())
    assert again.text() == screen.text()
    letters = "".join(screen.text().split())
    _, *shown = parse(svg(found)).iter(f"{NAMESPACE}text")
    assert "".join("".join(element.text or "" for element in shown).split()) == letters
    assert "".join(_Reader(html(found)).body.split()) == letters


STYLES = (
    (b"\x1b[1mx", {"font-weight": "bold"}),
    (b"\x1b[3mx", {"font-style": "italic"}),
    (b"\x1b[4mx", {"text-decoration": "underline"}),
    (b"\x1b[4;9mx", {"text-decoration": "underline line-through"}),
    (b"\x1b[2mx", {"opacity": ".6"}),
    (b"\x1b[31mx", {"fill": "#e5616c"}),
    (b"\x1b[91mx", {"fill": "#f0848d"}),
    (b"\x1b[38;5;9mx", {"fill": "#f0848d"}),
    (b"\x1b[38;5;16mx", {"fill": "#000000"}),
    (b"\x1b[38;5;196mx", {"fill": "#ff0000"}),
    (b"\x1b[38;5;67mx", {"fill": "#5f87af"}),
    (b"\x1b[38;5;232mx", {"fill": "#080808"}),
    (b"\x1b[38;5;255mx", {"fill": "#eeeeee"}),
    (b"\x1b[38;2;1;2;255mx", {"fill": "#0102ff"}),
    (b"\x1b[7mx", {"fill": PAPER}),
    (b"\x1b[7;31mx", {"fill": PAPER}),
    (b"\x1b[7;42;31mx", {"fill": "#8fc16f"}),
)  # fmt: skip


@pytest.mark.parametrize(("output", "expected"), STYLES)
def test_renditions_in_svg_and_html(output: bytes, expected: dict[str, str]) -> None:
    found = still(output)
    attributes = texts(svg(found))["x"]
    assert {name: attributes[name] for name in expected} == expected
    style = _Reader(html(found)).styles["x"]
    for name, value in expected.items():
        assert f"{'color' if name == 'fill' else name}: {value}" in style


@pytest.mark.parametrize(
    ("output", "colour"),
    [
        (b"\x1b[44mx", "#5ea9ee"),
        (b"\x1b[7mx", INK),
        (b"\x1b[48;2;9;9;9m \x1b[mx", "#090909"),
        (b"\x1b[101mx", "#f0848d"),
    ],
)
def test_backgrounds(output: bytes, colour: str) -> None:
    found = still(output)
    sandboxes = [sandbox.attrib for sandbox in parse(svg(found)).iter(f"{NAMESPACE}rect")][1:]
    assert [(sandbox["fill"], sandbox["x"], sandbox["width"]) for sandbox in sandboxes] == [
        (colour, "12", "8.4")
    ]
    assert f"background: {colour}" in html(found).decode()


def test_wide_and_composed_characters_keep_their_places() -> None:
    found = still("ab你e\u0301👍☀\ufe0fc".encode())
    places = texts(svg(found))
    columns = {text: round((float(place["x"]) - 12) / 8.4, 3) for text, place in places.items()}
    widths = {text: round(float(place["textLength"]) / 8.4, 3) for text, place in places.items()}
    assert columns == {"ab": 0, "你": 2, "e\u0301": 4, "👍": 5, "☀\ufe0f": 7, "c": 9}
    assert widths == {"ab": 2, "你": 2, "e\u0301": 1, "👍": 2, "☀\ufe0f": 2, "c": 1}
    assert "<i>你</i>" in html(found).decode()
    assert found.text() == "ab你e\u0301👍☀\ufe0fc\n"


def test_hidden_text_is_in_no_picture() -> None:
    found = still(b"before \x1b[8msecret\x1b[m after")
    for form in (found.text(), found.ansi(), svg(found).decode(), html(found).decode()):
        assert "secret" not in form
        assert "before" in form
    assert found.text() == "before        after\n"


def test_it_is_as_large_as_what_is_drawn() -> None:
    assert (still(b"").columns, still(b"").rows) == (80, [])
    wide = still(b"\x1b[30;120Hx", 50, 200)
    assert (wide.columns, len(wide.rows)) == (120, 30)
    root = parse(svg(wide))
    assert root.attrib["viewBox"] == f"0 0 {root.attrib['width']} {root.attrib['height']}"
    assert float(root.attrib["width"]) >= 120 * 8.4
    parse(svg(still(b"")))


def test_the_title_stands_on_the_window() -> None:
    picture, page = svg(still(b"x"), "fix, <run> 1"), html(still(b"x"), "fix, <run> 1")
    assert [element.text for element in parse(picture).iter(f"{NAMESPACE}title")] == ["fix, <run> 1"]
    assert page.count(b"fix, &lt;run&gt; 1") == 2


@settings(derandomize=True, max_examples=200)
@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_drawing_makes_well_formed_pictures(drawing: bytes) -> None:
    found = Drawing(drawing)
    parse(svg(found, drawing.decode("latin-1")))
    _Reader(html(found, drawing.decode("latin-1")))
    assert not re.search(r"[\x00-\x09\x0b-\x1a\x1c-\x1f\x7f-\x9f]", found.ansi() + found.text())
    assert re.fullmatch(r"(?:[^\x1b]|\x1b\[[0-9;]*m)*", found.ansi())


@pytest.mark.parametrize(
    ("output", "rows"),
    [
        (b"", 0),
        (b"one\r\n", 0),
        (b"one", 1),
        (b"\r\n\r\none\x1b[H", 3),
        (b"\r\none\r\n\r\n\r\n", 0),
        (b"\x1b[24;1Hlast\x1b[A", 2),
    ],
)
def test_the_rows_to_go_down_to_an_empty_one(output: bytes, rows: int) -> None:
    screen = Screen(24, 80)
    screen.feed(output)
    assert below(screen) == rows
