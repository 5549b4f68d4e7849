"""`doctor`: what is wrong with this machine or this store, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from llmwatch.cli import chosen
from llmwatch.cli.codes import OK, WRONG
from llmwatch.cli.output import print_json, print_line

if TYPE_CHECKING:
    import argparse

_MARKS = {"ok": "ok   ", "warning": "warn ", "wrong": "WRONG"}


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "doctor", help="what is wrong with this machine or store, and what to do"
    )
    parser.set_defaults(run=doctor)
    chosen.add_store(parser)
    chosen.add_json(parser)


def doctor(given: argparse.Namespace) -> int:
    """Exits with 1 when something is wrong; a warning is not."""
    from llmwatch.cli.checks import checks

    findings = list(checks(given.store))
    if given.json:
        print_json([asdict(finding) for finding in findings])
    for finding in findings if not given.json else ():
        print_line(f"{_MARKS[finding.level]} {finding.about}: {finding.said}")
    return WRONG if any(finding.level == "wrong" for finding in findings) else OK
