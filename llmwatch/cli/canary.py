"""`canary`: two versions side by side, and whether to promote the new one, roll it back or keep going."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from llmwatch.cli import chosen
from llmwatch.cli.output import print_json, print_line
from llmwatch.cli.times import when
from llmwatch.errors import SettingsError

if TYPE_CHECKING:
    import argparse

    from llmwatch.canary import Comparison

_EXIT_CODES = "exit codes: 0 promote; 4 roll back; 5 keep going; 1 what was asked about is wrong or not there; 2 wrong usage"


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "canary",
        help="compare a new version with the old one, as often as you like",
        epilog=_EXIT_CODES,
    )
    parser.add_argument("table", help="table, project/table or entity/project/table")
    parser.add_argument("--from", dest="old", metavar="V", required=True, help="the old version")
    parser.add_argument("--to", dest="new", metavar="V", required=True, help="the new one")
    parser.add_argument(
        "--column", metavar="C", help="the column that tells them apart (default: version)"
    )
    parser.add_argument(
        "--metric", action="append", metavar="M",
        help="latency, errors, cost, feedback, safety, quality, score:NAME or label:NAME; may be repeated (default: all there is)",
    )  # fmt: skip
    parser.add_argument(
        "--margin", action="append", metavar="M=X", default=[],
        help="how much worse is too much, may be repeated: latency=.1 (a tenth), errors=.01 (one row in a hundred)",
    )  # fmt: skip
    parser.add_argument(
        "--share",
        type=float,
        metavar="X",
        help="what was routed to the new version, to check that it was",
    )
    parser.add_argument(
        "--since",
        type=when,
        metavar="WHEN",
        help="rows from then on (default: from the new version's first row on)",
    )
    parser.add_argument("--until", type=when, metavar="WHEN", help="rows before then")
    parser.add_argument(
        "--by", choices=("users", "sessions", "rows"), help="what rows belong together by"
    )
    parser.add_argument(
        "--alpha",
        type=float,
        metavar="A",
        help="the chance of a wrong verdict at any of all looks (default: .05)",
    )
    parser.add_argument(
        "--every-call", action="store_true", help="every call of a trace, not only its first"
    )
    parser.set_defaults(run=canary)
    chosen.add_store(parser)
    chosen.add_json(parser)


def canary(given: argparse.Namespace) -> int:
    """Exits with 0, 4 or 5 as the verdict is."""
    from llmwatch.canary import compare

    margins = dict(map(_margin, given.margin))
    table = chosen.table(given)
    names = ("old", "new", "column", "share", "since", "until", "by", "alpha", "every_call")
    options = {name: getattr(given, name) for name in names}
    found = compare(table.project, table.name, metrics=given.metric, margins=margins, **options)
    _told(found, as_json=given.json)
    return found.exit_code


def _margin(text: str) -> tuple[str, float]:
    name, _, value = text.rpartition("=")
    try:
        return name, float(value)
    except ValueError:
        raise SettingsError(
            f"{text!r} is no margin: write NAME=NUMBER, such as latency=.1"
        ) from None


def _told(found: Comparison, *, as_json: bool) -> None:
    if as_json:
        print_json(found.to_json())
    elif sys.stdout.isatty():
        from rich.console import Console

        from llmwatch.canary.show import write

        write(found, Console())
    else:
        for line in str(found).splitlines():
            print_line(line)
