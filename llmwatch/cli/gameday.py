"""`gameday`: faults put into a copy of the traffic, and which alert tells of each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from llmwatch.cli import chosen
from llmwatch.cli.codes import OK, WRONG
from llmwatch.cli.output import print_json, print_line, progress
from llmwatch.cli.times import when

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from llmwatch.gameday.outcome import GameDay


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "gameday",
        help="put faults into a copy of the traffic, and see which alert catches what",
        description="Copies a table into a temporary store, puts faults into the copy, and takes scorers, metrics, drift jobs and "
        "rules through it as they are declared here. The table itself is only read. Without a table: the demo's traffic, with a "
        "watch that fits it.",
        epilog="exit codes: 0 every fault was caught; 1 one never was, or what was asked about is not there; 2 wrong usage",
    )
    parser.add_argument("table", nargs="?", help="table, project/table or entity/project/table (default: the demo's traffic)")  # fmt: skip
    parser.add_argument(
        "--faults", metavar="A,B",
        help="only these of prompts, nulls, malformed, slow, errors, injections, cost",
    )  # fmt: skip
    parser.add_argument("--lasting", default="4h", metavar="4h", help="how long each lasts at most (default: 4h)")  # fmt: skip
    parser.add_argument("--since", type=when, metavar="WHEN", help="the traffic from then on (default: 14d); at most the newest 200,000 rows")  # fmt: skip
    parser.add_argument(
        "--seed", type=int, default=0, help="other rows, another order (default: 0)"
    )
    parser.add_argument(
        "--every-scorer", action="store_true",
        help="scorers of yours score the changed rows too: they may call models, which costs",
    )  # fmt: skip
    parser.set_defaults(run=gameday)
    chosen.add_store(parser)
    chosen.add_json(parser)


def gameday(given: argparse.Namespace) -> int:
    """Exits with 1 when a fault was never caught."""
    from llmwatch.gameday import play
    from llmwatch.gameday.faults import named

    faults = named(given.faults)
    options = {"seed": given.seed, "lasting": given.lasting, "progress": _stage}
    if given.table is None:
        day = play.on_demo(faults, **options)
    else:
        table = chosen.table(given)
        day = play.on_table(
            f"{table.project.id}/{table.name}", faults, since_us=_since_us(given.since),
            every_scorer=given.every_scorer, store=table.project.store.root, **options,
        )  # fmt: skip
    _told(day, as_json=given.json)
    return WRONG if day.missed else OK


def _stage(what: str, count: int) -> AbstractContextManager[Callable[[int], None]]:
    """Progress; of what is not counted only that it goes on."""
    return progress(what, count or None)


def _since_us(since: Any) -> int:
    from llmwatch import clock
    from llmwatch.stream.rows import _microseconds

    return clock.now_us() - 14 * 86_400_000_000 if since is None else _microseconds(since)


def _told(day: GameDay, *, as_json: bool) -> None:
    from llmwatch.gameday import show

    if as_json:
        print_json(day.to_json())
    elif sys.stdout.isatty():
        from rich.console import Console

        show.write(day, Console())
    else:
        for line in show.as_text(day).splitlines():
            print_line(line)
