"""Rows that wait to be sent elsewhere are left by retention, up to a bound that is said."""

from __future__ import annotations

import time

import pytest

from llmwatch import StreamTable, clock, settings
from llmwatch.store import open_store
from llmwatch.stream import holds, retention
from llmwatch.stream.compact import compact
from llmwatch.stream.snapshot import load

DAY_US = 86400 * 10**6


@pytest.fixture
def project(tmp_path):
    """Four files of ten rows, a week to half a day old."""
    store = open_store(tmp_path / "store")
    for days in (7, 5, 3, 0.5):
        with clock.use(now=lambda d=days: int(time.time() * 1e6 - d * DAY_US)):
            table = StreamTable("local/bot/answers", store=store.root)
            table.log([{"n": n, "text": "x" * 200} for n in range(10)])
            table.finish()
        compact(table.project, "answers", settings=settings.current())
    return table.project


def sweep(project):
    retention.sweep(project, settings=settings.Settings(retention_days=2))
    return load(project.lake("answers")).files


def needed(days, most_bytes=1 << 30):
    return holds.Needed({"answers": time.time() - days * 86400}, 0.0, most_bytes)


def test_retention_removes_old_rows_that_nobody_needs(project):
    assert len(sweep(project)) == 1


def test_rows_that_wait_to_be_sent_are_left(project):
    holds.note(project, needed(days=6))
    assert len(sweep(project)) == 3
    assert holds.dropped(project) == 0


def test_once_they_are_sent_they_go(project):
    holds.note(project, needed(days=6))
    sweep(project)
    holds.note(project, needed(days=0))
    assert len(sweep(project)) == 1


def test_past_the_bound_the_oldest_go_and_are_counted(project):
    newest = max(load(project.lake("answers")).files, key=lambda file: file.highest["ts"])
    holds.note(project, needed(days=6, most_bytes=int(newest.size * 2.5)))
    assert len(sweep(project)) == 2
    assert holds.dropped(project) == 10


def test_a_table_that_was_never_looked_at_is_needed_from_the_beginning(project):
    holds.note(project, holds.Needed({}, 0.0, 1 << 30))
    assert len(sweep(project)) == 4
