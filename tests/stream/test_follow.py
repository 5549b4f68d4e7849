"""A follower gives every finished row at least once and in each writer's order, whatever happens to the files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lake_rows import SOURCE, demo, foreign_segment, line, say

from llmwatch import StreamTable, clock, settings
from llmwatch.store import EVENTS
from llmwatch.stream import compact as compaction
from llmwatch.stream import events, spool
from llmwatch.stream.compact import compact
from llmwatch.stream.erase import erase
from llmwatch.stream.follow import Follower
from llmwatch.stream.merge import merge_small
from llmwatch.stream.positions import Position, path_of
from llmwatch.stream.retention import sweep, vacuum

pytestmark = pytest.mark.usefixtures("llmwatch_store")


@pytest.fixture(autouse=True)
def _no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Committed segments go at once, which is the harder case."""
    monkeypatch.setattr(compaction, "GRACE_S", -1)


@pytest.fixture
def follower() -> Iterator[Follower]:
    made = follow()
    yield made
    made.close()


def follow(table: str = "traces", **options: Any) -> Follower:
    return Follower(demo(), table, "test", settings.current(), **options)


def settle(table: str = "traces") -> None:
    compact(demo(), table, seal=True)


def given(follower: Follower, limit: int = 1000) -> list[str]:
    """Ids of everything there is, batch by batch, committed."""
    ids: list[str] = []
    while rows := follower.batch(limit):
        ids += [row["id"] for row in rows]
        follower.commit()
    return ids


def names(*numbers: int) -> list[str]:
    return [f"r{n}" for n in numbers]


# --- where rows are ----------------------------------------------------------------------


def test_rows_come_from_the_spool_in_order_and_once(follower: Follower) -> None:
    for n in range(5):
        say("row", f"r{n}")
    assert given(follower, limit=2) == names(*range(5))
    assert follower.batch() == []
    say("row", "r5")
    assert given(follower) == names(5)


def test_a_row_has_the_columns_of_the_reader(follower: Follower) -> None:
    StreamTable("demo/answers").log({"question": "why?", "tokens": 3, "tags": ["a"]})
    of_answers = follow("answers")
    [row] = of_answers.batch()
    [same] = of_answers._reader.execute('SELECT * FROM main."answers"', tables=["answers"]).dicts()
    assert row == same
    assert (row["question"], row["tokens"], json.loads(row["tags"])) == ("why?", 3, ["a"])
    of_answers.close()


def test_rows_come_from_the_lake_when_they_are_there_already(follower: Follower) -> None:
    for n in range(4):
        say("row", f"r{n}")
        settle()
    say("row", "r4")
    assert given(follower, limit=3) == names(*range(5))


def test_compaction_between_two_batches_loses_and_doubles_nothing(follower: Follower) -> None:
    for n in range(6):
        say("row", f"r{n}")
    first = [row["id"] for row in follower.batch(2)]
    settle()
    assert first + given(follower, limit=3) == names(*range(6))


def test_a_segment_that_goes_while_its_rows_are_read_is_found_in_the_lake(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        say("row", f"r{n}")
    look = follower._look

    def look_then_compact() -> Any:
        found = look()
        settle()
        monkeypatch.setattr(follower, "_look", look)
        return found

    monkeypatch.setattr(follower, "_look", look_then_compact)
    assert given(follower) == names(*range(3))


def test_a_lost_segment_does_not_let_later_ones_of_its_writer_go_first(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = spool.writer(demo(), "traces", settings.current())
    say("row", "r0")
    writer.rotate()
    say("row", "r1")
    look = follower._look

    def look_then_compact() -> Any:
        found = look()
        compact(demo(), "traces")  # r0 goes into the lake; r1's segment is open
        monkeypatch.setattr(follower, "_look", look)
        return found

    monkeypatch.setattr(follower, "_look", look_then_compact)
    assert given(follower) == names(0, 1)


def test_merging_gives_nothing_again(follower: Follower) -> None:
    for n in range(8):
        say("row", f"r{n}")
        settle()
    assert given(follower) == names(*range(8))
    merge_small(demo(), "traces", everything=True)
    vacuum(demo(), older_than_s=0)
    say("row", "r8")
    assert given(follower) == names(8)


def test_a_merge_in_the_middle_of_reading_the_lake_changes_nothing(follower: Follower) -> None:
    for n in range(8):
        say("row", f"r{n}")
        settle()
    first = [row["id"] for row in follower.batch(3)]
    merge_small(demo(), "traces", everything=True)
    vacuum(demo(), older_than_s=0)
    assert first + given(follower, limit=2) == names(*range(8))


def test_many_writers_are_each_given_in_their_order_and_none_waits_for_another(
    follower: Follower,
) -> None:
    writers = [spool.Writer(demo(), "traces", settings.current()) for _ in range(3)]
    for n in range(30):
        for writer in writers:
            writer.append("row", json.dumps({"id": f"{writer.id}:{n}"}).encode())
        if n % 7 == 0:
            writers[n % 3].rotate()
            compact(demo(), "traces")
    first = [row["writer"] for row in follower.batch(5) + follower.batch(5) + follower.batch(5)]
    follower.rewind()
    rows = defaultdict(list)
    while batch := follower.batch(7):
        for row in batch:
            rows[row["writer"]].append(row["seq"])
    assert {writer.id: list(range(30)) for writer in writers} == rows
    assert len(set(first)) > 1
    for writer in writers:
        writer.close()


def test_more_rows_than_are_listed_at_a_time_all_come(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmwatch.stream.arrivals.MOST_KEYS", 4)
    for n in range(10):
        say("row", f"r{n}")
        if n % 3 == 0:
            settle()
    settle()
    assert given(follower, limit=3) == names(*range(10))


def test_a_line_longer_than_what_is_read_at_a_time_comes(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmwatch.stream.arrivals.CHUNK", 100)
    for n in range(3):
        say("row", f"r{n}", output="x" * 150 * n)
    assert given(follower) == names(0, 1, 2)


def test_lines_that_are_not_ours_are_passed_over(follower: Follower) -> None:
    foreign_segment(
        b'!torn\n{"t":"erased"}   \nnull\n{"id":1}\n' + line("r0") + b'{"v":1,"t":"row","id":"tor'
    )
    assert given(follower) == ["r0"]


def test_a_line_that_only_lenient_readers_take_comes_too(follower: Follower) -> None:
    foreign_segment(line("r0", output=float("nan")) + line("r1", seq=1))
    assert given(follower) == ["r0", "r1"]


# --- killed, started again ---------------------------------------------------------------


def test_what_was_not_committed_is_given_again(follower: Follower) -> None:
    for n in range(4):
        say("row", f"r{n}")
    assert [row["id"] for row in follower.batch(2)] == names(0, 1)
    follower.commit()
    assert [row["id"] for row in follower.batch(1)] == names(2)
    follower.rewind()
    assert [row["id"] for row in follower.batch(1)] == names(2)
    again = follow()
    assert given(again) == names(2, 3)
    again.close()


def test_a_committed_position_is_not_lost_with_compaction_and_merges_while_away(
    follower: Follower,
) -> None:
    for n in range(3):
        say("row", f"r{n}")
        settle()
    assert given(follower) == names(0, 1, 2)
    say("row", "r3")
    for n in range(4, 7):
        settle()
        say("row", f"r{n}")
    settle()
    merge_small(demo(), "traces", everything=True)
    vacuum(demo(), older_than_s=0)
    again = follow()
    assert given(again) == names(3, 4, 5, 6)
    again.close()


def test_a_position_works_when_the_log_no_longer_reaches_back_to_it(follower: Follower) -> None:
    for n in range(3):
        say("row", f"r{n}")
        settle()
    assert given(follower) == names(0, 1, 2)
    position = Position.load(path_of(demo(), "test", "traces"))
    assert position is not None
    position.lake_version = -1
    position.offsets = {}
    position.save(path_of(demo(), "test", "traces"))
    say("row", "r3")
    again = follow()
    assert given(again) == names(3)
    again.close()


KILLED = """
import os, signal, sys
from llmwatch import settings
from llmwatch.store import open_store
from llmwatch.stream.follow import Follower
follower = Follower(open_store(sys.argv[1]).project("local", "demo"), "traces", "test", settings.current())
with open(sys.argv[2], "a") as out:
    for n in range(int(sys.argv[3])):
        for row in follower.batch(3):
            print(row["id"], file=out, flush=True)
        if n < int(sys.argv[3]) - 1:
            follower.commit()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_follower_misses_nothing_and_repeats_at_most_what_it_had_not_committed(
    tmp_path: Path,
) -> None:
    out = tmp_path / "given"
    for n in range(30):
        say("row", f"r{n:02}")
        if n == 13:
            settle()
    for batches in (2, 3, 1, 20):
        command = [sys.executable, "-c", KILLED, str(demo().store.root), str(out), str(batches)]
        done = subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": str(SOURCE)})
        assert done.returncode == -signal.SIGKILL
        settle()
    seen = out.read_text().split()
    assert list(dict.fromkeys(seen)) == [f"r{n:02}" for n in range(30)]
    assert len(seen) == 30 + 3 * 3


def test_from_now_on_leaves_out_what_is_there_and_remembers_that_moment() -> None:
    say("row", "r0")
    settle()
    say("row", "r1")
    say("start", "late", started_at=1)
    follow(start="now").close()
    say("row", "r2")
    say("end", "late", ended_at=2)
    merge_small(demo(), "traces", everything=True)
    again = follow(start="now")
    assert given(again) == ["r2", "late"]
    again.close()


def test_from_a_time_on_leaves_out_what_was_recorded_before_it_also_after_a_restart() -> None:
    for n, second in enumerate([1000, 2000, 3000]):
        with clock.use(now=lambda at=second: at * 1_000_000):
            writer = spool.Writer(demo(), "traces", settings.current())
            writer.append("row", json.dumps({"id": f"r{n}"}).encode())
            writer.close()
        settle()
    follow(start=2_000_000_000).close()
    again = follow(start=3_000_000_000)
    assert given(again) == names(1, 2)
    again.close()


def test_two_subscribers_have_positions_of_their_own(follower: Follower) -> None:
    say("row", "r0")
    other = Follower(demo(), "traces", "other", settings.current())
    assert given(follower) == given(other) == names(0)
    other.close()


BUSY = """
import json, os, sys, time
from llmwatch import settings
from llmwatch.store import open_store
from llmwatch.stream import spool
now = settings.Settings(worker=False, segment_mb=0.02)
project = open_store(sys.argv[1]).project("local", "demo")
for part in range(3):
    writer = spool.Writer(project, "traces", now)
    for n in range(400):
        name = f"{sys.argv[2]}.{part}.{n:03}"
        if n % 5 == 0:
            writer.append("start", json.dumps({"id": name, "started_at": 1}).encode())
            writer.append("end", json.dumps({"id": name, "ended_at": 2, "output": "x" * 200}).encode())
        else:
            writer.append("row", json.dumps({"id": name, "output": "x" * 400}).encode())
        time.sleep(0.001)
    writer.close()
"""
COMPACTING = """
import sys, time
from llmwatch.store import open_store
from llmwatch.stream import compact, merge, retention
compact.GRACE_S = -1
project = open_store(sys.argv[1]).project("local", "demo")
while True:
    compact.compact(project, "traces")
    merge.merge_small(project, "traces", everything=True)
    retention.vacuum(project, older_than_s=0)
"""


def test_busy_writers_and_a_busy_compactor_take_nothing_from_a_follower(follower: Follower) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}

    def start(code: str, name: str = "") -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", code, str(demo().store.root), name], env=environment
        )

    writers = [start(BUSY, name) for name in "ab"]
    compactor = start(COMPACTING)
    seen: list[str] = []
    try:
        while any(writer.poll() is None for writer in writers):
            seen += given(follower, limit=50)
        seen += given(follower)
    finally:
        compactor.kill()
        compactor.wait()
    expected = [f"{w}.{part}.{n:03}" for w in "ab" for part in range(3) for n in range(400)]
    assert sorted(seen) == sorted(expected)
    for writer in {name.rpartition(".")[0] for name in expected}:
        whole = [name for name in seen if name.startswith(writer) and int(name[-3:]) % 5]
        assert whole == sorted(whole)


# --- rows written in pieces --------------------------------------------------------------


def test_a_call_comes_when_it_ended_and_whole(follower: Follower) -> None:
    say("start", "call", inputs={"q": 1}, started_at=1)
    say("row", "r0")
    assert given(follower) == ["r0"]
    say("end", "call", output="yes", ended_at=2)
    [row] = follower.batch()
    assert (row["id"], json.loads(row["inputs"]), row["output"]) == ("call", {"q": 1}, '"yes"')
    assert row["status"] == "success"


def test_a_call_whose_end_came_first_comes_when_its_start_is_there(follower: Follower) -> None:
    say("end", "call", ended_at=2)
    assert given(follower) == []
    say("start", "call", started_at=1)
    assert given(follower) == ["call"]


@pytest.mark.parametrize("where", ["spool", "lake"])
def test_halves_that_are_put_together_while_nobody_follows_still_come(
    follower: Follower, where: str
) -> None:
    say("start", "call", started_at=1)
    say("row", "r0")
    if where == "lake":
        settle()
    assert given(follower) == ["r0"]
    say("row", "r1")
    say("end", "call", ended_at=2)
    settle()
    merge_small(demo(), "traces", everything=True)
    again = follow()
    assert sorted(given(again)) == ["call", "r1"]
    settle()
    assert given(again) == []
    again.close()


def test_a_call_given_from_the_spool_does_not_come_again_from_the_lake(follower: Follower) -> None:
    say("start", "call", started_at=1)
    settle()
    assert given(follower) == []
    say("end", "call", ended_at=2)
    assert given(follower) == ["call"]
    settle()
    merge_small(demo(), "traces", everything=True)
    assert given(follower) == []


def test_a_patch_before_its_turn_is_in_the_row_and_one_after_is_not_a_new_row(
    follower: Follower,
) -> None:
    say("row", "r0", user_id="a")
    say("patch", "r0", user_id="b")
    [row] = follower.batch()
    assert row["user_id"] == "b"
    say("patch", "r0", user_id="c")
    assert given(follower) == []


def test_a_patched_row_comes_once_more_when_that_is_asked_for() -> None:
    follower = follow(patched=True)
    say("row", "r0", user_id="a")
    say("patch", "r0", user_id="b")
    assert [row["user_id"] for row in follower.batch()] == ["b"]
    say("patch", "r0", user_id="c")
    assert [row["user_id"] for row in follower.batch()] == ["c"]
    follower.close()


def test_a_row_deleted_before_its_turn_does_not_come(follower: Follower) -> None:
    say("row", "r0")
    say("row", "r1")
    settle()
    say("delete", "r0")
    assert given(follower) == ["r1"]


# --- events ------------------------------------------------------------------------------


def test_every_event_comes_with_what_it_replaces_and_deletes() -> None:
    follower = follow(EVENTS)
    first = events.add(demo(), kind="feedback", name="note", value="good", row_id="r0")
    second = events.add(
        demo(), kind="feedback", name="note", value="bad", row_id="r0", replaces=first
    )
    settle(EVENTS)
    third = events.take_back(demo(), second)
    rows = [*follower.batch(), *follower.batch()]
    assert [row["id"] for row in rows] == [first, second, third]
    assert [row["replaces"] for row in rows] == [None, first, None]
    assert rows[2]["deletes"] == second
    follower.close()


# --- clocks, retention, erasing ----------------------------------------------------------


def test_a_clock_set_back_hides_no_rows(follower: Follower) -> None:
    for n, second in enumerate([3_000_000_000, 1_000_000_000, 2_000_000_000]):
        with clock.use(now=lambda at=second: at * 1_000_000):
            writer = spool.Writer(demo(), "traces", settings.current())
            writer.append("row", json.dumps({"id": f"r{n}"}).encode())
            writer.close()
        if n == 1:
            assert sorted(given(follower)) == names(0, 1)
            settle()
    settle()
    assert given(follower) == names(2)


def test_writers_that_are_gone_with_their_rows_are_forgotten(follower: Follower) -> None:
    with clock.use(now=lambda: 1_000_000):
        old = spool.Writer(demo(), "traces", settings.current())
        old.append("row", b'{"id":"old"}')
        old.close()
    settle()
    say("row", "r0")
    settle()
    assert sorted(given(follower)) == ["old", "r0"]
    assert old.id in _saved().marks
    sweep(demo(), settings=settings.Settings(retention_days=30, worker=False))
    say("row", "r1")
    assert given(follower) == ["r1"]
    assert old.id not in _saved().marks
    assert not [name for name in _saved().offsets if name.startswith(old.id)]


def _saved() -> Position:
    position = Position.load(path_of(demo(), "test", "traces"))
    assert position is not None
    return position


def test_an_erased_row_does_not_come_and_the_others_come_once(follower: Follower) -> None:
    for n in range(4):
        say("row", f"r{n}", user_id="u" if n == 2 else "v")
        if n == 1:
            settle()
    assert [row["id"] for row in follower.batch(1)] == names(0)
    erase(demo(), "user_id = 'u'")
    assert given(follower) == names(1, 3)


# --- how far behind ----------------------------------------------------------------------


def test_the_lag_counts_rows_in_lake_and_spool_that_were_not_given(follower: Follower) -> None:
    assert follower.lag() == 0
    for n in range(5):
        say("row", f"r{n}")
        if n == 2:
            settle()
    assert follower.lag() == 5
    follower.batch(2)
    assert follower.lag() == 3
    given(follower)
    assert follower.lag() == 0
