"""Attack: a record whose screen is made to run in a browser, or to do more than draw."""

from __future__ import annotations

import re
import time
from xml.etree import ElementTree as ET

import pytest

from realm.terminal.render.drawing import Drawing
from realm.terminal.render.pictures import html, svg
from tests.attacks.test_replay_hostile import HOSTILE

MARKUP = {
    "script": b"<script>alert(1)</script>",
    "end of text": b"</text></svg><script>alert(1)</script>",
    "end of page": b"</pre></body><img src=x onerror=alert(1)>",
    "attribute": b'" onload="alert(1)" x=\'',
    "entity": b"&lt;script&gt;&#60;script&#62;&xxe;",
    "data": b"]]><!--<![CDATA[<!DOCTYPE x [<!ENTITY xxe SYSTEM 'file:///etc/passwd'>]>",
    "link": b'<a xlink:href="javascript:alert(1)"><image href="http://evil.example/x.png"/>',
    "style": b"</style><style>@import url(http://evil.example/x.css)</style>{title}{rows}",
}


def parse(picture: bytes) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314 - to see whether it can be parsed is the test


@pytest.mark.parametrize("name", MARKUP)
def test_text_stays_text(name: str) -> None:
    attack = MARKUP[name]
    found = Drawing(b"\x1b[1;1H\x1b[31m" + attack)
    picture, page = svg(found, attack.decode()), html(found, attack.decode())
    plain = Drawing(b"\x1b[1;1H\x1b[31mx")
    tags = [element.tag for element in parse(svg(plain, "x")).iter()]
    assert [element.tag for element in parse(picture).iter()] == tags
    assert re.findall(rb"<[^>]*>", page) == re.findall(rb"<[^>]*>", html(plain, "x"))
    shown = "".join(text for text in parse(picture).itertext())
    assert shown.count(attack.decode()) == 3


@pytest.mark.parametrize("name", HOSTILE)
def test_sequences_do_nothing(name: str) -> None:
    found = Drawing(f"before{HOSTILE[name]}\x1b[31mred".encode("utf-8", "replace"))
    assert re.fullmatch(r"(?:[^\x00-\x09\x0b-\x1f\x7f-\x9f]|\x1b\[[0-9;]*m)*", found.ansi())
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", found.text())
    parse(svg(found))


def test_nothing_is_fetched_from_anywhere() -> None:
    found = Drawing(b"x")
    for form in (svg(found), html(found)):
        text = form.decode().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|url\(|@import|href|src=|<script|data:", text)


@pytest.mark.parametrize(
    "drawing",
    [
        b"\x1b[9999b" * 500_000,
        b"\x1b[400;1000Hx" * 300_000,
        b"a" + "\u0301".encode() * 1_000_000,
        b"\x1b[38;2;1;2;3m" * 300_000,
        b"\x1b[" + b"1;" * 2_000_000 + b"m",
        b"\x1b" * 4_000_000,
        b"x" * 4_000_000,
        "你".encode() * 1_000_000,
    ],
    ids=["repeat", "places", "marks", "pens", "parameters", "escapes", "text", "wide"],
)
def test_a_drawing_made_to_be_large_stays_small(drawing: bytes) -> None:
    started = time.process_time()
    found = Drawing(drawing)
    assert time.process_time() - started < 30
    assert len(svg(found)) < 2_000_000
    assert len(found.rows) <= 400
    assert found.columns <= 1000
