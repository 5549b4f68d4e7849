"""`costs`: what was spent, by whatever one likes, and where budgets stand."""

from __future__ import annotations

from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from llmwatch.cli import chosen
from llmwatch.cli.codes import OK, WRONG
from llmwatch.cli.output import print_json, print_table, say
from llmwatch.cli.times import when
from llmwatch.errors import NotFound

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from llmwatch.scorers.budgets import Standing
    from llmwatch.store import Project
    from llmwatch.stream.query import Reader

DEFAULT_TABLE = "traces"
_UNKNOWN = "unknown"


def add_to(commands: Any) -> None:
    costs_ = commands.add_parser("costs", help="tokens and costs, and where budgets stand")
    costs_.add_argument("project", nargs="?", help="project or entity/project (default: all)")
    costs_.add_argument(
        "--by",
        default="model",
        metavar="WHAT[,WHAT]",
        help="model, hour, day, week, month, user, session, version, trace, op, endpoint (default: model)",
    )
    costs_.add_argument("--since", type=when, metavar="WHEN", help="such as 7d, 12h or 2026-01-31")
    costs_.add_argument("--until", type=when, metavar="WHEN", help="the same")
    costs_.add_argument(
        "--table", default=DEFAULT_TABLE, help="the table they are in (default: traces)"
    )
    costs_.add_argument(
        "--budgets", action="store_true", help="where budgets stand; exit code 1 when one is over"
    )
    costs_.set_defaults(run=costs)
    chosen.add_store(costs_)
    chosen.add_json(costs_)


def costs(given: argparse.Namespace) -> int:
    if given.budgets:
        return _budgets(given)
    from llmwatch.scorers import rollups

    by = [name.strip() for name in given.by.split(",") if name.strip()]
    found = []
    for project, reader in _readers(given):
        sums = rollups.costs(reader, by, table=given.table, since=given.since, until=given.until)
        found += [{"project": project.id, **each} for each in sums if each["calls"]]
    if given.json:
        print_json(found)
    elif found:
        _print_sums(found, by)
    else:
        say("no tokens are recorded there; the worker counts them a few seconds after a call")
    return OK


def _print_sums(found: Sequence[Mapping[str, Any]], by: Sequence[str]) -> None:
    several = len({each["project"] for each in found}) > 1
    keys = [*(["project"] if several else []), *by]
    print_table(
        [*keys, "calls", "prompt tokens", "completion tokens", "cost USD", "note"],
        [
            [
                *(each[key] for key in keys),
                each["calls"],
                each["prompt_tokens"],
                each["completion_tokens"],
                dollars(each["cost_usd"], each["unpriced"] + each["unscored"]),
                _note(each),
            ]
            for each in found
        ],
    )


def dollars(cost: float | None, unpriced: int = 0) -> str:
    """A sum as it may be read: where calls without a price are in it, the least it can be.

    >>> (
    ...     dollars(1234.5),
    ...     dollars(0.105),
    ...     dollars(2e-08),
    ...     dollars(1.0, unpriced=2),
    ...     dollars(None, unpriced=2),
    ... )
    ('1,234.50', '0.105', '0.00000002', '>= 1.00', 'unknown')
    """
    if cost is None:
        return _UNKNOWN
    four_digits = f"{Decimal(f'{cost:.3e}').normalize():f}"
    text = f"{cost:,.2f}" if cost >= 1 or cost == 0 else four_digits
    return f">= {text}" if unpriced else text


def _note(each: Mapping[str, Any]) -> str:
    notes = [f"{each['unpriced']} without a price"] if each["unpriced"] else []
    notes += [f"{each['unscored']} not scored yet"] if each["unscored"] else []
    notes += [f"{each['estimated']} estimated"] if each["estimated"] else []
    return ", ".join(notes)


# --- budgets -----------------------------------------------------------------------------


def _budgets(given: argparse.Namespace) -> int:
    from llmwatch.scorers import budgets

    declared = budgets.declared()
    if not declared:
        say(
            "no budgets are declared; write one under [budgets.NAME] in llmwatch.toml, such as usd = 100"
        )
        return OK
    found: list[tuple[str, Standing]] = []
    for project, reader in _readers(given):
        found += [
            (project.id, each) for each in budgets.standings(reader, declared, table=given.table)
        ]
    if given.json:
        print_json([{"project": project, **each.row()} for project, each in found])
    else:
        print_table(
            ["budget", "project", "of", "per", "used", "limit", "left", "share", "state"],
            [_standing(project, each) for project, each in found],
        )
    return WRONG if any(each.state == "over" for _, each in found) else OK


def _standing(project: str, each: Standing) -> list[Any]:
    money = each.unit == "usd"
    used = (
        dollars(each.used, each.unpriced + each.unscored) if money else f"{each.used:,.0f} tokens"
    )
    limit, left = (
        (dollars(each.limit), dollars(each.left) if each.left >= 0 else f"-{dollars(-each.left)}")
        if money
        else (f"{each.limit:,.0f}", f"{each.left:,.0f}")
    )
    return [
        each.budget,
        project,
        each.of,
        each.per,
        used,
        limit,
        left,
        f"{each.share:.0%}",
        each.state,
    ]


def _readers(given: argparse.Namespace) -> Iterator[tuple[Project, Reader]]:
    """A reader of each chosen project that has the table."""
    projects = chosen.projects(given)
    having = [project for project in projects if given.table in project.tables()]
    if not having and given.table != DEFAULT_TABLE:
        there = sorted({table for project in projects for table in project.tables()})
        raise NotFound(f"there is no table {given.table}; there is: {', '.join(there) or 'none'}")
    for project in having:
        with _reader(project) as reader:
            yield project, reader


@contextmanager
def _reader(project: Project) -> Iterator[Reader]:
    from llmwatch.stream.query import Reader

    reader = Reader(project)
    try:
        yield reader
    finally:
        reader.close()
