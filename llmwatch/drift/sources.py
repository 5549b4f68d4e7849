"""Which columns of a table a signal is read from, as SQL over `keyed.<table> AS r`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from llmwatch.drift.texts import LONGEST_JSON, OUTPUT_KEYS, PROMPT_KEYS
from llmwatch.errors import SettingsError
from llmwatch.stream.columns import CALL, Column, literal, quoted

TEXT_SIGNALS = ("embedding", "language", "topic")
"""Signals that are made from the prompts themselves, so of a sample of them."""
LENGTHS = {
    "prompt_length": ("prompt_tokens", "prompt_chars", PROMPT_KEYS),
    "output_length": ("completion_tokens", "output_chars", OUTPUT_KEYS),
}
KNOWN = (
    "prompt_length",
    "embedding",
    "output_length",
    "latency",
    "confidence",
    "retrieval_score",
    "language",
    "topic",
)
DEFAULT = ("prompt_length", "embedding")
_READ_BY_NAME = ("latency_ms", "prompt_tokens", "completion_tokens", "prompt_chars", "output_chars")
_OURS = {column.name: column for column in CALL}
_NUMBERS = ("BIGINT", "DOUBLE")
_TOKENS, _CHARACTERS = "tokens", "characters"


@dataclass(frozen=True)
class Source:
    """One column to read: the signal it belongs to, what it measures, and its SQL."""

    signal: str
    sql: str
    kind: Literal["number", "category", "either"]
    unit: str = ""
    events: bool = False
    """Whether it needs what was said about rows later."""


class Table:
    """The columns of a table, by the names that people have for them."""

    def __init__(self, name: str, columns: Sequence[Column]) -> None:
        self.name = name
        self._logged = {column.key: column for column in columns if column.key is not None}

    @property
    def logged(self) -> frozenset[str]:
        """The keys that people logged."""
        return frozenset(key for key in self._logged if key is not None)

    def sources(self, signal: str) -> list[Source]:
        """What to read for a signal; none for one that is made from the prompts. `SettingsError` for an unknown one."""
        if signal in TEXT_SIGNALS and signal not in self._logged:
            return []
        if signal in LENGTHS and signal not in self._logged:
            return list(self._lengths(signal))
        return [self._one(signal)]

    def text(self, name: str | None = None) -> tuple[str, str]:
        """SQL for the prompt: as plain text, and as JSON to look for it in; either may be `NULL`."""
        if name is None:
            plain = [self._named(key) for key in PROMPT_KEYS if self._type(key) == "VARCHAR"]
            return f"coalesce({', '.join([*plain, 'NULL'])})", _bounded(_ours("inputs"))
        if "." in name and name not in self._logged:
            return self._path(name), "NULL"
        column = self._column(name)
        if column.json:
            return "NULL", _bounded(self._named(name))
        return f"CAST({self._named(name)} AS VARCHAR)", "NULL"

    def vector(self, name: str) -> str:
        """SQL for a column that holds a vector a row: bytes of float32, or a JSON list of numbers."""
        column = self._column(name)
        if not (column.json or column.type == "BLOB"):
            raise SettingsError(
                f"{name} of table {self.name} holds no vectors but {column.shown_type}"
            )
        return self._named(name)

    def group(self, name: str) -> str:
        """SQL for a row's `session_id` or `user_id`, logged by the person or recorded with the call."""
        if name not in self._logged:
            return _ours(name)
        return f"coalesce(CAST(r.{quoted(name)} AS VARCHAR), {_ours(name)})"

    def every(self) -> list[str]:
        """The signals that this table has columns for: those we know, then each number and category that was logged."""
        logged = [
            key
            for key, column in self._logged.items()
            if not column.json and column.type != "TIMESTAMPTZ" and key not in PROMPT_KEYS
            and key not in _READ_BY_NAME
            and key not in OUTPUT_KEYS and not key.endswith(("_id", "id"))
        ]  # fmt: skip
        return [*(name for name in KNOWN if name not in self._logged), *logged]

    def _lengths(self, signal: str) -> list[Source]:
        tokens, characters, keys = LENGTHS[signal]
        written = [f"length({self._named(key)})" for key in keys if self._type(key) == "VARCHAR"]
        return [
            Source(signal, self._number(tokens), "number", _TOKENS),
            Source(signal, f"coalesce({', '.join([self._number(characters), *written])})", "number", _CHARACTERS),
        ]  # fmt: skip

    def _one(self, name: str) -> Source:
        if name in self._logged:
            return self._of_column(name)
        if name in _MADE:
            return _MADE[name](self, name)
        for kind in ("score", "label"):
            if name.startswith(f"{kind}:"):
                what, _, path = name[len(kind) + 1 :].partition(".")
                return Source(name, _said(kind, what, _at(path)), "either", events=True)
        return Source(name, self._path(name), "either") if "." in name else self._of_column(name)

    def latency(self, name: str) -> Source:
        return Source(name, self._number("latency_ms"), "number", "ms")

    def confidence(self, name: str) -> Source:
        """The latest score of that name, as a number or as a result with one."""
        score = "coalesce(value->>'$.score', value->>'$.confidence', value->>'$')"
        return Source(name, _said("score", "confidence", score), "number", events=True)

    def retrieval_score(self, name: str) -> Source:
        return Source(name, _retrieval(self.name), "number")

    def _of_column(self, name: str) -> Source:
        column = self._column(name)
        if column.json or column.type in {"BLOB", "TIMESTAMPTZ"}:
            raise SettingsError(
                f"{name} of table {self.name} is no number or category; of a JSON column name a value in it, "
                f"such as {name}.key"
            )
        if column.type in _NUMBERS:
            return Source(name, f"CAST({self._named(name)} AS DOUBLE)", "number")
        return Source(name, f"CAST({self._named(name)} AS VARCHAR)", "category")

    def _column(self, name: str) -> Column:
        found = self._logged.get(name) or _OURS.get(name)
        if found is None:
            near = get_close_matches(name, [*KNOWN, *self._logged, *_OURS], n=1)
            known = (
                f"; did you mean {near[0]}?" if near else f"; it has {', '.join(self.every()[:12])}"
            )
            raise SettingsError(f"table {self.name} has no column or signal {name!r}{known}")
        return found

    def _named(self, name: str) -> str:
        return f"r.{quoted(name)}" if name in self._logged else _ours(name)

    def _type(self, name: str) -> str | None:
        column = self._logged.get(name)
        return None if column is None or column.json else column.type

    def _number(self, name: str) -> str:
        """A number of ours, or one that was logged under its name."""
        if name in self._logged:
            return f"coalesce(try_cast(r.{quoted(name)} AS DOUBLE), CAST({_ours(name)} AS DOUBLE))"
        return f"CAST({_ours(name)} AS DOUBLE)"

    def _path(self, name: str) -> str:
        """A value inside a JSON column: `attributes.tier`, `inputs.options.top_k`."""
        whole, _, path = name.partition(".")
        if not self._column(whole).json:
            raise SettingsError(f"{whole} of table {self.name} is not JSON, so there is no {name}")
        return f"{self._named(whole)}->>{literal(_json_path(path))}"


_MADE = {
    "latency": Table.latency,
    "confidence": Table.confidence,
    "retrieval_score": Table.retrieval_score,
}


def _ours(name: str) -> str:
    return f"r.{quoted('llmwatch ' + name)}"


def _bounded(sql: str) -> str:
    """A JSON value, or the beginning of one that is too large to look into."""
    return f"left({sql}, {LONGEST_JSON})"


def _json_path(path: str) -> str:
    return "$" + "".join(f'."{part}"' for part in path.replace('"', "").split("."))


def _at(path: str) -> str:
    return f"value->>{literal(_json_path(path))}" if path else "value->>'$'"


def _said(kind: str, name: str, value: str) -> str:
    return (
        f'(SELECT {value} FROM said.{kind}s AS e WHERE e.row_id = r."llmwatch id" '  # noqa: S608 - literals are quoted
        f"AND e.name = {literal(name)})"
    )


def _retrieval(table: str) -> str:
    """The best score among the documents that the trace's retrieval steps returned."""
    places = ("$[*].score", "$.documents[*].score", "$.results[*].score", "$[*].similarity")
    found = [f"nullif(c.\"llmwatch output\"->>'{place}', [])" for place in places]
    best = f"list_max([try_cast(s AS DOUBLE) FOR s IN coalesce({', '.join(found)})])"
    return (
        f"(SELECT max({best}) FROM keyed.{quoted(table)} AS c "  # noqa: S608 - names are quoted
        'WHERE c."llmwatch trace_id" = r."llmwatch trace_id" AND c."llmwatch kind" IN (\'retrieval\', \'search\'))'
    )
