"""`board`: a live page over a table."""

from __future__ import annotations

import contextlib
import webbrowser
from typing import TYPE_CHECKING, Any

from llmwatch import settings
from llmwatch.cli import chosen
from llmwatch.cli.codes import OK
from llmwatch.cli.output import say

if TYPE_CHECKING:
    import argparse


def add_to(commands: Any) -> None:
    parser = commands.add_parser("board", help="open a live page over a table")
    parser.add_argument(
        "table",
        nargs="?",
        help="table, project/table or entity/project/table (default: choose on the page)",
    )
    parser.add_argument(
        "--seed", help="what to show first: traces, llm, quality, product, drift, alerts or simple"
    )
    parser.add_argument("--board", metavar="NAME", help="a saved board to open")
    parser.add_argument("--port", type=int, help="default: 8420, or any that is free")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this machine only)"
    )
    parser.add_argument(
        "--token", help="what a browser has to give; made up when --host is not this machine"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name the server goes by",
    )
    parser.add_argument("--read-only", action="store_true", help="no feedback and no saving")
    parser.add_argument("--no-open", action="store_true", help="do not open a browser")
    parser.set_defaults(run=board)
    chosen.add_store(parser)


def board(given: argparse.Namespace) -> int:
    from llmwatch.board.server import guarded_app, serve
    from llmwatch.serve import guard

    store = chosen.store(given)
    home = _home(given)
    token = given.token
    if token is None and not guard.is_loopback(given.host):
        token = guard.new_token()
    app = guarded_app(
        store,
        settings.load(store=str(store.root)),
        host=given.host,
        token=token,
        read_only=given.read_only,
        home=home,
        also=given.allow_host,
    )

    def ready(address: str) -> None:
        say(f"llmwatch board: {address}{home or '/'}   (store {store.root}; Ctrl-C ends it)")
        if token is not None:
            say(f"token: {token}   (the password that the browser asks for; any user name)")
        if not given.no_open:
            with contextlib.suppress(webbrowser.Error):
                webbrowser.open(f"{address}{home or '/'}")

    with contextlib.suppress(KeyboardInterrupt):
        serve(app, host=given.host, port=given.port, ready=ready)
    return OK


def _home(given: argparse.Namespace) -> str | None:
    """The page of the table that was named, with the seed or the saved board."""
    if given.table is None:
        return None
    table = chosen.table(given)
    chosen_board = (
        f"?board={given.board}" if given.board else f"?seed={given.seed}" if given.seed else ""
    )
    return f"/{table.project.id}/{table.name}{chosen_board}"
