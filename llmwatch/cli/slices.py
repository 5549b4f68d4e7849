"""`slices` and `changed`: where it goes worse than elsewhere, and what is different between two selections of rows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from llmwatch.cli import chosen
from llmwatch.cli.codes import OK, USAGE
from llmwatch.cli.output import print_json, print_line, say
from llmwatch.cli.times import when

if TYPE_CHECKING:
    import argparse

    from llmwatch.slices import Changes, Slices
    from llmwatch.store import Project

_TABLE = "table, project/table or entity/project/table"


def add_to(commands: Any) -> None:
    _add_slices(commands)
    _add_changed(commands)


def _add_slices(commands: Any) -> None:
    parser = commands.add_parser(
        "slices", help="the rows that are worse than the rest, by what they have in common"
    )
    parser.add_argument("table", help=_TABLE)
    parser.add_argument(
        "--metric", action="append", metavar="M",
        help="latency, errors, cost, feedback, safety, quality, score:NAME, label:NAME or any column; may be repeated (default: all there is)",
    )  # fmt: skip
    parser.add_argument(
        "--worse",
        choices=("high", "low"),
        help="which end of the metric is bad, where its name does not say",
    )
    parser.add_argument(
        "--column", action="append", metavar="C", help="only slices by this column; may be repeated"
    )
    parser.add_argument(
        "--where", metavar="SQL", help="only rows that fit, such as: model = 'small'"
    )
    parser.add_argument("--since", type=when, metavar="WHEN", help="such as 7d, 12h or 2026-01-31")
    parser.add_argument("--until", type=when, metavar="WHEN", help="the same")
    parser.add_argument("--no-pairs", action="store_true", help="of one column only")
    parser.add_argument("--most", type=int, metavar="N", help="how many are told (default: 10)")
    _common(parser)
    parser.set_defaults(run=slices)


def _add_changed(commands: Any) -> None:
    parser = commands.add_parser(
        "changed",
        help="what is different between two selections of rows, the likeliest cause first",
    )
    parser.add_argument("table", help=_TABLE)
    for side in ("before", "after"):
        parser.add_argument(
            f"--{side}", metavar="SQL", help=f"the rows {side} (default: all others)"
        )
    parser.add_argument(
        "--since",
        type=when,
        metavar="WHEN",
        help="where the time after begins, such as 2h or 2026-01-31T09:30",
    )
    parser.add_argument("--until", type=when, metavar="WHEN", help="where it ends")
    parser.add_argument(
        "--before-since", type=when, metavar="WHEN", help="where the time before begins"
    )
    parser.add_argument("--before-until", type=when, metavar="WHEN", help="where it ends")
    _common(parser)
    parser.set_defaults(run=changed)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by", choices=("users", "sessions", "rows"), help="what rows belong together by"
    )
    parser.add_argument(
        "--alpha",
        type=float,
        metavar="A",
        help="of what is told, the share that may not be so (default: .05)",
    )
    parser.add_argument(
        "--every-call", action="store_true", help="every call of a trace, not only its first"
    )
    parser.add_argument(
        "--no-texts",
        action="store_true",
        help="read no prompts: quicker, without languages and kinds of prompts",
    )
    chosen.add_store(parser)
    chosen.add_json(parser)


def slices(given: argparse.Namespace) -> int:
    import duckdb

    from llmwatch.slices import find

    options = {
        "metric": given.metric,
        "worse": given.worse,
        "columns": given.column,
        "rows": {"where": given.where, "since": given.since, "until": given.until},
        "most": given.most,
        "by": given.by,
        "alpha": given.alpha,
    }
    project, name = _table(given)
    try:
        found = find(
            project,
            name,
            pairs=not given.no_pairs,
            texts=not given.no_texts,
            every_call=given.every_call,
            **options,
        )
    except duckdb.Error as error:  # of the condition that was given
        return _misread(error)
    _told(found, as_json=given.json)
    return OK


def changed(given: argparse.Namespace) -> int:
    import duckdb

    from llmwatch.slices import changed as compare

    before = {"where": given.before, "since": given.before_since, "until": given.before_until}
    after = {"where": given.after, "since": given.since, "until": given.until}
    options = {
        name: value for name in ("by", "alpha") if (value := getattr(given, name)) is not None
    }
    project, name = _table(given)
    try:
        found = compare(
            project,
            name,
            before=before if any(before.values()) else None,
            after=after if any(after.values()) else None,
            every_call=given.every_call,
            texts=not given.no_texts,
            **options,
        )
    except duckdb.Error as error:
        return _misread(error)
    _told(found, as_json=given.json)
    return OK


def _table(given: argparse.Namespace) -> tuple[Project, str]:
    table = chosen.table(given)
    return table.project, table.name


def _misread(error: Exception) -> int:
    say(f"llmwatch: {error}")
    return USAGE


def _told(found: Slices | Changes, *, as_json: bool) -> None:
    if as_json:
        print_json(found.to_json())
    elif sys.stdout.isatty():
        from rich.console import Console

        from llmwatch.slices.show.terminal import write

        write(found, Console())
    else:
        for line in str(found).splitlines():
            print_line(line)
