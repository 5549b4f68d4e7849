"""How scoring stands: what each scorer has done, how far behind it is, which rows it failed on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from llmwatch.scoring.configured import lanes
from llmwatch.scoring.live import position_name
from llmwatch.scoring.results import FAILED
from llmwatch.store import EVENTS
from llmwatch.stream.follow import Follower, RecordedReader
from llmwatch.stream.positions import path_of

if TYPE_CHECKING:
    from llmwatch.scoring.live import Lane
    from llmwatch.store import Project, Store


@dataclass
class Standing:
    """One scorer in one project. `behind` is None where it scores no live rows here."""

    project: str
    scorer: str
    live: bool
    scored: int = 0
    last: datetime | None = None
    behind: int | None = None
    to_retry: int = 0
    given_up: int = 0
    last_error: str | None = None


def standings(store: Store, projects: list[Project]) -> list[Standing]:
    """Every scorer that is configured for, or has scored rows of, these projects."""
    configured = lanes(store)
    found: list[Standing] = []
    for project in projects:
        reader = RecordedReader(project)
        try:
            found += _of_project(project, configured, reader)
        finally:
            reader.close()
    return found


def _of_project(project: Project, configured: list[Lane], reader: RecordedReader) -> list[Standing]:
    said = _said(project, reader)
    for lane in configured:
        if lane.only not in (None, project.id):
            continue
        behind = _behind(project, lane, reader)
        for spec in lane.specs:
            standing = said.setdefault(spec.name, Standing(project.id, spec.name, live=True))
            standing.live, standing.behind = True, behind
    return [said[name] for name in sorted(said)]


def _said(project: Project, reader: RecordedReader) -> dict[str, Standing]:
    rows = reader.execute(
        "SELECT name, count(DISTINCT row_id) FILTER (kind = 'score'), max(ts) FILTER (kind = 'score'), "
        "count(*) FILTER (kind = ? AND NOT (value->>'given_up')::BOOLEAN), "
        "count(*) FILTER (kind = ? AND (value->>'given_up')::BOOLEAN), "
        "max_by(value->>'error', ts) FILTER (kind = ?) "
        "FROM said.events WHERE kind IN ('score', ?) GROUP BY name",
        [FAILED] * 4,
        [EVENTS],
    ).rows
    return {
        name: Standing(project.id, name, False, scored, last, None, to_retry, given_up, error)
        for name, scored, last, to_retry, given_up, error in rows
    }


def _behind(project: Project, lane: Lane, reader: RecordedReader) -> int | None:
    """Rows that the lane has not looked at; None when it has not begun."""
    name = position_name(lane.name)
    total: int | None = None
    for table in project.tables():
        if path_of(project, name, table).exists():
            follower = Follower(project, table, name, reader=reader)
            total = (total or 0) + follower.lag()
            follower.close()
    return total
