"""`export` and `import`: rows of a table to and from files."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmwatch import clock, settings
from llmwatch.cli import chosen
from llmwatch.cli.codes import INCOMPLETE, OK, USAGE, WRONG
from llmwatch.cli.output import print_json, progress, say
from llmwatch.stream.formats import FORMATS, format_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from llmwatch.stream.export import Exported
    from llmwatch.stream.imports import Imported
    from llmwatch.stream.table import StreamTable

_SHOWN_LEFT_OUT = 5
_DAY_US = 86_400_000_000


def add_to(commands: Any) -> None:
    export_ = commands.add_parser(
        "export",
        help="write the rows of a table as JSON lines, CSV or Parquet",
        description="Writes the rows as people see them, oldest first. --exact writes JSON lines that hold ids, times, "
        "feedback, scores and labels too, and puts media into a folder beside the file: `llmwatch import` brings all "
        "of it back. Cells of a CSV that begin with = + - or @ are not changed: see the documentation before you "
        "open one in a spreadsheet.",
    )
    export_.add_argument("--to", type=Path, metavar="FILE", help="default: the standard output")
    export_.add_argument("--exact", action="store_true", help="all of it, to import again")
    export_.add_argument("--where", metavar="SQL", help="only rows that fit a condition")
    import_ = commands.add_parser(
        "import",
        help="log the records of a JSON lines, CSV or Parquet file to a table",
        description="Logs each record as a new row. An exact export comes back as it was, and what is in the table "
        "already is left alone. A record that cannot be used is left out and told with its line.",
    )
    import_.add_argument("file", type=Path, help="- is the standard input")
    import_.add_argument("--text", action="store_true", help="keep the values of a CSV as text")
    for parser, run in ((export_, export), (import_, import_rows)):
        parser.add_argument("table", help="table, project/table or entity/project/table")
        parser.add_argument(
            "--format", choices=FORMATS, help="default: by the file's ending, else jsonl"
        )
        parser.set_defaults(run=run)
        chosen.add_store(parser)
        chosen.add_json(parser)


# --- export ------------------------------------------------------------------------------


def export(given: argparse.Namespace) -> int:
    """Exits with 3 when media that rows name could not be found."""
    table = chosen.table(given)
    if given.to is None:
        return _export_to_stdout(table, given)
    rows = table.rows() if given.where is None else table.rows().filter(given.where)
    from llmwatch.stream.export import export as export_rows

    with progress(f"exporting {table.name}", rows.count()) as done:
        report = export_rows(
            table,
            given.to,
            format=given.format or format_of(given.to),
            where=given.where,
            exactly=given.exact,
            progress=done,
        )
    _told_export(report, given.json)
    return INCOMPLETE if report.missing_media else OK


def _export_to_stdout(table: StreamTable, given: argparse.Namespace) -> int:
    from llmwatch.stream.export import export as export_rows

    format_ = given.format or "jsonl"
    if given.exact or given.json:
        say("llmwatch: --exact and --json need a file: give --to FILE")
        return USAGE
    if sys.stdout.isatty() and not format_.endswith(("jsonl", "csv")):
        say(f"llmwatch: {format_} is not for a terminal: give --to FILE")
        return USAGE
    with tempfile.TemporaryDirectory() as directory:  # whole or nothing, also into a pipe
        draft = Path(directory) / "rows"
        export_rows(table, draft, format=format_, where=given.where)
        with draft.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    return OK


def _told_export(report: Exported, as_json: bool) -> None:
    if as_json:
        print_json(asdict(report))
    else:
        more = f", {report.events} events, {report.media} media files" if report.exact else ""
        say(f"{_number(report.rows, 'row')}{more} written to {report.path}")
    if report.missing_media:
        say(f"{len(report.missing_media)} media files that rows name are not in the store")


# --- import ------------------------------------------------------------------------------


def import_rows(given: argparse.Namespace) -> int:
    """Exits with 3 when records were left out, with 1 when none could be used."""
    from llmwatch.stream.imports import import_rows as import_file
    from llmwatch.stream.table import StreamTable

    standard_input = str(given.file) == "-"
    format_ = given.format or ("jsonl" if standard_input else format_of(given.file))
    if not standard_input and not given.file.is_file():
        say(f"llmwatch: there is no file {given.file}")
        return WRONG
    with (
        _seekable(given.file, format_) as path,
        StreamTable(given.table, store=given.store) as table,
        progress(f"importing to {table.name}") as done,
    ):
        report = import_file(table, path, format=format_, text=given.text, progress=done)
        name = f"{table.project.id}/{table.name}"
    report.path = str(given.file)
    _told_import(report, name, given.json)
    used = report.rows + report.events + report.present
    return OK if report.complete else INCOMPLETE if used else WRONG


@contextmanager
def _seekable(path: Path, format_: str) -> Iterator[Path]:
    """A file that can be read twice: the standard input is copied into one."""
    if str(path) != "-":
        yield path
        return
    with tempfile.NamedTemporaryFile(suffix=f".{format_}") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield Path(copy.name)


def _told_import(report: Imported, table: str, as_json: bool) -> None:
    if as_json:
        print_json(asdict(report))
        return
    events = f" and {_number(report.events, 'event')}" if report.events else ""
    say(f"{_number(report.rows, 'row')}{events} logged to {table}")
    if report.present:
        say(f"{report.present} were there already and were left alone")
    for line, why in report.told[:_SHOWN_LEFT_OUT]:
        say(f"{report.path}:{line}: left out: {why}")
    if report.left_out > _SHOWN_LEFT_OUT:
        say(f"{report.left_out} records were left out in all; --json tells more of them")
    if report.missing_media:
        say(f"{report.missing_media} media files are not beside {report.path}")
    if not report.whole:
        say(f"{report.path} ends before its export did: what followed is missing")
    _warn_of_retention(report)


def _warn_of_retention(report: Imported) -> None:
    days = settings.current().retention_days
    if days and report.oldest_us and clock.now_us() - report.oldest_us > days * _DAY_US:
        say(f"some rows are older than {days:g} days, and the worker will drop them: set retention_days")


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
