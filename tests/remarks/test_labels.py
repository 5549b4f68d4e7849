"""Labels from files: every record is accounted for, and a second import writes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmwatch import StreamTable, cli
from llmwatch.errors import LlmwatchError, NotFound, StoreError
from llmwatch.remarks.labels import import_labels
from llmwatch.store import EVENTS, open_store
from llmwatch.stream.compact import compact

pytestmark = pytest.mark.usefixtures("llmwatch_store")
TABLE = "local/bot/answers"


@pytest.fixture
def table() -> StreamTable:
    table = StreamTable(TABLE)
    table.log([{"inference_id": f"i-{n}", "score": n} for n in range(5)])
    table.log({"inference_id": "i-4"})
    return table


def labels(table: StreamTable) -> dict[str, dict[str, object]]:
    return {row["inference_id"]: row.labels for row in table.rows() if row.labels}


def test_every_record_is_in_exactly_one_count_with_its_reason(
    table: StreamTable, tmp_path: Path
) -> None:
    file = tmp_path / "truth.csv"
    file.write_text(
        "inference_id,resolved,lang\ni-0,true,en\ni-1,false,\ni-9,true,en\n,true,en\ni-2,,\ni-4,true,de\ni-0,false,fr\n"
    )
    done = import_labels(file, key="inference_id", table=TABLE, creator="ann")
    assert (done.records, done.matched, done.no_row, done.several_rows) == (7, 3, 1, 1)
    assert (done.no_key, done.no_labels, done.bad, done.repeated_keys) == (1, 1, 0, 1)
    assert (
        done.left_out == done.no_row + done.several_rows + done.no_key + done.no_labels + done.bad
    )
    assert done.labels == 3
    assert labels(table) == {"i-0": {"resolved": False, "lang": "fr"}, "i-1": {"resolved": False}}
    assert [line for line, _ in done.told] == [5, 6, 4, 7]
    assert done.told[2][1] == "no row has inference_id = 'i-9'"


@pytest.mark.parametrize("settled", [False, True])
def test_a_second_import_writes_nothing_and_a_changed_value_only_that(
    table: StreamTable, tmp_path: Path, settled: bool
) -> None:
    file = tmp_path / "truth.jsonl"
    file.write_text(
        '{"inference_id":"i-0","good":true,"why":{"a":[1]}}\n{"inference_id":"i-1","good":null,"n":2.5}\n'
    )
    assert import_labels(file, key="inference_id", table=TABLE).labels == 3
    if settled:
        compact(open_store().project("local", "bot"), EVENTS, seal=True)
    again = import_labels(file, key="inference_id", table=TABLE)
    assert (again.matched, again.labels, again.there_already) == (2, 0, 3)
    file.write_text('{"inference_id":"i-0","good":false,"why":{"a":[1]}}\n')
    assert import_labels(file, key="inference_id", table=TABLE).labels == 1
    assert labels(table)["i-0"] == {"good": False, "why": {"a": [1]}}


def test_parquet_with_numbers_as_keys(tmp_path: Path) -> None:
    import duckdb

    table = StreamTable("local/bot/numbered")
    table.log([{"inference_id": n} for n in range(3)])
    file = tmp_path / "truth.parquet"
    duckdb.sql("SELECT range AS inference_id, range % 2 = 0 AS even FROM range(3)").write_parquet(
        str(file)
    )
    done = import_labels(file, key="inference_id", table="local/bot/numbered")
    assert (done.matched, done.labels) == (3, 3)
    assert [row.labels for row in table.rows()] == [{"even": True}, {"even": False}, {"even": True}]


def test_what_pandas_writes_for_a_missing_number_is_no_label(
    table: StreamTable, tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = tmp_path / "truth.parquet"
    scores = [float("nan"), 0.5]
    pq.write_table(pa.table({"inference_id": ["i-0", "i-1"], "loss": scores}), file)
    done = import_labels(file, key="inference_id", table=TABLE)
    assert (done.matched, done.no_labels, done.labels) == (1, 1, 1)
    assert labels(table) == {"i-1": {"loss": 0.5}}


def test_only_the_columns_that_are_named_become_labels(table: StreamTable, tmp_path: Path) -> None:
    file = tmp_path / "truth.csv"
    file.write_text("inference_id,resolved,note\ni-0,true,long story\n")
    import_labels(file, key="inference_id", table=TABLE, labels=["resolved"], prefix="human_")
    assert labels(table) == {"i-0": {"human_resolved": True}}


def test_bad_records_are_told_and_the_others_kept(table: StreamTable, tmp_path: Path) -> None:
    file = tmp_path / "truth.jsonl"
    file.write_bytes(b'{"inference_id":"i-0","good":true}\n{"inference_id":\n[1]\n\xff\xfe\n')
    done = import_labels(file, key="inference_id", table=TABLE)
    assert (done.matched, done.bad, done.records) == (1, 3, 4)


def test_a_wrong_key_file_or_table_is_said_before_anything_is_done(
    table: StreamTable, tmp_path: Path
) -> None:
    file = tmp_path / "truth.csv"
    file.write_text("inference,resolved\ni-0,true\n")
    with pytest.raises(LlmwatchError, match="has no 'inference_id'; it has: inference, resolved"):
        import_labels(file, key="inference_id", table=TABLE)
    with pytest.raises(NotFound, match="no table"):
        import_labels(file, key="inference_id", table="local/bot/other")
    with pytest.raises(StoreError, match="no file"):
        import_labels(tmp_path / "none.csv", key="inference_id", table=TABLE)
    assert labels(table) == {}


def test_the_command_reports_what_matched_and_what_did_not(
    table: StreamTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "truth.csv"
    file.write_text("inference_id,resolved\ni-0,true\ni-9,true\n")
    command = ["labels", "import", str(file), "--key", "inference_id", "--table", TABLE]
    assert cli.main(command) == 3
    told = capsys.readouterr().err
    assert (
        "1 of 2 records matched a row of local/bot/answers by inference_id; 1 labels written"
        in told
    )
    assert "1 have a key that no row has" in told
    assert f"{file}:3: left out: no row has inference_id = 'i-9'" in told
    assert cli.main([*command, "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["there_already"] == 1
    file.write_text("inference_id,resolved\nx,true\n")
    assert cli.main(command) == 1
