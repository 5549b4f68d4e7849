"""`export` and `import`: rows of a table to and from JSON lines."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from llmwatch.cli import chosen
from llmwatch.cli.codes import INCOMPLETE, OK, WRONG
from llmwatch.cli.output import print_json, progress, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_SHOWN_BAD_LINES = 5
_WHOLE = sys.maxsize  # an export cuts nothing


def add_to(commands: Any) -> None:
    export_ = commands.add_parser(
        "export",
        help="write the rows of a table as JSON lines",
        description="Writes each row as one JSON object. Ids, feedback, scores and labels are not written; values "
        "that JSON cannot hold are written as the objects that `llmwatch import` reads back.",
    )
    export_.add_argument("--to", type=Path, metavar="FILE", help="default: the standard output")
    export_.add_argument("--where", metavar="SQL", help="only rows that fit a condition")
    import_ = commands.add_parser(
        "import",
        help="log each line of a file of JSON objects to a table",
        description="Logs each line as a new row. A line that is not a JSON object is skipped and said.",
    )
    import_.add_argument("file", type=Path, help="JSON lines; - is the standard input")
    import_.add_argument("--json", action="store_true", help="print JSON, for a script")
    for parser, run in ((export_, export), (import_, import_rows)):
        parser.add_argument("table", help="table, project/table or entity/project/table")
        parser.set_defaults(run=run)
        chosen.add_store(parser)


def export(given: argparse.Namespace) -> int:
    from llmwatch import capture

    table = chosen.table(given)
    rows = table.rows() if given.where is None else table.rows().filter(given.where)
    media = table.project.media
    count = 0
    with _output(given.to) as file, progress(f"exporting {table.name}", rows.count()) as done:
        for row in rows:
            fields = row.data if row.data is not None else dict(row)
            file.write(
                capture.encode_fields(fields, media=media, limit=_WHOLE, total=_WHOLE) + b"\n"
            )
            count += 1
            done(1)
    if given.to:
        say(f"{count} rows written to {given.to}")
    return OK


@contextmanager
def _output(path: Path | None) -> Iterator[IO[bytes]]:
    """The standard output, or a private file that is whole or not there."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        try:
            yield file
        except BaseException:
            draft.unlink()
            raise
    draft.replace(path)


def import_rows(given: argparse.Namespace) -> int:
    """Exits with 3 when some lines were skipped or lost, with 1 when no line could be used."""
    from llmwatch.stream.table import StreamTable

    if str(given.file) != "-" and not given.file.is_file():
        say(f"llmwatch: there is no file {given.file}")
        return WRONG
    logged, bad = 0, list[int]()
    with (
        StreamTable(given.table, store=given.store) as table,
        progress(f"importing to {table.name}") as done,
    ):
        for number, row in _lines(given.file, table.project.media):
            if row is not None and table.add(row) is not None:
                logged += 1
            else:
                bad.append(number)
            done(1)
    if given.json:
        print_json({"rows": logged, "skipped": len(bad), "skipped_lines": bad[:1000]})
    else:
        say(f"{logged} rows logged to {table.project.id}/{table.name}")
    if bad:
        some = ", ".join(map(str, bad[:_SHOWN_BAD_LINES])) + (
            ", ..." if len(bad) > _SHOWN_BAD_LINES else ""
        )
        say(f"{len(bad)} lines are not rows and were skipped: {some}")
    return OK if not bad else INCOMPLETE if logged else WRONG


def _lines(path: Path, media: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    with sys.stdin.buffer if str(path) == "-" else path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, _row(line, media)


def _row(line: bytes, media: Path) -> dict[str, Any] | None:
    import orjson

    from llmwatch import capture

    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return capture.decode(value, media=media) if isinstance(value, dict) else None
