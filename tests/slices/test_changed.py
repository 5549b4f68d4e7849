"""What changed between two selections of rows."""

from __future__ import annotations

import json

import pytest
from slice_rows import at, log, rows

from llmwatch import StreamTable
from llmwatch.cli import main
from llmwatch.errors import QueryRefused, SettingsError
from llmwatch.slices import changed
from llmwatch.stream.query import Reader
from llmwatch.testing import temporary_store

HALF, ALL = 1_000, 2_000


@pytest.fixture
def store():
    with temporary_store(segment_age_s=1e9) as store:
        yield store


def later(change):
    """Rows of which the second half is changed."""
    return rows(ALL, lambda row, chance, n: change(row, chance) if n >= HALF else None)


def compared(**options):
    return changed(
        "bot",
        "chats",
        before=(at(0), at(HALF)),
        after=(at(HALF), None),
        **{"texts": False, **options},
    )


def outcome(found, name):
    return next(one for one in found.outcomes if one.name == name)


def test_a_release_that_is_slower_is_the_first_cause(store):
    log(later(lambda row, _: row.update(version="v3", latency_ms=row["latency_ms"] * 1.7)))
    found = compared()
    assert found.found[0].name == "version"
    assert found.found[0].explains["latency"] > 0.9
    assert ("v3", 0.0, 1.0) in [
        (part.label, part.before, part.after) for part in found.found[0].parts
    ]
    assert outcome(found, "latency").verdict == "worse"
    assert outcome(found, "errors").verdict == "no change"


def test_a_user_who_floods_is_the_first_cause(store):
    def flood(row, chance):
        if chance.random() < 0.3:
            row.update(
                user_id="u7",
                session_id=f"flood{chance.randrange(200)}",
                latency_ms=row["latency_ms"] * 4,
            )

    log(later(flood))
    found = compared()
    assert found.found[0].name == "user"
    assert found.found[0].parts[0].label == "u7"


def test_a_region_that_behaves_otherwise_is_found_though_there_are_no_more_rows_of_it(store):
    log(
        later(
            lambda row, _: row.update(
                latency_ms=row["latency_ms"] * (2.5 if row["region"] == "eu" else 1)
            )
        )
    )
    found = compared()
    first = found.found[0]
    assert (first.name, first.changed, first.behaviour.level) == ("region", False, "eu")
    assert first.behaviour.after > 2 * first.behaviour.before
    assert first.behaviour.contribution > 0.8


def test_new_kinds_of_prompts_are_a_cause(store):
    def change(row, chance, n):
        new = n >= HALF and chance.random() < 0.4
        subject = (
            "recall of the overheating battery"
            if new
            else chance.choice(["invoice", "delivery", "password"])
        )
        row["question"] = (
            f"How do I get help with the {subject} please, number {chance.randrange(10_000)}"
        )
        row["latency_ms"] *= 2 if new else 1

    log(rows(ALL, change))
    found = compared(texts=True)
    assert found.found[0].name == "kind of prompt"
    assert "battery" in found.found[0].parts[0].label


def test_missing_values_are_a_level(store):
    log(later(lambda row, chance: row.update(plan=None) if chance.random() < 0.4 else None))
    part = compared().found[0].parts[0]
    assert (part.label, part.before) == ("(missing)", 0.0)
    assert (
        StreamTable("bot/chats").query(f"SELECT count(*) FROM chats WHERE {part.where}").rows[0][0]
        > 300
    )


def test_nothing_is_told_where_nothing_changed(store):
    log(rows(ALL))
    found = compared()
    assert found.found == ()
    assert [one.name for one in found.outcomes if one.changed] == []
    assert "Nothing changed" in str(found)


def test_a_number_that_counts_rows_is_no_cause(store):
    log(rows(ALL, lambda row, chance, n: row.update(request_number=n, trace=f"t{n}")))
    assert [one.name for one in compared().causes if one.name in {"request_number", "trace"}] == []


def test_a_side_that_is_not_given_is_all_other_rows(store):
    log(rows(ALL))
    found = changed("bot", "chats", after=(at(HALF + 500), None), texts=False)
    assert (found.rows, found.selections[0]) == ((HALF + 500, 500), "all other rows")


def test_conditions_select_rows_and_rows_of_both_sides_are_left_out(store):
    log(rows(ALL))
    found = changed(
        "bot",
        "chats",
        before="version = 'v1'",
        after="version = 'v2' AND region = 'eu'",
        texts=False,
    )
    assert {one.name for one in found.found} == {"version", "region"}
    overlapping = changed(
        "bot", "chats", before=(at(0), at(1_200)), after=(at(800), None), texts=False
    )
    assert overlapping.rows == (800, 800)


def test_a_reader_that_was_given_stays_open(store):
    log(rows(200))
    reader = Reader(store.project("local", "bot"))
    changed(reader, "chats", after="version = 'v2'", texts=False)
    assert reader.execute('SELECT count(*) FROM main."chats"', (), ["chats"]).rows == [(200,)]
    reader.close()


def test_of_much_before_a_part_is_read_and_of_little_after_all(store):
    log(rows(ALL))
    found = changed("bot", "chats", after=(at(ALL - 200), None), texts=False, most_rows=800)
    assert found.rows[1] == 200
    assert 400 < found.rows[0] < 800
    assert "rows before: whole sessions, drawn by chance" in found.notes[0]


def test_too_few_rows_say_how_many_are_missing(store):
    log(rows(200))
    found = changed("bot", "chats", before=(at(0), at(190)), after=(at(190), None), texts=False)
    assert found.causes == ()
    assert "20 more are needed" in found.notes[0]
    assert "Not enough data" in str(found)


def test_it_is_plain_json(store):
    log(later(lambda row, _: row.update(version="v3")))
    said = json.loads(json.dumps(compared().to_json()))
    assert (said["causes"][0]["name"], said["causes"][0]["found"]) == ("version", True)
    assert "v3 0% → 100%" in said["causes"][0]["says"]


def test_what_is_hostile_is_shown_as_text(store):
    log(later(lambda row, _: row.update(version="<script>\x1b[2J")))
    found = compared()
    assert "<script>" not in found._repr_html_()
    assert "\x1b" not in str(found)


@pytest.mark.parametrize(
    ("sides", "error"),
    [
        ({}, SettingsError),
        ({"after": "1 = 1) OR (1 = 1"}, QueryRefused),
        ({"after": (at(10), at(5))}, SettingsError),
        ({"after": {"when": 3}}, SettingsError),
        ({"after": ("yesterday", None)}, SettingsError),
        ({"after": (at(0), None), "alpha": 0}, SettingsError),
        ({"after": {"where": 5}}, SettingsError),
        ({"after": "nonsense = 1"}, QueryRefused),
    ],
)
def test_bad_input_is_a_clear_error(store, sides, error):
    log(rows(50))
    with pytest.raises(error):
        changed("bot", "chats", **sides)


def test_the_command_prints_changes_and_json(store, capsys):
    log(later(lambda row, _: row.update(version="v3", latency_ms=row["latency_ms"] * 2)))
    assert main(["changed", "bot/chats", "--after", "version = 'v3'", "--no-texts", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["outcomes"][0]["verdict"] == "worse"
    assert main(["changed", "bot/chats", "--before", "version <> 'v3'", "--no-texts"]) == 0
    assert "What changed most: version" in capsys.readouterr().out
    assert main(["changed", "bot/chats"]) == 2
    assert main(["changed", "bot/chats", "--after", "nonsense = 1"]) == 2
