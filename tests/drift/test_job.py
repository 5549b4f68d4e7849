"""A run of the drift job, on a store with rows."""

from __future__ import annotations

import json

import pytest
from drift_rows import NOW, WEEK, log_day, log_weeks, question, recipe, usual

from llmwatch import StreamTable, clock
from llmwatch.drift import run
from llmwatch.errors import NotFound, SettingsError
from llmwatch.testing import temporary_store


@pytest.fixture
def store():
    with temporary_store(segment_age_s=1e9) as store:
        yield store


def ran(**options):
    return run("bot/chats", **{"until": NOW, "signals": ["prompt_length"], **options})


def mixed(chance):
    return {"question": recipe(chance) if chance.random() < 0.3 else question(chance)}


def longer(chance):
    return {"question": question(chance) * 3}


def test_nothing_is_said_to_drift_when_nothing_moved(store):
    log_weeks()
    log_day()
    report = ran(signals=["prompt_length", "embedding", "region"])
    assert [line.verdict for line in report.lines] == ["no drift"] * 3
    assert (report.verdict, report.exit_code) == ("no drift", 0)
    assert report.reference == "the same hours of 4 earlier weeks"
    assert report.rows == (400, 260)


def test_longer_prompts_are_drift_in_length_and_told_in_characters(store):
    log_weeks()
    log_day(longer)
    line = ran().line("prompt_length")
    assert (line.verdict, line.unit, line.blocks) == ("drift", "characters", "sessions")
    assert line.means[1] > 2 * line.means[0]
    assert line.tokens_estimate[1] == pytest.approx(line.means[1] / 4)


def test_tokens_are_the_unit_when_nearly_all_rows_of_both_sides_have_them(store):
    counted = {"question": "hi", "prompt_tokens": 7}
    log_weeks(lambda _: counted)
    log_day(lambda _: counted)
    assert ran().line("prompt_length").unit == "tokens"


def test_new_prompts_are_drift_in_the_embedding_and_are_shown(store):
    log_weeks()
    log_day(mixed)
    report = ran(signals=["embedding"])
    assert report.line("embedding").verdict == "drift"
    group = report.explanation.groups[0]
    assert "saffron" in group.terms or "simmer" in group.terms
    assert all("Simmer" in one.text for one in group.exemplars)
    assert all("Simmer" in one.text for one in report.explanation.newest)


def test_only_the_same_hours_of_earlier_weeks_count(store):
    log_weeks()
    log_day(longer, ends=NOW - 3 * 86_400)  # on another day of the week
    log_day()
    report = ran()
    assert report.verdict == "no drift"
    assert report.rows == (400, 260)


def test_what_an_earlier_week_did_as_well_is_no_drift_and_the_report_says_so(store):
    log_day(longer, ends=NOW - 4 * WEEK, rows=250)
    log_weeks(weeks=3, rows=250)
    log_day(longer)
    report = ran()
    assert report.verdict == "no drift"
    assert report.line("prompt_length").among.as_large == 1
    assert any("so did 1 of 4 earlier windows" in note for note in report.notes)


def test_the_windows_before_can_be_the_baseline(store):
    for day in range(4, 0, -1):
        log_day(ends=NOW - day * 86_400, seed=day)
    log_day(longer)
    report = ran(baseline="previous")
    assert report.reference == "the 4 windows before"
    assert report.drift


def test_too_few_rows_are_insufficient_and_it_says_how_many_are_missing(store):
    log_weeks()
    log_day(rows=150)
    report = ran()
    assert (report.verdict, report.exit_code) == ("insufficient data", 5)
    assert "50 more rows in the window" in report.line("prompt_length").finding.insufficient


def test_without_earlier_weeks_the_report_says_what_to_compare_with(store):
    log_day()
    report = ran()
    assert report.verdict == "insufficient data"
    assert any("--baseline previous" in note for note in report.notes)


def test_slices_are_compared_by_themselves_with_their_share_of_the_rows(store):
    log_weeks(rows=200)
    log_day(
        lambda chance: (
            {**(usual(chance)), "region": "eu"}
            if chance.random() < 0.5
            else {**longer(chance), "region": "us"}
        ),
        rows=600,
    )
    report = ran(slice="region")
    found = {one.level: one for one in report.slices}
    assert (found["us"].verdict, found["eu"].verdict) == ("drift", "no drift")
    assert report.slices[0].level == "us"
    assert found["us"].shares[1] == pytest.approx(0.5, abs=0.1)


def test_any_column_is_a_signal_numbers_and_categories(store):
    log_weeks(lambda chance: {"question": "hi", "price": chance.gauss(10, 1), "tier": "free"})
    log_day(
        lambda chance: {
            "question": "hi",
            "price": chance.gauss(14, 1),
            "tier": chance.choice(["free", "paid"]),
        }
    )
    report = ran(signals=["price", "tier"])
    assert [(line.kind, line.verdict) for line in report.lines] == [
        ("number", "drift"),
        ("category", "drift"),
    ]
    assert report.line("tier").finding.detail["new"].keys() == {"paid"}


def test_a_value_inside_a_json_column_is_a_signal(store):
    log_weeks(lambda chance: {"question": "hi", "options": {"top_k": chance.randrange(3, 6)}})
    log_day(lambda chance: {"question": "hi", "options": {"top_k": chance.randrange(8, 12)}})
    assert ran(signals=["options.top_k"]).line("options.top_k").kind == "number"
    assert ran(signals=["options.top_k"]).drift


def test_a_score_is_a_signal(store):
    table = StreamTable("bot/chats")
    for ends, score in ((NOW - WEEK, 0.9), (NOW, 0.4)):
        for n, row_id in enumerate(log_day(ends=ends)):
            table.say("score", "confidence", {"score": score + (n % 7) / 100}, row_id=row_id)
    report = ran(signals=["confidence", "score:confidence.score"])
    assert [line.verdict for line in report.lines] == ["drift", "drift"]
    assert report.line("confidence").means == pytest.approx((0.93, 0.43), abs=0.01)


def test_a_signal_named_all_is_every_signal_that_has_something_in_it(store):
    log_weeks()
    log_day()
    names = [line.name for line in ran(signals=["all"]).lines]
    assert names == ["prompt_length", "embedding", "language", "topic", "region"]


def test_languages_that_change_are_drift(store):
    log_weeks()
    log_day(
        lambda chance: (
            {"question": "Wie kann ich das Passwort ändern?"}
            if chance.random() < 0.3
            else usual(chance)
        )
    )
    line = ran(signals=["language"]).line("language")
    assert (line.verdict, line.unit) == ("drift", "guessed")
    assert "de" in line.finding.detail["new"]


def test_a_condition_narrows_both_sides(store):
    log_weeks()
    log_day(
        lambda chance: (
            {**longer(chance), "region": "test"} if chance.random() < 0.5 else usual(chance)
        ),
        rows=600,
    )
    assert ran().drift
    assert not ran(where="region IS NULL OR region <> 'test'").drift


def test_only_the_first_call_of_a_trace_counts_unless_every_call_is_asked_for(store):
    import orjson

    from llmwatch import settings
    from llmwatch.stream import spool

    writer = spool.writer(store.project("local", "bot"), "calls", settings.current())
    for n in range(5):
        with clock.use(now=lambda: (NOW - 60) * 1_000_000):
            line = {
                "id": f"root{n}",
                "trace_id": f"t{n}",
                "inputs": {"question": "hi"},
                "prompt_chars": 2,
            }
            writer.append("row", orjson.dumps(line))
            writer.append("row", orjson.dumps({**line, "id": f"child{n}", "parent_id": f"root{n}"}))
    assert run("bot/calls", until=NOW, signals=["prompt_length"]).rows[1] == 5
    assert run("bot/calls", until=NOW, signals=["prompt_length"], every_call=True).rows[1] == 10


def test_a_run_is_a_row_of_the_drift_table_with_the_metrics_by_their_names_and_no_prompt(store):
    log_weeks()
    log_day(mixed)
    report = ran(signals=["prompt_length", "embedding"])
    row = StreamTable("bot/drift").tail(1)[0]
    assert row["verdict"] == "drift"
    assert row["drift/drift_detected"] == 1
    for name in ("ks_statistic", "p_value", "mean", "std"):
        assert f"drift/prompt_length_{name}" in row
    assert row["run_id"] == report.run_id
    assert "Simmer" not in json.dumps(dict(row), default=str)


def test_a_run_that_is_not_to_be_recorded_leaves_no_row(store):
    log_day()
    ran(record=False)
    assert store.project("local", "bot").tables() == ["chats"]


def test_a_table_that_is_not_there_is_not_found(store):
    log_day()
    with pytest.raises(NotFound, match=r"no table other.*there is: chats"):
        run("bot/other")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"signals": ["promt_length"]}, "did you mean prompt_length"),
        ({"window": "soon"}, "write 30s, 15m, 1h"),
        ({"window": "0h"}, "over 0"),
        ({"until": "yesterday"}, "write 2026-01-31"),
        ({"alpha": 2}, "between 0 and 1"),
        ({"by": "moon"}, "put together by"),
        ({"embedder": "magic"}, "there is no embedder 'magic'"),
        ({"slice": "prompt_chars"}, "sliced by a category"),
        ({"signals": []}, "at least one signal"),
        ({"speed": 3}, "options of a drift run are"),
        ({"signals": ["question.x"]}, "question of table chats is not JSON"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_sentence(store, options, said):
    log_day(rows=3)
    if "embedder" in options:
        options = {"signals": ["embedding"], **options}
    with pytest.raises(SettingsError, match=said):
        ran(**options)
