"""Queries inside of objects (saved views, monitors): Weave's client publishes them with the class of each part.

It cannot load them so again, as its query classes take no other key. What is stored stays as it came, under its digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CLASSES = frozenset({"SavedView", "Monitor"})
"""The classes of objects that hold queries."""
_CLASS_MARKS = ("_type", "_class_name", "_bases")


def loadable(val: Any) -> Any:
    """The object with every query in it as it was written."""
    if isinstance(val, list):
        return [loadable(each) for each in val]
    if not isinstance(val, Mapping):
        return val
    if val.get("_class_name") == "Query":
        return plain(val)
    return {key: loadable(each) for key, each in val.items()}


def plain(query: Any) -> Any:
    """A query without the classes of its parts.

    >>> plain({"$expr": {"$literal": 1, "_type": "LiteralOperation"}, "_class_name": "Query"})
    {'$expr': {'$literal': 1}}
    """
    if isinstance(query, Mapping):
        return {key: plain(each) for key, each in query.items() if key not in _CLASS_MARKS}
    return [plain(each) for each in query] if isinstance(query, (list, tuple)) else query
