"""A screen as a picture that stands alone: SVG 1.1, no script, nothing from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.terminal.render.palette import PAPER, look
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realm.terminal.render.drawing import Drawing, Run
    from realm.terminal.render.palette import Look

_WIDTH, _HEIGHT, _SIZE = 8.4, 16, 14
"""A cell and its letters: lines of boxes touch, in the usual fonts, at this height."""
_BASE = 12
_MARGIN, _BAR = 12, 28
_FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"
_NO_XML = {0xFFFE: None, 0xFFFF: None}
_XML = "http://www.w3.org/2000/svg"
_LIGHTS = ("#ff5f57", "#febc2e", "#28c840")


def svg(drawing: Drawing, title: str = "") -> bytes:
    """Return the picture: a plain window with the screen in it and ``title`` at its top."""
    rows = max(1, len(drawing.rows))
    width = round(drawing.columns * _WIDTH + 2 * _MARGIN)
    height = rows * _HEIGHT + _BAR + _MARGIN
    name = escape(title)
    frame = f'width="{width - 1}" height="{height - 1}" rx="8" fill="{PAPER}" stroke="#3c414d"'
    parts = [
        f'<svg xmlns="{_XML}" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">\n',
        f"<title>{name}</title>\n",
        f'<rect x=".5" y=".5" {frame}/>\n',
        *(f'<circle cx="{18 + 18 * place}" cy="15" r="5" fill="{light}"/>'
          for place, light in enumerate(_LIGHTS)),
        f'\n<g font-family="{_FONT}" font-size="{_SIZE}" xml:space="preserve">\n',
        f'<text x="{width / 2:g}" y="19" text-anchor="middle" font-size="12" fill="#8b919d">{name}</text>\n',
        *(part for y, row in enumerate(drawing.rows) for part in _row(row, _BAR + y * _HEIGHT)),
        "</g>\n</svg>\n",
    ]  # fmt: skip
    return "".join(parts).encode("utf-8", "replace")


def _row(row: list[Run], top: float) -> Iterator[str]:
    looks = [(run, look(run.codes)) for run in row]
    for run, seen in looks:
        if seen.paper:
            yield (
                f'<rect x="{_left(run.column)}" y="{top:g}" width="{run.columns * _WIDTH:g}"'
                f' height="{_HEIGHT}" fill="{seen.paper}" shape-rendering="crispEdges"/>\n'
            )
    for run, seen in looks:
        if run.text.strip(" ") or seen.lines:
            yield (
                f'<text x="{_left(run.column)}" y="{top + _BASE:g}" textLength="{run.columns * _WIDTH:g}"'
                f' lengthAdjust="spacingAndGlyphs"{_style(seen)}>{escape(run.text)}</text>\n'
            )


def _left(column: int) -> str:
    return f"{_MARGIN + column * _WIDTH:g}"


def _style(seen: Look) -> str:
    return "".join([
        f' fill="{seen.ink}"',
        ' font-weight="bold"' if seen.bold else "",
        ' font-style="italic"' if seen.italic else "",
        f' text-decoration="{seen.lines}"' if seen.lines else "",
        ' opacity=".6"' if seen.dim else "",
    ])  # fmt: skip


def escape(text: str) -> str:
    """Return ``text`` as it may stand anywhere in XML or HTML."""
    text = clean(text).translate(_NO_XML).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("'", "&#39;")
