"""What came out of calls that went well: how often nothing, and how often something that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from llmwatch.watch.families.measure import Facts, Plain, State, Values, share
from llmwatch.watch.reading import texts

if TYPE_CHECKING:
    from llmwatch.watch.reading import Columns, Frame
    from llmwatch.watch.sets import Outputs

_LONGEST = 100_000
_FENCE = "```"


class OutputsMeasure(Plain):
    """State: calls that went well, how many of them gave nothing, and how many something malformed."""

    def __init__(self, told: Outputs) -> None:
        self._column = told.column

    def columns(self, columns: Columns) -> dict[str, str]:
        text, kind = columns.text(self._column), columns.kind(self._column)
        return {
            f"begin {self._column}": f"left({text}, {_LONGEST + 1})",
            f"kind {self._column}": kind,
            "went": 'lower(coalesce(r."llmwatch status", r."llmwatch data"->>\'status\', r."llmwatch data"->>\'status_code\'))',
        }

    def part(self, frame: Frame) -> State:
        said, kinds = texts(frame[f"begin {self._column}"]), texts(frame[f"kind {self._column}"])
        status = texts(frame["went"])
        good = [n for n, one in enumerate(status) if one not in {"error", "failed", "failure"}]
        nothing = sum(_is_nothing(said[n], kinds[n]) for n in good)
        return [len(good), nothing, sum(is_malformed(said[n], kinds[n]) for n in good)]

    def merge(self, states: Sequence[State]) -> State:
        return [sum(state[n] for state in states) for n in range(3)]

    def values(self, state: State, facts: Facts) -> Values:
        del facts
        n, nothing, malformed = state
        return {
            "outputs/null_rate": share(nothing, n),
            "outputs/malformed_rate": share(malformed, n - nothing),
        }


def _is_nothing(text: str | None, kind: str | None) -> bool:
    return text is None or kind in {None, "NULL"} or (kind == "VARCHAR" and not text.strip())


def is_malformed(text: str | None, kind: str | None = "VARCHAR") -> bool:
    """Whether a text begins as JSON and is none (cut off, with quotes missing), or holds bytes that were read wrongly.

    >>> (
    ...     is_malformed('{"answer": "Open the'),
    ...     is_malformed('{"answer": 1}'),
    ...     is_malformed("[1] says so."),
    ... )
    (True, False, False)
    """
    if text is None or kind != "VARCHAR" or len(text) > _LONGEST:
        return False
    if "\ufffd" in text:
        return True
    inside = text.strip().removeprefix(_FENCE).removeprefix("json").removesuffix(_FENCE).strip()
    if not inside.startswith(("{", "[{", '["')):
        return False  # prose may begin with a bracket
    try:
        orjson.loads(inside)
    except orjson.JSONDecodeError:
        return True
    return False
