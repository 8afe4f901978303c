"""Frozen values, as ``dataclass(frozen=True, slots=True)`` makes them, without its cost.

A dataclass compiles its methods when its class is made: 0.5 to 0.8 ms each, and
a user waits for some thirty of them before a box can be started.  Here all
classes share their methods, and a class costs 0.02 ms.  To a type checker they
are dataclasses (:func:`typing.dataclass_transform`, PEP 681).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class _Fresh:
    """A default that is made anew for each value."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[], object]) -> None:
        self.make = make


def fresh(*, default_factory: Callable[[], T]) -> T:
    """Return a default that ``default_factory`` makes for each value."""
    return _Fresh(default_factory)  # type: ignore[return-value]


class FrozenError(AttributeError):
    """Somebody tried to change a value."""


@dataclass_transform(frozen_default=True, field_specifiers=(fresh,))
class _Meta(type):
    """Makes the annotated names of a class its fields."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> _Meta:
        names = tuple(namespace.get("__annotations__", ()))
        if bases:
            defaults = {key: namespace.pop(key) for key in names if key in namespace}
            namespace |= {"__slots__": names, "_names": names, "_defaults": defaults, "__match_args__": names}
        return super().__new__(mcs, name, bases, namespace)


class Frozen(metaclass=_Meta):
    """A value with the annotated names of its class as fields, in order; equal when all of them are.

    ``TypeError`` for a field that is missing, unknown or given twice.  A class
    derived from one with fields does not have those.
    """

    __slots__ = ()
    _names: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[dict[str, Any]] = {}

    def __init__(self, *args: Any, **given: Any) -> None:
        names, defaults = self._names, self._defaults
        values = dict(zip(names, args, strict=False))
        if len(args) > len(names) or not given.keys().isdisjoint(values):
            raise TypeError(f"{type(self).__name__} has other fields than these")
        values.update(given)
        for name in names:
            if name in values:
                value = values.pop(name)
            elif name in defaults:
                value = defaults[name]
                value = value.make() if type(value) is _Fresh else value
            else:
                raise TypeError(f"{type(self).__name__} lacks {name}")
            object.__setattr__(self, name, value)
        if values:
            raise TypeError(f"{type(self).__name__} has no {', '.join(values)}")

    def update(self, **changes: Any) -> Self:
        """Return the same value but for ``changes``."""
        return type(self)(**{**self.as_dict(), **changes})

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, in order."""
        return {name: getattr(self, name) for name in self._names}

    def _key(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._names)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._names)
        return f"{type(self).__name__}({shown})"

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenError(f"{type(self).__name__}.{name} cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise FrozenError(f"{type(self).__name__}.{name} cannot be deleted")

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), self._key()
