"""Public names that are imported when they are first asked for: a package costs next to nothing until it is used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def names(
    package: str, where: Mapping[str, str], parts: frozenset[str] = frozenset()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package whose public names lie in the modules that `where` says.

    `parts` are modules of the package that are themselves public names.
    """
    namespace = vars(sys.modules[package])

    def getattribute(name: str) -> Any:
        if name in parts:
            return import_module(f"{package}.{name}")
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = namespace[name] = getattr(import_module(where[name]), name)
        return value

    def listing() -> list[str]:
        return sorted({*namespace, *where, *parts})

    return getattribute, listing
