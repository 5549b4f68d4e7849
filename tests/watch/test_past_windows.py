"""Windows that are told afterwards are those that the watch would have told."""

from __future__ import annotations

import orjson
import pytest
from watched import START, TABLE, log, project, stopped_clock

from llmwatch import StreamTable, settings
from llmwatch.watch import Cost, Errors, Latency, MetricSet, Throughput, past
from llmwatch.watch.compute import Measuring
from llmwatch.watch.state import State
from llmwatch.watch.windows import DAY_US, HOUR_US, Window

pytestmark = pytest.mark.usefixtures("llmwatch_store")
HOURLY = MetricSet(
    "hourly", TABLE, [Latency(), Throughput(), Errors(), Cost()], window="1h", by=["model"]
)
FROM_US, UNTIL_US = START // DAY_US * DAY_US, START // DAY_US * DAY_US + 2 * DAY_US


@pytest.fixture
def told():
    """What is in the table `metrics`, of rows over ten hours and a pause."""
    with stopped_clock() as time:
        for length_s in (50, 300, 600):
            log(time, 40, every_s=length_s, seed=length_s)
        past.tell(project(), [HOURLY], FROM_US, UNTIL_US, settings.current())
    return [dict(row) for row in StreamTable("bot/metrics").rows()]


def test_each_window_says_what_its_rows_say(told):
    measuring = Measuring(project(), HOURLY, settings.current())
    measuring.state = State()
    with_rows = [row for row in told if row["n"]]
    assert {row["group"] for row in with_rows} > {"{}"}
    for row in with_rows:
        window = Window(row["window_start"], row["window_start"] + HOUR_US)
        values = measuring.values(window, orjson.loads(row["group"]))
        known = {name: value for name, value in values.items() if value is not None}
        assert {name: row[name] for name in known} == pytest.approx(known)
        assert row["closed"]
    measuring.close()


def test_every_hour_is_told_once_also_an_empty_one(told):
    starts = [row["window_start"] for row in told if row["group"] == "{}"]
    assert starts == list(range(FROM_US, UNTIL_US, HOUR_US))
    assert any(row["n"] == 0 for row in told)


def test_a_window_is_told_when_it_was_over(told):
    rows = StreamTable("bot/metrics").query("SELECT window_start, epoch_us(ts) FROM metrics").rows
    assert rows
    assert all(at == start + HOUR_US + 5_000_000 for start, at in rows)


def test_only_windows_of_the_stretch_are_told():
    with stopped_clock() as time:
        log(time, 3)
        until = START // HOUR_US * HOUR_US + HOUR_US
        past.tell(project(), [HOURLY], until - HOUR_US, until, settings.current())
    starts = {row["window_start"] for row in StreamTable("bot/metrics").rows()}
    assert starts == {until - HOUR_US}
