"""What the worker keeps is what the rows say, whatever comes late, twice, out of order or not at all."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import orjson
import pytest
from watched import START, TABLE, chats, keeping, log, project, stopped_clock, told

from llmwatch import StreamTable, faults, settings
from llmwatch.store import PARTS, open_store
from llmwatch.stream import compact, events, spool
from llmwatch.stream.query import Reader
from llmwatch.watch import (
    Baseline,
    Check,
    Cost,
    Errors,
    Health,
    Kpi,
    Latency,
    MetricSet,
    Predictions,
    Quality,
    Throughput,
    measure,
)
from llmwatch.watch import keeper as keeper_module
from llmwatch.watch.compute import Measuring
from llmwatch.watch.families.quality import QualityMeasure
from llmwatch.watch.state import State
from llmwatch.watch.subscriber import Watch
from llmwatch.watch.windows import DAY_US, HOUR_US, MINUTE_US, SECOND_US, Window, window_of

pytestmark = pytest.mark.usefixtures("llmwatch_store")
TRAFFIC = MetricSet("traffic", TABLE, [Latency(), Throughput(), Errors(), Cost(), Predictions(output="answer")],
                    by=["model"])  # fmt: skip
QUALITY = MetricSet(
    "quality", TABLE, [Quality("answer", "truth"), Kpi("good", "label.good")], window="5m"
)
SPREAD = MetricSet(
    "spread",
    TABLE,
    [
        Health(
            (
                Check("temperature", type="number", range=(0.5, 1.5)),
                Check("region", categories=("eu",)),
            ),
            Baseline(features={"temperature": {"mean": 1.0, "std": 0.2}}),
        ),
        Quality("temperature", "warmth", "regression", losses={"half": "test_keeper:half"}),
        Predictions(output="answer"),
        Errors(),
        Kpi("t", "temperature", ("mean", "sum", "count", "min", "max", "std", "p50", "p95", "p99")),
    ],
    window="1d",
    by=["region", ["region", "model"]],
    timezone="Asia/Kathmandu",
    time="when",
)


def half(prediction, label):
    return abs(float(prediction) - float(label)) / 2


@pytest.fixture
def time():
    with stopped_clock() as clock:
        yield clock


def say(kind, name, value, row_id, **more):
    return events.add(
        project(), kind=kind, name=name, value=value, row_id=row_id, table="chats", **more
    )


def seal_and_compact() -> None:
    spool.close_all()
    for table in ("chats", "_events", PARTS):
        compact.compact(project(), table)


@contextmanager
def from_rows(one: MetricSet) -> Iterator[Measuring]:
    """Measures as if nothing was kept."""
    measuring = Measuring(project(), one, settings.current())
    measuring.state = State()
    try:
        yield measuring
    finally:
        measuring.close()


def hold_to_the_rows(one: MetricSet) -> int:
    """Every window that was told is what its rows say."""
    found = told(one.name)
    with from_rows(one) as measuring:
        for (_, window_s, start, group), values in found.items():
            expected = measuring.values(
                window_of(start, window_s, one.timezone), orjson.loads(group)
            )
            for name, value in expected.items():
                close = None if value is None else pytest.approx(value, rel=1e-9)
                assert values.get(name) == close, (start, group, name)
    return len(found)


def test_each_minute_is_told_once_it_is_over(time):
    log(time, 1)
    with keeping(TRAFFIC) as keeper:
        keeper.turn()
        log(time, 58)
        keeper.turn()
        assert told() == {}
        time.seconds(7)
        keeper.turn()
        found = told()
    assert {(start, group) for _, _, start, group in found} == {
        (START, "{}"), (START, '{"model":"small"}'), (START, '{"model":"large"}'), (START, '{"model":"zażółć"}'),
    }  # fmt: skip
    first = found["traffic", 60, START, "{}"]
    assert (first["n"], first["closed"], first["table"]) == (59, True, TABLE)
    assert sum(one["n"] for one in found.values()) == 2 * 59
    assert hold_to_the_rows(TRAFFIC) == 4


def test_random_traffic_with_late_rows_labels_and_restarts_is_what_the_rows_say(time):
    chance = random.Random(11)
    made = log(time, 5)
    for _ in range(8):
        with keeping(TRAFFIC, QUALITY) as keeper:  # a worker that starts anew each time
            keeper.turn()
            made += log(
                time,
                chance.randint(0, 80),
                seed=chance.random(),
                every_s=chance.choice([0.1, 1, 3]),
            )
            for one in chance.sample(made, 5):
                say("label", "truth", chance.choice(["yes", "no"]), one["id"])
                say("label", "good", chance.random() < 0.5, one["id"])
            if chance.random() < 0.5:
                seal_and_compact()
            time.seconds(chance.choice([1, 30, 70]))
            keeper.turn()
    time.seconds(400)
    with keeping(TRAFFIC, QUALITY) as keeper:
        while keeper.turn():
            pass
    assert hold_to_the_rows(TRAFFIC) > 12
    assert hold_to_the_rows(QUALITY) > 2


def test_every_family_is_what_the_rows_say_whatever_clocks_and_zones_rows_are_told_in(time):
    """Rows come in any order of their own times, hours late, from clocks that are ahead, in texts of several zones."""
    chance = random.Random(5)
    made: list[dict] = []
    for _ in range(4):
        with keeping(SPREAD) as keeper:
            keeper.turn()
            for _ in range(chance.randint(1, 25)):
                at = (
                    time.us
                    - chance.choice([0, 0, 60, 3 * 3600, 30 * 3600, -240, -7200]) * SECOND_US
                )
                zone = timezone(timedelta(hours=chance.choice([-9.5, 0, 5.75, 14])))
                when = datetime.fromtimestamp(at / 1e6, zone).isoformat()
                made += log(
                    time, 1, seed=chance.random(), every_s=chance.choice([0.1, 5]), when=when
                )
            for one in chance.sample(made, min(len(made), 10)):
                say("label", "warmth", chance.gauss(1, 0.3), one["id"])
            if chance.random() < 0.5:
                seal_and_compact()
            time.seconds(chance.choice([-1800, 30, 4000]))  # the machine's clock is set back, too
            keeper.turn()
    time.seconds(2 * 86_400)
    with keeping(SPREAD) as keeper:
        while keeper.turn():
            pass
    whole = [one for key, one in told("spread").items() if key[3] == "{}"]
    assert sum(one["n"] for one in whole) == len(made)
    assert all(one["window_start"] % HOUR_US == 15 * MINUTE_US for one in whole)
    assert hold_to_the_rows(SPREAD) > 12


def test_a_late_row_changes_the_minute_it_was_in(time):
    timed = MetricSet("timed", TABLE, [Latency()], time="when")
    chats().log({"when": time.us / 1e6, "latency_ms": 1.0})
    with keeping(timed) as keeper:
        time.seconds(90)
        keeper.turn()
        assert told()["timed", 60, START, "{}"]["latency/mean_ms"] == 1.0
        time.seconds(3 * 3600)
        chats().log({"when": START / 1e6, "latency_ms": 3.0})
        keeper.turn()
    assert told()["timed", 60, START, "{}"]["latency/mean_ms"] == 2.0
    assert told()["timed", 60, START, "{}"]["n"] == 2


def test_a_row_whose_clock_is_far_ahead_is_told_in_its_own_time(time):
    timed = MetricSet("timed", TABLE, [Latency()], time="when")
    ahead = START + 400 * DAY_US
    chats().log({"when": ahead, "latency_ms": 1.0})
    with keeping(timed) as keeper:
        keeper.turn()
        time.seconds(70)
        keeper.turn()
    found = told()
    assert found["timed", 60, ahead // MINUTE_US * MINUTE_US, "{}"]["n"] == 1
    assert all(one["n"] == 0 for (_, _, start, _), one in found.items() if start < ahead - DAY_US)


def test_a_clock_that_is_set_back_loses_no_row(time):
    log(time, 70)
    with keeping(TRAFFIC) as keeper:
        keeper.turn()
        time.seconds(-3600)
        log(time, 70, seed=2)
        keeper.turn()
        time.seconds(2 * 3600)
        keeper.turn()
    whole = [one["n"] for (_, _, _, group), one in told().items() if group == "{}"]
    assert sum(whole) == 140
    hold_to_the_rows(TRAFFIC)


def test_a_minute_without_rows_is_told_as_empty(time):
    log(time, 1)
    with keeping(TRAFFIC) as keeper:
        for _ in range(6):
            time.seconds(60)
            keeper.turn()
    empty = told()["traffic", 60, START + 3 * MINUTE_US, "{}"]
    assert (empty["n"], empty["throughput/requests_per_second"]) == (0, 0)
    assert "latency/mean_ms" not in empty


def test_while_nobody_watched_nothing_is_said_to_be_empty(time):
    log(time, 1)
    with keeping(TRAFFIC) as keeper:
        time.seconds(70)
        keeper.turn()
    time.seconds(5 * 3600)
    with keeping(TRAFFIC) as keeper:
        keeper.turn()
    assert len([one for one in told().values() if one["n"] == 0]) <= 1


def test_labels_that_come_days_later_change_the_window_of_their_rows(time):
    made = log(time, 20, answer="yes")
    with keeping(QUALITY) as keeper:
        keeper.turn()
        time.seconds(600)
        keeper.turn()
        assert (
            "performance/accuracy"
            not in told()["quality", 300, window_of(START, 300).start_us, "{}"]
        )
        time.seconds(3 * 86_400)
        wrong = say("label", "truth", "no", made[0]["id"])
        for one in made[1:]:
            say("label", "truth", "yes", one["id"])
        keeper.turn()
        place = "quality", 300, window_of(START, 300).start_us, "{}"
        assert told()[place]["performance/accuracy"] == 19 / 20
        say("label", "truth", "yes", made[0]["id"], replaces=wrong)
        keeper.turn()
        assert told()[place]["performance/accuracy"] == 1
        last = say("label", "truth", "no", made[1]["id"])
        keeper.turn()
        assert told()[place]["performance/accuracy"] == 19 / 20
        events.take_back(project(), last)
        keeper.turn()
        assert told()[place]["performance/accuracy"] == 1


def test_labels_in_a_table_of_their_own_find_their_rows(time):
    joined = MetricSet(
        "sales",
        TABLE,
        [Quality("price", "paid", "regression", key="inference_id", label_table="sold")],
    )
    chats().log({"inference_id": "i1", "price": 10.0})
    with keeping(joined) as keeper:
        keeper.turn()
        time.seconds(90)
        keeper.turn()
        StreamTable("bot/sold").log({"inference_id": "i1", "paid": 12.0})
        time.seconds(1)
        keeper.turn()
    assert told()["sales", 60, START, "{}"]["performance/mae"] == 2.0


def test_a_crash_before_anything_was_remembered_counts_nothing_twice(time, monkeypatch):
    log(time, 50)
    with keeping(TRAFFIC) as keeper:
        keeper.turn()
    log(time, 5, seed=2)
    time.seconds(100)
    with monkeypatch.context() as broken, keeping(TRAFFIC) as keeper:
        broken.setattr(State, "save", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            keeper.turn()
    with monkeypatch.context() as broken, keeping(TRAFFIC) as keeper:
        broken.setattr(keeper_module.Keeper, "_tell_window", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            keeper.turn()
    with keeping(TRAFFIC) as keeper:
        keeper.turn()
    assert told()["traffic", 60, START, "{}"]["n"] == 55
    hold_to_the_rows(TRAFFIC)


def test_a_long_window_is_merged_from_hours_and_reads_no_row(time, monkeypatch):
    made = log(time, 150, every_s=60)
    days = MetricSet("days", TABLE, [Latency(), Cost()], window="1d", every="30m", by=["model"])
    with keeping(days) as keeper:
        for _ in range(4):
            time.seconds(60)
            keeper.turn()
        made += log(time, 60, every_s=60, seed=2)
        time.seconds(600)
        keeper.turn()
    levels = [
        one["kind"]
        for one in reader().execute(f'SELECT kind FROM main."{PARTS}"', [], [PARTS]).dicts()
    ]
    assert levels.count("hour") >= 2 * 3
    window = Window(START - MINUTE_US, START + 200 * MINUTE_US)
    with from_rows(days) as measuring:
        expected = measuring.values(window, {})
    monkeypatch.setattr(
        "llmwatch.watch.compute.read", lambda *_, **__: pytest.fail("rows were read")
    )
    found = measure(project(), days, window)
    assert {n: v for n, v in found.items() if v is not None} == pytest.approx(
        {n: v for n, v in expected.items() if v is not None}, rel=1e-9
    )
    assert found["cost/requests"] == len([one for one in made if one["at"] < window.end_us])


def reader() -> Reader:
    return Reader(project())


def test_an_hour_that_a_late_row_changed_is_put_together_again(time):
    timed = MetricSet("timed", TABLE, [Latency()], time="when", window="1h")
    chats().log({"when": START, "latency_ms": 1.0})
    with keeping(timed) as keeper:
        time.seconds(2 * 3600)
        keeper.turn()
        time.seconds(120)
        keeper.turn()
        chats().log({"when": START + SECOND_US, "latency_ms": 5.0})
        keeper.turn()
        hour = START // HOUR_US * HOUR_US
        assert told()["timed", 3600, hour, "{}"]["latency/mean_ms"] == 3.0
        assert measure(project(), timed, Window(hour, hour + HOUR_US))["latency/mean_ms"] == 3.0
        time.seconds(600)
        keeper.turn()
        assert measure(project(), timed, Window(hour, hour + HOUR_US))["latency/mean_ms"] == 3.0


def test_a_day_is_told_while_it_lasts_as_often_as_the_set_says(time):
    days = MetricSet("days", TABLE, [Cost()], window="1d", every="5m", timezone="Asia/Kolkata")
    log(time, 10, cost_usd=1.0)
    with keeping(days) as keeper:
        for _ in range(3):
            time.seconds(301)
            keeper.turn()
        found = told()
        start = window_of(START, 86_400, "Asia/Kolkata").start_us
        assert start % HOUR_US == HOUR_US // 2  # midnight is at half past there
        open_ = found["days", 86_400, start, "{}"]
        assert (open_["closed"], open_["cost/daily_total_usd"]) == (False, 10.0)
        time.seconds(86_400)
        keeper.turn()
    closed = told()["days", 86_400, start, "{}"]
    assert (closed["closed"], closed["cost/daily_total_usd"]) == (True, 10.0)


def test_a_set_that_is_declared_later_has_the_last_day(time):
    log(time, 120)
    with keeping(TRAFFIC) as keeper:
        keeper.turn()
        time.seconds(3600)
        log(time, 60, seed=5)
        keeper.turn()
    late = MetricSet("late", TABLE, [Kpi("t", "temperature")])
    time.seconds(70)
    with keeping(TRAFFIC, late) as keeper:
        keeper.turn()
    assert sum(one["n"] for one in told("late").values()) == 180
    hold_to_the_rows(late)


def test_groups_beyond_the_most_go_together(time):
    with keeping(MetricSet("many", TABLE, [Errors()], by=["user"])) as keeper:
        chats().log({"user_id": "u0"})
        keeper.turn()
        for n in range(300):
            chats().log({"user_id": f"u{n % 250}"})
        time.seconds(70)
        keeper.turn()
    groups = {group: one["n"] for (_, _, _, group), one in told().items() if group != "{}"}
    assert len(groups) == 200
    assert sum(groups.values()) == 301
    assert groups['{"user":"(other)"}'] > 40


def test_the_state_does_not_grow_with_rows(time):
    log(time, 5)
    with keeping(TRAFFIC) as keeper:
        keeper.turn()
        sizes = []
        for _ in range(4):
            log(time, 200)
            keeper.turn()
            sizes.append((project().path / "watch" / "state.json").stat().st_size)
    assert max(sizes[1:]) <= sizes[0] + 300


def test_the_worker_keeps_what_the_settings_files_declare(time, tmp_path, monkeypatch):
    (tmp_path / "llmwatch.toml").write_text(
        '[[watch.metrics]]\nname = "a"\ntable = "bot/chats"\nby = ["model"]\nlatency = true\n'
        '[[watch.metrics]]\nname = "b"\ntable = "elsewhere/chats"\nlatency = true\n'
    )
    monkeypatch.chdir(tmp_path)
    log(time, 10)
    watch = Watch()
    watch.finish(open_store(), settings.current())
    time.seconds(90)
    watch.finish(open_store(), settings.current())
    assert {name for name, *_ in told()} == {"a"}
    assert [project_.id for project_ in open_store().projects()] == ["local/bot"]


def test_a_set_that_fails_is_told_and_tried_again(time, tmp_path, monkeypatch):
    (tmp_path / "llmwatch.toml").write_text(
        '[[watch.metrics]]\nname = "a"\ntable = "bot/chats"\nquality = { prediction = "answer", label = "truth" }\n'
    )
    monkeypatch.chdir(tmp_path)
    log(time, 10)
    time.seconds(90)
    watch = Watch()
    with monkeypatch.context() as broken, faults.strict(False):
        broken.setattr(QualityMeasure, "part", lambda *_: 1 / 0)
        watch.finish(open_store(), settings.current())
    assert told() == {}
    watch.finish(open_store(), settings.current())
    assert told()["a", 60, START, "{}"]["n"] == 10


def test_readers_that_begin_anew_lose_nothing(time):
    with keeping(TRAFFIC) as keeper:
        log(time, 40)
        time.seconds(60)
        keeper.turn()
        before = keeper._reader._opened
        time.us += keeper_module.ANEW_US
        log(time, 40, seed=2)
        time.seconds(60)
        keeper.turn()
        assert keeper._reader._opened is not before
    counts = [one["errors/request_count"] for key, one in told().items() if key[3] == "{}"]
    assert sum(counts) == 80
