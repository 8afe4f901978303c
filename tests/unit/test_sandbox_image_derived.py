"""Images on top of others go when no sandbox was made of them for long."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import pytest

from realm.errors import EngineError
from realm.paths import realm_home
from realm.sandbox.answers import Image
from realm.sandbox.image import derived

if TYPE_CHECKING:
    from pathlib import Path

    from realm.sandbox.docker import Engine


class Engined:
    """An engine that has images, one of them in use."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    def images(self, _: str, kind: str = "label") -> list[Image]:
        """Return what has a label, or is called so."""
        if kind == "reference":
            return [Image("3", {}, ("realm-features:1",)), Image("4", {}, ("realm-features:2",))]
        return [Image("1", {}, ("realm:with-1", "mine:1")), Image("2", {}, ("realm:with-2", "realm:on-2"))]

    def remove_image(self, tag: str) -> None:
        """Remove one, unless it is in use."""
        if "used" in tag:
            raise EngineError("it is used")
        self.removed.append(tag)


def test_what_was_not_used_for_long_goes_once(sealed: Path) -> None:
    assert realm_home().is_relative_to(sealed)
    engine: Any = Engined()
    for name in ("with-old", "with-used", "on-new"):
        derived.note_use(f"realm:{name}")
    for name in ("with-old", "with-used"):
        os.utime(realm_home() / "images" / name, (0, 0))
    derived.prune(engine)
    derived.prune(engine)
    assert engine.removed == ["realm:with-old"]
    notes = {path.name for path in (realm_home() / "images").iterdir()}
    assert notes == {"with-used", "on-new", "with-1", "with-2", "on-2", "features-1", "features-2"}


def test_what_nobody_noted_goes_later(sealed: Path) -> None:
    assert realm_home().is_relative_to(sealed)
    engine: Any = Engined()
    derived.prune(engine)
    assert engine.removed == []
    os.utime(realm_home() / "images" / "with-2", (0, 0))
    derived.prune(engine)
    assert engine.removed == ["realm:with-2"]


def test_an_older_one_of_the_same_kind_goes() -> None:
    engine = Engined()
    derived.remove_others(cast("Engine", engine), "realm.with=x", "realm:with-2")
    assert engine.removed == ["realm:with-1"]


def test_one_with_features_stays_while_a_project_or_session_names_it(sealed: Path) -> None:
    assert realm_home().is_relative_to(sealed)
    engine = Engined()
    for name in ("features-1", "features-2"):
        derived.note_use(f"realm-{name}".replace("s-", "s:"))
        os.utime(realm_home() / "images" / name, (0, 0))
    derived.prune(cast("Engine", engine), lambda: {"realm-features:2"})
    assert engine.removed == ["realm-features:1"]


def test_no_session_is_asked_where_there_is_no_such_image(
    sealed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert realm_home().is_relative_to(sealed)
    engine = Engined()
    monkeypatch.setattr(Engined, "images", lambda *_: [Image("5", {}, ("mine:1",))])
    derived.prune(cast("Engine", engine), lambda: pytest.fail("every record was read"))
    assert engine.removed == []
