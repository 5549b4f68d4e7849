"""`llmwatch serve`: the store over HTTP, for Weave's own clients and for OpenTelemetry."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from llmwatch import settings
from llmwatch.cli import chosen
from llmwatch.cli.codes import OK
from llmwatch.cli.output import print_line, say
from llmwatch.store import open_store

if TYPE_CHECKING:
    import argparse

    from llmwatch.serve.listening import Address

TOKEN = "LLMWATCH_TOKEN"  # noqa: S105 - the name of a variable


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("serve", help="the store over HTTP, as a Weave trace server")
    parser.add_argument(
        "--host", default="127.0.0.1", help="where to listen (default: this machine only)"
    )
    parser.add_argument(
        "--port", type=int, default=None, help="0 takes any that is free (default: 8321)"
    )
    parser.add_argument(
        "--token",
        help=f"what clients have to know, also from {TOKEN}; off loopback one is made when none is given",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name that the server goes by",
    )
    parser.set_defaults(run=serve)
    chosen.add_store(parser)


def serve(given: argparse.Namespace) -> int:
    from llmwatch.serve import app, guard, listening

    store = open_store(given.store)
    token = given.token or os.environ.get(TOKEN)
    if token is None and not guard.is_loopback(given.host):
        token = guard.new_token()
    loaded = settings.load(store=str(store.root))
    hosts = guard.hosts_for(given.host, given.allow_host)
    application = app.application(store, loaded, hosts=hosts, token=token)
    port = listening.PORT if given.port is None else given.port
    socket, address = listening.bound(given.host, port)
    listening.serve(application, socket, ready=lambda: _tell(str(store.root), address, token))
    return OK


def _tell(store: str, address: Address, token: str | None) -> None:
    """The variables on the output, as a shell takes them; what they are for beside it."""
    from llmwatch.serve.listening import environment

    whom = "this machine only" if address.is_private else "whoever has the token"
    say(f"llmwatch: serving {store} at {address.url}, for {whom}")
    say("Weave's client (Python or npm), unmodified, logs here with these three variables:")
    for name, value in environment(address, token).items():
        print_line(f"export {name}={value}")
    headers = f" with the header Authorization: Bearer {token}" if token else ""
    say(f"OpenTelemetry exports traces to {address.url}/otel/v1/traces{headers}")
