"""Costs added up, and where budgets stand."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from llmwatch import settings
from llmwatch.cli import main
from llmwatch.errors import LlmwatchError, SettingsError
from llmwatch.scorers import budgets, rollups
from llmwatch.scorers.budgets import Budget
from llmwatch.stream import events, spool
from llmwatch.stream.query import Reader
from llmwatch.testing import temporary_store

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "work" / ".git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    with temporary_store() as store:
        yield store.project("local", "bot")


@pytest.fixture
def reader(project):
    found = Reader(project)
    yield found
    found.close()


def call(project, row_id, day=0, table="traces", **fields):
    at = int((NOON + timedelta(days=day)).timestamp() * 1_000_000)
    row = {"id": row_id, "started_at": at, "trace_id": fields.pop("trace", row_id), **fields}
    assert spool.writer(project, table, settings.current()).append("row", json.dumps(row).encode())


def scored(project, row_id, cost, **more):
    value = {"cost_usd": cost, "estimated": False, **more}
    events.add(project, kind="score", name="token_cost", value=value, row_id=row_id, table="traces")


@pytest.fixture
def recorded(project):
    """Two days, two models, two users; a call without a price, one estimated, one not scored yet."""
    call(
        project,
        "root",
        trace="t1",
        user_id="ann",
        session_id="s1",
        op_name="weave:///local/bot/op/answer:abc",
    )
    call(
        project,
        "a",
        trace="t1",
        parent_id="root",
        model="small",
        prompt_tokens=10,
        completion_tokens=5,
    )
    call(
        project,
        "b",
        trace="t1",
        parent_id="root",
        model="large",
        prompt_tokens=20,
        completion_tokens=5,
    )
    call(project, "c", day=1, model="small", user_id="bob", prompt_tokens=100, completion_tokens=50)
    call(
        project,
        "d",
        day=1,
        model="own",
        user_id="bob",
        version="v2",
        prompt_tokens=1,
        completion_tokens=1,
    )
    call(project, "e", day=1, model="small", user_id="bob", prompt_tokens=7, completion_tokens=1)
    call(project, "f", model="small", user_id="eve")
    scored(project, "a", 0.25)
    scored(project, "b", 1.0)
    scored(project, "c", 0.5, estimated=True)
    scored(project, "d", None)
    return project


def sums(reader, *by, **more):
    return [
        tuple(each[name] for name in (*by, "calls", "cost_usd"))
        for each in rollups.costs(reader, by, **more)
    ]


def test_by_model_the_dearest_first_and_the_unknown_last(recorded, reader):
    assert sums(reader, "model") == [("large", 1, 1.0), ("small", 3, 0.75), ("own", 1, None)]


def test_what_is_not_known_of_a_sum_is_counted(recorded, reader):
    small = next(each for each in rollups.costs(reader) if each["model"] == "small")
    assert small == {
        "model": "small",
        "calls": 3,
        "prompt_tokens": 117,
        "completion_tokens": 56,
        "cost_usd": 0.75,
        "unpriced": 0,
        "unscored": 1,
        "estimated": 1,
    }
    own = next(each for each in rollups.costs(reader) if each["model"] == "own")
    assert (own["cost_usd"], own["unpriced"], own["unscored"]) == (None, 1, 0)


def test_a_call_is_its_roots_users_and_sessions_and_endpoints(recorded, reader):
    assert sums(reader, "user") == [("ann", 2, 1.25), ("bob", 3, 0.5)]
    assert ("s1", 2, 1.25) in sums(reader, "session")
    assert ("answer", 2, 1.25) in sums(reader, "endpoint")
    assert ("t1", 2, 1.25) in sums(reader, "trace")
    assert ("v2", 1, None) in sums(reader, "version")


def test_an_endpoint_is_what_the_attributes_call_so(project, reader):
    call(project, "root", trace="t", attributes={"http": {"route": "/ask"}}, op_name="f")
    call(project, "a", trace="t", parent_id="root", cost_usd=1.0)
    call(project, "b", attributes={"endpoint": "mail"}, cost_usd=2.0)
    assert sums(reader, "endpoint") == [("mail", 1, 2.0), ("/ask", 1, 1.0)]


def test_by_day_the_newest_first_and_within_it_the_dearest(recorded, reader):
    assert sums(reader, "day", "model") == [
        ("2026-11-21", "small", 2, 0.5),
        ("2026-11-21", "own", 1, None),
        ("2026-11-20", "large", 1, 1.0),
        ("2026-11-20", "small", 1, 0.25),
    ]
    assert [day for day, *_ in sums(reader, "hour")] == ["2026-11-21 12:00", "2026-11-20 12:00"]
    assert sums(reader, "week") == [("2026-W47", 5, 1.75)]
    assert sums(reader, "month") == [("2026-11", 5, 1.75)]


def test_of_a_time_and_of_a_user(recorded, reader):
    assert sums(
        reader, "model", since=NOON + timedelta(hours=1), equal={"user": "bob", "model": "small"}
    ) == [("small", 2, 0.5)]
    assert sums(reader, "model", until=NOON) == []


def test_logged_dicts_are_added_up_by_their_own_keys(project, reader):
    call(project, "a", table="mine", data={"model": "gpt-4o", "user_id": "ann"}, cost_usd=0.5)
    assert sums(reader, "model", "user", table="mine") == [("gpt-4o", "ann", 1, 0.5)]


def test_hostile_names_are_only_names(project, reader):
    call(project, "a", model="x'; DROP TABLE traces; --", cost_usd=1.0)
    assert sums(reader, "model", equal={"model": "x'; DROP TABLE traces; --"}) == [
        ("x'; DROP TABLE traces; --", 1, 1.0)
    ]
    with pytest.raises(LlmwatchError, match="not added up by 'colour'"):
        rollups.costs(reader, ["colour"])


# --- budgets -----------------------------------------------------------------------------


def stand(reader, *declared, now=NOON + timedelta(days=1, hours=1)):
    return [(s.budget, s.of, s.used, s.state) for s in budgets.standings(reader, declared, now=now)]


def test_a_budget_stands_at_what_its_period_used(recorded, reader):
    month, day = Budget("month", usd=2), Budget("day", usd=0.4, per="day")
    assert stand(reader, month, day) == [
        ("day", None, 0.5, "over"),
        ("month", None, 1.75, "warning"),
    ]
    assert stand(reader, Budget("far", usd=20))[0][3] == "unknown"
    [standing] = budgets.standings(
        reader, [Budget("all", usd=2, only={"model": "large"})], now=NOON
    )
    assert (standing.used, standing.left, standing.share, standing.state) == (1.0, 1.0, 0.5, "ok")
    assert standing.row()["until"] == datetime(2026, 12, 1, tzinfo=timezone.utc)


def test_a_budget_that_each_has_stands_once_for_each(recorded, reader):
    each = Budget("each", tokens=100, per="ever", each="user")
    assert stand(reader, each) == [("each", "bob", 160.0, "over"), ("each", "ann", 40.0, "ok")]


def test_near_the_limit_is_a_warning_and_at_it_is_not_over(recorded, reader):
    large = {"model": "large"}
    assert stand(reader, Budget("a", usd=1.2, only=large))[0][3] == "warning"
    assert stand(reader, Budget("a", usd=1.0, only=large))[0][3] == "warning"
    assert stand(reader, Budget("a", usd=0.99, only=large))[0][3] == "over"


def test_nothing_spent_is_within_any_budget(project, reader):
    assert stand(reader, Budget("a", usd=1)) == [("a", None, 0.0, "ok")]


@pytest.mark.parametrize(
    ("per", "first", "last"),
    [
        ("hour", "2026-11-20T12:00", "2026-11-20T13:00"),
        ("day", "2026-11-20T00:00", "2026-11-21T00:00"),
        ("week", "2026-11-16T00:00", "2026-11-23T00:00"),
        ("month", "2026-11-01T00:00", "2026-12-01T00:00"),
    ],
)
def test_a_period_is_the_one_that_now_is_in(per, first, last):
    found = budgets.period(per, NOON)
    assert [moment.strftime("%Y-%m-%dT%H:%M") for moment in found] == [first, last]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[budgets.a]\n", "either usd or tokens"),
        ("[budgets.a]\nusd = 1\ntokens = 1\n", "either usd or tokens"),
        ("[budgets.a]\nusd = 0\n", "above 0"),
        ("[budgets.a]\nusd = 1\nper = 'year'\n", "'year'"),
        ("[budgets.a]\nusd = 1\ncolour = 'red'\n", "has 'colour'"),
        ("[budgets.a]\nusd = 1\neach = 'day'\n", "not of day"),
        ("[budgets]\na = 1\n", "is a table"),
    ],
)
def test_a_budget_that_cannot_be_is_an_error_that_names_it(project, tmp_path, text, said):
    (tmp_path / "work" / "llmwatch.toml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        budgets.declared()


# --- the command -------------------------------------------------------------------------


def test_the_command_prints_sums_and_what_is_unknown_of_them(recorded, capsys):
    assert main(["costs", "bot", "--by", "model"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "model\tcalls\tprompt tokens\tcompletion tokens\tcost USD\tnote",
        "large\t1\t20\t5\t1.00\t",
        "small\t3\t117\t56\t>= 0.75\t1 not scored yet, 1 estimated",
        "own\t1\t1\t1\tunknown\t1 without a price",
    ]


def test_the_command_prints_json_with_null_for_unknown(recorded, capsys):
    assert main(["costs", "--by", "model,day", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["cost_usd"] for each in found if each["model"] == "own"] == [None]
    assert found[0]["project"] == "local/bot"


def test_the_command_fails_when_a_budget_is_over(recorded, tmp_path, capsys):
    settings_file = tmp_path / "work" / "llmwatch.toml"
    settings_file.write_text("[budgets.all]\nusd = 1\nper = 'ever'\n")
    assert main(["costs", "--budgets"]) == 1
    assert "over" in capsys.readouterr().out
    settings_file.write_text("[budgets.all]\nusd = 100\nper = 'ever'\n")
    assert main(["costs", "--budgets", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["state"] == "unknown"


def test_the_command_says_when_there_is_no_such_table(recorded, capsys):
    assert main(["costs", "bot", "--table", "tracs"]) == 1
    assert "there is no table tracs; there is: traces" in capsys.readouterr().err


def test_the_command_refuses_what_it_cannot_add_up_by(recorded, capsys):
    assert main(["costs", "--by", "colour"]) == 1
    assert "there is: model" in capsys.readouterr().err
