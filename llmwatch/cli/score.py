"""`score`: past rows scored, and how scoring stands."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from llmwatch.cli import chosen
from llmwatch.cli.codes import INCOMPLETE, OK, USAGE
from llmwatch.cli.output import print_json, print_table, progress, say
from llmwatch.cli.times import when

if TYPE_CHECKING:
    import argparse

    from llmwatch.scoring.past import Scored


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "score",
        help="score past rows, or tell how scoring stands",
        description="Scores the rows of a table that were recorded before; rows that have a score of the same scorer and "
        "settings are left alone. Live rows are scored by the worker: see [[scorers]] in llmwatch.toml. "
        "Without --scorer, or with --status, tells how scoring stands.",
    )
    parser.add_argument(
        "table", nargs="?", help="table, project/table or entity/project/table (default: traces)"
    )
    parser.add_argument(
        "--scorer",
        action="append",
        default=[],
        metavar="NAME",
        help="token_cost, confidence, safety or module:object; may be given several times",
    )
    parser.add_argument("--since", type=when, metavar="WHEN", help="such as 7d, 12h or 2026-01-31")
    parser.add_argument("--until", type=when, metavar="WHEN")
    parser.add_argument("--where", metavar="SQL", help="only rows that fit a condition")
    parser.add_argument("--sample", type=float, metavar="SHARE", help="of the rows, from 0 to 1")
    parser.add_argument(
        "--setting", action="append", default=[], metavar="NAME=VALUE", help="of the scorer"
    )
    parser.add_argument("--processes", type=int, default=2, metavar="N")
    parser.add_argument("--again", action="store_true", help="also rows that have such a score")
    parser.add_argument(
        "--retry-failed", action="store_true", help="only rows that the scorer failed on"
    )
    parser.add_argument("--status", action="store_true", help="tell how scoring stands")
    parser.set_defaults(run=score)
    chosen.add_store(parser)
    chosen.add_json(parser)


def score(given: argparse.Namespace) -> int:
    """Exits with 3 when rows failed."""
    if given.status or not given.scorer:
        return status(given)
    from llmwatch.scoring.past import score as score_past

    settings_of_scorer = _settings(given.setting)
    if settings_of_scorer is None:
        say("llmwatch: a setting is NAME=VALUE, the value as JSON or as plain text")
        return USAGE
    given.table = given.table or "traces"
    table = chosen.table(given)
    name = f"{table.project.id}/{table.name}"
    options = {"settings": settings_of_scorer} if settings_of_scorer else {}
    if given.sample is not None:
        options["sample"] = given.sample
    reports = []
    for scorer in given.scorer:
        with progress(f"{scorer} on {name}", _total(table, given)) as done:
            reports.append(
                score_past(
                    scorer,
                    name,
                    since=given.since,
                    until=given.until,
                    where=given.where,
                    again=given.again,
                    failed_only=given.retry_failed,
                    processes=given.processes,
                    store=given.store,
                    progress=done,
                    **options,
                )
            )
        if not given.json:
            _tell(reports[-1], name)
    if given.json:
        print_json([asdict(report) for report in reports])
    return INCOMPLETE if any(report.failed for report in reports) else OK


def _total(table: Any, given: argparse.Namespace) -> int:
    rows = table.rows()
    rows = rows if given.since is None else rows.since(given.since)
    rows = rows if given.until is None else rows.until(given.until)
    return int((rows if given.where is None else rows.filter(given.where)).count())


def _settings(told: list[str]) -> dict[str, Any] | None:
    import json

    settings: dict[str, Any] = {}
    for each in told:
        name, equals, value = each.partition("=")
        if not (name and equals):
            return None
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    return settings


def _tell(report: Scored, table: str) -> None:
    rate = f", {report.rows / report.seconds:.0f} rows/s" if report.seconds > 0.5 else ""
    parts = [f"{report.scored} of {report.rows} rows of {table} scored by {report.scorer}{rate}"]
    for count, what in (
        (report.there_already, "had a score"),
        (report.not_wanted, "are not for this scorer"),
        (report.nothing_to_say, "gave nothing to say"),
    ):
        if count:
            parts.append(f"{count} {what}")
    say("; ".join(parts))
    if report.failed:
        say(f"{report.failed} rows failed, the last with: {report.error}")
        say(f"try them again with: llmwatch score {table} --scorer {report.scorer} --retry-failed")


def status(given: argparse.Namespace) -> int:
    from llmwatch.scoring.status import standings

    given.project = given.table
    found = standings(chosen.store(given), chosen.projects(given))
    if given.json:
        print_json([asdict(each) for each in found])
    elif found:
        columns = ["project", "scorer", "live", "scored", "behind", "to retry", "given up", "last"]
        print_table(
            columns,
            [
                [
                    each.project,
                    each.scorer,
                    "yes" if each.live else "no",
                    each.scored,
                    each.behind,
                    each.to_retry,
                    each.given_up,
                    each.last,
                ]
                for each in found
            ],
        )
        for each in found:
            if each.last_error:
                say(f"{each.project} {each.scorer}: last failure: {each.last_error}")
    else:
        say("nothing is scored here yet")
    return OK
