"""`stats`, `tail` and `query`: looking at what was recorded."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from llmwatch.cli import chosen
from llmwatch.cli.codes import OK, USAGE
from llmwatch.cli.output import plain, print_json, print_line, print_records, print_table, say, size

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from llmwatch.store import Project

_FOLLOW_S = 0.5
_TIME = "timestamp"


def add_to(commands: Any) -> None:
    stats_ = commands.add_parser("stats", help="projects, tables, rows and bytes")
    stats_.add_argument("project", nargs="?", help="project or entity/project (default: all)")
    tail_ = commands.add_parser("tail", help="the newest rows of a table")
    tail_.add_argument("table", help="table, project/table or entity/project/table")
    tail_.add_argument("-n", type=_count, default=10, help="how many rows (default: 10)")
    tail_.add_argument(
        "-f", "--follow", action="store_true", help="go on with rows as they are recorded"
    )
    query_ = commands.add_parser("query", help="the answer to one SELECT")
    query_.add_argument("table", help="table, project/table or entity/project/table")
    query_.add_argument(
        "sql", help='such as: SELECT model, count(*) FROM "my-table" GROUP BY model'
    )
    for parser, run in ((stats_, stats), (tail_, tail), (query_, query)):
        parser.set_defaults(run=run)
        chosen.add_store(parser)
        chosen.add_json(parser)


def _count(text: str) -> int:
    if (count := int(text)) < 0:
        raise ValueError(text)
    return count


# --- stats -------------------------------------------------------------------------------


def stats(given: argparse.Namespace) -> int:
    found = [told for project in chosen.projects(given) for told in _stats(project)]
    if given.json:
        print_json(found)
    elif found:
        print_table(
            ["table", "rows", "lake", "files", "spool", "segments"],
            [
                [
                    t["table"],
                    t["rows"],
                    size(t["lake_bytes"]),
                    t["lake_files"],
                    size(t["spool_bytes"]),
                    t["segments"],
                ]
                for t in found
            ],
        )
    else:
        say("nothing is recorded here yet")
    return OK


def _stats(project: Project) -> Iterator[dict[str, Any]]:
    from llmwatch.stream.query import Reader

    reader = Reader(project)
    try:
        for table in project.all_tables():
            yield _table_stats(project, table, reader)
    finally:
        reader.close()


def _table_stats(project: Project, table: str, reader: Any) -> dict[str, Any]:
    from llmwatch.stream.columns import quoted
    from llmwatch.stream.segments import list_segments

    rows = reader.execute(f"SELECT count(*) FROM main.{quoted(table)}", tables=[table]).rows[0][0]
    snapshot = reader.snapshot(table)
    waiting = [
        s for s in list_segments(project.spool(table)) if not snapshot.holds(s.writer, s.number)
    ]
    return {
        "table": f"{project.id}/{table}",
        "rows": rows,
        "lake_bytes": sum(file.size for file in snapshot.files),
        "lake_files": len(snapshot.files),
        "spool_bytes": sum(segment.size() for segment in waiting),
        "segments": len(waiting),
    }


# --- tail --------------------------------------------------------------------------------


def tail(given: argparse.Namespace) -> int:
    table = chosen.table(given)
    rows = table.tail(given.n)
    for row in rows:
        _print_row(row, given.json)
    if given.follow:
        _follow(table, rows, given.json)
    return OK


def _follow(table: Any, shown: list[Any], as_json: bool) -> None:
    """Rows recorded from now on, until interrupted; looks back a little, as writers' clocks are not one."""
    seen = {row.id for row in shown}
    since = time.time() - 5
    seen |= {row.id for row in table.rows().since(since)}
    while True:
        time.sleep(_FOLLOW_S)
        upcoming = time.time() - 5
        recent = list(table.rows().since(since))
        for row in recent:
            if row.id not in seen:
                _print_row(row, as_json)
        seen, since = {row.id for row in recent}, upcoming


def _print_row(row: Any, as_json: bool) -> None:
    if as_json:
        print_json({"id": row.id, **row})
        return
    fields = (f"{plain(key)}={plain(value)}" for key, value in row.items() if key != _TIME)
    print_line(f"{plain(row.timestamp)}  {'  '.join(fields)}")


# --- query -------------------------------------------------------------------------------


def query(given: argparse.Namespace) -> int:
    import duckdb

    table = chosen.table(given)
    try:
        result = table.query(given.sql)
    except duckdb.Error as error:
        say(f"llmwatch: {error}")
        return USAGE
    records: list[Mapping[str, Any]] = list(result.dicts())
    if records or given.json:
        print_records(records, as_json=given.json)
    else:
        print_table(result.columns, [])
    return OK
