"""Boards in a notebook: what a board is as small static HTML, and the live page in a frame."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from llmwatch.board import spec

if TYPE_CHECKING:
    from llmwatch.board.spec import Board, Panel

_STYLE = (
    "<style>.llmwatch-board{display:grid;grid-template-columns:repeat(24,1fr);gap:4px;max-width:760px;font:11px system-ui,sans-serif}"
    ".llmwatch-board div{border:1px solid #8885;border-radius:5px;padding:4px 7px;overflow:hidden;min-height:26px}"
    ".llmwatch-board i{opacity:.6;display:block;font-style:normal}</style>"
)


def board_html(board: Board) -> str:
    """The plan of the board: its panels where they lie, each with what it shows."""
    panels = "".join(map(_panel, spec.placed(board.panels)))
    head = f"<p><b>{escape(board.title or board.name)}</b> over {escape(board.table or 'any table')}</p>"
    hint = (
        f"<p>Open it: <code>llmwatch board {escape(board.table)} --board {escape(board.name)}</code></p>"
        if board.version
        else ""
    )
    return f'{_STYLE}{head}<div class="llmwatch-board">{panels}</div>{hint}'


def _panel(panel: Panel) -> str:
    assert panel.at is not None
    x, y, width, height = panel.at
    place = f"grid-column:{x + 1}/span {width};grid-row:{y + 1}/span {height}"
    what = panel.measure or panel.column or panel.by or panel.text or ""
    return f'<div style="{place}"><b>{escape(panel.title or panel.id)}</b><i>{escape(panel.kind)} {escape(what)}</i></div>'


_servers: dict[str, str] = {}


class Live:
    """The live board of a table as a frame in a notebook: `llmwatch.board.notebook.Live("support-bot/traces")`.

    Served from this process to this machine, for as long as the process lives.
    """

    def __init__(
        self, table: str, *, seed: str | None = None, height: int = 720, store: str | None = None
    ) -> None:
        from llmwatch.names import parse_table
        from llmwatch.store import open_store

        where = parse_table(table)
        opened = open_store(store)
        query = f"?seed={seed}" if seed else ""
        path = f"/{where.entity}/{where.project}/{where.table}{query}"
        self.url = _address(str(opened.root)) + path
        self.height = height

    def _repr_html_(self) -> str:
        return (
            f'<iframe src="{escape(self.url)}" title="llmwatch board" width="100%" height="{int(self.height)}" '
            'style="border:1px solid #8884;border-radius:8px"></iframe>'
        )


def _address(root: str) -> str:
    """The server of a store in this process, started when it is first needed."""
    if root not in _servers:
        from llmwatch.board.server import start

        _servers[root] = start(root)
    return _servers[root]
