"""`up`: the worker of a store, in the foreground."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from llmwatch import settings
from llmwatch.cli import chosen
from llmwatch.cli.codes import OK, WRONG
from llmwatch.cli.output import say
from llmwatch.store import open_store

if TYPE_CHECKING:
    import argparse


def add_to(commands: Any) -> None:
    parser = commands.add_parser("up", help="be the store's worker until told to stop")
    parser.add_argument("--once", action="store_true", help="do what is due one time, and end")
    parser.set_defaults(run=up)
    chosen.add_store(parser)


def up(given: argparse.Namespace) -> int:
    """Exits with 1 when the store has a worker already."""
    from llmwatch import worker

    store = open_store(given.store)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("llmwatch").setLevel(logging.INFO)
    if worker.run(store, settings.load(store=str(store.root)), once=given.once):
        return OK
    say(f"llmwatch: {store.root} has a worker already")
    return WRONG
