"""The parts of the user's environment that a sandbox gets: terminal, language and time zone.

An image supports few terminals and usually one locale.  Other names make programs fail (``less``, ``tput``),
warn (``bash``, ``perl``) or fall back to ASCII, so they are replaced by names that every image supports.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TERMINAL = (
    "COLORTERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "KITTY_WINDOW_ID", "WEZTERM_VERSION",
    "KONSOLE_VERSION", "VTE_VERSION", "WT_SESSION", "LC_TERMINAL", "LC_TERMINAL_VERSION", "NO_COLOR",
)  # fmt: skip
"""Variables by which programs recognize terminals, and decide on colours."""
_KNOWN_TERM = (
    r"ansi|cygwin|dumb|linux|rxvt(-unicode)?(-256color)?|screen(-bce|-256color|-256color-bce)?|sun"
    r"|tmux(-256color)?|vt(52|100|102|220)|xterm(-256color|-color|-mono|-r[56]|-vt220|-xfree86)?"
)
"""The terminals of Debian's ``ncurses-base``, which Alpine and Fedora have as well."""
_ANY_TERM = "xterm-256color"
"""A type that kitty, ghostty, alacritty, foot, wezterm, st and others support."""
_EVERYWHERE = "C.UTF-8"
_ZONE = r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}"
_ZONES = "zoneinfo"
_LOCALTIME = Path("/etc/localtime")


def passed_on(environ: Mapping[str, str] = os.environ, localtime: Path = _LOCALTIME) -> dict[str, str]:
    """Return the variables that give a sandbox the user's terminal, language and time zone."""
    found = {name: environ[name] for name in _TERMINAL if environ.get(name)}
    if term := environ.get("TERM"):
        found["TERM"] = term if re.fullmatch(_KNOWN_TERM, term) else _ANY_TERM
    if zone := environ.get("TZ") or _zone(localtime):
        found["TZ"] = zone
    # Images have no other locales.
    given = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG")
    return found | {"LANG": given if given in ("C", "POSIX") else _EVERYWHERE}


def _zone(localtime: Path) -> str:
    """Return the machine's time zone, if ``/etc/localtime`` is a link that names it."""
    try:
        name = str(localtime.readlink()).partition(f"{_ZONES}/")[2]
    except OSError:
        return ""
    return name if re.fullmatch(_ZONE, name) else ""
