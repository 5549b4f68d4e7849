"""Baselines: saved by name and version, refused when another embedder reads, and gone with the user they are of."""

from __future__ import annotations

import json

import pytest
from drift_rows import NOW, log_day, log_weeks, question, recipe, usual

from llmwatch.cli import main
from llmwatch.drift import delete_baseline, run, save_baseline, saved_baselines
from llmwatch.errors import InvalidName, LlmwatchError, NotFound, SettingsError
from llmwatch.stream.erase import erase
from llmwatch.testing import temporary_store


@pytest.fixture
def store():
    with temporary_store(segment_age_s=1e9) as store:
        yield store


def records(chance_seed=1, rows=300, make=question):
    import random

    chance = random.Random(chance_seed)
    return [
        {"question": make(chance), "topic_name": chance.choice(["a", "b"])} for _ in range(rows)
    ]


def against(baseline, **options):
    given = {"until": NOW, "signals": ["prompt_length", "embedding"], "record": False, **options}
    return run("bot/chats", baseline=baseline, **given)


class Flat:
    """An embedder of our own."""

    identity = "flat-1"
    costly = False

    def embed(self, texts):
        import numpy as np

        return np.ones((len(texts), 3), np.float32)


def test_a_golden_dataset_is_what_windows_are_compared_with(store):
    saved = save_baseline("golden", records(), project="bot")
    assert (saved.label, saved.rows, saved.embedder) == ("golden@1", 300, "ngrams-512-v1")
    log_day()
    same = against("golden")
    assert same.line("prompt_length").blocks == "sessions"  # of the window; the dataset has none
    assert (same.verdict, same.reference) == ("no drift", "baseline golden@1")
    save_baseline("recipes", records(make=recipe), project="bot")
    assert against("recipes").line("embedding").verdict == "drift"


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_dataset_can_be_a_file(store, tmp_path, ending):
    path = tmp_path / f"golden.{ending}"
    if ending == "jsonl":
        path.write_text("".join(json.dumps(one) + "\n" for one in records()), encoding="utf-8")
    elif ending == "csv":
        path.write_text(
            "question,price\n" + "".join(f'"{one["question"]}",3\n' for one in records()),
            encoding="utf-8",
        )
    else:
        import duckdb

        duckdb.sql(f"COPY (SELECT 'how ' || range AS question FROM range(300)) TO '{path}'")
    assert save_baseline("golden", path, project="bot").source == f"file golden.{ending}"
    assert saved_baselines("bot")[0].rows == 300


def test_a_dataset_can_be_weaves(store):
    import weave

    dataset = weave.Dataset(name="questions", rows=records())
    assert save_baseline("golden", dataset, project="bot").rows == 300


def test_a_stretch_of_a_table_is_saved_with_every_signal_it_has(store):
    log_day(rows=250)
    saved = save_baseline("day", table="bot/chats", window="1d", until=NOW)
    assert saved.rows == 250
    assert set(saved.signals) == {"prompt_length", "region"}
    report = against("day", signals=["prompt_length", "region", "embedding", "language"])
    assert [line.verdict for line in report.lines] == ["no drift"] * 4


def test_of_statistics_the_distance_is_said_and_no_p_value(store):
    log_day()
    usual_ = {"prompt_length": {"mean": 37, "std": 10, "unit": "characters"}}
    save_baseline("usual", statistics=usual_, project="bot")
    report = against("usual", signals=["prompt_length"])
    assert (report.verdict, report.reference) == ("no drift", "statistics usual@1")
    short = {"prompt_length": {"mean": 20, "std": 10, "unit": "characters"}}
    save_baseline("short", statistics=short, project="bot")
    line = against("short", signals=["all"]).line("prompt_length")
    assert (line.verdict, line.judged.p_adjusted, line.means[0]) == ("drift", None, 20)
    assert "standard deviations" in line.judged.passed[0]
    with pytest.raises(LlmwatchError, match="statistics of prompt_length and nothing of embedding"):
        against("short")


def test_statistics_of_too_few_rows_or_of_one_session_say_nothing():
    from llmwatch.drift import summaries

    given = {"mean": 1.0, "std": 1.0}
    assert summaries.compare([5.0] * 100, given).lacking.window_rows == 100
    assert summaries.compare([5.0] * 300, given, ["s"] * 300).lacking.window_blocks == 29


def test_ten_long_conversations_are_less_sure_than_as_many_rows():
    from llmwatch.drift import summaries

    rows = [float(n // 10 % 3) for n in range(400)]
    given = {"mean": 0.8, "std": 1.0}
    alone = summaries.compare(rows, given).effects["mean_shift"]
    together = summaries.compare(rows, given, [n // 10 for n in range(400)]).effects["mean_shift"]
    assert 0 <= together < alone < 0.2


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"prompt_length": 3},
        {"prompt_length": {"mean": 3, "std": 1}},
        {"price": {"mean": 1, "std": 0}},
    ],
)
def test_statistics_that_say_too_little_are_refused(store, given):
    with pytest.raises(SettingsError):
        save_baseline("golden", statistics=given, project="bot")


def test_saving_again_is_the_next_version_and_the_old_one_stays(store):
    save_baseline("golden", records(), project="bot")
    save_baseline("golden", records(2, rows=250), project="bot")
    log_day()
    assert [one.label for one in saved_baselines("bot")] == ["golden@1", "golden@2"]
    assert against("golden").reference == "baseline golden@2"
    assert against("golden@1").rows[0] == 300


def test_a_baseline_of_another_embedder_is_refused_and_both_are_named(store):
    save_baseline("golden", records(), project="bot", embedder=Flat())
    log_day()
    with pytest.raises(
        LlmwatchError, match=r"golden@1 was embedded by flat-1 and this run embeds by ngrams-512-v1"
    ):
        against("golden")
    assert against("golden", signals=["prompt_length"]).verdict == "no drift"
    assert against("golden", embedder=Flat()).line("embedding").verdict == "no drift"


def test_a_signal_that_a_baseline_does_not_hold_is_said(store):
    save_baseline("golden", records(), project="bot")
    log_day()
    with pytest.raises(
        LlmwatchError, match="golden@1 holds no region; it holds prompt_length, topic_name"
    ):
        against("golden", signals=["region"])


def test_deleting_removes_every_byte_of_a_version(store):
    save_baseline("golden", [{"question": f"tulip {n}"} for n in range(300)], project="bot")
    save_baseline("golden", records(), project="bot")
    assert [one.label for one in delete_baseline("golden@1", "bot")] == ["golden@1"]
    assert [one.label for one in saved_baselines("bot")] == ["golden@2"]
    assert not any(
        b"tulip" in path.read_bytes() for path in store.root.rglob("*") if path.is_file()
    )
    with pytest.raises(NotFound):
        delete_baseline("golden@1", "bot")


def test_erasing_a_user_takes_their_prompts_out_of_a_baseline(store):
    log_day(rows=250)
    saved = save_baseline("day", table="bot/chats", until=NOW)
    done = erase(store.project("local", "bot"), "user_id = 'u7'")
    assert (done.rows, done.derived, done.complete) == (5, 5, True)
    left = saved_baselines("bot")[0]
    assert (left.rows, left.saved_rows) == (saved.rows - 5, saved.rows)
    log_day(seed=3)
    assert "(5 of its 250 rows were erased since)" in against("day").reference


def test_erasing_a_user_reaches_baselines_whose_rows_are_gone_already(store):
    golden = [{**one, "user_id": f"u{n % 10}"} for n, one in enumerate(records())]
    save_baseline("golden", golden, project="bot")
    assert erase(store.project("local", "bot"), "user_id = 'u7'").derived == 30
    assert saved_baselines("bot")[0].rows == 270


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("weeks", {"data": [{"question": "hi"}]}, SettingsError),
        ("a/b", {"data": [{"question": "hi"}]}, InvalidName),
        ("golden", {}, SettingsError),
        ("golden", {"data": "no-such-file.jsonl"}, NotFound),
        ("golden", {"data": [{"question": "hi"}], "text": "prompt"}, LlmwatchError),
    ],
)
def test_a_baseline_that_cannot_be_saved_is_an_error(store, name, options, error):
    with pytest.raises(error):
        save_baseline(name, project="bot", **options)


def test_the_command_saves_lists_and_deletes(store, tmp_path, capsys):
    path = tmp_path / "golden.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records()), encoding="utf-8")
    assert main(["baseline", "save", "golden", "--file", str(path), "--project", "bot"]) == 0
    assert "saved golden@1: 300 rows of file golden.jsonl" in capsys.readouterr().out
    assert main(["baseline", "list", "--project", "bot", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "golden"
    log_weeks(usual)
    log_day()
    assert (
        main(
            [
                "drift",
                "--table",
                "bot/chats",
                "--until",
                "2026-11-18T11:06:40",
                "--baseline",
                "golden",
                "--json",
            ]
        )
        == 0
    )
    assert json.loads(capsys.readouterr().out)["reference"] == "baseline golden@1"
    assert main(["baseline", "delete", "golden", "--project", "bot"]) == 0
    assert main(["baseline", "delete", "golden", "--project", "bot"]) == 1
