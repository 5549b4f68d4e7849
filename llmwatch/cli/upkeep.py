"""`compact` and `vacuum`: what the worker does by itself, on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmwatch import settings
from llmwatch.cli import chosen
from llmwatch.cli.codes import INCOMPLETE, OK
from llmwatch.cli.output import print_json, print_line, print_records, progress, say, size

if TYPE_CHECKING:
    import argparse

    from llmwatch.store import Project


def add_to(commands: Any) -> None:
    compact_ = commands.add_parser("compact", help="move what is sealed in the spool into the lake")
    compact_.add_argument("project", nargs="?", help="project or entity/project (default: all)")
    compact_.add_argument(
        "--merge", action="store_true", help="also merge small files, however few"
    )
    vacuum_ = commands.add_parser("vacuum", help="delete files that the lake no longer refers to")
    vacuum_.add_argument("project", nargs="?", help="project or entity/project (default: all)")
    vacuum_.add_argument(
        "--older-than",
        type=float,
        metavar="SECONDS",
        help="how long ago they left the lake (default: vacuum_after_s)",
    )
    vacuum_.add_argument(
        "--fold",
        action="store_true",
        help="first remove deleted rows from the files that hold them",
    )
    for parser, run in ((compact_, compact), (vacuum_, vacuum)):
        parser.set_defaults(run=run)
        chosen.add_store(parser)
        chosen.add_json(parser)


def compact(given: argparse.Namespace) -> int:
    """Exits with 3 when a table was busy, or segments had to be left."""
    tables = [(p, t) for p in chosen.projects(given) for t in p.all_tables()]
    reports = []
    with progress("compacting", len(tables)) as done:
        for project, table in tables:
            reports.append(_compact(project, table, given.merge))
            done(1)
    print_records(reports, as_json=given.json)
    for report in reports:
        if report["busy"]:
            say(f"{report['table']}: another process is compacting it; run this again")
        if report["bad_lines"]:
            say(
                f"{report['table']}: {report['bad_lines']} unreadable lines were put into quarantine"
            )
    return INCOMPLETE if any(report["busy"] or report["left"] for report in reports) else OK


def _compact(project: Project, table: str, merge: bool) -> dict[str, Any]:
    from llmwatch.stream.compact import compact as compact_table
    from llmwatch.stream.merge import merge_small
    from llmwatch.stream.segments import is_sealed, list_segments

    report = compact_table(project, table, settings=settings.current())
    merged = merge_small(project, table, everything=True) if merge else None
    return {
        "table": f"{project.id}/{table}",
        "segments": report.segments,
        "rows": report.rows,
        "being_written": sum(
            not is_sealed(segment) for segment in list_segments(project.spool(table))
        ),
        "merged": merged.merged if merged else 0,
        "bad_lines": report.bad_lines,
        "left": len(report.left),
        "busy": report.busy or bool(merged and merged.busy),
    }


def vacuum(given: argparse.Namespace) -> int:
    from llmwatch.stream.retention import vacuum as vacuum_project

    older = settings.current().vacuum_after_s if given.older_than is None else given.older_than
    files = count = 0
    projects = chosen.projects(given)
    with progress("vacuuming", len(projects)) as done:
        for project in projects:
            removed = vacuum_project(project, older_than_s=older, fold=given.fold)
            files, count = files + removed.files, count + removed.bytes
            done(1)
    if given.json:
        print_json({"files": files, "bytes": count})
    else:
        print_line(f"{files} files deleted, {size(count)}")
    return OK
