"""Frozen values behave as the dataclasses that they stand for."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from realm.frozen import Frozen, FrozenError, fresh


class Point(Frozen):
    x: int
    y: int = 0
    names: list[str] = fresh(default_factory=list)

    @property
    def far(self) -> int:
        """Something worked out of the fields."""
        return self.x + self.y


class Other(Frozen):
    x: int
    y: int = 0
    names: list[str] = fresh(default_factory=list)


@dataclass(frozen=True, slots=True)
class Twin:
    x: int
    y: int = 0
    names: list[str] = field(default_factory=list)


def made(kind: Any, args: list[Any], named: dict[str, Any]) -> Any:
    """Return the fields of a value made in that way, or that it cannot be."""
    try:
        value = kind(*args, **named)
    except TypeError:
        return "no"
    return (value.x, value.y, value.names)


@given(
    some.lists(some.integers(), max_size=4),
    some.dictionaries(some.sampled_from(["x", "y", "names", "z"]), some.integers(), max_size=4),
)
def test_made_as_a_dataclass_is(args: list[Any], named: dict[str, Any]) -> None:
    assert made(Point, args, named) == made(Twin, args, named)


def test_shown_as_a_dataclass_is() -> None:
    assert repr(Point(1)) == repr(Twin(1)).replace("Twin", "Point") == "Point(x=1, y=0, names=[])"


def test_equal_by_fields_of_the_same_class() -> None:
    assert Point(1, 2) == Point(1, 2) != Point(1, 3)
    assert Point(1) != Other(1)
    assert Point(1) != (1, 0, [])


def test_hashed_by_fields() -> None:
    one, two = (Point(1, names=()) for _ in range(2))  # type: ignore[arg-type]
    assert {one: "kept"}[two] == "kept"
    with pytest.raises(TypeError):
        hash(Point(1))


def test_updated_as_a_dataclass_is_replaced() -> None:
    first = Point(1, 2, ["a"])
    second = first.update(y=5)
    twin = replace(Twin(1, 2, ["a"]), y=5)
    assert (second.x, second.y, second.names) == (twin.x, twin.y, twin.names)
    assert first.y == 2
    with pytest.raises(TypeError):
        first.update(z=1)


def test_cannot_be_changed() -> None:
    point = Point(1)
    with pytest.raises(FrozenError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenError):
        del point.x
    with pytest.raises(AttributeError):
        point.z = 2
    assert point.x == 1


def test_fresh_defaults_are_not_shared() -> None:
    assert Point(1).names is not Point(1).names


def test_has_properties_fields_by_name_and_copies() -> None:
    point = Point(1, 2)
    assert point.far == 3
    assert point.as_dict() == {"x": 1, "y": 2, "names": []}
    assert pickle.loads(pickle.dumps(point)) == point  # noqa: S301 - our own


def test_matches_by_position() -> None:
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)
