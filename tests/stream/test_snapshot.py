"""The lake read from its Delta log: commits, checkpoints, and what a reader that is behind has to catch up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from deltalake import DeltaTable
from lake_rows import demo, ids_seen, say

from llmwatch.errors import StoreError
from llmwatch.stream.compact import compact
from llmwatch.stream.merge import merge_small
from llmwatch.stream.query import Reader
from llmwatch.stream.snapshot import EMPTY, load, orphans

pytestmark = pytest.mark.usefixtures("llmwatch_store")


def lake_of(*ids: str) -> Path:
    for row_id in ids:
        say("row", row_id)
        compact(demo(), "traces", seal=True)
    return demo().lake("traces")


def test_a_lake_that_is_not_there_is_empty() -> None:
    assert load(demo().lake("traces")) == EMPTY


def test_it_holds_what_delta_holds() -> None:
    lake = lake_of("r1", "r2", "r3")
    merge_small(demo(), "traces", everything=True)
    lake_of("r4")
    snapshot, delta = load(lake), DeltaTable(str(lake))
    assert snapshot.version == delta.version()
    assert sorted(str(file.path) for file in snapshot.files) == sorted(delta.file_uris())
    assert [column.name for column in snapshot.columns] == [field.name for field in delta.schema().fields]
    assert {w: delta.transaction_version(w) for w in snapshot.committed} == snapshot.committed
    assert sum(file.rows for file in snapshot.files) == 4


def test_catching_up_gives_the_same_as_loading_afresh() -> None:
    lake = lake_of("r1")
    behind = load(lake)
    lake_of("r2", "r3")
    merge_small(demo(), "traces", everything=True)
    assert load(lake, behind) == load(lake)
    assert load(lake, load(lake)) is not behind


def test_nothing_new_is_the_same_snapshot() -> None:
    snapshot = load(lake := lake_of("r1"))
    assert load(lake, snapshot) is snapshot


def test_a_checkpoint_without_the_commits_before_it_is_enough() -> None:
    lake = lake_of("r1", "r2")
    behind = load(lake)
    lake_of("r3")
    whole = load(lake)
    DeltaTable(str(lake)).create_checkpoint()
    for version in range(whole.version):
        (lake / "_delta_log" / f"{version:020d}.json").unlink()
    for snapshot in (load(lake), load(lake, behind)):
        assert snapshot.version == whole.version
        assert sorted(file.path for file in snapshot.files) == sorted(file.path for file in whole.files)
        assert snapshot.committed == whole.committed
        assert snapshot.columns == whole.columns
        assert {file.lowest["id"] for file in snapshot.files} == {"r1", "r2", "r3"}
    assert ids_seen() == ["r1", "r2", "r3"]
    lake_of("r4")
    assert ids_seen() == ["r1", "r2", "r3", "r4"]


def test_a_checkpoint_pointer_that_is_being_written_is_ignored() -> None:
    lake = lake_of("r1")
    (lake / "_delta_log" / "_last_checkpoint").write_bytes(b'{"version": ')
    assert ids_seen() == ["r1"]


def test_a_checkpoint_in_parts_says_what_to_do() -> None:
    lake = lake_of("r1")
    (lake / "_delta_log" / "_last_checkpoint").write_text(json.dumps({"version": 1, "size": 2, "parts": 2}))
    with pytest.raises(StoreError, match="create_checkpoint"):
        load(lake)


def test_rows_that_another_tool_deleted_by_vector_are_not_shown_again() -> None:
    lake = lake_of("r1")
    add = {"path": "rows-x.parquet", "size": 1, "deletionVector": {"storageType": "u"}, "stats": None}
    (lake / "_delta_log" / f"{load(lake).version + 1:020d}.json").write_text(json.dumps({"add": add}) + "\n")
    with pytest.raises(StoreError, match="deletion vector"):
        load(lake)


def test_many_commits_are_checkpointed_and_a_reader_goes_on() -> None:
    reader = Reader(demo())
    for n in range(53):  # the interval is 50
        lake_of(f"r{n:02}")
        if n % 10 == 0:
            assert reader.execute("SELECT count(*) FROM traces").rows == [(n + 1,)]
    assert (demo().lake("traces") / "_delta_log" / "_last_checkpoint").exists()
    assert reader.execute("SELECT count(*) FROM traces").rows == [(53,)]
    assert len(ids_seen()) == 53


def test_replaced_files_are_orphans_until_vacuumed() -> None:
    lake = lake_of("r1", "r2")
    merge_small(demo(), "traces", everything=True)
    assert len(list(orphans(lake, load(lake)))) == 2
