"""A value that satisfies a JSON schema, filled from a text where the text offers something."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .words import content_words

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_QUOTED = re.compile(r"[\"“'‘]([^\"”'’\n]+)[\"”'’]")
_NAME = re.compile(r"(?<=[\w,;:] )[A-Z][\w-]*(?: [A-Z][\w-]*)*")
_FORMATS = {
    "date": "2024-01-01",
    "date-time": "2024-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "user@example.com",
    "uri": "https://example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}
_DEEPEST = 6


def example(schema: Mapping[str, Any], text: str, prose: Mapping[str, str] | None = None) -> Any:
    """A value for the schema; ``prose`` gives the text for string properties by name.

    >>> example(
    ...     {"type": "object", "properties": {"city": {"type": "string"}}}, "Is it wet in Oslo?"
    ... )
    {'city': 'Oslo'}
    """
    return _Filler(schema, text, prose or {}).value(schema, "", 0)


class _Filler:
    def __init__(self, root: Mapping[str, Any], text: str, prose: Mapping[str, str]) -> None:
        self.root = root
        self.text = text
        self.prose = prose
        self.numbers = _NUMBER.findall(text)

    def value(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._of(schema["enum"])
        options = schema.get("anyOf") or schema.get("oneOf")
        if options:
            return self.value(self._option(options, depth), name, depth)
        kind = self._kind(schema)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        return self._scalar(kind, schema, name)

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schema with its local reference followed and ``allOf`` merged."""
        for _ in range(_DEEPEST):
            if "$ref" not in schema:
                break
            target: Any = self.root
            for part in schema["$ref"].lstrip("#/").split("/"):
                target = target[part] if part else target
            schema = target
        merged = dict(schema)
        for part in merged.pop("allOf", ()):
            merged |= self._resolved(part)
        return merged

    def _option(self, options: list[Mapping[str, Any]], depth: int) -> Mapping[str, Any]:
        """The first option that is not null; null itself when deep, so that recursion ends."""
        nullish = [option for option in options if option.get("type") == "null"]
        if nullish and depth >= _DEEPEST:
            return nullish[0]
        return next((option for option in options if option.get("type") != "null"), options[0])

    def _kind(self, schema: Mapping[str, Any]) -> str:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        return str(kind)

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", list(properties))
        wanted = required if depth >= _DEEPEST else properties
        return {name: self.value(properties.get(name, {}), name, depth + 1) for name in wanted}

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        least = int(schema.get("minItems", 0 if depth >= _DEEPEST else 1))
        count = min(
            max(least, 0 if depth >= _DEEPEST else 1), int(schema.get("maxItems", max(least, 1)))
        )
        return [self.value(schema.get("items", {}), name, depth + 1) for _ in range(count)]

    def _scalar(self, kind: str, schema: Mapping[str, Any], name: str) -> Any:
        if kind in ("integer", "number"):
            return self._number(kind, schema)
        if kind == "boolean":
            return not re.search(r"\b(?:no|not|never|without|false)\b", self.text, re.IGNORECASE)
        return None if kind == "null" else self._string(schema, name)

    def _number(self, kind: str, schema: Mapping[str, Any]) -> float | int:
        given = float(self.numbers.pop(0)) if self.numbers else 1.0
        low = schema.get("minimum", schema.get("exclusiveMinimum", float("-inf")))
        high = schema.get("maximum", schema.get("exclusiveMaximum", float("inf")))
        bounded = min(max(given, low), high)
        if bounded in (schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")):
            bounded = (
                (low + high) / 2
                if max(abs(low), abs(high)) != float("inf")
                else bounded + (1 if bounded == low else -1)
            )
        return int(bounded) if kind == "integer" else bounded

    def _string(self, schema: Mapping[str, Any], name: str) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        text = self.prose.get(name.lower()) or self._phrase()
        text = text.ljust(int(schema.get("minLength", 0)), ".")
        return text[: int(schema["maxLength"])] if "maxLength" in schema else text

    def _phrase(self) -> str:
        """What the text quotes, else the first name in it, else its own words."""
        for pattern in (_QUOTED, _NAME):
            found = pattern.findall(self.text)
            if found:
                return str(found[0])
        return " ".join(content_words(self.text)[:8]) or self.text.strip() or "example"

    def _of(self, values: list[Any]) -> Any:
        said = self.text.lower()
        return next((v for v in values if isinstance(v, str) and v.lower() in said), values[0])
