"""The datasets of a project, as Weave's trace server has them: their names, their rows, a new version."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmwatch.datasets.records import EXPECTED_LABEL, records
from llmwatch.errors import InvalidName, NotFound

if TYPE_CHECKING:
    from llmwatch.store import Project
    from llmwatch.stream.query import Reader

MOST = 1000
"""Rows that are added at once."""
_one_at_a_time = threading.Lock()


def names(server: Any, project: Project) -> list[str]:
    """The datasets that the project has."""
    asked = {"base_object_classes": ["Dataset"], "latest_only": True, "is_op": False}
    found = server.objs_query({"project_id": project.id, "filter": asked}).objs
    return sorted({one.object_id for one in found})


def add_rows(
    server: Any,
    reader: Reader,
    table: str,
    name: str,
    ids: Sequence[str],
    label: str = EXPECTED_LABEL,
) -> dict[str, Any]:
    """A new version of the dataset with these rows; one that is in it already is replaced, as it may be corrected since."""
    name, project = checked(name), reader.project
    if not ids:
        raise InvalidName("no row was chosen for the dataset")
    with _one_at_a_time:
        before = rows(server, project, name) if name in names(server, project) else []
        made = records(reader, table, ids[:MOST], label)
        fresh = {record["row"] for record in made}
        kept = [row for row in before if row.get("row") not in fresh]
        server.dataset_create({"project_id": project.id, "name": name, "rows": [*kept, *made]})
    return {
        "name": name,
        "rows": len(kept) + len(made),
        "added": len(kept) + len(made) - len(before),
        "corrected": sum(record["expected"] is not None for record in made),
    }


def rows(server: Any, project: Project, name: str, version: str = "latest") -> list[dict[str, Any]]:
    """The rows of a version of a dataset (`latest`, `v3`, a digest), which has to be there."""
    known = names(server, project)
    if name not in known:
        there = ", ".join(known) or "none"
        raise NotFound(f"there is no dataset {name!r} in {project.id}; there is: {there}")
    where = {"project_id": project.id, "object_id": name, "digest": version}
    table = server.obj_read(where).obj.val["rows"].rpartition("/")[2]
    found = server.table_query({"project_id": project.id, "digest": table}).rows
    return [row.val for row in found]


def checked(name: Any) -> str:
    if not isinstance(name, str) or not name.strip() or len(name) > 128:
        raise InvalidName("a dataset has a name of 1 to 128 characters")
    return name.strip()
