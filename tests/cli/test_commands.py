"""The commands, as a person or a script runs them."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llmwatch import StreamTable
from llmwatch.cli import main
from llmwatch.store import open_store
from llmwatch.testing import temporary_store

ROWS = [
    {"question": "hi", "tokens": 3, "user": "u1"},
    {"question": "bye", "tokens": 5, "user": "u2"},
]


@pytest.fixture
def store():
    with temporary_store() as store:
        StreamTable("bot/answers").log(ROWS)
        yield store


def sealed() -> None:
    """Everything logged so far is ready for compaction."""
    StreamTable("bot/answers").finish()


def said_json(capsys, *arguments):
    code = main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_stats_count_rows_and_where_they_lie(store, capsys):
    code, found = said_json(capsys, "stats")
    assert code == 0
    assert [(t["table"], t["rows"], t["lake_files"], t["segments"]) for t in found] == [
        ("local/bot/answers", 2, 0, 1)
    ]
    sealed()
    main(["compact"])
    capsys.readouterr()
    _, found = said_json(capsys, "stats", "bot")
    assert [(t["rows"], t["lake_files"], t["segments"]) for t in found] == [(2, 1, 0)]


def test_tail_shows_the_newest_rows_last(store, capsys):
    assert main(["tail", "bot/answers", "-n", "1"]) == 0
    assert "question=bye" in capsys.readouterr().out
    main(["tail", "bot/answers", "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["question"] for line in lines] == ["hi", "bye"]


def test_query_answers_as_tabs_in_a_pipe_and_as_json(store, capsys):
    assert (
        main(["query", "bot/answers", "SELECT question, tokens FROM answers ORDER BY tokens"]) == 0
    )
    assert capsys.readouterr().out == "question\ttokens\nhi\t3\nbye\t5\n"
    code, found = said_json(capsys, "query", "bot/answers", "SELECT sum(tokens) AS n FROM answers")
    assert (code, found) == (0, [{"n": 8}])


@pytest.mark.parametrize(
    "sql", ["DROP TABLE answers", "SELECT nothing FROM answers", "SELEC", "SELECT 1; SELECT 2"]
)
def test_sql_that_cannot_be_answered_is_wrong_usage(store, capsys, sql):
    assert main(["query", "bot/answers", sql]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("llmwatch: ")


def test_a_row_cannot_steer_the_terminal(store, capsys):
    StreamTable("bot/answers").log({"question": "\x1b]0;owned\x07\x1b[2J\u202eevil\r\x9b31m"})
    main(["tail", "bot/answers"])
    main(["query", "bot/answers", "SELECT question FROM answers"])
    main(["tail", "bot/answers", "--json"])
    printed = capsys.readouterr().out
    assert not set(printed) & set("\x1b\x07\x9b\r\u202e")
    assert "\\x1b[2J" in printed


@pytest.mark.parametrize(
    "arguments",
    [
        ["stats", "nobody"],
        ["tail", "bot/nothing"],
        ["query", "nobody/answers", "SELECT 1"],
        ["compact", "nobody"],
    ],
)
def test_what_is_not_there_is_an_error_and_is_not_made(store, capsys, arguments):
    before = sorted(store.root.rglob("*"))
    assert main(arguments) == 1
    assert "there is no" in capsys.readouterr().err
    assert sorted(store.root.rglob("*")) == before


def test_a_store_that_is_not_there_is_not_made(tmp_path, capsys):
    assert main(["stats", "--store", str(tmp_path / "typo")]) == 1
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("name", ["../x", "a/b/c/d", ""])
def test_a_name_that_cannot_be_is_wrong_usage(store, name):
    assert main(["tail", name]) == 2


def test_compact_says_what_is_still_being_written(store, capsys):
    code, [report] = said_json(capsys, "compact")
    assert (code, report["rows"], report["being_written"]) == (0, 0, 1)
    sealed()
    code, [report] = said_json(capsys, "compact")
    assert (code, report["rows"], report["being_written"]) == (0, 2, 0)


def test_compact_of_a_busy_table_is_incomplete(store, capsys):
    from llmwatch.stream.lake import locked

    sealed()
    with locked(store.project("local", "bot"), "answers") as mine:
        assert mine
        assert main(["compact"]) == 3
    assert "run this again" in capsys.readouterr().err
    assert main(["compact"]) == 0


def test_vacuum_deletes_what_the_lake_left(store, capsys):
    for _ in range(2):
        sealed()
        main(["compact"])
        StreamTable("bot/answers").log(ROWS)
    main(["compact", "--merge"])
    capsys.readouterr()
    code, removed = said_json(capsys, "vacuum", "--older-than", "0")
    assert (code, removed["files"]) == (0, 2)
    assert StreamTable("bot/answers").count() == 6


def test_an_export_imports_as_the_same_rows(store, tmp_path, capsys):
    odd = {"_id": 1, "n": float("nan"), "when": open_store().root, "b": b"\x00\xff", "t": (1, 2)}
    StreamTable("bot/answers").log(odd)
    assert main(["export", "bot/answers", "--to", str(tmp_path / "rows.jsonl")]) == 0
    assert main(["import", str(tmp_path / "rows.jsonl"), "bot/again"]) == 0
    before, after = (
        [row.data for row in StreamTable(f"bot/{name}").rows()] for name in ("answers", "again")
    )
    assert repr(after) == repr(before)
    assert (tmp_path / "rows.jsonl").stat().st_mode & 0o077 == 0


def test_an_export_can_be_narrowed(store, capsysbinary):
    assert main(["export", "bot/answers", "--where", "tokens > 3"]) == 0
    assert [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()] == [ROWS[1]]


def test_lines_that_are_not_rows_are_skipped_and_said(store, tmp_path, capsys):
    (tmp_path / "in.jsonl").write_text('{"a": 1}\nnot json\n\n[1]\n{"a": 2}\n')
    code, told = said_json(capsys, "import", str(tmp_path / "in.jsonl"), "bot/new")
    assert (code, told["rows"], told["left_out"]) == (3, 2, 2)
    assert [line for line, _ in told["told"]] == [2, 4]
    assert StreamTable("bot/new").count() == 2


def test_an_import_that_uses_no_line_has_failed(store, tmp_path):
    (tmp_path / "in.jsonl").write_text("nothing\n")
    assert main(["import", str(tmp_path / "in.jsonl"), "bot/new"]) == 1
    assert main(["import", str(tmp_path / "missing.jsonl"), "bot/new"]) == 1


def test_erase_asks_first(store, capsys, monkeypatch):
    assert said_json(capsys, "erase", "bot", "--where", "user = 'u1'", "--dry-run")[1]["rows"] == 1
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["erase", "bot", "--where", "user = 'u1'"]) == 2
    assert StreamTable("bot/answers").count() == 2
    assert main(["erase", "bot", "--where", "user = 'u1'", "--yes"]) == 0
    assert [row["user"] for row in StreamTable("bot/answers").rows()] == ["u2"]


def test_doctor_finds_a_sound_store_sound(store, capsys):
    code, findings = said_json(capsys, "doctor")
    assert code == 0
    about = {finding["about"]: finding["level"] for finding in findings}
    assert about["store"] == about["privacy"] == about["local/bot quarantine"] == "ok"


def test_doctor_says_what_is_wrong(store, capsys, monkeypatch):
    monkeypatch.setattr("llmwatch.cli.installation.IMPORTED", ("orjson",))
    store.root.chmod(0o755)
    bad = store.project("local", "bot").quarantine("answers")
    bad.mkdir(parents=True)
    (bad / "w-00000001.bad").write_text("torn\ntorn\n")
    code, findings = said_json(capsys, "doctor")
    levels = {finding["about"]: finding for finding in findings}
    assert code == 1
    assert levels["privacy"]["level"] == "warning"
    assert "2 unreadable lines" in levels["local/bot quarantine"]["said"]


def test_up_once_does_what_is_due(store, capsys):
    sealed()
    assert main(["up", "--once"]) == 0
    _, [told] = said_json(capsys, "stats")
    assert (told["rows"], told["lake_files"]) == (2, 1)


def test_up_beside_another_worker_says_so(store, capsys):
    from llmwatch.stream import fork
    from llmwatch.worker import lock

    held = lock.try_take(store)
    try:
        assert main(["up", "--once"]) == 1
    finally:
        fork.let_go(held)
    assert "has a worker already" in capsys.readouterr().err


def test_the_command_runs_as_a_process_and_its_reader_may_stop_reading(store):
    StreamTable("bot/answers").log([{"n": "x" * 500}] * 2000)
    command = [sys.executable, "-m", "llmwatch", "tail", "bot/answers", "-n", "2000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), complaint) == (0, "")


def test_every_command_is_in_the_reference(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = re.findall(r"^    ([a-z]+) ", capsys.readouterr().out, re.MULTILINE)
    reference = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text(
        encoding="utf-8"
    )
    assert len(commands) >= 9
    assert [name for name in commands if f"`llmwatch {name}" not in reference] == []
