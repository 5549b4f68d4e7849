"""Alerts: when they begin, end and come back, what is kept of them, and that a flapping metric is told once."""

from __future__ import annotations

import pytest
from told_windows import DAY, ERRORS, MINUTE, START, Watcher, alerts, history_rows, project, tell

from llmwatch import clock
from llmwatch.stream.query import Reader
from llmwatch.testing import temporary_store
from llmwatch.testing.mailbox import mailbox, receiver
from llmwatch.watch import history, standing
from llmwatch.watch.channels.mail import Mail
from llmwatch.watch.channels.webhook import Webhook
from llmwatch.watch.conditions import Absence, AllOf, Budget, Change, Drift, Threshold, Trend
from llmwatch.watch.history import Log
from llmwatch.watch.rules import Rule
from llmwatch.watch.series import Known, Series, Source

FAILING = Rule("many fail", Threshold(ERRORS, above=5), lasting=3, settled=5, cooldown="1h")
AT_ONCE = Rule("many fail", Threshold(ERRORS, above=5), lasting=1, settled=5, cooldown="1h")


@pytest.fixture(autouse=True)
def store():
    with temporary_store() as store:
        yield store


def test_one_bad_window_is_no_alert_three_in_a_row_are_one():
    watcher = Watcher([FAILING])
    assert watcher.each(range(10), errors=[0, 9, 0, 9, 9, 0, 9, 9, 9, 9]) == ["firing"]
    assert [(one.rule, one.state, one.fired_us) for one in alerts()] == [
        ("many fail", "firing", START + 9 * MINUTE)
    ]


def test_an_alert_is_over_when_it_was_quiet_for_long_enough():
    watcher = Watcher([FAILING])
    watcher.each(range(4), errors=9)
    assert watcher.each(range(4, 8), errors=1) == []
    assert watcher.each([8], errors=1) == ["resolved"]
    assert alerts()[0].state == "resolved"


@pytest.mark.parametrize("period", [1, 7, 15])
def test_a_flapping_metric_is_one_alert_one_mail_and_one_post(period):
    with mailbox() as box, receiver() as hook:
        channels = [
            Mail(
                sender="watch@example.org",
                to=("ops@example.org",),
                host=box.host,
                port=box.port,
                tls="none",
            ),
            Webhook(url=hook.url),
        ]
        watcher = Watcher([AT_ONCE], channels)
        watcher.each(range(32), errors=[9 if (i // period) % 2 == 0 else 0 for i in range(32)])
        watcher.at(200)
        assert len({one.id for one in alerts()}) == 1
        assert [mail["Subject"] for mail in box.messages] == ["[P1] many fail (local/shop)"]
        assert box.recipients == [["<ops@example.org>"]]
        assert len(hook.requests) == 1
        assert [row["ok"] for row in history_rows("notified")] == [True, True]


def test_a_channel_that_wants_it_hears_once_that_a_flapping_alert_is_over():
    with receiver() as hook:
        watcher = Watcher([AT_ONCE], [Webhook(url=hook.url, resolved=True)])
        watcher.each(range(40), errors=[9 if (i // 10) % 2 == 0 else 0 for i in range(40)])
        assert len(hook.requests) == 1
        watcher.at(200)
        watcher.at(201)
        assert [b'"kind":"resolved"' in one.body for one in hook.requests] == [False, True]


def test_what_comes_back_after_the_cooldown_is_another_alert():
    watcher = Watcher([AT_ONCE])
    watcher.each(range(1), errors=9)
    watcher.each(range(1, 7), errors=0)
    watcher.each(range(80, 81), errors=9)
    assert [one.state for one in alerts()] == ["resolved", "firing"]


def test_windows_of_which_nothing_is_known_neither_begin_nor_end_an_alert():
    watcher = Watcher([FAILING])
    watcher.each(range(4), errors=9)
    assert watcher.each(range(4, 20), errors=None) == []
    assert alerts()[0].state == "firing"


def test_too_few_rows_say_nothing():
    watcher = Watcher([Rule("r", Threshold(ERRORS, above=5, min_rows=20), lasting=1)])
    tell(range(5), {ERRORS: 100.0}, n=3)
    assert watcher.at(5).changed == []


def test_a_restart_goes_on_where_the_last_look_ended_and_tells_nothing_twice():
    with receiver() as hook:
        for minute in range(12):  # a new process each time: nothing is in memory
            Watcher([FAILING], [Webhook(url=hook.url)]).each([minute], errors=9)
        assert len(hook.requests) == 1
        assert len(alerts()) == 1


def test_when_the_standing_is_lost_the_history_says_what_fires_and_was_told(store):
    with receiver() as hook:
        Watcher([FAILING], [Webhook(url=hook.url)]).each(range(4), errors=9)
        standing._path(project()).unlink()
        watcher = Watcher([FAILING], [Webhook(url=hook.url)])
        watcher.each(range(4, 7), errors=9)
        assert len(alerts()) == len(hook.requests) == 1
        assert watcher.each(range(7, 12), errors=0) == ["resolved"]


def test_a_standing_that_cannot_be_read_is_reported_and_the_watch_goes_on(store):
    from llmwatch import faults

    Watcher([FAILING]).each(range(2), errors=0)
    standing._path(project()).write_text("{half")
    with faults.strict(False):
        assert Watcher([FAILING]).each(range(2, 6), errors=9) == ["firing"]


def test_what_began_and_ended_while_nobody_looked_is_written_down_and_not_told():
    with receiver() as hook:
        watcher = Watcher([FAILING], [Webhook(url=hook.url)])
        watcher.each(range(2), errors=0)
        tell(range(2, 12), {ERRORS: 9.0})
        tell(range(12, 30), {ERRORS: 0.0})
        watcher.at(30)
        assert [one.state for one in alerts()] == ["resolved"]
        assert hook.requests == []


def test_a_window_that_lasts_is_not_judged():
    tell(range(5), {ERRORS: 9.0}, closed=False)
    assert Watcher([FAILING]).at(5).changed == []


def test_a_late_window_is_judged_when_its_labels_come():
    rule = Rule("worse", Threshold("performance/accuracy", below=0.8), lasting=1)
    watcher = Watcher([rule])
    tell(range(10), {})
    watcher.at(10)
    tell(range(2, 4), {"performance/accuracy": 0.5})
    assert [one.change.state for one in watcher.at(11).changed] == ["firing"]


# --- silence, people, escalation -----------------------------------------------------------


def test_a_silenced_alert_is_told_when_the_silence_ends_and_it_still_fires():
    with receiver() as hook:
        watcher = Watcher([FAILING], [Webhook(url=hook.url)])
        log = Log(project())
        log.silence("many*", START + 20 * MINUTE, "", "a deployment", "ann")
        log.close()
        watcher.each(range(19), errors=9)
        assert hook.requests == []
        assert len(history_rows("silenced")) == 1
        assert alerts()[0].silenced
        watcher.each(range(19, 23), errors=9)
        assert len(hook.requests) == 1


def test_a_silence_that_is_taken_back_holds_no_longer():
    log = Log(project())
    silence = log.silence("*", START + DAY, "", "", "ann")
    log.unsilence(silence, "ann")
    log.close()
    reader = Reader(project())
    assert history.silences(reader, START) == []
    reader.close()


def test_what_a_person_resolved_comes_back_only_after_it_was_really_over():
    watcher = Watcher([AT_ONCE])
    watcher.each(range(3), errors=9)
    log = Log(project())
    log.dismissed_by(alerts()[0], "ann")
    log.close()
    assert watcher.each(range(3, 20), errors=9) == []
    assert [one.state for one in alerts()] == ["resolved"]
    watcher.each(range(20, 30), errors=0)
    assert watcher.each(range(120, 122), errors=9) == ["firing"]


def test_an_alert_that_lasts_becomes_more_severe_and_is_told_once_more():
    rule = Rule("many fail", Threshold(ERRORS, above=5), lasting=1, escalate_after="10m")
    with receiver() as hook:
        watcher = Watcher([rule], [Webhook(url=hook.url)])
        assert watcher.each(range(30), errors=9) == ["firing", "escalated"]
        assert [b"still firing" in one.body for one in hook.requests] == [False, True]
        assert alerts()[0].severity == "P0"


# --- kinds of conditions -------------------------------------------------------------------


def test_groups_have_alerts_of_their_own_and_one_message():
    rule = Rule("slow", Threshold("latency/p95_ms", above=100), lasting=1, by=("model",))
    for model in ("small", "large", "fine"):
        value = 50.0 if model == "fine" else 500.0
        tell(range(3), {"latency/p95_ms": value}, group=f'{{"model":"{model}"}}')
    with receiver() as hook:
        Watcher([rule], [Webhook(url=hook.url)]).at(3)
        assert len(alerts()) == 2
        [request] = hook.requests
        assert b"large" in request.body
        assert b"small" in request.body
        assert b"fine" not in request.body


def test_a_pattern_is_a_rule_for_each_metric_of_such_a_name():
    rule = Rule("nulls", Threshold("features/*_null_rate", above=0.05), lasting=1)
    tell(range(3), {"features/age_null_rate": 0.2, "features/city_null_rate": 0.0})
    Watcher([rule]).at(3)
    assert [one.metric for one in alerts()] == ["features/age_null_rate"]


def test_all_of_several_must_hold_at_once():
    both = AllOf((Threshold(ERRORS, above=5), Threshold("latency/p95_ms", above=100)))
    watcher = Watcher([Rule("both", both, lasting=1)])
    tell([0], {ERRORS: 9.0, "latency/p95_ms": 50.0})
    assert watcher.at(1).changed == []
    tell([1], {ERRORS: 9.0, "latency/p95_ms": 500.0})
    assert [one.change.state for one in watcher.at(2).changed] == ["firing"]


def test_a_trend_is_seen_before_any_threshold_and_noise_is_none():
    rising = [100 + 5 * i for i in range(10)]
    noise = [100, 104, 99, 102, 101, 98, 103, 100, 99, 102]
    rule = Rule("rising", Trend("latency/p95_ms", "rising", windows=8, by=0.1), lasting=1)
    for place, value in enumerate(noise):
        tell([place], {"latency/p95_ms": value})
    assert Watcher([rule]).at(10).changed == []
    for place, value in enumerate(rising):
        tell([10 + place], {"latency/p95_ms": value})
    assert [one.change.state for one in Watcher([rule]).at(20).changed] == ["firing"]


def test_a_change_is_measured_against_the_same_time_on_the_days_before():
    rule = Rule("slow", Change("latency/p95_ms", above=0.5, against="day"), lasting=1)
    for day in range(3):
        for minute in range(60):  # each hour of the day has its own speed
            tell([day * 1440 + minute], {"latency/p95_ms": 100.0 + minute % 3})
            tell([day * 1440 + 700 + minute], {"latency/p95_ms": 900.0 + minute % 3})
    tell([3 * 1440 + 700 + i for i in range(5)], {"latency/p95_ms": 910.0})
    watcher = Watcher([rule])
    assert watcher.at(3 * 1440 + 705).changed == []
    tell([4 * 1440 + i for i in range(5)], {"latency/p95_ms": 910.0})
    [change] = watcher.at(4 * 1440 + 5).changed
    assert change.change.said == "latency/p95_ms is 910, usually 101"


def test_a_budget_adds_up_from_the_beginning_of_its_day():
    rule = Rule("money", Budget("cost/total_usd", limit=10, period="day"), lasting=1, settled=1)
    tell(range(60), {"cost/total_usd": 0.16})
    watcher = Watcher([rule])
    assert watcher.at(60).changed == []
    tell(range(60, 70), {"cost/total_usd": 0.16})
    [change] = watcher.at(70).changed
    assert change.change.said == "cost/total_usd is 10.1 this day, of 10"
    tell(range(1440, 1442), {"cost/total_usd": 0.16})
    assert [one.change.state for one in watcher.at(1442).changed] == ["resolved"]


def test_a_budget_counts_a_day_that_still_lasts_as_far_as_it_was_told():
    rule = Rule("money", Budget("cost/total_usd", limit=10), lasting=2, settled=1)
    day = {"n": 100, "set_": "money", "window_s": 86_400}
    watcher = Watcher([rule])
    tell([0], {"cost/total_usd": 9.0}, **day)  # the day before
    states = []
    for minute, spent in ((1500, 6.0), (1505, 9.0), (1510, 12.0)):
        with clock.use(now=lambda at=minute: START + at * MINUTE):
            tell([1440], {"cost/total_usd": spent}, closed=False, **day)
        states += [one.change.state for one in watcher.at(minute + 3).changed]
    assert states == ["firing"]
    assert alerts()[0].said == "cost/total_usd is 12 this day, of 10"
    with clock.use(now=lambda: START + 2 * DAY + 5 * MINUTE):
        tell([1440], {"cost/total_usd": 13.0}, **day)
        tell([2880], {"cost/total_usd": 0.5}, closed=False, **day)
    assert [one.change.state for one in watcher.at(2890).changed] == ["resolved"]


def test_a_day_of_another_zone_belongs_to_the_day_that_most_of_it_is_in():
    berlin = Series(1440 * MINUTE)
    evening, noon = 23 * 60, 36 * 60
    berlin.add(START + evening * MINUTE, 1, {"cost/total_usd": 9.0})
    berlin.add_lasting(START + noon * MINUTE, START + evening * MINUTE, {"cost/total_usd": 4.0})
    known = Known({Source("traces", "money"): berlin})
    spent = Budget("cost/total_usd", limit=10)
    for minute, total in ((evening + 30, 9.0), (noon, 4.0)):
        assert spent.holds(known, Source("traces", "money"), START + minute * MINUTE).value == total


def test_nothing_is_recorded_is_told_after_so_long_and_ends_with_the_next_row():
    rule = Rule("quiet", Absence(after_s=600), lasting=1, settled=1)
    tell(range(5), {ERRORS: 0.0})
    watcher = Watcher([rule])
    assert watcher.at(14).changed == []
    assert [one.change.state for one in watcher.at(17).changed] == ["firing"]
    tell([18], {ERRORS: 0.0})
    assert [one.change.state for one in watcher.at(20).changed] == ["resolved"]


def test_windows_that_are_told_and_have_no_rows_are_nothing_recorded_too():
    rule = Rule("quiet", Absence(after_s=600), lasting=1)
    tell(range(5), {ERRORS: 0.0})
    tell(range(5, 17), {}, n=0)
    assert [one.change.state for one in Watcher([rule]).at(17).changed] == ["firing"]


def test_a_quiet_night_is_as_usual():
    rule = Rule("quiet", Absence(after_s=1800, usual=True), lasting=1)
    for day in (0, 1):
        tell(range(day * 1440 + 480, day * 1440 + 600), {ERRORS: 0.0})
    watcher = Watcher([rule])
    assert watcher.at(1440 + 700).changed == []  # as the evening before
    late = watcher.at(2 * 1440 + 560).changed  # rows came at this time of the day before
    assert [one.change.state for one in late] == ["firing"]


def test_a_run_of_the_drift_job_that_found_drift_alerts_until_one_finds_none():
    from llmwatch import StreamTable

    table = StreamTable("shop/drift")
    watcher = Watcher([Rule("drifts", Drift(), lasting=1, settled=1)])
    said = []
    for minute, verdict in enumerate(
        ["no drift", "drift", "insufficient data", "drift", "no drift"]
    ):
        with clock.use(now=lambda at=minute: START + at * MINUTE):
            found = verdict == "drift"
            row = {"table": "traces", "verdict": verdict, "drift_detected": found}
            table.log({**row, "drift/drift_detected": float(found), "kind": "job"})
        said += [one.change.state for one in watcher.at(minute + 0.5).changed]
    assert said == ["firing", "resolved"]


def test_a_symptom_names_the_causes_that_fire_with_it():
    rules = [
        Rule("many fail", Threshold(ERRORS, above=5), lasting=2),
        Rule("nulls", Threshold("features/age_null_rate", above=0.05), lasting=1, kind="cause"),
    ]
    tell(range(3), {ERRORS: 9.0, "features/age_null_rate": 0.5})
    with receiver() as hook:
        Watcher(rules, [Webhook(url=hook.url)]).at(3)
        bodies = sorted(request.body for request in hook.requests)
        symptom = next(body for body in bodies if b'"rule":"many fail"' in body)
        assert (
            b"may be the cause: nulls (traces: features/age_null_rate is 0.5, above 0.05)"
            in symptom
        )
