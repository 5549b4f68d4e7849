"""`breakers`: how circuit breakers stand, by the newest row of each in each process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmwatch.cli import chosen
from llmwatch.cli.codes import OK
from llmwatch.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    import argparse

    from llmwatch.store import Project

_HEAD = ("project", "breaker", "state", "since", "why", "process")


def add_to(commands: Any) -> None:
    parser = commands.add_parser("breakers", help="how circuit breakers stand")
    parser.add_argument("project", nargs="?", help="project or entity/project (default: all)")
    parser.set_defaults(run=breakers)
    chosen.add_store(parser)
    chosen.add_json(parser)


def breakers(given: argparse.Namespace) -> int:
    found = [
        {"project": project.id, **row}
        for project in chosen.projects(given)
        for row in _standing(project)
    ]
    if given.json:
        print_json(found)
    elif found:
        print_table(_HEAD, [_told(row) for row in found])
    else:
        say("no breaker has changed its state yet")
    return OK


def _standing(project: Project) -> list[dict[str, Any]]:
    from llmwatch.circuit.history import standing
    from llmwatch.stream.query import Reader

    reader = Reader(project)
    try:
        return standing(reader)
    finally:
        reader.close()


def _told(row: dict[str, Any]) -> tuple[Any, ...]:
    from llmwatch.watch.wording import time

    process = f"{row['pid']} on {row['host']}"
    return row["project"], row["breaker"], row["state"], time(row["at_us"]), row["said"], process
