"""`erase`: rows and all that was derived from them, gone from the store's bytes."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from llmwatch.cli import chosen
from llmwatch.cli.codes import INCOMPLETE, OK, USAGE
from llmwatch.cli.output import print_json, print_line, progress, say

if TYPE_CHECKING:
    import argparse

    from llmwatch.stream.erase import Erased


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "erase",
        help="physically remove the rows that fit a condition, from every table of a project",
        description="Removes rows, the calls below them, what was said about them, and media nothing else names. "
        "A crash half-way is harmless: run the same command again.",
    )
    parser.add_argument("project", help="project or entity/project")
    parser.add_argument("--where", required=True, metavar="SQL", help="such as: user_id = 'u7'")
    parser.add_argument("--table", help="only this table")
    parser.add_argument("--dry-run", action="store_true", help="only say how much would go")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=erase)
    chosen.add_store(parser)
    chosen.add_json(parser)


def erase(given: argparse.Namespace) -> int:
    """Exits with 3 when the scan afterwards still found something."""
    from llmwatch.stream.erase import erase as erase_rows

    project = chosen.project(chosen.store(given), given.project)
    would = erase_rows(project, given.where, table=given.table, dry_run=True)
    if given.dry_run:
        return _told(would, given.json, "would be erased")
    if not given.yes and not _agreed(would):
        return USAGE
    with progress(f"erasing from {project.id}"):
        done = erase_rows(project, given.where, table=given.table)
    code = _told(done, given.json, "erased")
    for path in done.found_after:
        say(f"still found in {path}; run this again")
    return code


def _agreed(would: Erased) -> bool:
    if not sys.stdin.isatty():
        say("llmwatch: nothing was erased; give --yes to erase without being asked")
        return False
    say(f"{would.rows} rows and {would.events} events will be gone for good. Erase them? [y/N]")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _told(result: Erased, as_json: bool, what: str) -> int:
    if as_json:
        print_json({**asdict(result), "complete": result.complete})
    else:
        print_line(f"{result.rows} rows and {result.events} events {what}")
        for table, rows in result.by_table.items():
            print_line(f"  {rows} rows of {table}")
        if result.derived:
            print_line(f"  {result.derived} vectors and baseline entries made of them")
    return OK if result.complete else INCOMPLETE
