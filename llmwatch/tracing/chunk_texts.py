"""The texts of a stream's chunks: the one that is being written, which can be changed, and whatever else a chunk says."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llmwatch.tracing.guarded_texts import as_text

Path = tuple[str | int, ...]

_PLACES: tuple[Path, ...] = (
    ("choices", 0, "delta", "content"),
    ("content",),
    ("text",),
    ("delta",),
    ("delta", "text"),
)
"""Where the clients' chunks have the text that they add, in order."""
_NAMES = frozenset(
    ("id", "object", "model", "type", "role", "finish_reason", "service_tier", "system_fingerprint")
)
"""What says nothing of what a model wrote."""
_DEEPEST = 12
_BYTES = ("utf-8", "surrogateescape")
"""A character may be cut in two between chunks of bytes."""


@dataclass(frozen=True)
class Held:
    """A chunk with its texts, read once."""

    chunk: Any
    text: str
    """What it adds to the text that the stream writes."""
    others: tuple[tuple[Path, str], ...]
    """What else it says and where: arguments of tools, other choices, chunks of a kind that is not known."""

    @property
    def size(self) -> int:
        """In characters; at least one, so that empty chunks are not held for ever."""
        return len(self.text) + sum(len(text) for _, text in self.others) or 1

    @classmethod
    def of(cls, chunk: Any) -> Held:
        """
        >>> Held.of({"text": "hello", "citations": ["a book"]}).others
        ((('citations', 0), 'a book'),)
        """
        path = _place_of(chunk)
        if path is None:
            return cls(chunk, "", tuple(_texts(chunk)))
        text = _text(_at(chunk, path))
        return cls(chunk, text, tuple(each for each in _texts(chunk) if each[0] != path))


def with_text(chunk: Any, text: str) -> Any:
    """A chunk of the same kind that adds another text."""
    path = _place_of(chunk)
    if path == () or path is None:
        return text.encode(*_BYTES) if isinstance(chunk, (bytes, bytearray)) else text
    made = copy.deepcopy(dict(chunk) if isinstance(chunk, Mapping) else chunk)
    holder, name = _at(made, path[:-1]), path[-1]
    if isinstance(holder, (dict, list)):
        holder[name] = text  # type: ignore[index]
    else:
        setattr(holder, str(name), text)
    return made


def _place_of(chunk: Any) -> Path | None:
    if isinstance(chunk, (str, bytes, bytearray)):
        return ()
    return next((path for path in _PLACES if isinstance(_at(chunk, path), str)), None)


def _at(chunk: Any, path: Path) -> Any:
    for name in path:
        if isinstance(chunk, Mapping):
            chunk = chunk.get(name)
        elif isinstance(name, int):
            chunk = chunk[name] if isinstance(chunk, (list, tuple)) and name < len(chunk) else None
        else:
            chunk = getattr(chunk, name, None)
    return chunk


def _text(value: Any) -> str:
    return value if isinstance(value, str) else bytes(value).decode(*_BYTES)


def _texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text in a chunk, with the way to it."""
    if isinstance(value, (str, bytes, bytearray)):
        if value and not (path and path[-1] in _NAMES):
            yield path, _text(value)
    elif value is None or isinstance(value, (int, float)):
        return
    elif len(path) >= _DEEPEST or (parts := _parts(value)) is None:
        yield path, as_text(value)
    else:
        for name, part in parts:
            yield from _texts(part, (*path, name))


def _parts(value: Any) -> list[tuple[str | int, Any]] | None:
    """What a value is made of; None for an object that does not tell."""
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if hasattr(type(value), "model_validate"):
        value = {
            **vars(value),
            **(value.model_extra or {}),
        }  # model_dump leaves out what is excluded
    elif not isinstance(value, Mapping):
        value = getattr(value, "__dict__", None)
    return None if value is None else [(str(name), part) for name, part in value.items()]
