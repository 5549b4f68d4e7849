"""What a scorer is to llmwatch: something that is given rows, and says flat facts about each.

Ours are `weave.Scorer`s. Anything that Weave takes for one works too, and so does any function: what of
it is called is looked for in this order:

1. `score_rows(rows) -> results`, for a scorer that is quicker on many rows at once,
2. `score_row(row) -> result`,
3. `score(...)`, or the thing itself when it is a function: arguments by name, as Weave picks them.

A row is the reader's mapping with `inputs`, `output`, `attributes`, `summary` and `data` parsed. A result is a
flat mapping; None says that there is nothing to say about that row.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from llmwatch.errors import LlmwatchError

Row = Mapping[str, Any]
Result = Mapping[str, Any]
Score = Result | None

_MARK = "_type"
"""Stands in whatever capture wrote that is not plain JSON, escaped keys among them."""
JSON_COLUMNS = ("inputs", "output", "attributes", "summary", "data")


@runtime_checkable
class ScoresRows(Protocol):
    """A scorer that takes many rows at once; it gives one result a row, in their order."""

    def score_rows(self, rows: Sequence[Row]) -> Sequence[Score]: ...


@runtime_checkable
class ScoresRow(Protocol):
    """A scorer that takes a whole row."""

    def score_row(self, row: Row) -> Score: ...


class NotAScorer(LlmwatchError, TypeError):
    """Something that cannot score rows, or a row that has not what a scorer asks for."""


def parsed(row: Row) -> dict[str, Any]:
    """A row of the reader with its JSON columns as Python values.

    >>> parsed({"id": "1", "output": '{"text":"hi"}', "model": None})["output"]
    {'text': 'hi'}
    """
    import orjson

    from llmwatch import capture

    whole = dict(row)
    for name in JSON_COLUMNS:
        if isinstance(text := whole.get(name), str):
            value = orjson.loads(text)
            # walking a value in Python costs ten times what parsing it does, and most hold no marker
            whole[name] = capture.decode(value) if _MARK in text else value
    return whole


def name_of(scorer: Any) -> str:
    """The name under which the scores of a scorer are recorded.

    >>> name_of(type("IsBrief", (), {})())
    'is_brief'
    """
    name = getattr(scorer, "name", None) or getattr(scorer, "__name__", None)
    return name if isinstance(name, str) else _snake(type(scorer).__name__)


def score_many(scorer: Any, rows: Sequence[Row]) -> list[Any]:
    """Score rows with whatever the scorer offers; an element is awaitable where its `score` is async."""
    if isinstance(scorer, ScoresRows):
        results = list(scorer.score_rows(rows))
        if len(results) != len(rows):
            raise NotAScorer(
                f"{name_of(scorer)}.score_rows gave {len(results)} results for {len(rows)} rows"
            )
        return results
    return [score_one(scorer, row) for row in rows]


def score_one(scorer: Any, row: Row) -> Score | Awaitable[Score] | Any:
    """Score one row; awaitable where the scorer is async."""
    if isinstance(scorer, ScoresRow):
        return scorer.score_row(row)
    if isinstance(scorer, ScoresRows):
        return scorer.score_rows([row])[0]
    function = function_of(scorer)
    return function(**arguments(function, row, getattr(scorer, "column_map", None)))


def function_of(scorer: Any) -> Callable[..., Any]:
    """What is called to score by arguments, without the recording that an op does around it."""
    method = getattr(scorer, "score", None)
    found = method if callable(method) else scorer
    if not callable(found):
        raise NotAScorer(f"{scorer!r} is no scorer: it has no score_rows, score_row or score")
    plain = getattr(found, "resolve_fn", None)
    owner = getattr(found, "__self__", None)
    if plain is None:
        return found  # type: ignore[no-any-return]
    return plain.__get__(owner) if owner is not None and found is method else plain  # type: ignore[no-any-return]


def arguments(
    function: Callable[..., Any], row: Row, column_map: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The arguments that a scoring function asks for, found in a row as Weave finds them.

    `output` is the output, `inputs` all inputs, any other name the input of that name, renamed by `column_map`; a name
    that is no input but a column of the row (`latency_ms`) is the column.
    """
    inputs = row.get("inputs")
    example = dict(inputs) if isinstance(inputs, Mapping) else {}
    wanted = inspect.signature(function).parameters
    renamed = column_map or {}
    found: dict[str, Any] = {}
    for name, parameter in wanted.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            found = {**example, "inputs": example, **found}
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            _find(name, renamed.get(name, name), parameter, example, row, found)
    return found


def _find(
    name: str,
    source: str,
    parameter: inspect.Parameter,
    example: Mapping[str, Any],
    row: Row,
    found: dict[str, Any],
) -> None:
    if name in ("output", "model_output"):
        found[name] = row.get("output")
    elif source in example:
        found[name] = example[source]
    elif name == "inputs":
        found[name] = dict(example)
    elif name == "row":
        found[name] = row
    elif source in row and row[source] is not None:
        found[name] = row[source]
    elif parameter.default is parameter.empty:
        raise NotAScorer(
            f"the scorer asks for {name!r}, and row {row.get('id')} has no such input; it has: {', '.join(example) or 'none'}"
        )


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
