"""The columns of a table that rows can be told apart by: who asked, what was configured, what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llmwatch.drift.sources import Table as Sources
from llmwatch.drift.texts import OUTPUT_KEYS, PROMPT_KEYS
from llmwatch.stream.columns import Column, literal, quoted
from llmwatch.watch.reading import Columns

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

Role = Literal["cause", "outcome"]
LANGUAGE = "language"
LONGEST = 200
"""Characters of a value that count."""
MOST_KEYS = 40
"""Of a JSON column, the most frequent keys that are looked at."""
_LOOKED_AT = 2_000
_NUMBERS = ("BIGINT", "DOUBLE")
CONFIGURED, WHO, ASKED = 0, 1, 2
"""Where two columns say the same, what comes first: a release, then who came, then what they asked."""
_HOW_IT_WENT = (
    "status success ok error errors exception exception_type error_type status_code http_status latency latency_ms "
    "duration duration_ms elapsed ttft_ms time_ms cost cost_usd price total_usd completion_tokens output_tokens "
    "total_tokens output_chars score scores rating stars feedback thumbs reaction correct accuracy confidence quality "
    "resolved success_rate prediction label finish_reason"
)
OUTCOMES = frozenset(_HOW_IT_WENT.split())
"""Columns that say how it went, by their usual names."""
_OF_CALLS = frozenset(
    {
        "latency_ms",
        "cost_usd",
        "kind",
        "prompt_tokens",
        "prompt_chars",
        "completion_tokens",
        "output_chars",
        "ttft_ms",
    }
)  # logged under names that we have as well
_INPUTS_LEFT_OUT = frozenset({"self", *PROMPT_KEYS, "messages"})


@dataclass(frozen=True)
class Facet:
    """One column: its name, the SQL over `keyed.<table> AS r` that reads it, and what it can say."""

    name: str
    sql: str
    kind: Literal["text", "number"]
    role: Role = "cause"
    order: int = CONFIGURED
    plain: str | None = None
    """The column that a person's condition names, where that is not what `sql` reads."""


def facets(reader: Reader, table: str, condition: str, *, steps: bool) -> list[Facet]:
    """Those of a table that may tell, without what only names a row. `steps`: rows are roots of traces with calls inside."""
    known = reader.columns(table)
    columns = Columns(table, known)
    found = [
        Facet("version", columns.text("version"), "text", plain="version"),
        Facet(
            "model",
            'coalesce(tr."llmwatch trace model", r."llmwatch model")'
            if steps
            else columns.text("model"),
            "text",
            plain=None if steps else "model",
        ),
        Facet("op", columns.text("op"), "text"),
        Facet("user", columns.text("user"), "text", order=WHO, plain="user_id"),
        *_of_calls(columns),
        *_logged(known),
    ]
    for whole in ("attributes", "inputs"):
        found += _inside(reader, table, whole, condition)
    unique: dict[str, Facet] = {}
    for facet in found:
        unique.setdefault(facet.name, facet)
    return list(unique.values())


def named(reader: Reader, table: str, names: Sequence[str]) -> list[Facet]:
    """Columns by the names that people have for them; `SettingsError` for one that is not there."""
    known = reader.columns(table)
    sources, columns = Sources(table, known), Columns(table, known)
    made = []
    for name in names:
        if name in {"version", "model", "op", "user", "session", "endpoint"}:
            made.append(
                Facet(name, columns.text(name), "text", order=WHO if name == "user" else CONFIGURED)
            )
        elif name == LANGUAGE:
            made.append(Facet(name, "NULL", "text", order=ASKED))
        else:
            made += [
                Facet(name, source.sql, "number" if source.kind == "number" else "text")
                for source in sources.sources(name)[:1]
            ]
    return made


def _of_calls(columns: Columns) -> list[Facet]:
    numbers = (
        ("prompt_tokens", "cause"),
        ("prompt_chars", "cause"),
        ("completion_tokens", "outcome"),
        ("output_chars", "outcome"),
        ("ttft_ms", "outcome"),
    )
    return [
        Facet("kind", columns.text("kind"), "text", plain="kind"),
        *(
            Facet(name, columns.ours_or_logged(name), "number", role, ASKED, plain=name)  # type: ignore[arg-type]
            for name, role in numbers
        ),
        Facet(
            "error type",
            'coalesce(r."llmwatch exception_type", r."llmwatch data"->>\'exception_type\', r."llmwatch data"->>\'error_type\')',
            "text",
            "outcome",
        ),
    ]


def _logged(columns: Sequence[Column]) -> list[Facet]:
    """What was logged as numbers, booleans and texts; of a question its length."""
    found = []
    for column in columns:
        key = column.key
        if key is None or column.json or column.type in {"TIMESTAMPTZ", "BLOB"}:
            continue
        if key in _OF_CALLS or is_name_of_row(key):
            continue
        sql = f"r.{quoted(key)}"
        if key in PROMPT_KEYS or key in OUTPUT_KEYS:
            asked = key in PROMPT_KEYS
            if column.type == "VARCHAR":
                role: Role = "cause" if asked else "outcome"
                found.append(
                    Facet(
                        f"length of {key}", f"CAST(length({sql}) AS DOUBLE)", "number", role, ASKED
                    )
                )
            continue
        role = "outcome" if key.lower() in OUTCOMES else "cause"
        if column.type in _NUMBERS:
            found.append(Facet(key, f"CAST({sql} AS DOUBLE)", "number", role))
        else:
            found.append(Facet(key, f"CAST({sql} AS VARCHAR)", "text", role))
    return found


def is_name_of_row(key: str) -> bool:
    """Whether a column names rows, users or sessions, and says nothing about others of them.

    >>> is_name_of_row("inference_id"), is_name_of_row("userId"), is_name_of_row("paid")
    (True, True, False)
    """
    return key.lower() in {
        "id",
        "uuid",
        "user",
        "session",
        "version",
        "model",
        "timestamp",
        "time",
        "ts",
    } or key.endswith(("_id", "Id", "_uuid", "_at"))


def _inside(reader: Reader, table: str, whole: str, condition: str) -> list[Facet]:
    """Scalars inside a JSON column, as found in a part of the rows."""
    column = f'r."llmwatch {whole}"'
    rows = f"SELECT {column} AS j FROM keyed.{quoted(table)} AS r WHERE {condition} AND {column} IS NOT NULL LIMIT {_LOOKED_AT}"
    keys = f"SELECT j, unnest(json_keys(j)) AS k FROM ({rows}) WHERE json_type(j) = 'OBJECT'"
    pointer = "'/' || replace(replace(k, '~', '~0'), '/', '~1')"
    typed = f"SELECT k, json_type(j, {pointer}) AS t FROM ({keys})"
    sql = (
        f"SELECT k, count(*) FILTER (t IN ('VARCHAR', 'BOOLEAN')), count(*) FILTER (t IN ('BIGINT', 'UBIGINT', 'DOUBLE')) "
        f"FROM ({typed}) GROUP BY k ORDER BY count(*) DESC, k LIMIT {MOST_KEYS}"
    )
    found = []
    for key, texts, numbers in reader.execute(sql, (), [table]).rows:
        if (
            not (texts or numbers)
            or is_name_of_row(key)
            or (whole == "inputs" and key in _INPUTS_LEFT_OUT)
        ):
            continue
        at = literal("/" + key.replace("~", "~0").replace("/", "~1"))
        value = f"json_extract_string({column}, {at})"
        role: Role = "outcome" if key.lower() in OUTCOMES else "cause"
        if numbers > texts:
            found.append(Facet(f"{whole}.{key}", f"try_cast({value} AS DOUBLE)", "number", role))
        else:
            scalar = f"CASE WHEN json_type({column}, {at}) IN ('VARCHAR', 'BOOLEAN', 'BIGINT', 'UBIGINT', 'DOUBLE') THEN {value} END"
            found.append(Facet(f"{whole}.{key}", scalar, "text", role))
    return found
