"""A trace as a waterfall: its calls as a tree, each where it lay in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmwatch.board.pictures import drawing as draw
from llmwatch.board.pictures.picture import Picture
from llmwatch.errors import NotFound

if TYPE_CHECKING:
    from llmwatch.stream.table import StreamTable

_WIDTH, _NAMES, _LINE, _HEAD = 900.0, 270.0, 26.0, 34.0
_NOTES = 150.0
_KINDS = {"retrieval": 2, "generation": 0, "tool": 4, "embedding": 5, "guardrail": 6, "scorer": 7}
MOST = 200
_COLUMNS = "id, parent_id, op_name, display_name, kind, status, model, started_at, latency_ms, prompt_tokens, completion_tokens, exception"


@dataclass(frozen=True)
class _Bar:
    depth: int
    call: dict[str, Any]


def of_trace(table: StreamTable | str, trace_id: str) -> Picture:
    """The calls of a trace in time: `of_trace("support-bot/traces", row.trace_id)`."""
    from llmwatch.stream.table import StreamTable

    opened = StreamTable(table) if isinstance(table, str) else table
    name = opened.name.replace('"', '""')
    found = opened.query(
        f'SELECT {_COLUMNS} FROM "{name}" WHERE trace_id = ? ORDER BY started_at, id', trace_id
    )
    calls = found.dicts()
    if not calls:
        raise NotFound(f"no trace {trace_id} in {opened.project.id}/{opened.name}")
    return Picture(_drawn(list(_tree(calls))[:MOST], len(calls)))


def _tree(calls: Sequence[dict[str, Any]]) -> Iterator[_Bar]:
    """Parents before their calls; a call whose parent is not there stands at the top."""
    known = {call["id"] for call in calls}
    below: dict[Any, list[dict[str, Any]]] = {}
    for call in calls:
        below.setdefault(call["parent_id"] if call["parent_id"] in known else None, []).append(call)
    waiting = [_Bar(0, call) for call in reversed(below.get(None, ()))]
    while waiting:
        bar = waiting.pop()
        yield bar
        waiting += [_Bar(bar.depth + 1, call) for call in reversed(below.get(bar.call["id"], ()))]


def _drawn(bars: Sequence[_Bar], calls: int) -> str:
    start = min(_us(bar.call) for bar in bars)
    span = max(max(_us(bar.call) + _took(bar.call) for bar in bars) - start, 1)
    height = _HEAD + _LINE * len(bars) + 14
    title = f"{calls} calls in {draw.number(span / 1000, 'ms')}"
    shapes = [draw.text(14, 21, title, size=12, bold=True), _axis(span, height)]
    shapes += [_bar(bar, _HEAD + n * _LINE, start, span) for n, bar in enumerate(bars)]
    return draw.document(_WIDTH, height, title, *shapes)


def _us(call: dict[str, Any]) -> int:
    return int(call["started_at"].timestamp() * 1e6) if call["started_at"] else 0


def _took(call: dict[str, Any]) -> float:
    return float(call["latency_ms"] or 0) * 1000


def _axis(span: float, height: float) -> str:
    room = _WIDTH - _NAMES - _NOTES
    made = []
    for n in range(5):
        x = _NAMES + room * n / 4
        made.append(draw.box(x, _HEAD - 4, 1, height - _HEAD - 4, draw.RULE))
        made.append(
            draw.text(
                x, 21, draw.number(span * n / 4000, "ms"), size=10, fill=draw.FAINT, anchor="middle"
            )
        )
    return "".join(made)


def _bar(bar: _Bar, y: float, start: int, span: float) -> str:
    call, room = bar.call, _WIDTH - _NAMES - _NOTES
    x = _NAMES + (_us(call) - start) / span * room
    width = max(_took(call) / span * room, 2)
    failed = call["status"] == "error"
    colour = draw.FAILED if failed else draw.COLOURS[_KINDS.get(call["kind"] or "", 3) % 8]
    if not failed and call["kind"] is None:
        colour = "#8a8f98"
    left = 14 + bar.depth * 15
    return (
        draw.text(left, y + 15, _name(call), bold=bar.depth == 0, room=_NAMES - left - 8)
        + draw.box(x, y + 4, width, 14, colour, round=3)
        + draw.text(
            _WIDTH - _NOTES + 10, y + 15, _note(call), size=10, fill=draw.FAINT, room=_NOTES - 20
        )
    )


def _name(call: dict[str, Any]) -> str:
    given = call["display_name"] or call["op_name"] or "call"
    return str(given).rpartition("/")[2].split(":")[0]


def _note(call: dict[str, Any]) -> str:
    if call["status"] == "error":
        return str(call["exception"] or "failed").strip().splitlines()[-1]
    parts = [draw.number(call["latency_ms"], "ms")]
    tokens = (call["prompt_tokens"] or 0) + (call["completion_tokens"] or 0)
    return " · ".join([*parts, f"{tokens:,} tokens"] if tokens else parts)
