"""`dataset` and `rerun`: bad rows into a dataset, and a function called again on each of its rows."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from llmwatch.cli import chosen
from llmwatch.cli.codes import OK, USAGE, WRONG
from llmwatch.cli.output import print_json, print_line, print_records, progress, say
from llmwatch.cli.times import when

if TYPE_CHECKING:
    import argparse

    from llmwatch.datasets import Rerun


def add_to(commands: Any) -> None:
    parser = commands.add_parser("dataset", help="put rows into a dataset, as tests to run again")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_add(actions)
    listing = actions.add_parser("list", help="the datasets that there are")
    listing.add_argument("project", nargs="?", help="project or entity/project (default: all)")
    chosen.add_store(listing)
    chosen.add_json(listing)
    listing.set_defaults(run=list_datasets)
    _add_rerun(commands)


def _add_add(actions: Any) -> None:
    parser = actions.add_parser(
        "add",
        help="add rows of a table: a new version of the dataset",
        description="Each row's inputs, its output, and as what is expected its newest correction, else a label. A row that "
        "is in the dataset is replaced. Chosen by --rows, or the newest 1,000 that fit the other options.",
    )
    parser.add_argument("name", help="of the dataset, such as golden")
    parser.add_argument("--table", default="traces", help="where the rows are (default: traces)")
    parser.add_argument("--rows", metavar="IDS", help="ids, with commas between them")
    parser.add_argument("--where", metavar="SQL", help="rows that fit, such as: latency_ms > 2000")
    parser.add_argument("--since", type=when, metavar="WHEN", help="such as 7d, 12h or 2026-01-31")
    parser.add_argument("--until", type=when, metavar="WHEN", help="the same")
    parser.add_argument(
        "--label",
        metavar="NAME",
        default="expected",
        help="the label that is what was expected, where a row has no correction (default: expected)",
    )
    parser.add_argument(
        "--every-call", action="store_true", help="every call of a trace, not only its first"
    )
    chosen.add_store(parser)
    chosen.add_json(parser)
    parser.set_defaults(run=add)


def _add_rerun(commands: Any) -> None:
    parser = commands.add_parser(
        "rerun",
        help="call a function on each row of a dataset, before and after side by side",
        epilog="exit codes: 0 nothing broke; 1 something broke, or what was asked about is not there; 2 wrong usage",
    )
    parser.add_argument(
        "dataset", help="name, project/name or entity/project/name; name:v3 for a version"
    )
    parser.add_argument(
        "--against", required=True, metavar="MODULE:NAME",
        help="a function, async function, op or weave.Model, imported from this directory",
    )  # fmt: skip
    parser.add_argument(
        "--scorer", action="append", default=[], metavar="S",
        help="asked about both answers, may be repeated: token_cost, confidence, safety or module:name; one that says true or false decides",
    )  # fmt: skip
    parser.add_argument("--parallel", type=int, default=4, metavar="N", help="calls at once (4)")
    parser.add_argument("--most", type=int, metavar="N", help="only the first N rows")
    parser.add_argument("--every-row", action="store_true", help="show also what is the same")
    chosen.add_store(parser)
    chosen.add_json(parser)
    parser.set_defaults(run=rerun)


def add(given: argparse.Namespace) -> int:
    import duckdb

    from llmwatch import datasets

    chosen.store(given)
    rows = (
        None
        if given.rows is None
        else [one.strip() for one in given.rows.split(",") if one.strip()]
    )
    try:
        done = datasets.add(
            given.name, table=given.table, rows=rows, where=given.where, since=given.since,
            until=given.until, label=given.label, every_call=given.every_call, store=given.store,
        )  # fmt: skip
    except duckdb.Error as error:  # of the condition that was given
        say(f"llmwatch: {error}")
        return USAGE
    if given.json:
        print_json(asdict(done))
        return OK
    print_line(
        f"{done.name}: {done.rows:,} rows, {done.added:,} of them new; "
        f"{done.corrected:,} of those given have something expected"
    )
    if done.left_out:
        say(
            f"{done.left_out:,} older rows fit too: choose them with --until, or fewer with --where"
        )
    return OK


def list_datasets(given: argparse.Namespace) -> int:
    from llmwatch import settings
    from llmwatch.backend.server import LocalTraceServer
    from llmwatch.datasets import stored

    server = LocalTraceServer(chosen.store(given), settings.current())
    found = [
        {"project": project.id, "dataset": name, "rows": len(stored.rows(server, project, name))}
        for project in chosen.projects(given)
        for name in stored.names(server, project)
    ]
    print_records(found, as_json=given.json)
    if not found and not given.json:
        say("there is no dataset yet: llmwatch dataset add NAME --table T --where SQL")
    return OK


def rerun(given: argparse.Namespace) -> int:
    """Exits with 1 when something broke."""
    import llmwatch
    from llmwatch import datasets

    chosen.store(given)
    try:
        found = datasets.rerun(
            given.dataset, given.against, scorers=given.scorer, parallel=given.parallel,
            most=given.most, store=given.store, stage=progress,
        )  # fmt: skip
    finally:
        llmwatch.finish()
    _told(found, given)
    return WRONG if found.counts["broke"] else OK


def _told(found: Rerun, given: argparse.Namespace) -> None:
    if given.json:
        print_json(found.to_json())
    elif sys.stdout.isatty():
        from rich.console import Console

        found.write(Console(), every_row=given.every_row)
    else:
        from llmwatch.datasets.show import as_text

        for line in as_text(found, every_row=given.every_row).splitlines():
            print_line(line)
