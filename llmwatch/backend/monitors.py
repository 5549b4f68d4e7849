"""`weave.Monitor` objects that are active: which calls they want scored, by which scorers, and how many of them.

Published by any client (`monitor.activate()`), in process or over HTTP; the scoring run asks here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmwatch.backend import saved_queries
from llmwatch.backend.call_query import TABLE, CallQuery

if TYPE_CHECKING:
    from llmwatch.backend.objects import Objects
    from llmwatch.backend.versions import Version
    from llmwatch.settings import Settings
    from llmwatch.store import Project
    from llmwatch.stream.query import Reader

CLASS = "Monitor"


@dataclass(frozen=True)
class Monitor:
    """What an active monitor asks for."""

    name: str
    ref: str
    scorers: tuple[str, ...]
    """Refs of published scorers; loading one runs stored code unless its class is known here."""
    op_names: tuple[str, ...] = ()
    """Refs of ops, `:*` at the end for any version; none is any op."""
    sampling_rate: float = 1.0
    query: Mapping[str, Any] | None = field(default=None, compare=False)
    is_traced: bool = True

    def samples(self, row_id: str) -> bool:
        """Whether the row is in the sample: always the same answer for the same row."""
        drawn = hashlib.blake2b(f"{self.name}\0{row_id}".encode("utf-8", "replace"), digest_size=8)
        return int.from_bytes(drawn.digest(), "big") < self.sampling_rate * 2**64

    def wanted(self, reader: Reader, project_id: str, row_ids: Iterable[str]) -> set[str]:
        """Those of some ended calls that the monitor wants scored: by op, query and sample."""
        sampled = list(filter(self.samples, row_ids))
        if not sampled:
            return set()
        asked = CallQuery(
            {
                "project_id": project_id,
                "filter": {"call_ids": sampled, "op_names": list(self.op_names)},
                "query": self.query,
            }
        )
        where = asked.where()
        sql = f'SELECT c.id FROM "{TABLE}" c WHERE c.ended_at IS NOT NULL AND {where.text}'
        return {row[0] for row in reader.execute(sql, where.params, asked.tables).rows}


def active(
    project: Project,
    settings: Settings,
    reader: Callable[[], Reader] | None = None,
    objects: Objects | None = None,
) -> list[Monitor]:
    """The monitors of a project whose latest version is active, by name."""
    from llmwatch.backend.objects import Objects
    from llmwatch.stream.query import Reader

    if objects is None:
        own: list[Reader] = []

        def made() -> Reader:
            own[:] = own or [Reader(project, settings)]
            return own[0]

        objects = Objects(project, settings, reader or made)
        try:
            return active(project, settings, reader, objects)
        finally:
            for each in own:
                each.close()
    found = (_monitor(project.id, v, objects.value(v.digest)) for v in objects.latest_of(CLASS))
    return sorted((each for each in found if each is not None), key=lambda each: each.name)


def _monitor(project_id: str, version: Version, val: Any) -> Monitor | None:
    if not isinstance(val, Mapping) or val.get("active") is not True:
        return None
    query = val.get("query")
    rate = val.get("sampling_rate")
    return Monitor(
        name=version.object_id,
        ref=f"weave:///{project_id}/object/{version.object_id}:{version.digest}",
        scorers=_texts(val.get("scorers")),
        op_names=_texts(val.get("op_names")),
        sampling_rate=float(rate) if isinstance(rate, (int, float)) else 1.0,
        query=saved_queries.plain(query) if isinstance(query, Mapping) else None,
        is_traced=val.get("is_traced") is not False,
    )


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(each for each in values or () if isinstance(each, str))
