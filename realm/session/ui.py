"""What a use-case may ask of whoever runs it: say, wait, confirm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class UI(Protocol):
    """The voice of realm.  All text is shown on standard error, cleaned by the caller."""

    interactive: bool
    """Whether somebody can answer a question."""

    def warn(self, text: str) -> None:
        """Say what the user should know though the work goes on."""

    def info(self, text: str) -> None:
        """Say what was done."""

    def progress(self, text: str) -> AbstractContextManager[None]:
        """Show that something is going on until the context ends."""

    def confirm(self, question: str) -> bool:
        """Ask a yes/no question; ``False`` when nobody can answer."""
