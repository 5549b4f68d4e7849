"""FastAPI, Starlette and any ASGI application: each request is a row, and what is traced in it nests below.

app.add_middleware(llmwatch.integrations.asgi.Middleware, user="x-user-id")
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from fnmatch import translate
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Literal, get_args

from llmwatch import faults
from llmwatch.errors import SettingsError
from llmwatch.integrations import routes
from llmwatch.tracing import calls, recorder, traceparent
from llmwatch.tracing.context import context
from llmwatch.tracing.generators import unrecorded
from llmwatch.tracing.op import make_op
from llmwatch.tracing.options import Options
from llmwatch.tracing.plan import Plan

if TYPE_CHECKING:
    from starlette.routing import Route

    from llmwatch.tracing.row import Row

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Who = str | Callable[[Any], str | None] | None
"""A header's name, or a function of Starlette's `HTTPConnection` (headers, cookies, session, user, ...)."""
Parents = Literal["llmwatch", "all", "none"]

EXCLUDED = ("/health*", "/livez", "/readyz", "/ping", "/metrics", "/favicon.ico")


class ErrorAnswer(Exception):
    """What the row of a request says that was answered with a status of 400 or more."""


class Middleware:
    """Records each HTTP request as a row of kind `request`. It changes no answer, and fails none.

    user, session: whose request it is: a header's name, or a function of a Starlette `HTTPConnection`.
    exclude: paths that are not recorded (patterns as `/health*`); what is traced in them is then recorded by itself.
    parents: whose `traceparent` makes the request part of a caller's row: of `llmwatch` (default), of `all` tools, of
        `none`. Of other tools the trace id alone is taken, so that the request is still the root of what is recorded.
    sample_rate: the share of requests that is recorded, each with all that is traced in it.
    table: where requests go instead of `traces`, with what is traced in them.
    unrouted: record requests that no route fits, too (404): mostly those of scanners.
    row_header: answers get a header of this name with the row's id, to send feedback to. None (default): no change.
    """

    def __init__(
        self,
        app: App,
        *,
        user: Who = None,
        session: Who = None,
        exclude: Iterable[str] = EXCLUDED,
        parents: Parents = "llmwatch",
        sample_rate: float = 1.0,
        table: str | None = None,
        row_header: str | None = None,
        unrouted: bool = False,
    ) -> None:
        if parents not in get_args(Parents):
            raise SettingsError(
                f"parents is one of {', '.join(get_args(Parents))}, not {parents!r}"
            )
        self.app = app
        self._user, self._session = user, session
        patterns = (exclude,) if isinstance(exclude, str) else tuple(exclude)
        self._excluded = re.compile("|".join(map(translate, patterns)) or "(?!)").match
        self._options = _Wanted(
            parents, unrouted, row_header.lower().encode("latin-1") if row_header else None
        )
        self._plan = _plan(Options(kind="request", tracing_sample_rate=sample_rate, table=table))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        around: AbstractContextManager[_Request | None] = nullcontext()
        with faults.contained("a request could not be recorded", lost=1):
            around = self._around(scope)
        with around as request:
            if request is None:
                await self.app(scope, receive, send)
            else:
                await request.run(self.app, scope, receive, send)

    def _around(self, scope: Scope) -> AbstractContextManager[_Request | None]:
        if scope["type"] != "http" or _MARK in scope or self._is_excluded(scope):
            return nullcontext()
        if recorder.active() is None:
            recorder.hint()
            return nullcontext()
        scope[_MARK] = True  # an application mounted below may have the middleware, too
        return _Recorded(self._plan, scope, self._belonging(scope), self._options)

    def _is_excluded(self, scope: Scope) -> bool:
        path, root = scope["path"], scope.get("root_path")
        if self._excluded(path):
            return True
        return bool(root) and self._excluded(path.removeprefix(root)) is not None

    def _belonging(self, scope: Scope) -> dict[str, str]:
        found = {}
        for name, who in (("user_id", self._user), ("session_id", self._session)):
            with faults.contained(f"the {name} of a request could not be found"):
                if value := whose(who, scope):
                    found[name] = value
        return found


def feedback_route(path: str = "/feedback", **options: Any) -> Route:
    """A route that a thumbs button can post to; see `llmwatch.integrations.thumbs.Thumbs` for its options.

    `app.router.routes.append(feedback_route())`, or `Starlette(routes=[feedback_route(), ...])`.
    """
    from starlette.routing import Route

    from llmwatch.integrations.thumbs import Thumbs

    return Route(path, endpoint=Thumbs(**options))


def whose(who: Who, scope: Scope) -> str | None:
    """What a header or the application's own function says."""
    if who is None:
        return None
    if isinstance(who, str):
        return header(scope, who)
    from starlette.requests import HTTPConnection

    found = who(HTTPConnection(scope))
    return None if found is None else str(found)


def header(scope: Scope, name: str) -> str | None:
    wanted = name.lower().encode("latin-1")
    for key, value in scope["headers"]:
        if key.lower() == wanted:
            return bytes(value).decode("latin-1")
    return None


_MARK = "llmwatch.request"
_SENT_IN_VAIN = "ClientDisconnect"  # Starlette's


def _plan(options: Options) -> Plan:
    def request(method: str, path: str, query: str) -> None:
        """What rows of requests are calls of."""

    plan = Plan(request, options, "function")
    make_op(request, plan, "function")
    return plan


@dataclass(frozen=True)
class _Wanted:
    """What a middleware was told that matters to each request."""

    parents: Parents
    unrouted: bool
    row_header: bytes | None


class _Recorded:
    """The blocks around a request: whose it is, whose trace it is part of, and its row on the stack."""

    def __init__(
        self, plan: Plan, scope: Scope, belonging: dict[str, str], wanted: _Wanted
    ) -> None:
        self._plan, self._scope, self._wanted = plan, scope, wanted
        self._belonging: dict[str, Any] = dict(belonging)
        self._foreign: tuple[str, str] | None = None
        self._blocks = ExitStack()
        if wanted.parents != "none":
            self._find_caller()

    def _find_caller(self) -> None:
        said, state = header(self._scope, "traceparent"), header(self._scope, "tracestate")
        caller = traceparent.parse(said, state) if said else None
        if caller is None:
            return
        if (
            self._wanted.parents == "all" or "-" in caller[1]
        ):  # a row's id has dashes, a span's has none
            self._belonging.update(traceparent=said, tracestate=state)
        else:
            self._foreign = caller

    def __enter__(self) -> _Request | None:
        with faults.contained("a request could not be recorded", lost=1):
            return self._begin()
        return None

    def _begin(self) -> _Request | None:
        if self._belonging:
            self._blocks.enter_context(context(**self._belonging))
        scope = self._scope
        query = scope.get("query_string", b"").decode("latin-1")
        row = calls.begin(self._plan, (scope["method"], scope["path"], query), {})
        if row:
            self._blocks.callback(calls.leave, row)
            return _Request(row, scope, self._foreign, self._wanted)
        active = recorder.active()
        if row is not None and active is not None:  # not sampled, with all that is traced in it
            self._blocks.enter_context(unrecorded(active.enabled))
        return None

    def __exit__(self, *_: object) -> None:
        with faults.contained("what was set around a request could not be taken back"):
            self._blocks.close()


class _Request:
    """One request whose row has begun. The row ends with the answer's last byte, not with what runs after it."""

    def __init__(
        self, row: Row, scope: Scope, foreign: tuple[str, str] | None, wanted: _Wanted
    ) -> None:
        self._row, self._scope, self._wanted = row, scope, wanted
        self._root_path = str(scope.get("root_path", "")).rstrip("/")
        self._http: dict[str, Any] = {"method": scope["method"]}
        self._ended = self._left = False
        row._prompt_chars = 0  # a path is no prompt
        if foreign is not None:
            row.trace_id, self._http["parent_span"] = foreign

    async def run(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, self._receiving(receive), self._sending(send))
        except BaseException as error:
            self._end(error)
            raise
        self._end(None)

    def _receiving(self, receive: Receive) -> Receive:
        async def received() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                self._left = True
            return message

        return received

    def _sending(self, send: Send) -> Send:
        async def sent(message: Message) -> None:
            kind = message["type"]
            if kind == "http.response.start":
                message = self._started(message)
            await send(message)
            if kind == "http.response.body":
                if not message.get("more_body"):
                    self._end(None, complete=True)
                elif not self._row._first_ns and message.get("body"):
                    self._row._first_ns = perf_counter_ns()
            elif kind == "http.response.pathsend":
                self._end(None, complete=True)

        return sent

    def _started(self, message: Message) -> Message:
        self._http["status_code"] = message["status"]
        if self._wanted.row_header is None:
            return message
        given = (self._wanted.row_header, self._row.id.encode())
        return {**message, "headers": [*message.get("headers", ()), given]}

    def _end(self, error: BaseException | None, *, complete: bool = False) -> None:
        if self._ended:
            return
        self._ended = True
        with faults.contained("the end of a request could not be recorded", lost=1):
            self._finish(error, complete=complete)

    def _finish(self, error: BaseException | None, *, complete: bool) -> None:
        http, row = self._http, self._row
        kind = type(error).__name__
        if (self._left or kind == _SENT_IN_VAIN) and not complete:
            http["client_left"] = True
            error = None if kind in {_SENT_IN_VAIN, "CancelledError"} else error
        if "status_code" not in http and isinstance(error, Exception):
            http["status_code"] = 500  # which the server, or a layer around this one, answers
        with faults.contained("the route of a request could not be found"):
            if route := routes.template(self._scope, self._root_path):
                http["route"] = route
        if "route" not in http and self._is_a_strangers():
            return  # its row is never written
        row._given_name = f"{http['method']} {http.get('route', '(no route)')}"
        row.add_data({"http": http})
        calls.finish(row, None, error or self._complaint())

    def _is_a_strangers(self) -> bool:
        """Whether it asked for a path that the application does not have; other frameworks' are not known."""
        known = hasattr(self._scope.get("app"), "routes")
        return known and self._http.get("status_code") == 404 and not self._wanted.unrouted

    def _complaint(self) -> ErrorAnswer | None:
        status = self._http.get("status_code")
        if status is None:
            return (
                None
                if "client_left" in self._http
                else ErrorAnswer("the application did not answer")
            )
        return ErrorAnswer(f"{self._row._given_name} answered {status}") if status >= 400 else None
