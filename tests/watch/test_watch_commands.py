"""`watch`, `alerts` and `report`, as a person or a script runs them; backtests and the weekly page."""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone

import pytest
from told_windows import DAY, ERRORS, MINUTE, START, project, tell

from llmwatch import StreamTable, clock, settings
from llmwatch.cli import main
from llmwatch.stream.query import Reader
from llmwatch.testing import temporary_store
from llmwatch.testing.mailbox import mailbox, receiver
from llmwatch.watch.alerting import Alerting
from llmwatch.watch.backtest import backtest, in_words
from llmwatch.watch.conditions import Absence, Threshold
from llmwatch.watch.rules import Rule
from llmwatch.watch.weekly import week
from llmwatch.watch.weekly_page import page
from llmwatch.watch.weekly_text import as_text

RULES = """
[watch]
default_rules = false
[[watch.rules]]
name = "many fail"
metric = "errors/total_rate_percent"
above = 5
lasting = 2
"""


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv(settings.ROOT_ENV, str(tmp_path))
    (tmp_path / "llmwatch.toml").write_text(RULES)
    with temporary_store() as store:
        yield store


@pytest.fixture
def lately(monkeypatch):
    """The windows of the tests are those that just ended."""
    import told_windows

    start = time.time_ns() // 1000 // MINUTE * MINUTE - 10 * MINUTE
    monkeypatch.setattr(told_windows, "START", start)


def said_json(capsys, *arguments):
    code = main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_look_says_what_fires_and_its_code_says_it_too(store, lately, capsys):
    tell(range(10), {ERRORS: 1.0})
    code, told = said_json(capsys, "watch", "--once")
    assert (code, told["firing"]) == (0, [])
    tell(range(6, 10), {ERRORS: 50.0})
    (store.root / "local/shop/positions/alerts/standing.json").unlink()
    code, told = said_json(capsys, "watch", "--once")
    assert code == 4
    assert [one["rule"] for one in told["firing"]] == ["many fail"]
    assert told["firing"][0]["next_step"].startswith("Infrastructure fault")


def test_alerts_are_listed_silenced_and_resolved(store, lately, capsys):
    tell(range(10), {ERRORS: 50.0})
    main(["watch", "--once"])
    capsys.readouterr()
    _, told = said_json(capsys, "alerts", "list", "--firing")
    [alert] = told["alerts"]
    assert (alert["rule"], alert["messages"]) == ("many fail", 1)
    assert (
        main(["alerts", "silence", "shop", "many*", "--for", "1h", "--reason", "a deployment"]) == 0
    )
    assert main(["alerts", "resolve", "shop", "many fail"]) == 0
    capsys.readouterr()
    _, told = said_json(capsys, "alerts", "list")
    assert told["alerts"][0]["state"] == "resolved"
    [silence] = told["silences"]
    assert silence["reason"] == "a deployment"
    main(["alerts", "silence", "shop", silence["id"], "--end"])
    capsys.readouterr()
    assert said_json(capsys, "alerts", "list")[1]["silences"] == []
    assert main(["alerts", "resolve", "shop", "no such"]) == 1


def test_a_rule_that_cannot_be_is_left_out_and_named(store, tmp_path, capsys):
    (tmp_path / "llmwatch.toml").write_text('[[watch.rules]]\nname = "slow"\nmetric = "m"\n')
    assert main(["watch", "--once"]) == 3
    assert "left out: rule 'slow' in" in capsys.readouterr().err


def test_a_message_that_could_not_be_sent_is_said(store, lately, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("llmwatch.watch.sending.time.sleep", lambda _: None)
    with receiver(failing=99) as hook:
        channel = f'[[watch.channels]]\ntype = "webhook"\nname = "ops"\nurl = "{hook.url}"\n'
        (tmp_path / "llmwatch.toml").write_text(RULES + channel)
        tell(range(10), {ERRORS: 50.0})
        assert main(["watch", "--once"]) == 4
        assert "to ops waits" in capsys.readouterr().err
        assert hook.refused == 3


def test_the_worker_looks_at_rules_and_sends(store, lately, tmp_path):
    with receiver() as hook:
        channel = f'[[watch.channels]]\ntype = "webhook"\nurl = "{hook.url}"\n'
        (tmp_path / "llmwatch.toml").write_text(RULES + channel)
        tell(range(10), {ERRORS: 50.0})
        Alerting().finish(store, settings.current())
        Alerting().finish(store, settings.current())
        assert [json.loads(request.body)["rule"] for request in hook.requests] == ["many fail"]


def test_a_project_without_metrics_costs_the_worker_nothing(store):
    StreamTable("shop/traces").log({"a": 1})
    alerting = Alerting()
    assert alerting.tick(store, settings.current()) is False
    assert alerting._thread is None


def test_a_backtest_says_how_often_a_rule_would_have_fired_and_when_it_would_be_rare(store):
    for day in range(7):  # a bad quarter of an hour every day, of 10 to 16 percent
        tell(range(day * 1440, day * 1440 + 60), {ERRORS: 1.0})
        tell(range(day * 1440 + 60, day * 1440 + 75), {ERRORS: 10.0 + day})
        tell(range(day * 1440 + 75, day * 1440 + 120), {ERRORS: 1.0})
    rules = [
        Rule("many fail", Threshold(ERRORS, above=5)),
        Rule("nothing told", Threshold("x", above=5)),
    ]
    reader = Reader(project())
    found, nothing = backtest(reader, rules, START, START + 7 * DAY)
    assert len(found.fired_us) == 7
    assert found.a_week == pytest.approx(7, rel=0.01)
    assert found.suggested == 15
    assert in_words(found) == "above = 15 (now 5)"
    [rare] = backtest(
        reader, [Rule("r", Threshold(ERRORS, above=found.suggested))], START, START + 7 * DAY
    )
    assert len(rare.fired_us) == 1
    assert (nothing.windows, nothing.a_week) == (0, None)
    [absent] = backtest(
        reader, [Rule("quiet", Absence(3600), lasting=1, settled=1)], START, START + 7 * DAY
    )
    assert len(absent.fired_us) == 7
    reader.close()


def test_a_backtest_tells_nobody_and_keeps_nothing(store, lately, capsys):
    tell(range(10), {ERRORS: 50.0})
    _, told = said_json(capsys, "watch", "--backtest", "1d")
    assert told["rules"][0]["alerts"] == 1
    assert not (store.root / "local/shop/positions/alerts").exists()
    assert said_json(capsys, "alerts", "list")[1]["alerts"] == []


def a_week():
    for day in range(14):
        counts = {"errors/request_count": 100, "errors/total_count": 1 if day < 7 else 2}
        tell([day * 1440 + 600], {**counts, "latency/p95_ms": 100.0 + day, "cost/total_usd": 0.5})
    reader = Reader(project())
    found = week(reader, datetime.fromtimestamp((START + 14 * DAY) / 1e6, timezone.utc))
    reader.close()
    return found


def test_a_week_adds_up_beside_the_week_before(store):
    found = a_week()
    figures = {one.name: one for one in found.tables[0].figures}
    assert (figures["requests"].value, figures["requests"].change) == (700, 0)
    assert (figures["errors"].value, figures["errors"].before) == (2.0, 1.0)
    assert (figures["cost"].value, figures["cost"].days) == (3.5, (0.5,) * 7)
    assert figures["latency p95"].value == 110.0
    assert "accuracy" not in figures  # not known is not 0


def test_a_week_takes_each_figure_from_the_set_that_tells_it(store):
    for day in range(14):
        traffic = {"errors/request_count": 100, "errors/total_count": 1, "latency/p95_ms": 100.0}
        tell([day * 1440 + 600], traffic)
        tell([day * 1440 + 600], {"performance/f1_score": 0.75}, set_="<quality>", window_s=3600)
        tell([day * 1440], {"cost/total_usd": 2.0}, set_="money", window_s=86_400)
    reader = Reader(project())
    found = week(reader, datetime.fromtimestamp((START + 14 * DAY) / 1e6, timezone.utc))
    reader.close()
    figures = {one.name: (one.value, one.set) for one in found.tables[0].figures}
    assert found.tables[0].set == "checkout"
    assert figures["errors"] == (1.0, "")
    assert figures["F1"] == (0.75, "<quality>")
    assert figures["cost"] == (14.0, "money")
    assert any("cost" in line and line.endswith("(metric set money)") for line in as_text(found))
    assert "(metric set &lt;quality&gt;)" in page(found)


def test_the_page_of_a_week_runs_nothing_and_escapes_what_anybody_wrote(store):
    rule = Rule("<img src=x onerror=alert(1)>", Threshold(ERRORS, above=5), lasting=1)
    from told_windows import Watcher

    tell([13 * 1440], {ERRORS: 50.0}, group="{}")
    Watcher([rule]).at(13 * 1440 + 1)
    html = page(a_week())
    assert "&lt;img src=x" in html
    assert "<img" not in html
    assert "default-src 'none'" in html
    assert "http" not in html.replace('http-equiv="Content', "")


def test_a_report_is_mailed(store, tmp_path, capsys, lately):
    tell(range(10), {ERRORS: 1.0, "errors/request_count": 10, "errors/total_count": 1})
    with mailbox() as box:
        channel = (
            '[[watch.channels]]\ntype = "email"\nfrom = "watch@example.org"\nto = "all@example.org"\n'
            f'host = "{box.host}"\nport = {box.port}\ntls = "none"\n'
        )
        (tmp_path / "llmwatch.toml").write_text(channel)
        assert (
            main(["report", "shop", "--weekly", "--email", "--html", str(tmp_path / "week.html")])
            == 0
        )
        [mail] = box.messages
        assert mail["Subject"] == "local/shop: A quiet week: no alerts."
        assert "errors" in mail.get_body(("plain",)).get_content()
        assert "<svg" in mail.get_body(("html",)).get_content()
    assert (tmp_path / "week.html").read_text().startswith("<!doctype html>")


def test_a_report_without_a_mail_channel_says_so(store, lately, capsys):
    tell(range(2), {ERRORS: 1.0})
    assert main(["report", "shop", "--email"]) == 3
    assert "no channel of the type email" in capsys.readouterr().err


def test_a_backtest_measures_the_days_before_a_set_was_declared_from_their_rows(
    store, tmp_path, capsys
):
    (tmp_path / "llmwatch.toml").write_text(
        RULES + '[[watch.metrics]]\nname = "answers"\ntable = "shop/traces"\nerrors = true\n'
    )
    now = time.time_ns() // 1000 // MINUTE * MINUTE
    table = StreamTable("shop/traces")
    for minute in range(4 * 1440, 4 * 1440 - 20, -1):
        failed = 4 * 1440 - 10 < minute < 4 * 1440 - 5
        with clock.use(now=lambda at=now - minute * MINUTE: at):
            table.log({"answer": 1, "status": "error" if failed else "success"} for _ in range(5))
    _, told = said_json(capsys, "watch", "--backtest", "5d")
    [rule] = told["rules"]
    assert rule["windows"] == 20
    assert rule["alerts"] == 1
    assert not (store.root / "local/shop/tables/metrics").exists()
    assert not (store.root / "local/shop/spool/metrics").exists()


def test_a_dashboard_for_grafana_is_printed_without_a_store(tmp_path, capsys):
    assert main(["watch", "--grafana", "--store", str(tmp_path / "none")]) == 0
    assert len(json.loads(capsys.readouterr().out)["panels"]) >= 5
