"""The board's button that adds rows to a `weave.Dataset`: those with an id, or those that are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmwatch.board.choice import Choice
from llmwatch.board.source import Source
from llmwatch.datasets import stored
from llmwatch.errors import InvalidBoard, InvalidName
from llmwatch.stream.columns import quoted


def names(server: Any, source: Source) -> list[str]:
    """The datasets that the project has."""
    return stored.names(server, source.project)


def add(server: Any, source: Source, name: str, ids: Sequence[str]) -> dict[str, Any]:
    """A new version of the dataset with these rows."""
    try:
        return stored.add_rows(server, source.reader, source.table, name, ids)
    except InvalidName as error:
        raise InvalidBoard(str(error)) from None


def chosen(source: Source, choice: Choice, *, roots: bool) -> list[str]:
    """The newest rows of a choice, as many as are added at once."""
    where, params = choice.where()
    extra = ' AND "llmwatch parent_id" IS NULL' if roots else ""
    sql = (
        f'SELECT "llmwatch id" FROM keyed.{quoted(source.table)} WHERE {where}{extra} '
        f'ORDER BY "llmwatch ts" DESC, "llmwatch seq" DESC LIMIT {stored.MOST}'
    )
    return [row[0] for row in source.execute(sql, params, events=choice.says).rows]
