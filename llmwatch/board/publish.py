"""A board in Weave: a saved view of its table, here and at W&B, and a workspace over the metrics that are logged there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmwatch import destination, settings
from llmwatch.board import measures, spec

if TYPE_CHECKING:
    from llmwatch.board.spec import Board, Filter, Panel
    from llmwatch.destination import Wanted
    from llmwatch.store import Project

_PATHS = {
    "timestamp": "started_at",
    "latency_ms": "summary.weave.latency_ms",
    "status": "summary.weave.status",
    "cost_usd": "summary.weave.costs",
    "user_id": "wb_user_id",
    "session_id": "thread_id",
}
"""Columns by the names that Weave's calls have for them; any other is as it is."""
_AXES = {"latency_ms": "latency", "cost_usd": "cost"}
_AGGREGATES = {"avg": "average", "sum": "sum", "min": "min", "max": "max"}
_SYMBOLS = {"=": "$eq", ">": "$gt", ">=": "$gte", "contains": "$contains"}
_NOT = {"!=": "=", "<": ">=", "<=": ">"}
_GROUPS = (
    ("Latency", "latency/.*"),
    ("Errors", "errors/.*"),
    ("Traffic", "throughput/.*"),
    ("Cost", "cost/.*"),
    ("Drift", "drift/.*"),
    ("Quality", "performance/.*"),
    ("Predictions", "predictions/.*"),
)
"""What a workspace shows of the metrics that the worker logs."""


@dataclass(frozen=True)
class Published:
    """What was made, by its address; what was not, and why, is in `notes`."""

    view: str
    """The saved view in the project of this machine."""
    wandb_view: str | None = None
    workspace: str | None = None
    notes: list[str] = field(default_factory=list)


def publish(
    board: Board, *, store: str | Path | None = None, wandb: bool | None = None
) -> Published:
    """Save the board as a Weave saved view of its table; also at W&B where the project is sent there, or `wandb=True`."""
    checked = spec.parse(board.to_json())
    project = board._project(store)
    val = saved_view(checked)
    view = _publish_here(project, checked.name, val, store)
    wanted = destination.read(project)
    if not (wanted.on if wandb is None else wandb):
        return Published(view, notes=["kept on this machine: the project is not sent to W&B"])
    if destination.credentials(wanted.base_url) is None:
        return Published(view, notes=[f"nobody is logged in to {wanted.base_url}: `wandb login`"])
    return _publish_there(view, checked, val, wanted if wanted.on else _meant(project))


def saved_view(board: Board) -> Any:
    """The board as Weave's SavedView: its conditions, its columns in order, and a chart for each panel that Weave can draw."""
    from weave.trace.builtin_object_classes import saved_view as weave_view

    rows = next((panel for panel in board.panels if panel.kind == "rows"), None)
    definition = weave_view.SavedViewDefinition(
        filter={"trace_roots_only": True} if rows and rows.roots else None,
        query=_query(board.filters),
        columns=_columns(rows) or None,
        sort_by=_sort(rows),
        charts=list(_charts(board)) or None,
    )
    return weave_view.SavedView(
        view_type="traces", label=board.title or board.name, definition=definition
    )


def _path(column: str) -> str:
    return _PATHS.get(column, column)


def _query(filters: list[Filter]) -> Any:
    clauses = [clause for chip in filters for clause in [_clause(chip)] if clause is not None]
    return {"$expr": {"$and": clauses}} if clauses else None


def _clause(chip: Filter) -> Any:
    """A chip in Weave's query language; None for what it has no word for."""
    of = {"$getField": _path(chip.column)}
    if chip.op in _NOT:
        return {"$not": [_clause(type(chip)(chip.column, _NOT[chip.op], chip.value))]}
    if chip.op == "contains":
        return {"$contains": {"input": of, "substr": {"$literal": str(chip.value)}}}
    if chip.op == "in":
        return {"$in": [of, [{"$literal": value} for value in chip.value]]}
    if chip.op in ("null", "not null"):
        empty = {"$eq": [of, {"$literal": None}]}
        return empty if chip.op == "null" else {"$not": [empty]}
    return {_SYMBOLS[chip.op]: [of, {"$literal": chip.value}]}


def _columns(rows: Panel | None) -> list[dict[str, Any]]:
    names = rows.columns if rows and rows.columns else ()
    return [{"path": _path(name).split("."), "label": name} for name in names]


def _sort(rows: Panel | None) -> Any:
    if rows is None or not rows.sort:
        return None
    down = rows.sort.startswith("-")
    return [{"field": _path(rows.sort.lstrip("-")), "direction": "desc" if down else "asc"}]


def _charts(board: Board) -> Iterator[dict[str, Any]]:
    for panel in board.panels:
        if panel.kind not in ("lines", "bars") or panel.source or not panel.measure:
            continue
        measure = measures.parse(panel.measure)
        aggregate = _aggregate(measure)
        if measure.column is None or aggregate is None:
            continue
        yield {
            "x_axis": "started_at",
            "y_axis": _AXES.get(measure.column, measure.column),
            "plot_type": "line" if panel.kind == "lines" else "bar",
            "aggregation": aggregate,
            "group_keys": [panel.by] if panel.by else None,
            "custom_name": panel.title or None,
        }


def _aggregate(measure: measures.Measure) -> str | None:
    if measure.percentile is not None:
        named = f"p{measure.percentile:g}"
        return named if named in ("p95", "p99") else None
    return _AGGREGATES.get(measure.function)


# --- where it goes -------------------------------------------------------------------------


def _request(project_id: str, name: str, view: Any) -> dict[str, Any]:
    made = {"object_id": name, "val": view.model_dump(), "builtin_object_class": "SavedView"}
    return {"obj": {"project_id": project_id, **made}}


def _publish_here(project: Project, name: str, view: Any, store: str | Path | None) -> str:
    from llmwatch.backend.server import LocalTraceServer

    chosen = settings.load(store=str(store)) if store else settings.current()
    server = LocalTraceServer(project.store, chosen)
    digest = server.obj_create(_request(project.id, name, view)).digest
    return f"weave:///{project.id}/object/{name}:{digest}"


def _meant(project: Project) -> Wanted:
    """Where the project would be sent, for one that asks for it once."""
    return destination.Wanted(
        entity="" if project.entity == "local" else project.entity,
        project=project.name,
        base_url=destination.base_url(),
        trace_url=destination.trace_url(),
    )


def _publish_there(here: str, board: Board, view: Any, wanted: Wanted) -> Published:
    from llmwatch.forward.connection import Connection

    connection = Connection(wanted)
    try:
        project_id = connection.project_id
        connection.ask("obj_create", _request(project_id, board.name, view))
    finally:
        connection.close()
    address = f"{wanted.base_url}/{project_id}/weave/traces?view={board.name}"
    workspace, note = _workspace(board, project_id)
    return Published(here, address, workspace, [note] if note else [])


def _workspace(board: Board, project_id: str) -> tuple[str | None, str]:
    """A workspace over the runs that the worker logs metrics to; needs a package of W&B's."""
    try:
        from wandb_workspaces import workspaces  # type: ignore[import-not-found]
        from wandb_workspaces.reports import v2 as reports  # type: ignore[import-not-found]
    except ImportError:
        return None, "for a workspace over the metrics: pip install wandb-workspaces"
    entity, _, name = project_id.partition("/")
    sections = [
        workspaces.Section(
            name=title,
            panels=[reports.LinePlot(title=title, x="window_time", metric_regex=of)],
            is_open=title in ("Latency", "Errors"),
        )
        for title, of in _GROUPS
    ]
    made = workspaces.Workspace(
        entity=entity, project=name, name=board.title or board.name, sections=sections
    )
    return str(made.save().url), ""
