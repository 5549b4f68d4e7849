"""`doctor`: what is wrong with this machine or this store, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from llmwatch import settings
from llmwatch.cli import chosen
from llmwatch.cli.codes import OK, WRONG
from llmwatch.cli.findings import Finding
from llmwatch.cli.output import print_json, print_line
from llmwatch.errors import SettingsError, StoreError
from llmwatch.store import Store, locate

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

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
    findings = []
    for finding in _findings(given.store):
        findings.append(finding)
        if not given.json:
            print_line(f"{_MARKS[finding.level]} {finding.about}: {finding.said}")
    if given.json:
        print_json([asdict(finding) for finding in findings])
    return WRONG if any(finding.level == "wrong" for finding in findings) else OK


def _findings(path: str | None) -> Iterator[Finding]:
    """Of the installation, then of the store, which nobody can name while the settings cannot be read."""
    from llmwatch.cli import checks, installation

    yield from installation.checks()
    try:
        root = locate(path)
        settings.current()
    except SettingsError:
        if path is None:
            yield Finding("store", "warning", "not looked at: the settings say where it is")
            return
        settings.use(settings.Settings(store=path))
    except StoreError as error:
        yield Finding("store", "wrong", str(error))
        return
    yield from checks.checks(Store(root))
