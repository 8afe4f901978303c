"""Writing what a command makes to where the user wants it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from realm.errors import RealmError

if TYPE_CHECKING:
    from collections.abc import Iterable

STANDARD_OUTPUT = "-"


def put(where: str, pieces: Iterable[bytes]) -> None:
    """Write ``pieces`` to the file ``where``, or to standard output for ``-``.

    Raises :class:`RealmError` when the file cannot be written.
    """
    if where == STANDARD_OUTPUT:
        if sys.stdout is not None:
            sys.stdout.buffer.writelines(pieces)
        return
    try:
        with Path(where).open("wb") as file:
            file.writelines(pieces)
    except OSError as error:
        raise RealmError(f"{where} cannot be written: {error.strerror}") from None


def write(text: str) -> None:
    """Write to standard output what ends its own lines."""
    if sys.stdout is not None:
        sys.stdout.write(text)
