"""The slow, careful way: any Python value to plain JSON values, for what the C encoder will not take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmwatch.capture.images import finite, image_of, integer
from llmwatch.capture.keys import clean_text, json_keys
from llmwatch.capture.tag import MARK, Tag, class_name

if TYPE_CHECKING:
    from pathlib import Path

DEPTH = 64


class Walker:
    """Walks one value. `nodes` bounds the work: more would not fit in the field anyway."""

    __slots__ = ("_depth", "_media", "_nodes", "_open")

    def __init__(self, media: Path | None, nodes: int, depth: int = DEPTH) -> None:
        self._depth = depth
        self._media = media
        self._nodes = nodes
        self._open: set[int] = set()

    def walk(self, value: Any, depth: int = 0) -> Any:
        cls = type(value)
        if cls is str:
            return clean_text(value)
        if value is None or cls is bool:
            return value
        if cls is float:
            return finite(value)
        if cls is int:
            return self._inner(integer(value), depth)
        return self._container(value, depth)

    def _inner(self, image: Any, depth: int) -> Any:
        if type(image) is Tag:
            return {MARK: image.kind} | {
                k: self.walk(v, depth + 1) for k, v in image.fields.items()
            }
        if type(image) is int:
            return image
        return self.walk(image, depth)

    def _container(self, value: Any, depth: int) -> Any:
        if id(value) in self._open:
            return {MARK: "cycle", "class": class_name(type(value))}
        self._nodes -= 1
        if depth >= self._depth or self._nodes < 0:
            why = "nested too deep" if depth >= self._depth else "too large"
            return {MARK: "cut", "class": class_name(type(value)), "why": why}
        self._open.add(id(value))
        try:
            return self._contents(value, depth)
        finally:
            self._open.discard(id(value))

    def _contents(self, value: Any, depth: int) -> Any:
        cls = type(value)
        if cls is dict:
            return self._dict(dict(value), depth)
        if cls is list or cls is tuple:
            return [self.walk(item, depth + 1) for item in list(value)]
        if cls is Tag:
            return self._inner(value, depth)
        return self._inner(image_of(value, self._media), depth)

    def _dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        pairs = zip(json_keys(value), value.values(), strict=True)
        return {name: self.walk(item, depth + 1) for name, item in pairs}
