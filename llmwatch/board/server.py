"""`llmwatch board`: the board on a port, this machine's own unless said otherwise."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from llmwatch.errors import LlmwatchError, MissingExtra
from llmwatch.serve.guard import PAGE_CSP

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Store

PORT = 8420
"""Where `row.ui_url` points; another one is taken when it is in use and none was asked for."""


_FRAMED = PAGE_CSP.replace(
    "frame-ancestors 'none'",
    "frame-ancestors http://localhost:* http://127.0.0.1:* https://localhost:*",
)
"""For a notebook of this machine. Browsers let it overrule X-Frame-Options."""


def start(root: str) -> str:
    """Serve a store from a thread of this process, to pages of this machine that frame it; returns the address."""
    import threading

    from llmwatch import settings
    from llmwatch.store import open_store

    ready, address = threading.Event(), []

    def told(where: str) -> None:
        address.append(where)
        ready.set()

    app = guarded_app(open_store(root), settings.load(store=root), framed=True)
    threading.Thread(
        target=serve,
        args=(app,),
        kwargs={"port": 0, "ready": told},
        daemon=True,
        name="llmwatch-board",
    ).start()
    ready.wait(30)
    return address[0]


def guarded_app(
    store: Store,
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    read_only: bool = False,
    home: str | None = None,
    also: Sequence[str] = (),
    framed: bool = False,
) -> Any:
    """The board behind the checks that every web application of ours has."""
    try:
        from llmwatch.board.app import make_app
        from llmwatch.serve import guard

        app = make_app(store, settings, read_only=read_only, home=home)
        app.state.desk.warm_up()
    except ImportError as error:
        raise MissingExtra("board", "llmwatch board") from error
    return guard.guarded(
        app,
        hosts=guard.hosts_for(host, also),
        token=token,
        csp=_FRAMED if framed else guard.PAGE_CSP,
    )


def serve(
    app: Any,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until interrupted; `ready` is called with the address once it can be opened."""
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtra("board", "llmwatch board") from error
    with listening(host, port) as bound:
        shown = "localhost" if host in ("127.0.0.1", "::1", "localhost") else host
        config = uvicorn.Config(
            app, log_level="critical", access_log=False, timeout_graceful_shutdown=1, lifespan="on"
        )
        server = uvicorn.Server(config)
        ready(f"http://{shown}:{bound.getsockname()[1]}")
        server.run(sockets=[bound])


@contextlib.contextmanager
def listening(host: str, port: int | None) -> Iterator[socket.socket]:
    """A socket on the port asked for; without one, on the board's own or any that is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for candidate in (PORT, 0) if port is None else (port,):
            try:
                bound.bind((host, candidate))
                break
            except OSError as error:
                if port is not None:
                    raise LlmwatchError(
                        f"port {port} of {host} is in use; give another with --port"
                    ) from error
        bound.listen(128)
        yield bound
