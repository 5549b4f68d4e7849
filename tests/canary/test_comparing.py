"""Two versions side by side."""

from __future__ import annotations

import json

import numpy as np
import pytest
from canary_rows import log_versions

from llmwatch import StreamTable, canary, feedback
from llmwatch.cli import main
from llmwatch.errors import NotFound, SettingsError
from llmwatch.stream import events
from llmwatch.testing import temporary_store


@pytest.fixture
def store():
    with temporary_store() as store:
        yield store


def compare(**options):
    return canary.compare("bot", "chats", old="v1", new="v2", **options)


def test_a_slower_version_is_rolled_back_and_the_reason_is_latency(store):
    log_versions(slower=1.5)
    found = compare()
    assert (found.verdict, found.exit_code) == ("roll back", 4)
    assert found.reasons[0].startswith("latency is worse by ")
    latency = found.pillar("latency")
    assert latency.low < 0.5 < latency.high
    assert latency.new.median > 1.3 * latency.old.median
    assert found.pillar("errors").standing != "worse"


def test_a_version_that_is_as_good_is_promoted_when_enough_is_known(store):
    log_versions(rows=6_000)
    found = compare(margins={"latency": 0.2, "errors": 0.05})
    assert (found.verdict, found.exit_code) == ("promote", 0)
    assert [one.standing for one in found.pillars] == ["no worse", "no worse"]


def test_until_then_it_keeps_going_and_says_how_many_rows_are_missing(store):
    log_versions(rows=1_500)
    found = compare(margins={"errors": 0.005})
    assert (found.verdict, found.exit_code) == ("keep going", 5)
    assert found.pillar("errors").more_rows > 500
    assert "more rows of the new version would tell" in found.reasons[0]


def test_of_few_users_nothing_is_said_however_bad_they_fare(store):
    log_versions(rows=2_000, slower=5.0, users=60)
    found = compare()
    assert found.users[1] < 50
    assert found.verdict == "keep going"
    assert found.pillar("latency").standing == "not enough data"


def test_earlier_rows_are_another_time(store):
    StreamTable("bot/chats").log(
        [{"user_id": f"u{n}", "version": "v1", "latency_ms": 1.0} for n in range(500)]
    )
    log_versions(rows=1_500)
    found = compare()
    assert sum(found.rows) <= 1_500
    assert found.pillar("latency").old.mean > 100


def test_feedback_of_few_rows_stops_a_version_and_is_not_waited_for(store):
    ids = log_versions(rows=6_000)
    versions = dict(StreamTable("bot/chats").query("SELECT id, version FROM chats").rows)
    for number, row_id in enumerate(ids):
        if number % 12 == 0:
            feedback(row_id, "reaction", "up", project="bot")
    wide = {"latency": 0.2, "errors": 0.05}
    found = compare(margins=wide)
    assert (found.verdict, found.pillar("feedback").required) == ("promote", False)
    for number, row_id in enumerate(ids):
        if number % 12 == 6:
            feedback(
                row_id, "reaction", "down" if versions[row_id] == "v2" else "up", project="bot"
            )
    found = compare(margins=wide)
    assert found.verdict == "roll back"
    assert found.reasons[0].startswith("feedback is worse")


def test_nothing_is_promoted_when_not_as_many_were_routed_as_should_be(store):
    log_versions(rows=6_000, share=0.3)
    wide = {"latency": 0.2, "errors": 0.05}
    assert compare(share=0.3, margins=wide).verdict == "promote"
    found = compare(share=0.1, margins=wide)
    assert found.verdict == "keep going"
    assert "got the new version where 10.00% should" in found.reasons[0]


def test_it_says_when_users_were_served_by_both(store):
    table = StreamTable("bot/chats")
    table.log(
        [
            {"user_id": f"u{n % 100}", "version": f"v{1 + n % 3 // 2}", "latency_ms": 5.0 + n % 7}
            for n in range(900)
        ]
    )
    assert compare().notes[0].startswith("100 users were served by both versions")


def test_a_version_of_any_column_can_be_compared(store):
    chance = np.random.default_rng(1)
    table = StreamTable("bot/chats")
    table.log(
        [
            {"model": f"m{n % 2}", "latency_ms": float(chance.lognormal(5, 0.3)) * (1 + n % 2)}
            for n in range(600)
        ]
    )
    assert canary.compare("bot", "chats", old="m0", new="m1", column="model").verdict == "roll back"


def test_of_a_score_that_is_no_share_a_part_is_allowed(store):
    ids = log_versions(rows=2_000)
    project = store.project("local", "bot")
    chance = np.random.default_rng(1)
    for row_id in ids:
        stars = float(chance.integers(1, 6))
        events.add(project, kind="score", name="stars", value=stars, row_id=row_id, table="chats")
    stars = compare().pillar("score:stars")
    assert (stars.scale, round(stars.margin, 3)) == ("ratio", 0.05)
    assert compare(margins={"score:stars": 0.2}).pillar("score:stars").scale == "mean"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"new": "v1"}, SettingsError),
        ({"new": "v9"}, NotFound),
        ({"alpha": 2}, SettingsError),
        ({"share": 5}, SettingsError),
        ({"margins": {"speed": 0.1}}, SettingsError),
        ({"margins": {"latency": -1}}, SettingsError),
        ({"speed": 1}, SettingsError),
        ({"column": "nonsense"}, SettingsError),
        ({"by": "moons"}, SettingsError),
    ],
)
def test_bad_input_is_a_clear_error(store, options, error):
    log_versions(rows=50)
    with pytest.raises(error):
        canary.compare("bot", "chats", **{"old": "v1", "new": "v2", **options})


def test_the_command_exits_as_the_verdict_is(store, capsys):
    log_versions(slower=1.5)
    code = main(
        ["canary", "bot/chats", "--from", "v1", "--to", "v2", "--metric", "latency", "--json"]
    )
    said = json.loads(capsys.readouterr().out)
    assert (code, said["verdict"]) == (4, "roll back")
    assert (
        main(
            [
                "canary",
                "bot/chats",
                "--from",
                "v1",
                "--to",
                "v2",
                "--margin",
                "latency=2",
                "--margin",
                "errors=.2",
            ]
        )
        == 0
    )
    assert "Promote v2" in capsys.readouterr().out
    assert main(["canary", "bot/chats", "--from", "v1", "--to", "v2", "--margin", "much"]) == 2


def test_what_is_hostile_is_shown_as_text(store):
    table = StreamTable("bot/chats")
    bad = "<script>\x1b[2J"
    table.log(
        [
            {"version": version, "latency_ms": 5.0 + n % 9}
            for n in range(200)
            for version in ("v1", bad)
        ]
    )
    found = canary.compare("bot", "chats", old="v1", new=bad)
    assert "<script>" not in found._repr_html_()
    assert "\x1b" not in str(found)
