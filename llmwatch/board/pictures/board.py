"""A board as a picture: its panels where they lie, over the rows there are now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmwatch.board.pictures import drawing as draw
from llmwatch.board.pictures import panels
from llmwatch.board.pictures.panels import Frame
from llmwatch.board.pictures.picture import Picture

if TYPE_CHECKING:
    from llmwatch.board.spec import Board

_COLUMN, _ROW, _GAP, _HEAD = 40.0, 20.0, 8.0, 40.0


def of_board(board: Board, *, store: str | Path | None = None) -> Picture:
    """The board over its table's rows, as the page draws it. Panels that list rows are left out."""
    from llmwatch.board import asks, spec
    from llmwatch.board.choice import choose
    from llmwatch.board.source import opened

    shown = [panel for panel in spec.placed(board.panels) if panel.kind != "rows"]
    with opened(board.table, store) as source:
        variables = board.to_json()["variables"]
        choice = choose(source, {**variables, "filters": variables["filters"]})
        answers = [asks.ask(source, panel, choice) for panel in shown]
    bottom = max((panel.at[1] + panel.at[3] for panel in shown if panel.at), default=1)
    made = []
    for panel, answer in zip(shown, answers, strict=True):
        assert panel.at is not None
        x, y, width, height = panel.at
        frame = Frame(
            x * _COLUMN + _GAP,
            _HEAD + y * _ROW,
            width * _COLUMN - _GAP,
            height * _ROW - _GAP,
        )
        made.append(panels.drawn(panel, answer, frame))
    title = f"{board.title or board.name}"
    head = draw.text(_GAP + 2, 25, title, size=15, bold=True) + draw.text(
        24 * _COLUMN, 25, board.table, size=11, fill=draw.FAINT, anchor="end"
    )
    return Picture(
        draw.document(24 * _COLUMN + _GAP, _HEAD + bottom * _ROW + 4, title, head, *made)
    )
