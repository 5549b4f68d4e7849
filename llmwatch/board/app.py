"""The board's web application: the page, what it asks, what it is told, what a person says on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch import settings as settings_
from llmwatch.board import (
    asks,
    compare,
    datasets,
    export,
    live,
    media,
    pages,
    passes,
    rows,
    saved,
    says,
    seeds,
    spec,
)
from llmwatch.board.answers import answer, encoded, safely, told
from llmwatch.board.changes import mark
from llmwatch.board.choice import Choice, choose
from llmwatch.board.desk import Desk
from llmwatch.board.searches import searched_by_now
from llmwatch.board.source import Source
from llmwatch.errors import InvalidBoard, NotFound

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from llmwatch.settings import Settings
    from llmwatch.store import Store

STATIC = files("llmwatch.board") / "static"
_TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "html": "text/html"}


def make_app(
    store: Store,
    settings: Settings | None = None,
    *,
    read_only: bool = False,
    home: str | None = None,
) -> Starlette:
    """An ASGI application to serve or to mount: wrap it in `llmwatch.serve.guard.guarded` with `PAGE_CSP`."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    desk = Desk(store, settings or settings_.current(), read_only=read_only, home=home)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        desk.close()

    from llmwatch.watch.sinks import prometheus

    served = [prometheus.mounted(store, desk.settings), *routes(desk)]
    if not read_only:
        served.append(Mount("/", app=_TraceServer(store, desk.settings)))
    app = Starlette(routes=served, lifespan=lifespan)
    app.state.desk = desk
    return app


class _TraceServer:
    """The trace server at the board's own address, so that one port serves both; made at its first request, as it needs Weave."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._router: Any = None
        self._making = asyncio.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async with self._making:
            if self._router is None:
                self._router = await asyncio.to_thread(self._made)
        await self._router(scope, receive, send)

    def _made(self) -> Any:
        from starlette.routing import Router

        from llmwatch.serve.app import routes as trace_server

        return Router(routes=trace_server(self._store, self._settings))


def routes(desk: Desk) -> list[Any]:
    from starlette.routing import Route

    of_table = "/api/{entity}/{project}/{table}"

    def at(path: str, handler: Any, *methods: str) -> Route:
        return Route(path, safely(partial(handler, desk)), methods=list(methods) or ["GET"])

    return [
        at("/api/tables", tables),
        at("/api/{entity}/{project}/find/row/{id}", find),
        at(of_table, about),
        at(f"{of_table}/ask", ask, "POST"),
        at(f"{of_table}/rows", page, "POST"),
        at(f"{of_table}/row/{{id}}", row),
        at(f"{of_table}/similar/{{id}}", similar),
        at(f"{of_table}/trace/{{id}}", trace),
        at(f"{of_table}/values/{{column:path}}", values),
        at(f"{of_table}/say/{{id}}", say, "POST"),
        at(f"{of_table}/say/{{id}}/{{event}}", take_back, "DELETE"),
        at(f"{of_table}/live", changes),
        at(f"{of_table}/export.{{form}}", exported),
        at(f"{of_table}/seeds/{{name}}", seeded),
        at(f"{of_table}/boards/{{name}}", board, "GET", "PUT"),
        at(f"{of_table}/check", checked, "POST"),
        at(f"{of_table}/changed", changed, "POST"),
        at(f"{of_table}/datasets", in_datasets, "GET", "POST"),
        at("/media/{entity}/{project}/{name:path}", picture),
        at("/static/{name}", static),
        *(at(path, index) for path in ("/", "/{entity}/{project}", "/{entity}/{project}/{table}")),
        at("/{entity}/{project}/rows/{id}", index),
    ]


def _source(desk: Desk, request: Request) -> Source:
    given = request.path_params
    return desk.source(given["entity"], given["project"], given["table"])


async def _asked(request: Request) -> Mapping[str, Any]:
    """The JSON of a request; only JSON, so that no other site's form can send it."""
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise InvalidBoard("send JSON (content-type: application/json)")
    try:
        asked = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise InvalidBoard(f"this is not JSON: {error}") from None
    if not isinstance(asked, dict):
        raise InvalidBoard("send a JSON object")
    return asked


# --- the page ------------------------------------------------------------------------------


async def index(desk: Desk, request: Request) -> Response:
    del desk, request
    return _file("index.html")


async def static(desk: Desk, request: Request) -> Response:
    del desk
    response = _file(request.path_params["name"])
    if "v" in request.query_params:
        response.headers["cache-control"] = "private, max-age=31536000, immutable"
    return response


def _file(name: str) -> Response:
    from starlette.responses import Response

    path = STATIC / name
    if "/" in name or name.startswith(".") or not path.is_file():
        raise NotFound(f"there is no file {name!r}")
    kind = _TYPES.get(name.rpartition(".")[2], "application/octet-stream")
    return Response(path.read_bytes(), media_type=kind)


async def picture(desk: Desk, request: Request) -> Response:
    given = request.path_params
    project = desk.store.project(given["entity"], given["project"])
    return media.served(project.media, given["name"])


# --- what there is -------------------------------------------------------------------------


async def tables(desk: Desk, request: Request) -> Response:
    del request
    return answer(
        {"tables": await desk.run(desk.tables), "home": desk.home, "read_only": desk.read_only}
    )


async def about(desk: Desk, request: Request) -> Response:
    source = _source(desk, request)
    return answer(await desk.run(_about, desk, source, reader=source.reader))


def _about(desk: Desk, source: Source) -> dict[str, Any]:
    columns = source.columns()
    return {
        "table": source.table,
        "project": source.project.id,
        "columns": [seen.to_json() for seen in columns.values()],
        "calls": source.is_calls,
        "seeds": seeds.fitting(source),
        "boards": saved.names(source.project),
        "read_only": desk.read_only,
        "extent": source.extent(),
        "mark": mark(source.project, source.table),
    }


async def seeded(desk: Desk, request: Request) -> Response:
    source, name = _source(desk, request), request.path_params["name"]
    if name == "best":
        name = await desk.run(seeds.best, source)
    return answer((await desk.run(seeds.make, name, source)).to_json())


async def board(desk: Desk, request: Request) -> Response:
    source, name = _source(desk, request), request.path_params["name"]
    if request.method == "GET":
        found = saved.load(source.project, name)
        return answer({**found.to_json(), "history": saved.history(source.project, name)})
    _may_write(desk)
    asked = await _asked(request)
    made = spec.parse({**asked.get("board", {}), "name": name, "table": source.id})
    try:
        version = saved.save(source.project, made, based_on=asked.get("based_on"))
    except saved.SavedMeanwhile as error:
        return answer(told(error), 409)
    return answer({"version": version})


async def checked(desk: Desk, request: Request) -> Response:
    """A spec as somebody types it: what is wrong with it, or the board it is."""
    source = _source(desk, request)
    made = spec.parse(await _asked(request))
    del source
    return answer(made.to_json())


def _may_write(desk: Desk) -> None:
    if desk.read_only:
        raise InvalidBoard("this board is read-only: start it without --read-only to write")


# --- questions -----------------------------------------------------------------------------


async def ask(desk: Desk, request: Request) -> Response:
    """The answers for a page's panels, a JSON line each as it is known; the first line says for which range."""
    from starlette.responses import StreamingResponse

    source, asked = _source(desk, request), await _asked(request)
    panels = spec.parse({"name": "asked", "panels": asked.get("panels") or []}).panels
    choice, head = await desk.run(_chosen, source, asked, reader=source.reader)

    async def told_one_by_one() -> AsyncIterator[bytes]:
        yield encoded(head) + b"\n"
        async for found in passes.answers(desk, source, panels, choice):
            yield encoded(found) + b"\n"
        desk.hold(source)

    return StreamingResponse(told_one_by_one(), media_type="application/x-ndjson")


def _chosen(source: Source, asked: Mapping[str, Any]) -> tuple[Choice, dict[str, Any]]:
    """Looks at the table; the panels that follow ask what was seen here, and of a search what it found by now."""
    source.look()
    with source.steady():
        choice = choose(source, asked)
        over = asks.bins(source, choice)
        head: dict[str, Any] = {
            "range": [choice.start, choice.end],
            "bins": over.to_json() if over else None,
        }
        if choice.search:
            choice, progress = searched_by_now(source, choice)
            head |= {"searched": progress.searched, "of": progress.of}
        return choice, head


async def page(desk: Desk, request: Request) -> Response:
    source, asked = _source(desk, request), await _asked(request)
    return answer(await desk.run(_page, desk, source, asked, reader=source.reader))


def _page(desk: Desk, source: Source, asked: Mapping[str, Any]) -> dict[str, Any]:
    source.look()
    with source.steady():
        return _page_of(desk, source, asked)


def _page_of(desk: Desk, source: Source, asked: Mapping[str, Any]) -> dict[str, Any]:
    choice = choose(source, asked)
    extent = source.extent()
    upto = asked.get("as_of")
    if choice.search:
        pass  # a search goes on while rows come: what it found by now is shown
    elif upto is not None:
        choice = choice.between(choice.start, min(choice.end or int(upto) + 1, int(upto) + 1))
    elif choice.end is None and extent is not None:
        choice = choice.between(choice.start, extent[1] + 1)
    if asked.get("panel_where"):
        choice = choice.also(source, str(asked["panel_where"]))
    found = pages.page(source, desk.orders, choice, asked).to_json()
    return {
        **found,
        "as_of": upto if upto is not None else (extent or (0, 0))[1],
        "start": choice.start,
    }


async def row(desk: Desk, request: Request) -> Response:
    source = _source(desk, request)
    work = partial(
        rows.whole, source, request.path_params["id"], field=request.query_params.get("field")
    )
    return answer(await desk.run(work, reader=source.reader))


async def similar(desk: Desk, request: Request) -> Response:
    source = _source(desk, request)
    return answer(
        {
            "rows": await desk.run(
                rows.similar, source, request.path_params["id"], reader=source.reader
            )
        }
    )


async def trace(desk: Desk, request: Request) -> Response:
    source = _source(desk, request)
    return answer(
        await desk.run(rows.trace, source, request.path_params["id"], reader=source.reader)
    )


async def find(desk: Desk, request: Request) -> Response:
    given = request.path_params
    project = desk.store.project(given["entity"], given["project"])
    source_of = partial(desk.source, given["entity"], given["project"])
    table, trace_id = await desk.run(rows.find, source_of, project.tables(), given["id"])
    return answer({"table": table, "trace_id": trace_id})


async def values(desk: Desk, request: Request) -> Response:
    """The most frequent values of a column, to filter by."""
    source = _source(desk, request)
    panel = spec.Panel("values", "top", column=request.path_params["column"], limit=50)
    asked = {"range": request.query_params.get("range", "auto")}
    choice = await desk.run(choose, source, asked, reader=source.reader)
    return answer(await desk.run(asks.ask, source, panel, choice, reader=source.reader))


async def changed(desk: Desk, request: Request) -> Response:
    source, asked = _source(desk, request), await _asked(request)
    return answer(await desk.run(compare.changed, source, asked, reader=source.reader))


async def exported(desk: Desk, request: Request) -> Response:
    from starlette.responses import StreamingResponse

    source, form = _source(desk, request), request.path_params["form"]
    if form not in ("csv", "jsonl"):
        raise NotFound("an export is export.csv or export.jsonl")
    asked = orjson.loads(request.query_params.get("ask", "{}"))
    choice = await desk.run(choose, source, asked, reader=source.reader)
    kind = "text/csv" if form == "csv" else "application/x-ndjson"
    name = f'attachment; filename="{source.table}.{form}"'
    body = export.lines(source, choice, form, roots=bool(asked.get("roots")))
    return StreamingResponse(body, media_type=kind, headers={"content-disposition": name})


async def changes(desk: Desk, request: Request) -> Response:
    from starlette.responses import StreamingResponse

    return StreamingResponse(
        live.changes(desk, _source(desk, request), request.query_params.get("mark")),
        media_type="text/event-stream",
    )


# --- writing -------------------------------------------------------------------------------


async def say(desk: Desk, request: Request) -> Response:
    _may_write(desk)
    source, row_id = _source(desk, request), request.path_params["id"]
    event = await desk.run(says.say, source, row_id, await _asked(request))
    return answer(
        {
            "id": event,
            "said": (await desk.run(pages.said_about, source, [[row_id]])).get(row_id, []),
        }
    )


async def in_datasets(desk: Desk, request: Request) -> Response:
    source = _source(desk, request)
    if request.method == "GET":
        named = partial(datasets.names, source=source)
        return answer({"names": await desk.run(lambda: named(desk.trace_server()))})
    _may_write(desk)
    return answer(await desk.run(_into_dataset, desk, source, await _asked(request)))


def _into_dataset(desk: Desk, source: Source, asked: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(asked.get("ids"), list):
        ids = [str(row_id) for row_id in asked["ids"]]
    else:
        ids = datasets.chosen(source, choose(source, asked), roots=bool(asked.get("roots")))
    return datasets.add(desk.trace_server(), source, str(asked.get("name") or ""), ids)


async def take_back(desk: Desk, request: Request) -> Response:
    _may_write(desk)
    source, given = _source(desk, request), request.path_params
    await desk.run(says.take_back, source, given["event"])
    return answer(
        {"said": (await desk.run(pages.said_about, source, [[given["id"]]])).get(given["id"], [])}
    )
