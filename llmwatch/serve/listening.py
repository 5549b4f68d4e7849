"""A web application of ours on a socket: bound first, so that its address can be told, then served until told to stop."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmwatch.errors import MissingExtra, StoreError
from llmwatch.serve.guard import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmwatch.serve.guard import App

PORT, HIGHEST_PORT = 8321, 65535
_ANY_PORT = "--port 0 takes any that is free"
_ANY = ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound
ANY_KEY = "llmwatch" * 5
"""What stands for an API key where none is asked for: W&B's clients want 40 characters."""


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """How a program on this machine, or one that knows the host by that name, asks it."""
        host = socket.gethostname() if self.host in _ANY else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def is_private(self) -> bool:
        return is_loopback(self.host)


def environment(address: Address, token: str | None) -> dict[str, str]:
    """What Weave's own clients need in their environment to log here and to read from here."""
    return {
        "WANDB_BASE_URL": address.url,
        "WF_TRACE_SERVER_URL": address.url,
        "WANDB_API_KEY": token or ANY_KEY,
    }


def bound(host: str, port: int) -> tuple[socket.socket, Address]:
    """A listening socket, and where it is; port 0 is any that is free."""
    if not 0 <= port <= HIGHEST_PORT:
        raise StoreError(
            f"cannot listen on {host}:{port}: a port is at most {HIGHEST_PORT}; {_ANY_PORT}"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host.strip("[]"), port), family=family, backlog=512)
    except OSError as error:
        why = error.strerror or error
        raise StoreError(f"cannot listen on {host}:{port}: {why}; {_ANY_PORT}") from error
    return listening, Address(host.strip("[]"), listening.getsockname()[1])


def serve(app: App, listening: socket.socket, ready: Callable[[], None] | None = None) -> None:
    """Serve until told to stop (Ctrl-C, SIGTERM), then finish what is under way."""
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtra("board", "serving the store over HTTP") from error

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="off",
        timeout_keep_alive=65,
        timeout_graceful_shutdown=10,
    )
    server = uvicorn.Server(config)
    if ready is not None:
        ready()
    with listening:
        server.run(sockets=[listening])
