"""Compaction keeps every row and sets apart what is none, whatever lies in the spool."""

from __future__ import annotations

import os

import pytest
from lake_rows import demo, foreign_segment, ids_seen, kill_at, line, say

from llmwatch import settings
from llmwatch.stream import spool
from llmwatch.stream.compact import compact
from llmwatch.stream.lake import Lake

pytestmark = pytest.mark.usefixtures("llmwatch_store")


@pytest.mark.parametrize(
    "step",
    ["compact.before-write", "compact.after-write", "lake.before-commit", "lake.after-commit", "compact.between-deletes"],
)
def test_pieces_come_together_once_when_the_compactor_is_killed(step: str) -> None:
    for n in range(6):
        say("row", f"r{n}")
        if n == 2:
            compact(demo(), "traces", seal=True)
    say("start", "half", inputs={})
    say("delete", "r0")
    spool.writer(demo(), "traces", settings.current()).rotate()
    expected = ["half", "r1", "r2", "r3", "r4", "r5"]
    kill_at(step, "compact.compact(project, 'traces')")
    assert ids_seen() == expected
    say("end", "half", output=1)
    for _ in range(2):
        compact(demo(), "traces", seal=True)
        assert ids_seen() == expected


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b'{"v":1,"t":"row","writer":"feedc0de","seq":5,"ts":17', id="torn"),
        pytest.param(b"!torn", id="torn mark"),
        pytest.param(bytes(set(range(256)) - {10}) * 8, id="every byte"),
        pytest.param(b"\x00" * 4096, id="zeros of a crashed file system"),
        pytest.param(b"\xff\xfe{}", id="not utf-8"),
        pytest.param(b"[1, 2, 3]", id="an array"),
        pytest.param(b'"text"\n17\nnull', id="scalars"),
        pytest.param(b'{"some":"other","program":1}', id="foreign object"),
        pytest.param(line("bad", 7, data=[1, 2]).strip(), id="data that is no dict"),
        pytest.param(line("bad", 7, data="text").strip(), id="data that is text"),
        pytest.param(line("bad", 7).replace(b'"seq": 7', b'"seq": "seven"').strip(), id="seq that is no number"),
        pytest.param(b"{" * 3000, id="deep nonsense"),
        pytest.param(line("bad", 7).replace(b'"row"', b'"rows"').strip(), id="a kind that no llmwatch writes"),
        pytest.param(b"question,answer\nwhy,because", id="csv"),
    ],
)
def test_a_bad_line_is_kept_apart_and_its_neighbours_are_compacted(bad: bytes) -> None:
    foreign_segment(line("r1", 1) + bad + b"\n" + line("r2", 2))
    assert ids_seen() == ["r1", "r2"]
    report = compact(demo(), "traces")
    assert report.rows == 2
    assert report.bad_lines >= 1
    assert ids_seen() == ["r1", "r2"]
    [kept] = demo().quarantine("traces").iterdir()
    assert kept.read_bytes() == bad + b"\n"


def test_a_torn_tail_is_no_row_and_swallows_none() -> None:
    foreign_segment(line("r1", 1) + line("r2", 2)[:40])
    assert ids_seen() == ["r1"]
    assert compact(demo(), "traces").rows == 1
    assert ids_seen() == ["r1"]


def test_random_bytes_lose_no_row_of_another_segment() -> None:
    foreign_segment(os.urandom(20_000))
    foreign_segment(line("r1"))
    compact(demo(), "traces")
    assert ids_seen() == ["r1"]


def test_files_of_other_programs_in_the_spool_are_not_touched() -> None:
    say("row", "r1")
    foreign = [demo().spool("traces") / name for name in ("notes.txt", "rows.jsonl", ".DS_Store", "a-1.jsonl")]
    for path in foreign:
        path.write_bytes(b"not ours")
    compact(demo(), "traces", seal=True)
    assert [path.read_bytes() for path in foreign] == [b"not ours"] * 4
    assert ids_seen() == ["r1"]


def test_an_empty_segment_is_taken() -> None:
    foreign_segment(b"")
    assert compact(demo(), "traces").segments == 1
    assert ids_seen() == []


def test_a_segment_of_a_newer_llmwatch_stays_in_the_spool() -> None:
    path = foreign_segment(line("new", v=2))
    foreign_segment(line("old"))
    report = compact(demo(), "traces")
    assert (report.rows, report.left) == (1, [str(path)])
    assert path.read_bytes() == line("new", v=2)


def test_what_follows_a_newer_segment_of_a_writer_does_not_take_its_place() -> None:
    paths = [
        foreign_segment(content, writer="abc", number=number)
        for number, content in enumerate([line("r1"), line("r2", v=2), line("r3"), b""], 1)
    ]
    compact(demo(), "traces")
    snapshot = Lake(demo(), "traces").snapshot
    assert snapshot.committed == {"abc": 1}
    assert sum(file.rows for file in snapshot.files) == 1
    assert all(path.exists() for path in paths)


def test_bad_lines_are_reported_with_where_they_went(caplog: pytest.LogCaptureFixture) -> None:
    foreign_segment(b'{"other": 1}\n')
    with caplog.at_level("WARNING", "llmwatch"):
        compact(demo(), "traces")
    assert str(demo().quarantine("traces")) in caplog.text
