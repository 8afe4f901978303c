"""A screen as a page that stands alone: HTML, no script, nothing from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realm.terminal.render.palette import INK, PAPER, look
from realm.terminal.render.svg import escape

if TYPE_CHECKING:
    from realm.terminal.render.drawing import Drawing, Run
    from realm.terminal.render.palette import Look

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
    """Return the page: a plain window with the screen in it and ``title`` at its top."""
    rows = "".join("".join(map(_run, row)) + "\n" for row in drawing.rows)
    page = _PAGE.format(title=escape(title), paper=PAPER, ink=INK, columns=drawing.columns, rows=rows)
    return page.encode("utf-8", "replace")


def _run(run: Run) -> str:
    text = escape(run.text)
    if run.columns > len(run.text):
        text = f"<i>{text}</i>"
    style = _style(look(run.codes))
    return f'<span style="{style}">{text}</span>' if style else text


def _style(seen: Look) -> str:
    rules = (
        ("color", seen.ink if seen.ink != INK else ""),
        ("background", seen.paper),
        ("font-weight", "bold" if seen.bold else ""),
        ("font-style", "italic" if seen.italic else ""),
        ("text-decoration", seen.lines),
        ("opacity", ".6" if seen.dim else ""),
    )
    return "; ".join(f"{name}: {value}" for name, value in rules if value)
