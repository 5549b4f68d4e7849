"""What commands print: tables, JSON and progress, with nothing in a row able to steer the terminal."""

from __future__ import annotations

import json
import sys
import unicodedata
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

# Control, format and surrogate characters, line and paragraph separators: escape sequences, text that runs
# backwards, lines that look like ours. Joiners stay, emoji are made with them.
_STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_HARMLESS = "\u200c\u200d"


def plain(value: Any) -> str:
    """A value as one line of text that is safe to print."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")
    text = (
        value
        if isinstance(value, str)
        else _json(value)
        if isinstance(value, (dict, list))
        else str(value)
    )
    return "".join(map(_shown, text)) if not text.isprintable() else text


def _shown(character: str) -> str:
    if character not in _HARMLESS and unicodedata.category(character) in _STEERING:
        return character.encode("unicode_escape").decode("ascii")
    return character


def _json(value: Any) -> str:
    return json.dumps(value, default=_as_text, ensure_ascii=False)


def _as_text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_json(value: Any) -> None:
    """One value on one line, for a script. Escaping all but ASCII also keeps a terminal safe."""
    print(json.dumps(value, default=_as_text), flush=True)  # noqa: T201


def say(text: str) -> None:
    """A line for the person, beside the output."""
    print("\n".join(map(plain, text.split("\n"))), file=sys.stderr, flush=True)  # noqa: T201


def print_line(text: str) -> None:
    """A line of output."""
    print(plain(text), flush=True)  # noqa: T201


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Columns that fit the terminal; into a pipe, tabs between whole values."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            print("\t".join(map(plain, row)))  # noqa: T201
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(columns):
        right = any(isinstance(row[number], (int, float)) for row in rows)
        table.add_column(Text(plain(name)), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(value)) for value in row))
    Console().print(table)


def print_records(records: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Records with the same keys, as a table or as one JSON array."""
    if as_json:
        print_json(records)
    elif records:
        print_table(list(records[0]), [list(record.values()) for record in records])


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show that something long goes on, on a terminal; yields a function that takes how much was done."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    parts = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


def size(count: float) -> str:
    """Bytes for a person: `1.5 MiB`.

    >>> size(1536 * 1024)
    '1.5 MiB'
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
