"""What is exported can be imported; what cannot be used is left out, told, and takes nothing else with it."""

from __future__ import annotations

import gzip
import hashlib
import json

import pytest

from llmwatch import StreamTable, capture, settings
from llmwatch.errors import StoreError
from llmwatch.store import EVENTS
from llmwatch.stream import events, spool
from llmwatch.stream.compact import compact
from llmwatch.stream.export import export
from llmwatch.stream.imports import import_rows
from llmwatch.testing import temporary_store

CALL = {
    "id": "01900000-0000-7000-8000-000000000001",
    "trace_id": "01900000-0000-7000-8000-000000000001",
    "op_name": "answer",
    "status": "success",
    "started_at": 1_763_703_531_000_001,
    "ended_at": 1_763_703_532_000_002,
    "cost_usd": 0.1,
    "prompt_tokens": 12,
    "embedding": "AACAPwAAAEA=",
    "inputs": {"q": "日本 👩‍💻 \u0000"},
    "output": [1.0, None, {"_type": "int", "value": "12345678901234567890123"}],
}
PICTURE = b"\x00png" * 50_000
ODD = {"_id": 1, "id": 2, "n": float("nan"), "t": (1, 2), "text": "naïve\n\u2028", "none": None}


@pytest.fixture
def store():
    with temporary_store() as store:
        yield store


def filled() -> StreamTable:
    """Dicts and a call, in the lake and in the spool, with media and much said about them."""
    table = StreamTable("bot/answers")
    first = table.add({"n": 1, "picture": capture.Bytes(PICTURE, type="image/png")})
    compact(table.project, table.name, seal=True)
    table.add(ODD)
    spool.writer(table.project, table.name, settings.current()).append(
        "row", json.dumps(CALL).encode()
    )
    table.say("feedback", "reaction", "👍", row_id=first)
    wrong = table.say("feedback", "reaction", "👎", row_id=first)
    events.take_back(table.project, wrong)
    table.say("score", "helpful", 0.5, row_id=first)
    table.say("score", "helpful", 0.75, row_id=first)
    table.say("label", "resolved", True, row_id=CALL["id"], creator="me")
    return table


def known(table: StreamTable) -> tuple[list, list]:
    """All that is stored of the rows and events of a table, but for which writer wrote it."""
    rows = table.reader.execute(
        f'SELECT * EXCLUDE (writer, seq) FROM main."{table.name}" ORDER BY ts, writer, seq',
        tables=[table.name],
    ).dicts()
    said = table.reader.execute(
        f'SELECT * EXCLUDE (writer, seq, "table") FROM main."{EVENTS}" ORDER BY ts, id',
        tables=[EVENTS],
    ).dicts()
    # a column that has no value in one store may not be there in the other
    return [{k: v for k, v in row.items() if v is not None} for row in rows], said


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_an_exact_export_comes_back_whole_in_another_store(tmp_path, name):
    with temporary_store():
        table = filled()
        before, pictures = known(table), [row.data for row in table.rows() if row.data]
        done = export(table, tmp_path / name, exactly=True)
        assert (done.rows, done.events, done.media, done.missing_media) == (3, 6, 1, [])
    with temporary_store():
        again = StreamTable("other/renamed")
        report = import_rows(again, tmp_path / name)
        assert (report.rows, report.events, report.media, report.complete) == (3, 6, 1, True)
        assert known(again) == before
        assert repr([row.data for row in again.rows() if row.data]) == repr(pictures)
        first, _, call = again.rows()
        assert [feedback["value"] for feedback in first.feedback] == ["👍"]
        assert first.scores == {"helpful": 0.75}
        assert call.labels == {"resolved": True}
        compact(again.project, again.name, seal=True)
        assert known(again) == before


def test_importing_an_exact_export_twice_doubles_nothing(tmp_path):
    with temporary_store():
        export(filled(), tmp_path / "rows.jsonl", exactly=True)
    with temporary_store():
        table = StreamTable("bot/answers")
        (tmp_path / "both.jsonl").write_bytes((tmp_path / "rows.jsonl").read_bytes() * 2)
        import_rows(table, tmp_path / "rows.jsonl")
        before = known(table)
        again = import_rows(table, tmp_path / "rows.jsonl")
        assert (again.rows, again.events, again.present, again.complete) == (0, 0, 9, True)
        compact(table.project, table.name, seal=True)
        assert import_rows(table, tmp_path / "both.jsonl").present == 18
        assert known(table) == before


def test_a_file_that_holds_an_export_twice_gives_its_rows_once(tmp_path):
    with temporary_store():
        export(filled(), tmp_path / "rows.jsonl", exactly=True)
    (tmp_path / "both.jsonl").write_bytes((tmp_path / "rows.jsonl").read_bytes() * 2)
    with temporary_store():
        done = import_rows(StreamTable("bot/answers"), tmp_path / "both.jsonl")
        assert (done.rows, done.events, done.present) == (3, 6, 9)
        assert StreamTable("bot/answers").count() == 3


def test_an_exact_export_can_be_narrowed_and_takes_only_what_was_said_about_its_rows(
    store, tmp_path
):
    done = export(filled(), tmp_path / "one.jsonl", exactly=True, where="op_name = 'answer'")
    assert (done.rows, done.events, done.media) == (1, 1, 0)


def test_a_torn_exact_export_is_told_and_what_is_whole_is_kept(store, tmp_path):
    export(filled(), tmp_path / "rows.jsonl", exactly=True)
    text = (tmp_path / "rows.jsonl").read_bytes()
    lines = text.splitlines(keepends=True)
    (tmp_path / "torn.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:50])
    done = import_rows(StreamTable("bot/torn"), tmp_path / "torn.jsonl")
    assert (done.rows, done.left_out, done.whole) == (2, 1, False)
    assert done.told[0][0] == 4
    assert "ends in the middle" in done.told[0][1]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"row": {"id": "a", "ts": 1, "started_at": "now"}}, "'started_at' holds 'now'"),
        ({"row": {"id": "a", "ts": 1, "embedding": "%%"}}, "'embedding'"),
        ({"row": {"id": "a", "ts": 1, "prompt_tokens": 1 << 63}}, "'prompt_tokens'"),
        ({"row": {"id": "a", "ts": 1, "seq": 4}}, "'seq' is not a column"),
        ({"row": {"id": "", "ts": 1}}, "'id'"),
        ({"row": {"id": "a", "ts": True}}, "'ts'"),
        ({"row": {"id": "a", "ts": 1, "data": [1]}}, "'data' is not"),
        ({"event": {"id": "a", "ts": 1}}, "no 'kind'"),
        ({"n": 1}, "neither"),
    ],
)
def test_an_exact_line_that_the_store_could_not_hold_is_left_out(store, tmp_path, line, why):
    good = {"row": {"id": "good", "ts": 5, "data": {"n": 1}}}
    records = [{"llmwatch_export": 1}, line, good, {"llmwatch_export_end": {}}]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, records)))
    table = StreamTable("bot/x")
    done = import_rows(table, tmp_path / "x.jsonl")
    assert (done.rows, [number for number, _ in done.told]) == (1, [2])
    assert why in done.told[0][1]
    compact(table.project, table.name, seal=True)
    assert [row.id for row in table.rows()] == ["good"]


def test_an_export_of_a_newer_llmwatch_is_refused(store, tmp_path):
    (tmp_path / "x.jsonl").write_text('{"llmwatch_export": 99}\n')
    with pytest.raises(StoreError, match="Update llmwatch"):
        import_rows(StreamTable("bot/x"), tmp_path / "x.jsonl")


def test_rows_out_of_order_keep_their_times(store, tmp_path):
    records = [{"row": {"id": f"r{ts}", "ts": ts, "data": {}}} for ts in (30, 10, 20)]
    (tmp_path / "x.jsonl").write_text(
        "\n".join(map(json.dumps, [{"llmwatch_export": 1}, *records]))
    )
    import_rows(StreamTable("bot/x"), tmp_path / "x.jsonl")
    assert [row.id for row in StreamTable("bot/x").rows()] == ["r10", "r20", "r30"]


def test_media_that_is_not_what_its_name_says_is_not_taken(tmp_path):
    with temporary_store():
        export(filled(), tmp_path / "rows.jsonl", exactly=True)
    (picture,) = (tmp_path / "rows.media").glob("*/*")
    assert picture.stem == hashlib.sha256(PICTURE).hexdigest()
    picture.write_bytes(b"other")
    with temporary_store():
        done = import_rows(StreamTable("bot/answers"), tmp_path / "rows.jsonl")
        assert (done.rows, done.media, done.missing_media) == (3, 0, 1)


# --- for people and other tools ----------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_typed_columns_come_back_as_dict_rows(store, tmp_path, ending):
    table = StreamTable("bot/plain")
    table.log([{"q": 'a "b",\nc', "n": 1, "x": 0.5, "ok": True}, {"q": "日本", "n": 2, "x": 3.0}])
    assert export(table, tmp_path / f"rows.{ending}").rows == 2
    done = import_rows(StreamTable("bot/back"), tmp_path / f"rows.{ending}")
    assert (done.rows, done.left_out) == (2, 0)
    keep = ("q", "n", "x", "ok")
    assert [[row.data[key] for key in keep] for row in StreamTable("bot/back").rows()] == [
        ['a "b",\nc', 1, 0.5, True],
        ["日本", 2, 3.0, None],
    ]


def test_calls_export_to_every_format(store, tmp_path):
    table = filled()
    for ending in ("jsonl", "csv", "parquet"):
        assert export(table, tmp_path / f"rows.{ending}").rows == 3
    told = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_bytes().splitlines()]
    assert told[2]["started_at"] == "2025-11-21T05:38:51.000001+00:00"
    assert told[2]["inputs"] == CALL["inputs"]


def test_cells_that_a_spreadsheet_would_run_are_not_changed(store, tmp_path):
    table = StreamTable("bot/plain")
    cells = ["=1+1", "+1", "-1", "@SUM(A1)"]
    table.log({"q": cell} for cell in cells)
    export(table, tmp_path / "rows.csv")
    import_rows(StreamTable("bot/back"), tmp_path / "rows.csv")
    assert [row["q"] for row in StreamTable("bot/back").rows()] == cells


def test_a_hostile_csv_loses_only_its_bad_records(store, tmp_path):
    (tmp_path / "h.csv").write_bytes(
        b"\xef\xbb\xbfq,n\n"
        b"good,1\n"
        b"three,2,3\n"
        b'"never closed,4\n'
        b"after,5\n"
        b"\n"
        b"one\n"
        b"\xff,6\n"
        b'"two\n\nlines",7\n'
        b"last,8"
    )
    table = StreamTable("bot/h")
    done = import_rows(table, tmp_path / "h.csv")
    assert [row.data for row in table.rows()] == [
        {"q": "good", "n": 1},
        {"q": "after", "n": 5},
        {"q": "two\n\nlines", "n": 7},
        {"q": "last", "n": 8},
    ]
    assert [line for line, _ in done.told] == [3, 4, 7, 8]


@pytest.mark.parametrize("header", ["a,a\n", "a,,b\n"])
def test_a_csv_whose_columns_have_no_name_of_their_own_is_refused(store, tmp_path, header):
    (tmp_path / "x.csv").write_text(header + "1,2,3\n")
    with pytest.raises(StoreError, match="header"):
        import_rows(StreamTable("bot/x"), tmp_path / "x.csv")


def test_a_csv_column_is_a_number_only_when_all_of_it_is(store, tmp_path):
    (tmp_path / "x.csv").write_text("zip,n,mixed,f\n01234,1,1,1\n99999,,a,2.5\n")
    table = StreamTable("bot/x")
    import_rows(table, tmp_path / "x.csv")
    assert [list(row.data.values()) for row in table.rows()] == [
        ["01234", 1, "1", 1.0],
        ["99999", None, "a", 2.5],
    ]
    import_rows(StreamTable("bot/text"), tmp_path / "x.csv", text=True)
    assert next(iter(StreamTable("bot/text").rows()))["n"] == "1"


def test_a_cut_off_gzip_keeps_what_came_before(store, tmp_path):
    packed = gzip.compress(b"".join(b'{"n": %d, "k": "%d"}\n' % (n, n**9) for n in range(5000)))
    (tmp_path / "x.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    done = import_rows(StreamTable("bot/x"), tmp_path / "x.jsonl.gz")
    assert 0 < done.rows < 5000
    assert "damaged from here on" in done.told[0][1]


def test_a_file_that_is_no_parquet_says_so(store, tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"no")
    with pytest.raises(StoreError, match="cannot be read as Parquet"):
        import_rows(StreamTable("bot/x"), tmp_path / "x.parquet")


@pytest.mark.parametrize("name", ["rows.xlsx", "rows"])
def test_an_unknown_format_names_those_there_are(store, tmp_path, name):
    with pytest.raises(StoreError, match="there are: jsonl"):
        export(filled(), tmp_path / name)


def test_an_export_that_fails_leaves_no_file_and_keeps_the_old_one(store, tmp_path):
    (tmp_path / "rows.jsonl").write_text("old")
    with pytest.raises(Exception, match="nothing"):
        export(filled(), tmp_path / "rows.jsonl", where="nothing = 1")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]
    assert (tmp_path / "rows.jsonl").read_text() == "old"
