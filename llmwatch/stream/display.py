"""A table of rows as HTML for a notebook: static, escaped, small."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmwatch.stream.rows import Rows

MOST_ROWS = 50
LONGEST = 200
_STYLE = (
    "<style>.llmwatch{border-collapse:collapse;font:13px system-ui,sans-serif}"
    ".llmwatch th{text-align:left;border-bottom:1px solid #8886;padding:4px 10px}"
    ".llmwatch td{text-align:left;vertical-align:top;padding:4px 10px;max-width:28em;"
    "overflow-wrap:anywhere;border-bottom:1px solid #8883}"
    ".llmwatch .n{text-align:right;font-variant-numeric:tabular-nums}"
    ".llmwatch-note{font:12px system-ui,sans-serif;opacity:.7;margin:.4em 0}</style>"
)


def table_html(rows: Rows) -> str:
    """The rows, at most `MOST_ROWS` of them, as one HTML table."""
    most = MOST_ROWS if rows.most is None else min(rows.most, MOST_ROWS)
    found = [dict(row) for row in rows.limit(most, skip=rows.skipped)]
    where = f"{rows.table.project.id}/{rows.table.name}"
    if not found:
        return f'{_STYLE}<p class="llmwatch-note">{escape(where)}: no rows yet. Log one with <code>.log({{...}})</code>.</p>'
    names = list(dict.fromkeys(name for row in found for name in row if row[name] is not None))
    note = f"{escape(where)}: {len(found)} of {int(rows.table.count):,} rows"
    return f'{_STYLE}<table class="llmwatch">{_head(names)}{"".join(_line(row, names) for row in found)}</table><p class="llmwatch-note">{note}</p>'


def row_html(row: Any) -> str:
    """One row, a line for each thing that is known of it."""
    lines = "".join(
        f"<tr><th>{escape(_visible(name))}</th>{_cell(dict(row), name)}</tr>"
        for name in row
        if row[name] is not None
    )
    return f'{_STYLE}<table class="llmwatch">{lines}</table><p class="llmwatch-note">row {escape(row.id)}</p>'


def _head(names: Sequence[str]) -> str:
    return "<thead><tr>" + "".join(f"<th>{escape(_visible(name))}</th>" for name in names) + "</tr></thead>"


def _line(row: dict[str, Any], names: Sequence[str]) -> str:
    return "<tr>" + "".join(_cell(row, name) for name in names) + "</tr>"


def _cell(row: dict[str, Any], name: str) -> str:
    if name not in row:
        return "<td></td>"
    value = row[name]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f'<td class="n">{value:,}</td>' if isinstance(value, int) else f'<td class="n">{value:,.6g}</td>'
    if picture := _picture(value):
        return f"<td>{picture}</td>"
    text = value if isinstance(value, str) else str(value)
    cut = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    return f"<td>{escape(_visible(cut))}</td>"


def _picture(value: Any) -> str | None:
    """A PIL image as a small inline picture."""
    if not any(f"{c.__module__}.{c.__name__}" == "PIL.Image.Image" for c in type(value).__mro__):
        return None
    import base64
    import io

    small = value.copy()
    small.thumbnail((96, 96))
    buffer = io.BytesIO()
    small.convert("RGB").save(buffer, "PNG")
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


def _visible(text: str) -> str:
    """Control and direction characters shown, so that a row cannot rearrange the page."""
    return "".join(ch if ch.isprintable() or ch in "\n\t " else f"\\u{ord(ch):04x}" for ch in text)
