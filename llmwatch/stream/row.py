"""One row as a person reads it: a mapping of what was logged, or of what the call recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch import capture
from llmwatch.stream.columns import CALL

if TYPE_CHECKING:
    from pathlib import Path

    from llmwatch.stream.table import StreamTable

_JSON = frozenset(column.name for column in CALL if column.json)
_CALL_NAMES = tuple(column.name for column in CALL)


class Row(Mapping[str, Any]):
    """A row of a StreamTable.

    A logged dict reads as it was logged, with `timestamp` (when it was logged) where it had none; `row.data` is
    the dict alone. A call reads as its columns, None where one is unknown.
    """

    __slots__ = ("_fields", "_table", "data", "id", "timestamp")

    def __init__(self, table: StreamTable, stored: Mapping[str, Any]) -> None:
        self._table = table
        self.id: str = stored["id"]
        self.timestamp: datetime = stored["ts"]
        media = table.project.media
        logged = stored.get("data")
        self.data: dict[str, Any] | None = None
        if logged is not None:
            self.data = capture.decode(orjson.loads(logged), media=media)
            self._fields = {**self.data, **_beside(stored, media)}
            self._fields.setdefault("timestamp", self.timestamp)
        else:
            self._fields = {"id": self.id, **_call_fields(stored, media), "timestamp": self.timestamp}

    def __getitem__(self, key: str) -> Any:
        return self._fields[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Row({self.id!r}, {self._fields!r})"

    def _repr_html_(self) -> str:
        from llmwatch.stream.display import row_html

        return row_html(self)

    @property
    def feedback(self) -> list[dict[str, Any]]:
        """Every live feedback event of this row, oldest first; reactions, notes and stars by those names."""
        from llmwatch.remarks import kinds

        found = self._table.events("feedback", self.id)
        for event in found:
            event["name"], event["value"] = kinds.shown(event["name"], event["value"])
        return found

    @property
    def scores(self) -> dict[str, Any]:
        """The latest score of each scorer."""
        return {event["name"]: event["value"] for event in self._table.events("scores", self.id)}

    @property
    def labels(self) -> dict[str, Any]:
        """The latest value of each label."""
        return {event["name"]: event["value"] for event in self._table.events("labels", self.id)}

    def label(self, labels: Mapping[str, Any], *, creator: str | None = None) -> None:
        """Attach ground truth: `row.label({"resolved": True})`."""
        for name, value in labels.items():
            self._table.say("label", name, value, row_id=self.id, creator=creator)

    def add_feedback(self, name: str, value: Any = None, *, creator: str | None = None) -> str:
        """Attach feedback, such as `row.add_feedback("reaction", "👍")`; returns the event's id.

        What the kinds are: see `llmwatch.feedback`.
        """
        from llmwatch.remarks import say

        table = self._table
        return say.said(table.project, self.id, name, value, creator=creator, table=table.name)


def _beside(stored: Mapping[str, Any], media: Path) -> dict[str, Any]:
    """Of a call that `llmwatch.monitoring` recorded, what `data` does not repeat."""
    if stored.get("started_at") is None:
        return {}
    known = {name: stored[name] for name in _JSON if stored.get(name) is not None}
    found = {name: capture.decode(orjson.loads(text), media=media) for name, text in known.items()}
    return {"inputs": None, "output": None, **found}


def _call_fields(stored: Mapping[str, Any], media: Path) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in _CALL_NAMES:
        value = stored.get(name)
        if name == "embedding":
            continue
        if name in _JSON and value is not None:
            value = capture.decode(orjson.loads(value), media=media)
        fields[name] = value
    if (vector := stored.get("embedding")) is not None:
        import numpy as np

        fields["embedding"] = np.frombuffer(vector, dtype="<f4")
    return fields
