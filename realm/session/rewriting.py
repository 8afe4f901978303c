"""Changes a container's output on its way to the user's terminal, by the user's settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from realm.config import CLIPBOARD, Config
from realm.session.notices import plain
from realm.terminal.relay.events import Observed
from realm.terminal.relay.rewrite import Closing, Rewriter

if TYPE_CHECKING:
    from realm.sandbox.stream import Attachment
    from realm.terminal.relay.protocols import Stream


def rewriter(name: str, config: Config, closing: Closing | None = None) -> Rewriter:
    """Return the rewriter for output of the session ``name``: titles, clipboard, a command that is left."""
    copies = config.value(CLIPBOARD) == "write"
    return Rewriter(plain(name), closing, drops_apc=bool(os.environ.get("TMUX")), copies=copies)


def changed(stream: Attachment, name: str, config: Config) -> Stream:
    """Return the stream of another program in the sandbox of ``name``, rewritten for the user's terminal."""
    return Observed(stream, lambda _: None, rewriter(name, config)) if stream.tty else stream
