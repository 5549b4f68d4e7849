"""Slices that are worse than the rest."""

from __future__ import annotations

import json

import pytest
from slice_rows import at, log, rows

import llmwatch
from llmwatch import StreamTable, feedback, label, slices
from llmwatch.cli import main
from llmwatch.errors import NotFound, QueryRefused, SettingsError
from llmwatch.slices import find
from llmwatch.stream import events
from llmwatch.testing import temporary_store


@pytest.fixture
def store():
    with temporary_store(segment_age_s=1e9) as store:
        yield store


def bad(row, chance, n):
    """Three slices that are slower, one of them by two columns."""
    if row["region"] == "sa":
        row["latency_ms"] *= 1.6
    if row["version"] == "v2" and row["tool"] == "sql":
        row["latency_ms"] *= 1.9
    if row["prompt_tokens"] > 340:
        row["latency_ms"] *= 1.6


def names(found):
    return [one.name for one in found]


def test_planted_slices_are_the_first_and_what_they_explain_is_left_out(store):
    log(rows(5_000, bad))
    found = find("bot", "chats", metric="latency", texts=False)
    told = names(found)
    assert {"region = sa", "version = v2 and tool = sql"} <= set(told[:3])
    assert any(name.startswith("prompt_tokens > ") and "and" not in name for name in told[:4])
    assert len(told) <= 5


def test_a_slice_says_by_how_much_of_how_many_and_which_rows(store):
    log(rows(3_000, bad))
    one = next(one for one in find("bot", "chats", metric="latency") if one.name == "region = sa")
    assert (
        one.rows
        == StreamTable("bot/chats")
        .query(f"SELECT count(*) FROM chats WHERE {one.where}")
        .rows[0][0]
    )
    assert one.value > 1.4 * one.rest
    assert 0.1 < one.impact < 0.3
    assert one.p < 0.001
    worst = (
        StreamTable("bot/chats")
        .query(
            "SELECT id, latency_ms FROM chats WHERE region = 'sa' ORDER BY latency_ms DESC LIMIT 1"
        )
        .rows[0]
    )
    assert (one.exemplars[0].row_id, one.exemplars[0].value) == worst


def test_two_columns_are_told_only_when_worse_than_either(store):
    log(
        rows(
            4_000,
            lambda row, *_: row.update(
                latency_ms=row["latency_ms"] * (2 if row["region"] == "eu" else 1)
            ),
        )
    )
    assert names(find("bot", "chats", metric="latency", texts=False)) == ["region = eu"]


def test_a_column_that_says_the_same_is_named_beside_it(store):
    def change(row, chance, n):
        row["zone"] = f"zone-{row['region']}"
        if row["region"] == "eu":
            row["latency_ms"] *= 2

    log(rows(2_000, change))
    found = find("bot", "chats", metric="latency", texts=False)
    assert len(found) == 1
    assert {found.slices[0].name, *found.slices[0].also} == {"region = eu", "zone = zone-eu"}


def test_users_that_are_slower_do_not_make_their_plan_slower(store):
    """Habits of a few people look like their plan's when rows are taken as independent."""

    def change(row, chance, n):
        row["latency_ms"] *= 1 + (int(row["user_id"][1:]) % 7) / 2

    log(rows(3_000, change, users=60))
    by_users = find("bot", "chats", metric="latency", columns=["plan", "region"])
    assert (by_users.by, names(by_users)) == ("users", [])


def test_nothing_is_told_where_nothing_is_worse(store):
    log(rows(2_000))
    found = find("bot", "chats", columns=["plan", "region", "tool", "version", "prompt_tokens"])
    assert found.tested > 100
    assert names(found) == []
    assert "No slice is worse" in str(found)


def test_errors_feedback_and_scores_are_metrics(store):
    ids = log(
        made := rows(
            1_500,
            lambda row, chance, _: (
                row.update(status="error")
                if row["tool"] == "mail" and chance.random() < 0.3
                else None
            ),
        )
    )
    project = store.project("local", "bot")
    for row_id, row in zip(ids, made, strict=True):
        feedback(row_id, "reaction", "down" if row["region"] == "eu" else "up", project="bot")
        label(row_id, {"resolved": row["version"] == "v1"}, table="chats", project="bot")
        events.add(
            project,
            kind="score",
            name="toxicity",
            value={"score": 0.9 if row["plan"] == "free" else 0.1},
            row_id=row_id,
            table="chats",
        )
    found = find("bot", "chats", texts=False, pairs=False)
    told = {one.metric: one.name for one in found.slices}
    assert told["errors"] == "tool = mail"
    assert told["feedback"] == "region = eu"
    assert told["label:resolved"] == "version = v2"
    assert told["score:toxicity"] == "plan = free"
    assert next(one for one in found if one.metric == "errors").value > 0.2


def test_languages_are_slices(store):
    def change(row, chance, n):
        german = chance.random() < 0.3
        row["question"] = (
            f"Wie kann ich das Passwort für mein Konto {n} ändern?"
            if german
            else f"How do I change the password of my account {n}?"
        )
        row["latency_ms"] *= 2 if german else 1

    log(rows(1_200, change))
    found = find("bot", "chats", metric="latency", columns=["language"])
    assert names(found) == ["language = de"]
    assert "Passwort" in found.slices[0].exemplars[0].text


def test_of_traces_the_cost_is_that_of_the_calls_inside_and_the_model_theirs(store):
    llmwatch.init("bot")
    table = StreamTable("bot/traces")
    from llmwatch import clock, settings
    from llmwatch.stream import spool

    writer = spool.writer(table.project, "traces", settings.current())
    for n in range(300):
        root, trace = clock.new_id(), clock.new_id()
        model = "large" if n % 3 == 0 else "small"
        head = f'"trace_id":"{trace}","status":"success"'
        writer.append(
            "row",
            f'{{"id":"{root}",{head},"op_name":"answer","inputs":{{"tier":"t{n % 2}"}}}}'.encode(),
        )
        cost = 0.03 + n / 1e5 if model == "large" else 0.01 + n / 1e5
        writer.append(
            "row",
            f'{{"id":"{clock.new_id()}","parent_id":"{root}",{head},"op_name":"ask","model":"{model}","cost_usd":{cost}}}'.encode(),
        )
    found = find("bot", "traces", metric="cost", by="rows")
    llmwatch.finish()
    assert (found.rows, names(found)[0]) == (300, "model = large")


def test_a_column_of_names_is_bounded_and_says_nothing(store):
    log(rows(1_500, lambda row, chance, n: row.update(request=f"r{n}", note=f"{chance.random()}")))
    found = find("bot", "chats", metric="latency", texts=False)
    assert not any("request" in name or "note" in name for name in names(found))


def test_a_sample_is_of_whole_users_and_said_to_be_one(store):
    log(rows(2_000, bad))
    found = find("bot", "chats", metric="latency", texts=False, most_rows=1_000)
    assert 500 < found.rows < 1_600
    assert found.notes[0].startswith("Read ")


def test_only_chosen_rows_are_looked_at(store):
    log(rows(1_000))
    assert find("bot", "chats", rows="region = 'eu'").rows < 400
    assert find("bot", "chats", rows=(at(0), at(100))).rows == 100


def test_a_condition_may_ask_what_was_said_about_rows(store):
    ids = log(rows(100))
    for row_id in ids[:40]:
        feedback(row_id, "reaction", "up", project="bot")
    assert find("bot", "chats", rows="id IN (SELECT row_id FROM feedback)").rows == 40


def test_an_empty_choice_has_no_slices(store):
    log(rows(50))
    found = find("bot", "chats", rows="region = 'nowhere'")
    assert (found.rows, len(found)) == (0, 0)
    assert "Nothing was measured" in str(found)


def test_odd_names_and_values_are_columns_like_others(store):
    def change(row, chance, n):
        row['a "b" [c]'] = chance.choice(["it's", "ö", "🙂", ""])
        row["d.e"] = chance.choice([True, False, None])
        row["nested"] = {"x": n}
        row["latency_ms"] *= 2 if row['a "b" [c]'] == "it's" else 1

    log(rows(800, change))
    found = find("bot", "chats", metric="latency", texts=False)
    assert names(found) == ['a "b" [c] = it\'s']
    counted = (
        StreamTable("bot/chats")
        .query(f"SELECT count(*) FROM chats WHERE {found.slices[0].where}")
        .rows
    )
    assert counted[0][0] == found.slices[0].rows


def test_too_little_data_says_how_much_is_missing(store):
    log(rows(20))
    assert "40 more are needed" in find("bot", "chats", metric="latency").notes[0]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"metric": "latencyy"}, SettingsError),
        ({"metric": "quality"}, SettingsError),
        ({"columns": ["nonsense"]}, SettingsError),
        ({"alpha": 2}, SettingsError),
        ({"worse": "sideways"}, SettingsError),
        ({"by": "moons"}, SettingsError),
        ({"rows": "1 = 1; DROP TABLE chats"}, QueryRefused),
        ({"rows": 5}, SettingsError),
        ({"rows": "nonsense = 1"}, QueryRefused),
        ({"speed": 1}, SettingsError),
    ],
)
def test_bad_input_is_a_clear_error(store, options, error):
    log(rows(50))
    with pytest.raises(error):
        find("bot", "chats", **options)


def test_a_table_that_is_not_there_is_not_found(store):
    with pytest.raises(NotFound):
        find("bot", "nothing")


def test_what_is_hostile_is_shown_as_text(store):
    bad_name = "<script>alert(1)</script>\x1b[2J"
    log(
        rows(
            900,
            lambda row, *_: (
                row.update({"region": bad_name, "latency_ms": row["latency_ms"] * 2})
                if row["region"] == "eu"
                else None
            ),
        )
    )
    found = find("bot", "chats", metric="latency", texts=False)
    assert len(found) == 1
    assert "<script>" not in found._repr_html_()
    assert "\x1b" not in str(found)


def test_the_command_prints_slices_and_json(store, capsys):
    log(rows(2_000, bad))
    assert main(["slices", "bot/chats", "--metric", "latency", "--no-texts", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert "region = sa" in [one["name"] for one in said["slices"]]
    assert (
        main(
            [
                "slices",
                "bot/chats",
                "--metric",
                "latency",
                "--column",
                "region",
                "--where",
                "tool = 'sql'",
            ]
        )
        == 0
    )
    assert "region = sa" in capsys.readouterr().out
    assert main(["slices", "bot/chats", "--where", "nonsense = 1"]) == 2
    assert main(["slices", "bot/chats", "--metric", "nonsense"]) == 2
    assert main(["slices", "bot/nothing"]) == 1


def test_the_names_are_public():
    assert [name for name in slices.__all__ if not hasattr(slices, name)] == []
