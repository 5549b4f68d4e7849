"""The marker `{"_type": kind, ...}` by which a line says what a value was, and how classes are named in it."""

from __future__ import annotations

from typing import Any, NamedTuple

MARK = "_type"

_MODULE = type.__dict__["__module__"]
_QUALNAME = type.__dict__["__qualname__"]
_MRO = type.__dict__["__mro__"]


class Tag(NamedTuple):
    """What a value is recorded as when plain JSON cannot say it."""

    kind: str
    fields: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return {MARK: self.kind, **self.fields}


def tag(kind: str, **fields: Any) -> Tag:
    """A tag of the fields that are known: an unknown one is left out, never null."""
    return Tag(kind, {name: value for name, value in fields.items() if value is not None})


def lineage(cls: type) -> tuple[type, ...]:
    """The classes of a class, most specific first, whatever its metaclass pretends."""
    mro: tuple[type, ...] = _MRO.__get__(cls)
    return mro


def package_and_name(cls: type) -> tuple[str, str]:
    """`("pandas", "DataFrame")`: stable where libraries move their classes between modules."""
    return _module(cls).partition(".")[0], _QUALNAME.__get__(cls)


def class_name(cls: type) -> str:
    """`module.Class`, with builtins bare."""
    module, name = _module(cls), str(_QUALNAME.__get__(cls))
    return name if module == "builtins" else f"{module}.{name}"


def _module(cls: type) -> str:
    module = _MODULE.__get__(cls)
    return module if type(module) is str else "?"
