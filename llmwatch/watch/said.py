"""What is said about rows after they were recorded: labels and scores, and tables of labels joined on a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from llmwatch.store import EVENTS
from llmwatch.stream.columns import json_path, quoted

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

_RUNNABLE = "wandb.runnable."
"""Scores that Weave's own code adds to calls are feedback of this type."""
_EVENTS = f'main."{EVENTS}"'
_AMONG = "IN (SELECT unnest(?::VARCHAR[]))"


@dataclass(frozen=True)
class Said:
    """The latest label or score of a name."""

    kind: str
    name: str

    @property
    def alias(self) -> str:
        return f"{self.kind}.{self.name}"

    def read(self, reader: Reader, frame: Mapping[str, Any]) -> Any:
        """For each row its value (parsed JSON), or None."""
        found = _latest(reader, self, [str(each) for each in frame["id"]])
        return _objects([found.get(str(each)) for each in frame["id"]])


@dataclass(frozen=True)
class Joined:
    """The latest value of a column of another table whose `key` is the row's."""

    table: str
    key: str
    value: str

    @property
    def alias(self) -> str:
        return f"joined {self.table} {self.key} {self.value}"

    @property
    def key_alias(self) -> str:
        return f"text {self.key}"

    def read(self, reader: Reader, frame: Mapping[str, Any]) -> Any:
        column = np.ma.asarray(frame[self.key_alias])
        keys = sorted({str(each) for each in column.compressed()})
        if not keys:
            return _objects([None] * len(column))
        from llmwatch.watch.reading import Columns

        columns = Columns(self.table, reader.columns(self.table))
        key = columns.text(self.key)
        value = f'json_extract(r."llmwatch data", {json_path(self.value)})::VARCHAR'
        found = reader.execute(
            f'SELECT {key} AS k, max_by({value}, struct_pack(t := r."llmwatch ts", w := r."llmwatch writer", s := r."llmwatch seq")) '
            f"FROM keyed.{quoted(self.table)} AS r WHERE {key} {_AMONG} GROUP BY k",
            [keys],
            [self.table],
        )
        values = {k: orjson.loads(v) if v else None for k, v in found.rows}
        gone = np.ma.getmaskarray(column)
        plain = np.ma.getdata(column)
        return _objects(
            [None if masked else values.get(str(k)) for k, masked in zip(plain, gone, strict=True)]
        )


@dataclass(frozen=True)
class Field(Said):
    """A score of a name that has a dot; else the field after the dot of the score before it: `safety.injection_flag`."""

    def read(self, reader: Reader, frame: Mapping[str, Any]) -> Any:
        whole = super().read(reader, frame)
        head, _, field = self.name.partition(".")
        parts = Said(self.kind, head).read(reader, frame)
        inside = [one.get(field) if isinstance(one, dict) else None for one in parts]
        return _objects([i if w is None else w for w, i in zip(whole, inside, strict=True)])


def said_in(name: str) -> Said | None:
    """`label.resolved`, `score.toxicity` and `score.safety.pii_flag` name what is said about rows; anything else a column.

    >>> said_in("label.resolved"), said_in("latency_ms")
    (Said(kind='label', name='resolved'), None)
    """
    kind, _, rest = name.partition(".")
    if kind == "score" and "." in rest:
        return Field(kind, rest)
    return Said(kind, rest) if kind in {"label", "score"} and rest else None


def _objects(values: Sequence[Any]) -> Any:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _latest(reader: Reader, said: Said, rows: Sequence[str]) -> dict[str, Any]:
    """Row -> what was said last and not taken back."""
    if not rows:
        return {}
    ordered = sorted(set(rows))
    found = reader.execute(
        f"SELECT id, row_id, kind, value::VARCHAR FROM {_EVENTS} "
        f"WHERE row_id BETWEEN ? AND ? AND row_id {_AMONG} "
        "AND ((kind = ? AND name = ?) OR (kind = 'feedback' AND name = ?)) ORDER BY ts, writer, seq",
        [ordered[0], ordered[-1], ordered, said.kind, said.name, _weaves_name(said)],
        [EVENTS],
    ).rows
    undone = _undone(reader, [row[0] for row in found])
    latest: dict[str, Any] = {}
    for event_id, row_id, kind, value in found:
        if event_id not in undone:
            read = orjson.loads(value) if value else None
            if kind == "feedback":
                read = read.get("output") if isinstance(read, dict) else read
            latest[row_id] = read
    return latest


def _weaves_name(said: Said) -> str | None:
    return _RUNNABLE + said.name if said.kind == "score" else None


def _undone(reader: Reader, ids: Sequence[str]) -> set[str]:
    """Those events that a later one deletes or replaces."""
    if not ids:
        return set()
    found = reader.execute(
        f"SELECT deletes FROM {_EVENTS} WHERE deletes IS NOT NULL AND deletes {_AMONG} "
        f"UNION ALL SELECT replaces FROM {_EVENTS} WHERE replaces IS NOT NULL AND replaces {_AMONG}",
        [list(ids), list(ids)],
        [EVENTS],
    )
    return {row[0] for row in found.rows}


def number_said(value: Any) -> float:
    """What was said, as a number: true is 1, of a result its `score` or `confidence`; NaN where it is none.

    >>> number_said(True), number_said({"confidence": 0.25})
    (1.0, 0.25)
    """
    if isinstance(value, dict):
        value = next((value[key] for key in ("score", "confidence", "value") if key in value), None)
    if isinstance(value, (bool, int, float)):
        return float(value)
    return float("nan")


def category_said(value: Any) -> str | None:
    """What was said, as a category; None where nothing was. `1`, `1.0` and `"1"` are one category.

    >>> category_said(True), category_said(1.0), category_said("cat")
    ('true', '1', 'cat')
    """
    if isinstance(value, dict):
        value = next((value[key] for key in ("label", "value") if key in value), None)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else orjson.dumps(value).decode()
