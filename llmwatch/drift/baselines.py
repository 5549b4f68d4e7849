"""Baselines: what prompts used to be like, saved by name and version with the embedder that read them.

An entry is a line of the internal table `_baselines`: its numbers and categories, its vector, the beginning of its
prompt. It stands under the row it was made from, so that erasing the row, or the user, erases it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from llmwatch import clock
from llmwatch.drift import texts
from llmwatch.drift.embedders.kept import encoded
from llmwatch.drift.frames import Column, Frame, as_number, numbers_or_levels
from llmwatch.errors import LlmwatchError, NotFound, SettingsError, StoreError
from llmwatch.names import check_name
from llmwatch.store import BASELINES
from llmwatch.stream import records, spool
from llmwatch.stream.formats import format_of
from llmwatch.stream.lake import locked

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Project
    from llmwatch.stream.query import Reader

RESERVED = ("weeks", "previous")
"""Baselines that are no saved ones: the same hours of earlier weeks, and the windows right before."""
MOST = 20_000
_TABLE = f'main."{BASELINES}"'


@dataclass(frozen=True)
class Baseline:
    """A saved baseline. `rows` are those it has now: erasing a user may have taken some."""

    name: str
    version: int
    rows: int
    saved_rows: int
    embedder: str | None
    source: str
    saved_at_us: int
    signals: tuple[str, ...]
    summary: Mapping[str, Mapping[str, Any]] | None = None
    """Of one that has no rows: mean and standard deviation of its signals."""

    @property
    def label(self) -> str:
        return f"{self.name}@{self.version}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def listed(reader: Reader) -> list[Baseline]:
    """The saved baselines, by name and version."""
    found = reader.execute(
        "SELECT m.display_name, m.version, m.model, m.data, (SELECT count(*) FROM "  # noqa: S608 - a name of ours
        f"{_TABLE} AS e WHERE e.kind = 'entry' AND e.display_name = m.display_name AND e.version = m.version) "
        f"FROM {_TABLE} AS m WHERE m.kind = 'manifest'",
        tables=[BASELINES],
    ).rows
    made = (
        _baseline(name, version, embedder, orjson.loads(data), n)
        for name, version, embedder, data, n in found
    )
    return sorted(made, key=lambda one: (one.name, one.version))


def _baseline(
    name: str, version: str, embedder: str | None, said: dict[str, Any], n: int
) -> Baseline:
    return Baseline(
        name, int(version), n, said["rows"], embedder, said["source"], said["saved_at_us"], tuple(said["signals"]),
        said.get("summary"),
    )  # fmt: skip


def find(reader: Reader, text: str) -> Baseline:
    """The baseline written `name` (its newest version) or `name@version`."""
    name, _, version = text.partition("@")
    if version and not version.isdigit():
        raise SettingsError(f"{text!r} is not a baseline: write name or name@2")
    every = listed(reader)
    named = [one for one in every if one.name == name]
    fitting = [one for one in named if not version or one.version == int(version)]
    if not fitting:
        there = ", ".join(one.label for one in named or every) or "none is saved"
        raise NotFound(
            f"there is no baseline {text} in {reader.project.id} (there is: {there}). Save one with "
            "`llmwatch baseline save`"
        )
    return fitting[-1]


def check_embedder(baseline: Baseline, identity: str) -> None:
    """Vectors of different embedders say nothing about each other."""
    if baseline.embedder is not None and baseline.embedder != identity:
        raise LlmwatchError(
            f"baseline {baseline.label} was embedded by {baseline.embedder} and this run embeds by {identity}: "
            "their vectors cannot be compared. Give the embedder of the baseline, or save the baseline again"
        )


# --- saving ------------------------------------------------------------------------------


def save(
    project: Project,
    settings: Settings,
    reader: Reader,
    name: str,
    frame: Frame,
    *,
    embedder: str | None,
    source: str,
    summary: Mapping[str, Mapping[str, Any]] | None = None,
) -> Baseline:
    """Save the rows of a frame under the next version of a name. Counts only once its last line is written."""
    check_name(name, "baseline")
    if name in RESERVED:
        raise SettingsError(f"a baseline cannot be named {name}: that means earlier windows")
    if frame.rows == 0 and summary is None:
        raise LlmwatchError(f"baseline {name} would be empty: {source} has no rows")
    with locked(project, f"{BASELINES}-save", wait=True):
        version = max((one.version for one in listed(reader) if one.name == name), default=0) + 1
        head = {"display_name": name, "version": str(version), "model": embedder}
        for n in range(frame.rows):
            _write(project, settings, {**head, **_entry(frame, n)})
        signals = sorted(summary or {signal for signal, _ in frame.columns})
        said = {
            "rows": frame.rows,
            "source": source,
            "saved_at_us": clock.now_us(),
            "signals": signals,
            **({} if summary is None else {"summary": summary}),
        }
        _write(project, settings, {**head, "kind": "manifest", "data": said})
    return _baseline(name, str(version), embedder, said, frame.rows)


def _write(project: Project, settings: Settings, line: dict[str, Any]) -> None:
    known = {
        "id": clock.new_id(),
        **{key: value for key, value in line.items() if value is not None},
    }
    if not spool.writer(project, BASELINES, settings).append("row", orjson.dumps(known)):
        raise StoreError(f"the baseline could not be written to {project.path}; the log says why")


def _entry(frame: Frame, n: int) -> dict[str, Any]:
    text = frame.texts[n] if frame.texts is not None else None
    return {
        "kind": "entry",
        "parent_id": frame.ids[n] if frame.ids is not None else None,
        "session_id": frame.sessions[n] if frame.sessions is not None else None,
        "user_id": frame.users[n] if frame.users is not None else None,
        "started_at": int(frame.times[n]) if frame.times is not None else None,
        "embedding": encoded(frame.vectors[n]) if frame.vectors is not None else None,
        "data": {
            "text": None if text is None else _storable(text),
            "values": {" ".join(key): _value(column, n) for key, column in frame.columns.items()},
        },
    }


def _storable(text: str) -> str:
    return text[: texts.LONGEST_KEPT].encode("utf-8", "replace").decode()


def _value(column: Column, n: int) -> Any:
    value = column.values[n]
    if column.kind != "number":
        return value
    return float(value) if np.isfinite(value) else None


# --- reading -----------------------------------------------------------------------------


def load(reader: Reader, baseline: Baseline) -> Frame:
    """What a baseline holds."""
    found = reader.execute(
        "SELECT id, session_id, user_id, epoch_us(started_at), embedding, data "  # noqa: S608 - a name of ours
        f"FROM {_TABLE} WHERE kind = 'entry' AND display_name = ? AND version = ? ORDER BY ts, writer, seq",
        [baseline.name, str(baseline.version)],
        [BASELINES],
    ).rows
    ids, sessions, users, times, vectors, data = zip(*found, strict=True) if found else ((),) * 6
    said = [orjson.loads(one) for one in data]
    return Frame(
        len(found),
        times=None if None in times else np.array(times, dtype=np.int64),
        sessions=_known(sessions),
        users=_known(users),
        columns=_columns([one["values"] for one in said]),
        ids=list(ids),
        texts=[one.get("text") for one in said],
        vectors=_vectors(vectors),
    )


def _known(values: Iterable[Any]) -> list[Any] | None:
    listed_ = list(values)
    return listed_ if any(value is not None for value in listed_) else None


def _vectors(stored: Iterable[bytes | None]) -> Any:
    vectors = [None if one is None else np.frombuffer(one, dtype="<f4") for one in stored]
    if not vectors or any(vector is None for vector in vectors):
        return None
    return np.array(vectors)


def _columns(values: list[dict[str, Any]]) -> dict[tuple[str, str], Column]:
    keys = dict.fromkeys(key for one in values for key in one)
    return {
        (key.rpartition(" ")[0], key.rpartition(" ")[2]): _column([one.get(key) for one in values])
        for key in keys
    }


def _column(values: list[Any]) -> Column:
    numbers = [value for value in values if value is not None]
    if numbers and not any(isinstance(value, str) for value in numbers):
        return numbers_or_levels(values)
    return Column(values, "category")


# --- a golden dataset --------------------------------------------------------------------


def of_records(given: Iterable[Mapping[str, Any]], text: str | None = None) -> Frame:
    """A frame of a dataset's records: the prompt by its usual names (or `text`), the other fields as columns."""
    rows = [dict(one) for one in given]
    if len(rows) > MOST:
        rows = [rows[round(n * len(rows) / MOST)] for n in range(MOST)]
    prompts = [_prompt(row, text) for row in rows]
    if not any(prompts):
        keys = ", ".join(sorted({str(key) for row in rows[:50] for key in row})[:20])
        raise LlmwatchError(
            f"no prompt was found in the records{f' under {text}' if text else ''}; they have: {keys or 'nothing'}. "
            "Name the field that holds it as text"
        )
    lengths = np.array([np.nan if prompt is None else len(prompt) for prompt in prompts])
    columns = {("prompt_length", "characters"): Column(lengths, "number", "characters")}
    return Frame(
        len(rows),
        sessions=_known(row.get("session_id") for row in rows),
        users=_known(row.get("user_id") for row in rows),
        columns={**columns, **_fields(rows)},
        texts=prompts,
    )


def _prompt(row: Mapping[str, Any], text: str | None) -> str | None:
    return texts.of(row.get(text) if text else dict(row))


def _fields(rows: list[dict[str, Any]]) -> dict[tuple[str, str], Column]:
    """The records' other numbers and categories."""
    left_out = {*texts.PROMPT_KEYS, "messages", "session_id", "user_id", "id"}
    names = dict.fromkeys(
        key for row in rows for key in row if isinstance(key, str) and key not in left_out
    )
    made = {}
    for name in list(names)[:100]:
        values = [row.get(name) for row in rows]
        if all(value is None or isinstance(value, (str, int, float, bool)) for value in values):
            made[name, ""] = numbers_or_levels(values)
    return made


def records_of(source: str | Path | Any) -> tuple[Iterable[Mapping[str, Any]], str]:
    """The records of a JSON lines, CSV or Parquet file, of a `weave.Dataset`, or of any iterable; and its name."""
    if isinstance(source, (str, Path)):
        return _of_file(Path(source)), f"file {Path(source).name}"
    rows = getattr(source, "rows", None)
    if rows is not None and not isinstance(source, Mapping):
        return (
            dict(row) for row in rows
        ), f"dataset {getattr(source, 'name', None) or ''}".rstrip()
    return source, "records"


def _of_file(path: Path) -> Iterable[Mapping[str, Any]]:
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    chosen = format_of(path, None)
    if chosen.startswith("csv"):
        numbered: Any = records.csv_records(path, text=False)
    elif chosen.startswith("jsonl"):
        numbered = _json_lines(path)
    else:
        numbered = records.parquet_records(path)
    for number, record in numbered:
        if isinstance(record, records.Bad):
            raise StoreError(f"line {number} of {path}: {record.why}")
        yield record


def _json_lines(path: Path) -> Iterable[tuple[int, Any]]:
    with records.opened(path) as file:
        yield from records.json_records(file)


__all__ = ["Baseline", "as_number", "find", "listed", "load", "save"]
