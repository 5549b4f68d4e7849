"""Retention takes whole files that are too old, then the oldest of a store that is too large; never what was published."""

from __future__ import annotations

import os
import time

import pytest
from lake_rows import demo, ids_seen, say

from llmwatch import StreamTable, clock
from llmwatch.settings import Settings
from llmwatch.store import EVENTS
from llmwatch.stream import events
from llmwatch.stream.compact import compact
from llmwatch.stream.lake import Lake
from llmwatch.stream.merge import merge_small
from llmwatch.stream.query import Reader
from llmwatch.stream.retention import size_of, sweep, vacuum

pytestmark = pytest.mark.usefixtures("llmwatch_store")

DAY_US = 86_400_000_000
MONTH = Settings(worker=False, retention_days=30, max_store_gb=0, vacuum_after_s=0)


def say_days_ago(days: float, *ids: str, table: str = "traces") -> None:
    """Rows of one lake file, written that long ago; call it for the oldest first."""
    then = time.time_ns() // 1000 - int(days * DAY_US)
    with clock.use(now=lambda: then):
        for row_id in ids:
            say("row", row_id, table=table, data={"a": 1})
        compact(demo(), table, seal=True)


def test_files_whose_newest_row_is_too_old_go_whole() -> None:
    say_days_ago(90, "old1", "old2")
    say_days_ago(10, "new1")
    say_days_ago(0, "new2")
    assert sweep(demo(), settings=MONTH).rows == 2
    assert ids_seen() == ["new1", "new2"]
    assert len(list(demo().lake("traces").glob("*.parquet"))) == 2


def test_a_file_with_one_young_row_stays_whole() -> None:
    say_days_ago(90, "old")
    say_days_ago(1, "young")
    merge_small(demo(), "traces", everything=True)
    assert sweep(demo(), settings=MONTH).rows == 0
    assert ids_seen() == ["old", "young"]


def test_retention_of_zero_days_keeps_everything() -> None:
    say_days_ago(4000, "old")
    sweep(demo(), settings=Settings(worker=False, retention_days=0, max_store_gb=0))
    assert ids_seen() == ["old"]


def test_what_was_published_stays_however_old_or_large() -> None:
    say_days_ago(4000, "object", table="_objects")
    say_days_ago(4000, "row")
    sweep(demo(), settings=MONTH)
    sweep(demo(), settings=Settings(worker=False, retention_days=1, max_store_gb=1e-9))
    assert ids_seen("_objects") == ["object"]
    assert ids_seen() == []


def test_a_store_that_is_too_large_loses_its_oldest_files_first() -> None:
    for n in range(4):
        say_days_ago(9 - n, f"r{n}")
    files = Lake(demo(), "traces").snapshot.files
    room = (size_of(demo().store.root) - files[0].size - 1) / (1 << 30)
    assert sweep(demo(), settings=Settings(worker=False, retention_days=0, max_store_gb=room)).files == 2
    assert ids_seen() == ["r2", "r3"]


def test_rows_in_the_spool_are_never_too_old() -> None:
    say("row", "r1")
    with clock.use(now=lambda: 1_000_000):
        sweep(demo(), settings=MONTH)
    assert ids_seen() == ["r1"]


def test_old_events_go_with_the_same_rule() -> None:
    then = time.time_ns() // 1000 - 90 * DAY_US
    with clock.use(now=lambda: then):
        events.add(demo(), kind="label", name="good", value=True, row_id="r1")
        compact(demo(), EVENTS, seal=True)
    events.add(demo(), kind="label", name="new", value=True, row_id="r2")
    assert sweep(demo(), settings=MONTH).rows == 1
    assert ids_seen(EVENTS) != []
    assert Reader(demo()).execute("SELECT name FROM labels", tables=[EVENTS]).rows == [("new",)]


def test_media_that_only_dropped_rows_named_goes_with_them() -> None:
    table = StreamTable("demo/pictures")
    old, young = os.urandom(9000), os.urandom(9001)
    then = time.time_ns() // 1000 - 90 * DAY_US
    with clock.use(now=lambda: then):
        table.log({"picture": old})
        compact(demo(), "pictures", seal=True)
    table.log({"picture": young})
    for path in demo().media.rglob("*"):
        os.utime(path, (0, 0))
    assert sweep(demo(), settings=MONTH).media == 1
    assert [row["picture"] for row in table.rows()] == [young]


def test_a_vacuum_keeps_what_left_the_lake_a_moment_ago() -> None:
    for n in range(2):
        say_days_ago(0, f"r{n}")
    merge_small(demo(), "traces", everything=True)
    assert vacuum(demo(), older_than_s=3600).files == 0
    assert vacuum(demo(), older_than_s=0).files == 2
    assert ids_seen() == ["r0", "r1"]


def test_a_vacuum_that_folds_removes_deleted_rows_for_good() -> None:
    say_days_ago(0, "kept", "deleted")
    say("delete", "deleted")
    compact(demo(), "traces", seal=True)
    vacuum(demo(), older_than_s=0, fold=True)
    assert sum(file.rows for file in Lake(demo(), "traces").snapshot.files) == 1
    assert len(list(demo().lake("traces").glob("*.parquet"))) == 1
    assert ids_seen() == ["kept"]
