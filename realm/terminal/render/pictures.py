"""Renders a screen as a self-contained picture (SVG 1.1) or page (HTML), without any scripts."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from realm.terminal.ansi.sgr import attributes
from realm.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from realm.terminal.render.drawing import Drawing, TextRun

INK, PAPER = "#d4d7dd", "#1b1e25"
"""The default text and background colours."""
_SIXTEEN = (
    "#2a2e37", "#e5616c", "#8fc16f", "#e0b561", "#5ea9ee", "#c57bdb", "#4fb8c2", "#c6cad2",
    "#6b7280", "#f0848d", "#a9d58c", "#ecc985", "#83c0f5", "#d69ae6", "#77ccd5", "#ffffff",
)  # fmt: skip
_LEVELS = (0, 95, 135, 175, 215, 255)
_CUBE, _GREYS = 16, 232
_BRIGHT = 8


class Look(NamedTuple):
    """A rendition as colours (``#rrggbb``) and CSS's line names.

    An empty ``paper`` is the window's colour.
    """

    ink: str
    paper: str
    bold: bool
    italic: bool
    dim: bool
    lines: str


@lru_cache(maxsize=4096)
def look(codes: str) -> Look:
    """Return the look of a rendition."""
    state = attributes(codes)
    ink, paper = _colour(state.get("foreground"), INK), _colour(state.get("background"), "")
    if "reverse" in state:
        ink, paper = paper or PAPER, ink
    lines = (("underline", "underline"), ("line-through", "strike"))
    lined = " ".join(css for css, name in lines if name in state)
    return Look(ink, paper, "bold" in state, "italic" in state, "dim" in state, lined)


def _colour(code: str | None, default: str) -> str:
    """Return the colour that an SGR code sets (see :mod:`realm.terminal.ansi.sgr`)."""
    if code is None:
        return default
    head, *values = [int(part) for part in code.split(";")]
    if not values:
        return _SIXTEEN[head % 10 + (_BRIGHT if head >= 90 else 0)]  # noqa: PLR2004 - 90 to 107 are the bright ones
    if len(values) > 2:  # noqa: PLR2004 - "2" and three colours
        return "#{:02x}{:02x}{:02x}".format(*values[1:4])
    return _indexed(values[1])


def _indexed(index: int) -> str:
    if index < _CUBE:
        return _SIXTEEN[index]
    if index >= _GREYS:
        grey = 8 + 10 * (index - _GREYS)
        return f"#{grey:02x}{grey:02x}{grey:02x}"
    red, green, blue = ((index - _CUBE) // step % 6 for step in (36, 6, 1))
    return f"#{_LEVELS[red]:02x}{_LEVELS[green]:02x}{_LEVELS[blue]:02x}"


# A picture ----------------------------------------------------------------------

_WIDTH, _HEIGHT, _SIZE = 8.4, 16, 14
"""The size of a cell and its font: at this height the lines of boxes touch in the usual fonts."""
_BASE = 12
_MARGIN, _BAR = 12, 28
_FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"
_NO_XML = {0xFFFE: None, 0xFFFF: None}
_XML = "http://www.w3.org/2000/svg"
_LIGHTS = ("#ff5f57", "#febc2e", "#28c840")


def svg(drawing: Drawing, title: str = "") -> bytes:
    """Return the picture: a plain window with the screen in it and ``title`` at the top."""
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
        *(part for y, row in enumerate(drawing.rows) for part in _svg_row(row, _BAR + y * _HEIGHT)),
        "</g>\n</svg>\n",
    ]  # fmt: skip
    return "".join(parts).encode("utf-8", "replace")


def _svg_row(row: list[TextRun], top: float) -> Iterator[str]:
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
                f' lengthAdjust="spacingAndGlyphs"{_svg_style(seen)}>{escape(run.text)}</text>\n'
            )


def _left(column: int) -> str:
    return f"{_MARGIN + column * _WIDTH:g}"


def _svg_style(seen: Look) -> str:
    return "".join([
        f' fill="{seen.ink}"',
        ' font-weight="bold"' if seen.bold else "",
        ' font-style="italic"' if seen.italic else "",
        f' text-decoration="{seen.lines}"' if seen.lines else "",
        ' opacity=".6"' if seen.dim else "",
    ])  # fmt: skip


def escape(text: str) -> str:
    """Return ``text`` cleaned and escaped for any place in XML or HTML."""
    text = clean(text).translate(_NO_XML).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("'", "&#39;")


# A page -------------------------------------------------------------------------

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ margin: 24px; }}
figure {{ display: inline-block; margin: 0; border: 1px solid #3c414d; border-radius: 8px;
  background: {paper}; color: {ink}; }}
figcaption {{ padding: 6px 12px 0; text-align: center; font: 12px sans-serif; color: #8b919d; }}
pre {{ margin: 8px 12px 12px; width: {columns}ch;
  font: 14px/16px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }}
i {{ display: inline-block; width: 2ch; height: 16px; vertical-align: top; font-style: inherit; }}
</style>
</head>
<body>
<figure>
<figcaption>{title}</figcaption>
<pre>
{rows}</pre>
</figure>
</body>
</html>
"""


def html(drawing: Drawing, title: str = "") -> bytes:
    """Return the page: a plain window with the screen in it and ``title`` at the top."""
    rows = "".join("".join(map(_html_run, row)) + "\n" for row in drawing.rows)
    page = _PAGE.format(title=escape(title), paper=PAPER, ink=INK, columns=drawing.columns, rows=rows)
    return page.encode("utf-8", "replace")


def _html_run(run: TextRun) -> str:
    text = escape(run.text)
    if run.columns > len(run.text):
        text = f"<i>{text}</i>"
    style = _html_style(look(run.codes))
    return f'<span style="{style}">{text}</span>' if style else text


def _html_style(seen: Look) -> str:
    rules = (
        ("color", seen.ink if seen.ink != INK else ""),
        ("background", seen.paper),
        ("font-weight", "bold" if seen.bold else ""),
        ("font-style", "italic" if seen.italic else ""),
        ("text-decoration", seen.lines),
        ("opacity", ".6" if seen.dim else ""),
    )
    return "; ".join(f"{name}: {value}" for name, value in rules if value)
