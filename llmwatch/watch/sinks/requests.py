"""A request as a row of `production/requests`: what was asked and answered, with its picture, redacted once more."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch import capture
from llmwatch.capture.tag import MARK
from llmwatch.scorers import texts
from llmwatch.stream.columns import quoted
from llmwatch.tracing.redact import Redactor
from llmwatch.watch.families.errors import has_failed

if TYPE_CHECKING:
    from pathlib import Path

    from llmwatch.store import Project
    from llmwatch.stream.query import Reader

LONGEST = 2000
"""Characters of a text in the table."""
_JSON = ("inputs", "output", "attributes", "data")
_PICTURES = ("image", "Image", "wandb.Image")


class Sample:
    """The requests of a stretch of time that are shown: so many, each as likely as any other.

    Which ones follows from their ids alone, so that a restart chooses the same.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[tuple[int, str]] = []

    def add(self, row_id: str) -> None:
        digest = hashlib.blake2b(row_id.encode(), digest_size=8).digest()
        item = -int.from_bytes(digest, "big"), row_id
        if item in self._kept:
            return
        keep = heapq.heappush if len(self._kept) < self._most else heapq.heappushpop
        keep(self._kept, item)

    def take(self) -> list[str]:
        """The ids, in order of time as ids are; the next stretch begins empty."""
        chosen, self._kept = sorted(row_id for _, row_id in self._kept), []
        return chosen


@dataclass(frozen=True)
class Request:
    """A sampled request."""

    values: list[Any]
    """Of the table's columns, in their order."""
    at_s: float
    query_length: int
    """Characters, before the text was cut."""
    failed: bool
    error: str | None
    version: str | None
    via: str | None
    """The kind of application that recorded it: gradio, streamlit."""


class Requests:
    """Reads sampled rows of a project and makes them rows of the table."""

    def __init__(
        self, project: Project, reader: Reader, where: Mapping[str, str], redact: Sequence[str]
    ) -> None:
        self._project, self._reader, self._where = project, reader, dict(where)
        self._redactor = Redactor(redact)

    def rows(self, table: str, ids: Iterable[str]) -> Iterator[Request]:
        """Each of these rows that is still there."""
        wanted = list(ids)
        sql = f"SELECT * FROM main.{quoted(table)} WHERE id IN (SELECT unnest(?::VARCHAR[])) ORDER BY ts, id"
        found = self._reader.execute(sql, [wanted], [table]).dicts()
        said = self._confidence([row["id"] for row in found])
        for row in found:
            yield self._of(row, said.get(row["id"]))

    def _of(self, stored: Mapping[str, Any], said: float | None) -> Request:
        row = {**stored, **{name: _parsed(stored.get(name)) for name in _JSON}}
        picture = self._picture(row)
        for name in (*_JSON, "exception"):
            row[name] = self._redactor.value(row.get(name))
        data = row["data"] if isinstance(row["data"], Mapping) else {}
        at = row.get("started_at") or row["ts"]
        query = self._text(row, "query") or texts.question_of(_flat(row, data))
        values = [
            _cut(query),
            picture,
            _cut(self._text(row, "prediction") or _answer(row, data)),
            _number(self._found(row, "confidence")) or _number(data.get("confidence")) or said,
            _tokens(row, data),
            _number(row.get("latency_ms")) or _number(data.get("latency_ms")),
            at.isoformat(),
        ]
        failed, error = _failure(row, data)
        return Request(
            values, at.timestamp(), len(query), failed, error, _version(row, data), _via(row)
        )

    def _text(self, row: Mapping[str, Any], column: str) -> str | None:
        found = self._found(row, column)
        if found is None or isinstance(found, str):
            return found
        return orjson.dumps(found, default=str).decode()

    def _found(self, row: Mapping[str, Any], column: str) -> Any:
        """What is at the place that the settings name for a column; a key of a logged dict by its own name."""
        path = self._where.get(column)
        if path is None:
            return None
        first, _, rest = path.partition(".")
        value: Any = row.get(first) if first in row else (row["data"] or {}).get(first)
        for step in filter(None, rest.split(".")):
            value = value.get(step) if isinstance(value, Mapping) else None
        return value

    def _picture(self, row: Mapping[str, Any]) -> Any:
        """The first picture of the request as an image; None where there is none, or its file is gone."""
        places = (
            [self._found(row, "image")]
            if "image" in self._where
            else [row["inputs"], row["data"], row["output"]]
        )
        marker = next((found for place in places for found in _pictures(place)), None)
        return None if marker is None else image_of(marker, self._project.media)

    def _confidence(self, ids: Sequence[str]) -> dict[str, float]:
        """The latest confidence that a scorer said of each row."""
        from llmwatch.store import EVENTS

        found = self._reader.execute(
            "SELECT row_id, value FROM said.scores WHERE name = 'confidence' AND row_id IN (SELECT unnest(?::VARCHAR[])) "
            "ORDER BY ts",
            [list(ids)],
            [EVENTS],
        )
        said = ((row_id, _parsed(value)) for row_id, value in found.rows)
        told = {
            row_id: _number(
                value.get("score", value.get("confidence")) if isinstance(value, Mapping) else value
            )
            for row_id, value in said
        }
        return {row_id: number for row_id, number in told.items() if number is not None}


def image_of(marker: Mapping[str, Any], media: Path) -> Any:
    """A PIL image of what capture recorded; None where it cannot be read."""
    try:
        from PIL import Image
    except ImportError:
        return None
    decoded = capture.decode(dict(marker), media=media)
    if isinstance(decoded, Image.Image):
        return decoded
    inner = getattr(decoded, "image", None)  # a wandb.Image holds one
    return inner if isinstance(inner, Image.Image) else None


def _pictures(value: Any, depth: int = 6) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        kind = value.get(MARK)
        if kind in _PICTURES:
            yield value
        elif depth:
            for each in value.values():
                yield from _pictures(each, depth - 1)
    elif isinstance(value, list) and depth:
        for each in value:
            yield from _pictures(each, depth - 1)


def _version(row: Mapping[str, Any], data: Mapping[str, Any]) -> str | None:
    told = row.get("version") or data.get("version")
    return told if isinstance(told, str) else None


def _via(row: Mapping[str, Any]) -> str | None:
    attributes = row["attributes"]
    told = attributes.get("via") if isinstance(attributes, Mapping) else None
    return told if isinstance(told, str) else None


def _failure(row: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[bool, str | None]:
    """Whether a request failed, as the family `errors` has it, and the last line of what it said."""
    http = row["attributes"].get("http") if isinstance(row["attributes"], Mapping) else None
    code = _number(http.get("status_code")) if isinstance(http, Mapping) else None
    kind = _said(row.get("exception_type") or data.get("exception_type") or data.get("error_type"))
    text = _said(row.get("exception") or data.get("exception") or data.get("error"))
    failed = has_failed(
        (_said(row.get("status") or data.get("status")) or "").lower() or None,
        kind,
        text,
        (_said(data.get("success")) or "").lower() or None,
        code or _number(data.get("status_code")) or 0.0,
    )
    lines = (text or kind or "").strip().splitlines()
    return failed, _cut(lines[-1]) if failed and lines else None


def _said(value: Any) -> str | None:
    return None if value is None else str(value)


def _flat(row: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """A dict that was logged asks by its own keys."""
    return {**row, "inputs": row["inputs"] or data}


def _answer(row: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    output = row["output"] if row["output"] is not None else data
    answer = "\n".join(texts.answers_of(output))
    if answer or row["output"] is None:
        return answer or str(data.get("prediction", ""))
    return orjson.dumps(output, default=str).decode()


def _tokens(row: Mapping[str, Any], data: Mapping[str, Any]) -> int | None:
    told = [_number(row.get(name)) for name in ("prompt_tokens", "completion_tokens")]
    known = [number for number in told if number is not None]
    number = sum(known) if known else _number(data.get("tokens"))
    return None if number is None else int(number)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value)


def _cut(text: str) -> str:
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"
    return shown.encode("utf-8", "replace").decode()


def _parsed(text: Any) -> Any:
    return orjson.loads(text) if isinstance(text, str) else text
