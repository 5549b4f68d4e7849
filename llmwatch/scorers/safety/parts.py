"""The texts of a row and where each came from: what was asked, what was retrieved, what was answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from llmwatch.scorers.protocol import Row
from llmwatch.scorers.safety.findings import Role

_DEEPEST = 20

# Arguments that hold what was retrieved, as people name them.
_DOCUMENTS = frozenset(
    [
        "context",
        "contexts",
        "chunk",
        "chunks",
        "doc",
        "docs",
        "document",
        "documents",
        "passage",
        "passages",
        "retrieved",
        "retrieval",
        "search_results",
        "sources",
    ]
)
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "tool": "document",
    "function": "document",
    "assistant": "output",
    "model": "output",
    "user": "input",
}
_LABELS = frozenset(
    {"role", "type", "model", "object"}
)  # of messages: words of the protocol, nobody's text
_RETRIEVING = frozenset({"retrieval", "search", "tool"})  # calls whose output comes from outside


class Part(NamedTuple):
    """One text of a row, its path in it, and its role."""

    where: str
    role: Role
    text: str


def parts_of(row: Row) -> Iterator[Part]:
    """The texts of a row, the output first."""
    role: Role = "document" if row.get("kind") in _RETRIEVING else "output"
    yield from _walk(row.get("output"), "output", role)
    yield from _walk(row.get("inputs"), "inputs", "input")
    if row.get("inputs") is None and row.get("output") is None:
        yield from _walk(row.get("data"), "data", "input")


def _walk(value: Any, where: str, role: Role, depth: int = 0) -> Iterator[Part]:
    if isinstance(value, str):
        if value:
            yield Part(where, role, value)
    elif depth < _DEEPEST:
        for path, own, item in _items(value, role):
            yield from _walk(item, where + path, own, depth + 1)


def _items(value: Any, role: Role) -> Iterator[tuple[str, Role, Any]]:
    if isinstance(value, Mapping):
        stated = _role_of(value, role)
        for key, item in value.items():
            if key not in _LABELS:
                yield f".{key}", _named(key, stated), item
    elif isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        for index, item in enumerate(value):
            yield f"[{index}]", role, item


def _role_of(message: Mapping[Any, Any], role: Role) -> Role:
    """The role that a chat message states; of anything else the one it is found in."""
    said = message.get("role")
    return _ROLES.get(said, role) if isinstance(said, str) and "content" in message else role


def _named(key: Any, role: Role) -> Role:
    if role != "input" or not isinstance(key, str):
        return role
    low = key.lower()
    if low in _DOCUMENTS:
        return "document"
    return "system" if low in ("instructions", "system", "system_prompt") else role
