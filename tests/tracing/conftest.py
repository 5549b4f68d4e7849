"""A project that traced functions record to, and its rows as the reader gives them."""

from __future__ import annotations

import json

import pytest

from llmwatch import settings
from llmwatch.stream.query import Reader
from llmwatch.tracing import recorder

JSON = ("inputs", "output", "attributes", "summary")


class Recorded:
    def __init__(self, project):
        self.project = project

    def rows(self, table="traces"):
        found = Reader(self.project).execute(
            f'SELECT * FROM "{table}" ORDER BY ts, seq', tables=(table,)
        )
        return [_readable(row) for row in found.dicts()]

    def only(self, table="traces"):
        (row,) = self.rows(table)
        return row

    def named(self, name):
        return [row for row in self.rows() if row["op_name"] == name]


def _readable(row):
    known = {name: value for name, value in row.items() if value is not None}
    return {n: json.loads(v) if n in JSON else v for n, v in known.items()}


@pytest.fixture
def recorded(llmwatch_store):
    project = llmwatch_store.project("local", "demo")
    recorder.configure(project, settings.current())
    yield Recorded(project)
    recorder.deactivate()
