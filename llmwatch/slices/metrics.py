"""What can be worse: latency, errors, cost, feedback, safety, each score and label, or any column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from llmwatch.errors import SettingsError
from llmwatch.store import EVENTS
from llmwatch.stream.columns import literal, quoted
from llmwatch.watch.families.errors import ErrorsMeasure
from llmwatch.watch.reading import Columns
from llmwatch.watch.sets import Errors

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

KNOWN = ("latency", "errors", "cost", "feedback", "safety", "quality")
MOST_SCORES = 8
_NO_QUALITY = frozenset({"token_cost", "safety", "cost", "tokens", "length"})
_BAD = (
    "toxic", "hallucin", "injection", "pii", "leak", "insult", "violation", "risk", "error", "fail", "refus", "flag",
    "bias", "harm", "latency", "cost", "duration", "distance", "loss", "_ms", "tokens", "chars",
)  # fmt: skip
_FIELDS = ("score", "confidence", "value", "passed", "correct", "flagged")
Worse = Literal["high", "low"]


@dataclass(frozen=True)
class Metric:
    """A number of each row, and which end of it is bad."""

    name: str
    sql: str
    worse: Worse
    unit: str = ""
    rate: bool = False
    """Whether it is 0 or 1, so that its mean is a share of rows."""
    joins: tuple[str, ...] = ()
    events: bool = False
    tied: tuple[str, ...] = ()
    """Columns that say the same by themselves, by which its rows are not cut."""


def metrics(
    reader: Reader, table: str, names: Sequence[str], *, steps: bool, worse: Worse | None = None
) -> list[Metric]:
    """Those of these names; all that the table may have when none is given."""
    made: list[Metric] = []
    for name in names or KNOWN:
        made += _named(reader, table, name, steps)
    if not made:
        raise SettingsError(
            f"nothing scored or labelled the rows of {table} yet; name another metric: {', '.join(KNOWN[:-1])}, or a column"
        )
    unique = list({one.name: one for one in made}.values())
    return unique if worse is None else [replace(one, worse=worse) for one in unique]


def all_of(reader: Reader, table: str, *, steps: bool) -> list[Metric]:
    """All that rows may have been measured by; of a table that was not scored there is no quality."""
    made = metrics(reader, table, [name for name in KNOWN if name != "quality"], steps=steps)
    return [*made, *_named(reader, table, "quality", steps)]


def _named(reader: Reader, table: str, name: str, steps: bool) -> list[Metric]:
    columns = Columns(table, reader.columns(table))
    kind, _, rest = name.partition(":")
    if kind in {"score", "label"} and rest:
        what, _, key = rest.partition(".")
        return [_said(table, kind, what, steps, key)]
    if name == "quality":
        return [_said(table, kind, what, steps) for kind, what in _scored(reader)]
    if name in {"feedback", "safety"}:
        return [_feedback(table, steps) if name == "feedback" else _safety(table, steps)]
    if name in _MEASURED:
        return [_MEASURED[name](columns, steps)]
    columns.check(name)
    return [Metric(name, columns.number(name), "high" if _is_bad(name) else "low", tied=(name,))]


def _latency(columns: Columns, _steps: bool) -> Metric:
    return Metric("latency", columns.ours_or_logged("latency_ms"), "high", "ms", tied=("ttft_ms",))


def _errors(columns: Columns, _steps: bool) -> Metric:
    return Metric("errors", failed(columns), "high", rate=True, tied=("error type",))


def _cost(columns: Columns, steps: bool) -> Metric:
    own = columns.ours_or_logged("cost_usd")
    sql = f'coalesce(tr."llmwatch trace cost", {own})' if steps else own
    tied = ("prompt_tokens", "completion_tokens", "prompt_chars")
    return Metric("cost", sql, "high", "$", tied=tied)


_MEASURED = {"latency": _latency, "errors": _errors, "cost": _cost}


def _safety(table: str, steps: bool) -> Metric:
    return replace(_said(table, "score", "safety", steps, "flagged"), name="safety", worse="high")


def failed(columns: Columns) -> str:
    """1 where a row says that it failed, else 0."""
    of = ErrorsMeasure(Errors()).columns(columns)
    said = (
        f"{of['error status']} IN ('error', 'failed', 'failure')",
        f"{of['error type']} IS NOT NULL",
        f"{of['error code']} >= 400",
        f"{of['error success']} IN ('false', '0')",
    )
    return f"({' OR '.join(f'coalesce({each}, false)' for each in said)})::INTEGER::DOUBLE"


def _is_bad(name: str) -> bool:
    """Whether much of something of that name is bad.

    >>> _is_bad("toxicity"), _is_bad("accuracy")
    (True, False)
    """
    return any(part in name.lower() for part in _BAD)


def _scored(reader: Reader) -> list[tuple[str, str]]:
    """The scores and labels that are numbers, the most frequent first."""
    each = " UNION ALL ".join(
        f"SELECT '{kind}' AS kind, name, {_number('value')} AS v FROM said.{kind}s"
        for kind in ("score", "label")
    )
    sql = f"SELECT kind, name FROM ({each}) WHERE v IS NOT NULL GROUP BY kind, name ORDER BY count(*) DESC, kind, name"
    found = [(kind, name) for kind, name in reader.execute(sql, (), [EVENTS]).rows if name]
    return [(kind, name) for kind, name in found if name not in _NO_QUALITY][:MOST_SCORES]


def _number(value: str) -> str:
    """What was said, as a number: true is 1; of a result its score."""
    plain = f"CASE json_type({value}) WHEN 'BOOLEAN' THEN ({value}->>'$' = 'true')::INTEGER::DOUBLE WHEN 'VARCHAR' THEN NULL ELSE try_cast({value}->>'$' AS DOUBLE) END"
    parts = ", ".join(
        f"CASE json_type({value}, '$.{key}') WHEN 'BOOLEAN' THEN ({value}->>'$.{key}' = 'true')::INTEGER::DOUBLE "
        f"WHEN 'VARCHAR' THEN NULL ELSE try_cast({value}->>'$.{key}' AS DOUBLE) END"
        for key in _FIELDS
    )
    return f"CASE WHEN json_type({value}) = 'OBJECT' THEN coalesce({parts}) ELSE {plain} END"


def _said(table: str, kind: str, name: str, steps: bool, key: str = "") -> Metric:
    value = f"json_extract(value, {literal(_path(key))})" if key else "value"
    rows = f"SELECT row_id, {_number(value)} AS v FROM said.{kind}s WHERE name = {literal(name)}"
    shown = f"{kind}:{name}" + (f".{key}" if key else "")
    return _joined(Metric(shown, "", "high" if _is_bad(key or name) else "low"), table, rows, steps)


def _path(key: str) -> str:
    return "$" + "".join(f'."{part}"' for part in key.replace('"', "").split("."))


def _feedback(table: str, steps: bool) -> Metric:
    """1 is liked and 0 disliked: thumbs, stars, and any other feedback that is true or false."""
    thumbs = "CASE substr(coalesce(value->>'$.detoned', value->>'$.emoji'), 1, 1) WHEN '👍' THEN 1.0 WHEN '👎' THEN 0.0 END"
    stars = "(try_cast(value->>'$.stars' AS DOUBLE) - 1) / 4"
    own = "CASE WHEN json_type(value) = 'BOOLEAN' THEN (value->>'$' = 'true')::INTEGER::DOUBLE END"
    said = (
        f"CASE name WHEN 'wandb.reaction.1' THEN {thumbs} WHEN 'rating' THEN {stars} ELSE {own} END"
    )
    rows = f"SELECT row_id, avg({said}) AS v FROM said.feedback GROUP BY row_id"
    return _joined(Metric("feedback", "", "low", "liked"), table, rows, steps)


def _joined(metric: Metric, table: str, rows: str, steps: bool) -> Metric:
    """With what was said of a row, else the mean of what was said of the calls inside its trace."""
    alias = quoted(f"m {metric.name}")
    # named so that no column of a person's can be meant instead
    said = f'SELECT row_id AS "llmwatch of", v AS "llmwatch said" FROM ({rows})'
    join = f'LEFT JOIN ({said}) AS {alias} ON {alias}."llmwatch of" = r."llmwatch id"'
    sql = f'{alias}."llmwatch said"'
    joins = [join]
    if steps:
        inner = quoted(f"t {metric.name}")
        joins.append(
            f'LEFT JOIN (SELECT k."llmwatch trace_id" AS "llmwatch of", avg(e.v) AS "llmwatch said" FROM ({rows}) AS e '
            f'JOIN keyed.{quoted(table)} AS k ON k."llmwatch id" = e.row_id GROUP BY 1) AS {inner} '
            f'ON {inner}."llmwatch of" = r."llmwatch trace_id"'
        )
        sql = f'coalesce({sql}, {inner}."llmwatch said")'
    return replace(metric, sql=sql, joins=tuple(joins), events=True, tied=(metric.name,))
