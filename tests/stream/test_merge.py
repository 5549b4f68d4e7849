"""Merging changes which files hold the rows, never which rows there are; pieces come together in any order."""

from __future__ import annotations

import itertools
import os

import pytest
from lake_rows import demo, ids_seen, kill_at, say

from llmwatch import settings
from llmwatch.stream import merge as merging
from llmwatch.stream import spool
from llmwatch.stream.compact import compact
from llmwatch.stream.lake import Lake, locked
from llmwatch.stream.merge import merge_small
from llmwatch.stream.query import Reader
from llmwatch.stream.retention import vacuum

pytestmark = pytest.mark.usefixtures("llmwatch_store")


def settle() -> None:
    compact(demo(), "traces", seal=True)


def merge_all() -> None:
    merge_small(demo(), "traces", everything=True)


def calls(columns: str = "id, status, user_id, output") -> list[tuple[object, ...]]:
    reader = Reader(demo())
    try:
        return reader.execute(f"SELECT {columns} FROM traces ORDER BY id").rows
    finally:
        reader.close()


# --- killed at every step ----------------------------------------------------------------


@pytest.mark.parametrize("step", ["merge.before-write", "merge.after-write", "lake.before-commit", "lake.after-commit"])
def test_a_merge_killed_anywhere_leaves_every_row_exactly_once(step: str) -> None:
    for n in range(3):
        say("row", f"r{n}")
        say("row", f"gone{n}")
        settle()
    say("delete", "gone1")
    settle()
    expected = ["gone0", "gone2", "r0", "r1", "r2"]
    kill_at(step, "merge.merge_small(project, 'traces', everything=True)")
    assert ids_seen() == expected
    say("row", "r3")
    settle()
    merge_all()
    assert ids_seen() == [*expected, "r3"]


def test_a_vacuum_killed_between_deletes_leaves_every_row_exactly_once() -> None:
    for n in range(3):
        say("row", f"r{n}")
        settle()
    merge_all()
    kill_at("vacuum.between-deletes", "retention.vacuum(project, older_than_s=0)")
    assert ids_seen() == ["r0", "r1", "r2"]
    vacuum(demo(), older_than_s=0)
    assert len(list(demo().lake("traces").glob("*.parquet"))) == 1
    assert ids_seen() == ["r0", "r1", "r2"]


# --- files -------------------------------------------------------------------------------


def test_eight_small_files_become_one_sorted_by_time() -> None:
    for n in range(8):
        say("row", f"r{n}")
        settle()
    report = merge_small(demo(), "traces")
    assert (report.merged, report.into) == (8, 1)
    [file] = Lake(demo(), "traces").snapshot.files
    assert file.rows == 8
    assert ids_seen() == [f"r{n}" for n in range(8)]


def test_a_few_small_files_are_left_as_they_are() -> None:
    for n in range(3):
        say("row", f"r{n}")
        settle()
    assert merge_small(demo(), "traces").merged == 0


def test_merging_nothing_and_merging_twice_do_nothing() -> None:
    assert merge_small(demo(), "traces", everything=True).merged == 0
    say("row", "r1")
    settle()
    merge_all()
    version = Lake(demo(), "traces").snapshot.version
    merge_all()
    assert Lake(demo(), "traces").snapshot.version == version


def test_a_merge_waits_for_no_one() -> None:
    say("row", "r1")
    settle()
    with locked(demo(), "traces") as mine:
        assert mine
        assert merge_small(demo(), "traces", everything=True).busy


def test_files_with_different_columns_merge() -> None:
    for n, data in enumerate(({"a": 1}, {"b": "x"}, {"a": 2.5})):
        say("row", f"r{n}", data=data)
        settle()
    merge_all()
    assert calls("a, b") == [(1.0, None), (None, "x"), (2.5, None)]


# --- pieces ------------------------------------------------------------------------------

PIECES = {
    "start": {"op_name": "ask", "started_at": 1_000_000, "inputs": {"q": 1}},
    "end": {"ended_at": 3_000_000, "output": "because", "user_id": "u0"},
    "patch": {"user_id": "u1"},
    "delete": {},
}


def orders(*kinds: str) -> list[tuple[str, ...]]:
    return list(itertools.permutations(kinds))


@pytest.mark.parametrize("order", orders("start", "end", "patch"), ids="-".join)
def test_the_pieces_of_a_call_come_together_in_any_order(order: tuple[str, ...]) -> None:
    for between in range(4):  # no compaction, or one after this many pieces
        call = f"call{between}"
        for n, kind in enumerate(order, 1):
            say(kind, call, **PIECES[kind])
            if n == between:
                settle()
    expected = [(f"call{n}", "success", "u1", '"because"') for n in range(4)]
    assert calls() == expected
    assert calls("latency_ms, op_name") == [(2000.0, "ask")] * 4
    settle()
    assert calls() == expected
    merge_all()
    assert calls() == expected
    assert calls("latency_ms, op_name") == [(2000.0, "ask")] * 4


@pytest.mark.parametrize("order", orders("start", "end", "delete"), ids="-".join)
@pytest.mark.parametrize("merged", [False, True])
def test_a_deleted_call_is_hidden_in_any_order(order: tuple[str, ...], merged: bool) -> None:
    for kind in order:
        say(kind, "call", **PIECES[kind])
        settle()
        if merged:
            merge_all()
    assert calls() == []
    merge_all()
    assert calls() == []


@pytest.mark.parametrize("order", [("row", "patch", "delete"), ("patch", "row"), ("delete", "row")], ids="-".join)
def test_what_is_said_of_a_whole_row_holds_before_and_after_a_fold(order: tuple[str, ...]) -> None:
    for kind in order:
        say(kind, "call", **PIECES.get(kind, {"user_id": "u0", "output": 1, "status": "error"}))
        settle()
    expected = [] if "delete" in order else [("call", "error", "u1", "1")]
    assert calls() == expected
    merge_all()
    assert calls() == expected
    assert Lake(demo(), "traces").snapshot.pieces == ()


def test_a_started_call_shows_as_running_until_it_ends() -> None:
    say("start", "call", **PIECES["start"])
    for step in (settle, merge_all, settle):
        assert calls() == [("call", "running", None, None)]
        step()
    say("end", "call", exception="ValueError: no", ended_at=2_000_000)
    assert calls("status, exception") == [("error", "ValueError: no")]
    settle()
    assert calls("status, exception") == [("error", "ValueError: no")]


def test_an_end_without_a_start_is_no_row_yet() -> None:
    say("end", "call", **PIECES["end"])
    settle()
    merge_all()
    assert calls() == []
    say("start", "call", **PIECES["start"])
    assert calls("id, status") == [("call", "success")]


def test_the_later_of_two_patches_wins_and_null_takes_nothing_away() -> None:
    say("row", "call", user_id="u0", model="m")
    say("patch", "call", user_id="u1")
    settle()
    say("patch", "call", user_id="u2", model=None)
    for step in (settle, merge_all, settle):
        assert calls("user_id, model") == [("u2", "m")]
        step()
    assert calls("user_id, model") == [("u2", "m")]


def test_a_patch_of_a_row_that_never_comes_waits_and_then_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    say("patch", "call", user_id="u1")
    settle()
    merge_all()
    assert len(Lake(demo(), "traces").snapshot.pieces) == 1
    monkeypatch.setattr(merging, "PIECES_KEPT_US", -1_000_000)
    merge_all()
    assert Lake(demo(), "traces").snapshot.pieces == ()


def test_folding_leaves_files_without_such_rows_untouched() -> None:
    say("row", "a")
    settle()
    [untouched] = Lake(demo(), "traces").snapshot.files
    say("row", "b")
    settle()
    say("delete", "b")
    settle()
    merge_all()
    assert [file.path for file in Lake(demo(), "traces").snapshot.files] == [untouched.path]
    assert ids_seen() == ["a"]


def test_many_waiting_pieces_are_folded_without_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "MANY_PIECES", 3)
    for n in range(4):
        say("row", f"r{n}")
    settle()
    for n in range(3):
        say("delete", f"r{n}")
    settle()
    assert merge_small(demo(), "traces").folded == 1
    assert ids_seen() == ["r3"]


def test_the_halves_of_a_call_may_come_from_two_processes() -> None:
    say("start", "call", **PIECES["start"])
    if (child := os.fork()) == 0:
        try:
            say("end", "call", **PIECES["end"])
            spool.writer(demo(), "traces", settings.current()).close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    settle()
    assert calls("id, status") == [("call", "success")]
