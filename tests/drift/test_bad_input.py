"""Bad input ends in a sentence and the exit code that is documented, whatever it is."""

from __future__ import annotations

import math

import pytest
from drift_rows import NOW, log_day, log_weeks, usual

from llmwatch.cli import main
from llmwatch.drift import run, save_baseline
from llmwatch.errors import LlmwatchError
from llmwatch.testing import temporary_store


@pytest.fixture
def store():
    with temporary_store(field_limit_kb=65536, row_limit_kb=131072, segment_age_s=1e9) as store:
        yield store


def drift(capsys, *arguments):
    code = main(["drift", "--table", "bot/chats", "--until", "2026-11-18T11:06:40", *arguments])
    out = capsys.readouterr()
    return code, out.out + out.err


def ran(*signals, **options):
    return run("bot/chats", until=NOW, signals=list(signals), record=False, **options)


def test_an_empty_window(store, capsys):
    log_weeks()
    code, said = drift(capsys)
    assert code == 5
    assert "Not enough data to tell" in said
    assert "The window has no rows." in said
    assert "200 more rows in the window" in " ".join(said.split())


def test_one_row(store, capsys):
    log_weeks()
    log_day(rows=1)
    code, said = drift(capsys)
    assert code == 5
    assert "199 more rows" in said


def test_a_constant_column(store):
    log_weeks(lambda _: {"question": "the same", "price": 5})
    log_day(lambda _: {"question": "the same", "price": 5})
    report = ran("prompt_length", "embedding", "price")
    assert [line.verdict for line in report.lines] == ["no drift"] * 3
    assert report.line("price").histogram is None


def test_a_column_that_is_null_throughout(store):
    log_weeks(lambda chance: {**usual(chance), "price": 5 if chance.random() < 0.01 else None})
    log_day(lambda chance: {**usual(chance), "price": None})
    report = ran("price", "prompt_length")
    line = report.line("price")
    assert (line.verdict, line.means[1]) == ("insufficient data", None)
    assert report.verdict == "no drift"  # of the other signal


def test_no_prompt_at_all(store):
    log_weeks(lambda chance: {"price": chance.random()})
    log_day(lambda chance: {"price": chance.random()})
    report = ran("embedding", "prompt_length", "language", "topic")
    assert report.verdict in {"insufficient data", "no drift"}
    assert report.line("embedding").verdict == "insufficient data"


def test_nan_and_infinity_are_left_out_and_counted(store):
    def odd(chance):
        values = [math.nan, math.inf, -math.inf] if chance.random() < 0.2 else [1.0, 2.0, 3.0]
        return {**usual(chance), "price": chance.choice(values)}

    log_weeks(odd, rows=200)
    log_day(odd, rows=600)
    line = ran("price").line("price")
    assert line.verdict == "no drift"
    assert 200 < line.finding.left_out < 360
    assert line.means[1] == pytest.approx(2, abs=0.2)


def test_a_prompt_of_fifty_megabytes(store):
    log_weeks()
    log_day()
    log_day(lambda _: {"question": "x y " * 12_500_000}, rows=1, seed=9)
    report = ran("prompt_length", "embedding")
    assert report.rows[1] == 261
    assert report.line("embedding").verdict == "no drift"


def test_vectors_of_two_sizes_on_one_side_are_left_out_and_counted(store):
    def carried(chance):
        size = 3 if chance.random() < 0.1 else 4
        return {**usual(chance), "vector": [chance.random() for _ in range(size)]}

    log_weeks(carried)
    log_day(carried)
    line = ran("embedding", embedder="column:vector").line("embedding")
    assert line.verdict == "no drift"
    assert line.finding.left_out > 20


def test_vectors_of_another_size_on_each_side(store, capsys):
    log_weeks(lambda chance: {**usual(chance), "vector": [chance.random() for _ in range(4)]})
    log_day(lambda chance: {**usual(chance), "vector": [chance.random() for _ in range(5)]})
    code, said = drift(capsys, "--embedder", "column:vector")
    assert code == 1
    assert "vectors of 4 numbers and the window of 5" in said
    assert "different embedders" in said


def test_a_column_that_holds_no_vectors(store, capsys):
    log_day(rows=3)
    code, said = drift(capsys, "--embedder", "column:region")
    assert code == 2
    assert "holds no vectors" in said


def test_a_baseline_that_is_gone(store, capsys):
    log_day()
    code, said = drift(capsys, "--baseline", "golden")
    assert code == 1
    assert "there is no baseline golden" in said
    assert "llmwatch baseline save" in said


def test_a_version_that_is_gone(store, capsys):
    log_day()
    save_baseline("golden", [{"question": f"hi {n}"} for n in range(300)], project="bot")
    code, said = drift(capsys, "--baseline", "golden@7")
    assert code == 1
    assert "golden@1" in said


def test_a_condition_that_is_no_sql(store, capsys):
    log_day(rows=3)
    code, _ = drift(capsys, "--where", "region ==== 'x'")
    assert code == 2


def test_a_condition_that_would_write(store, capsys):
    log_day(rows=3)
    code, said = drift(capsys, "--where", "1=1); DROP TABLE x; --")
    assert code == 2
    assert said


def test_a_baseline_without_a_prompt_says_which_fields_there_are(store):
    with pytest.raises(LlmwatchError, match="they have: price"):
        save_baseline("golden", [{"price": 1}], project="bot")


def test_an_empty_baseline(store):
    log_day(ends=NOW - 90 * 86400, rows=3)
    with pytest.raises(LlmwatchError, match="would be empty"):
        save_baseline("golden", table="bot/chats", until=NOW)


def test_an_extra_that_is_missing_names_the_command(store, capsys, monkeypatch):
    from llmwatch.drift.embedders import onnx

    monkeypatch.setattr(onnx, "find_spec", lambda name: None)
    log_day(rows=3)
    code, said = drift(capsys, "--embedder", "onnx")
    assert code == 1
    assert 'pip install "llmwatch[embeddings]"' in said


def test_lone_surrogates_and_escapes_do_no_harm(store):
    hostile = "\ud800 \x1b[31m <script>alert(1)</script> ' OR 1=1 -- \u202e"
    log_weeks()
    log_day(
        lambda chance: (
            {**usual(chance), "question": hostile + str(chance.randrange(9))}
            if chance.random() < 0.3
            else usual(chance)
        )
    )
    report = ran("embedding")
    assert report.drift
    for shown in (str(report), report._repr_html_()):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert "<script" not in report._repr_html_()
