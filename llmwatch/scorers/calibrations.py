"""Calibrations in a project: fitted from the labels that rows have, saved by name and version, found again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch import clock
from llmwatch import settings as settings_module
from llmwatch.errors import LlmwatchError, NotFound, StoreError
from llmwatch.scorers import calibration, calibration_quality
from llmwatch.scorers.calibration import Calibration, TooFewLabels
from llmwatch.scorers.reliability import Diagram
from llmwatch.store import EVENTS, Project
from llmwatch.stream import spool
from llmwatch.stream.columns import quoted

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

TABLE = "_calibrations"
_RIGHT = frozenset({"1", "true", "yes", "correct", "right", "good", "pass", "resolved"})
_WRONG = frozenset({"0", "false", "no", "incorrect", "wrong", "bad", "fail", "unresolved"})


@dataclass(frozen=True)
class Labelled:
    """A raw score by one method, and whether the answer was right."""

    method: str
    score: float
    right: int


@dataclass(frozen=True)
class Fit:
    """What came of fitting: the calibration (its curves are empty when no method had enough labels), a diagram of each
    method, and why methods have none. The quality after is judged on answers that the curve was not fitted to."""

    calibration: Calibration
    diagrams: Mapping[str, Diagram]
    lacking: Mapping[str, str]
    labels: int
    unread: int


def fit(
    reader: Reader,
    *,
    label: str,
    name: str = "default",
    score: str = "confidence",
    table: str = "traces",
    right: str | None = None,
    since: datetime | None = None,
    save: bool = True,
) -> Fit:
    """Fit the scores of a scorer to the labels of their rows, or of the root of their trace.

    `right` is the value of the label that means a right answer; without it a label is read as yes or no. Saves what was
    fitted under the name's next version.
    """
    pairs, unread = labelled(
        reader, label=label, score=score, table=table, right=right, since=since
    )
    methods, diagrams, lacking = {}, {}, {}
    for method in sorted({pair.method for pair in pairs}):
        mine = [pair for pair in pairs if pair.method == method]
        scores, outcomes = [pair.score for pair in mine], [pair.right for pair in mine]
        try:
            methods[method] = calibration.fit(scores, outcomes, method)
        except TooFewLabels as error:
            lacking[method] = str(error)
            continue
        diagrams[method] = diagram(f"{score} by {method}, label {label}", scores, outcomes)
    about = {"score": score, "label": label, "table": table, "labels": len(pairs)}
    made = Calibration(name, _next_version(reader, name), methods, about)
    if save and methods:
        _save(reader.project, made)
    return Fit(made, diagrams, lacking, len(pairs), unread)


def diagram(title: str, scores: Sequence[float], labels: Sequence[int]) -> Diagram:
    """The diagram of scores before and after calibration."""
    after = calibration.cross_fitted(scores, labels)
    return Diagram(
        title,
        calibration_quality.reliability_bins(scores, labels),
        calibration_quality.reliability_bins(after, labels),
        calibration_quality.quality(scores, labels),
        calibration_quality.quality(after, labels),
    )


def labelled(
    reader: Reader,
    *,
    label: str,
    score: str = "confidence",
    table: str = "traces",
    right: str | None = None,
    since: datetime | None = None,
) -> tuple[list[Labelled], int]:
    """Scores with what the labels say of their answers, and how many labels could not be read as right or wrong.

    A label of a row that was not scored itself, as a root's, is of the last scored answer in its trace.
    """
    params: list[Any] = [label, score]
    when = ""
    if since is not None:
        when, params = (
            "AND l.ts >= make_timestamptz(?::BIGINT)",
            [*params, str(int(since.timestamp() * 1_000_000))],
        )
    sql = (
        f"WITH label AS (SELECT l.row_id, l.value, l.ts FROM said.labels l WHERE l.name = ? {when}), "
        "score AS (SELECT row_id, value, ts FROM said.scores WHERE name = ? "
        "AND coalesce(value->'raw_score', value->'score') NOT IN ('null')), "
        f"place AS (SELECT id, trace_id FROM main.{quoted(table)}), "
        "near AS (SELECT p.trace_id, arg_max(s.value, s.ts) AS value FROM score s JOIN place p ON p.id = s.row_id GROUP BY 1) "
        "SELECT coalesce(own.value, near.value) AS score, label.value FROM label LEFT JOIN score own USING (row_id) "
        "LEFT JOIN place ON place.id = label.row_id LEFT JOIN near ON near.trace_id = place.trace_id "
        "WHERE coalesce(own.value, near.value) IS NOT NULL"
    )
    if since is not None:
        params = [label, params[2], score]
    found, unread = [], 0
    for said, value in reader.stream(sql, params, tables=(table, EVENTS)):
        outcome = outcome_of(orjson.loads(value) if value is not None else None, right)
        pair = _pair(orjson.loads(said), outcome)
        if pair is None:
            unread += 1
        else:
            found.append(pair)
    return found, unread


def _pair(said: Any, outcome: int | None) -> Labelled | None:
    if not isinstance(said, dict) or outcome is None:
        return None
    raw = said.get("raw_score", said.get("score"))
    if not isinstance(raw, (int, float)) or isinstance(raw, bool) or not 0 <= raw <= 1:
        return None
    return Labelled(str(said.get("method") or "score"), float(raw), outcome)


def outcome_of(value: Any, right: str | None = None) -> int | None:
    """Whether a label says right (1) or wrong (0); None when it says neither.

    >>> outcome_of(True), outcome_of("wrong"), outcome_of("gold", right="gold"), outcome_of("maybe")
    (1, 0, 1, None)
    """
    text = str(value).strip().lower()
    if value is None:
        return None
    if right is not None:
        return int(text == right.strip().lower())
    if text in _RIGHT or text == "1.0":
        return 1
    return 0 if text in _WRONG or text == "0.0" else None


# --- the store ---------------------------------------------------------------------------


def load(reader: Reader, wanted: str) -> Calibration:
    """A calibration by `name` (its newest version) or `name:v2`."""
    name, _, version = wanted.partition(":v")
    found = [each for each in saved(reader) if each.name == name]
    for each in found:
        if not version or str(each.version) == version:
            return each
    known = ", ".join(each.label for each in saved(reader)) or "none"
    raise NotFound(f"project {reader.project.id} has no calibration {wanted!r}; it has: {known}")


def saved(reader: Reader) -> list[Calibration]:
    """The calibrations of a project, the newest first."""
    sql = f"SELECT data FROM main.{quoted(TABLE)} ORDER BY ts DESC, writer DESC, seq DESC"
    if TABLE not in reader.project.all_tables():
        return []
    return [
        Calibration.from_record(orjson.loads(data))
        for (data,) in reader.stream(sql, tables=(TABLE,))
    ]


def _next_version(reader: Reader, name: str) -> int:
    if not name or ":" in name:
        raise LlmwatchError(f"{name!r} cannot be a calibration's name: it is a word without ':'")
    return max((each.version for each in saved(reader) if each.name == name), default=0) + 1


def _save(project: Project, made: Calibration) -> None:
    row = orjson.dumps({"id": clock.new_id(), "data": made.as_record()})
    if not spool.writer(project, TABLE, settings_module.current()).append("row", row):
        raise StoreError(f"calibration {made.label} could not be saved in {project.id}")
