"""A game day: faults in a copy of the traffic, and which alert of the watch that is declared tells of each."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import orjson
import pytest

from llmwatch import StreamTable, clock, settings
from llmwatch.errors import LlmwatchError, NotFound, SettingsError
from llmwatch.gameday import faults, play, show
from llmwatch.gameday.plan import planned

HOUR_US = 3_600_000_000
START = 1_800_000_000_000_000 // (24 * HOUR_US) * (24 * HOUR_US)
WATCH = """
[watch]
default_rules = false
[[watch.metrics]]
name = "answers"
table = "shop/answers"
window = "10m"
latency = true
errors = true
outputs = true
{more}
[[watch.rules]]
name = "slow"
metric = "latency/p50_ms"
above = 300
min_rows = 4
lasting = 2
[[watch.rules]]
name = "failing"
metric = "errors/total_rate_percent"
above = 10
min_rows = 4
lasting = 2
severity = "P0"
[[watch.rules]]
name = "missing"
metric = "outputs/null_rate"
above = {limit}
min_rows = 4
lasting = 2
"""


@pytest.fixture
def shop(llmwatch_store, tmp_path, monkeypatch):
    """A day of logged answers, one each minute, watched as the returned function is told."""
    monkeypatch.setenv(settings.ROOT_ENV, str(tmp_path))
    now = [START]
    chance = Random(3)
    lasting = replace(settings.current(), segment_age_s=1e12)  # a day passes in a second
    settings.use(lasting)
    with clock.use(now=lambda: now[0]), StreamTable("shop/answers") as table:
        for _ in range(24 * 60):
            now[0] += 60_000_000
            table.log(
                {
                    "question": "Where is it?",
                    "output": "Here.",
                    "latency_ms": chance.uniform(90, 110),
                }
            )

    def declare(limit="0.05", more=""):
        text = WATCH.format(limit=limit, more=more)
        (tmp_path / "llmwatch.toml").write_text(text)

    return declare


def test_each_fault_is_told_by_its_alert_and_the_clean_part_by_none(shop):
    shop()
    day = play.on_table("shop/answers", faults.named("slow,errors,nulls"), lasting="2h")
    told = {one.fault.name: [alert.rule for alert in one.alerts] for one in day.found}
    assert told == {"slow": ["slow"], "errors": ["failing"], "nulls": ["missing"]}
    assert (day.missed, day.of_nothing) == ([], ())
    for one in day.found:
        assert 600 <= one.after_s <= 7200, "two windows of ten minutes, in the time of the traffic"
        assert one.rows > 0


def test_the_real_table_is_only_read(shop, llmwatch_store):
    shop()
    before = sorted(
        (path, path.stat().st_size) for path in llmwatch_store.root.rglob("*") if path.is_file()
    )
    play.on_table("shop/answers", faults.named("errors"), lasting="1h")
    after = sorted(
        (path, path.stat().st_size) for path in llmwatch_store.root.rglob("*") if path.is_file()
    )
    assert after == before


def test_a_fault_that_no_alert_tells_says_why(shop):
    shop(limit="0.9")
    day = play.on_table("shop/answers", faults.named("nulls,malformed,cost"), lasting="2h")
    found = {one.fault.name: one for one in day.found}
    assert found["nulls"].missed
    assert found["nulls"].why == "did not fire: missing"
    assert "outputs/malformed_rate" in found["malformed"].why
    assert not found["cost"].missed, "no row has tokens: it cannot go wrong"
    assert "no row has what it would change" in found["cost"].why
    assert "0 of 2 faults caught" in show.as_text(day)


def test_an_alert_in_the_clean_part_is_told_apart_and_a_p0_among_them_counted(shop):
    shop(more='kpi = [{ name = "latency", value = "latency_ms" }]\n[[watch.rules]]\nname = "wrong"\n'
         'metric = "kpi/latency"\nabove = 50\nseverity = "P0"')  # fmt: skip
    day = play.on_table("shop/answers", faults.named("errors"), lasting="1h")
    assert [one.rule for one in day.false_p0] == ["wrong"]
    assert "1 false P0" in show.as_text(day)


def test_the_same_seed_is_the_same_game_day(shop):
    shop()
    days = [
        play.on_table("shop/answers", faults.named("errors,slow"), lasting="1h", seed=seed)
        for seed in (5, 5, 6)
    ]
    told = [[one.to_json() for one in day.found] for day in days]
    assert told[0] == told[1] != told[2]


def test_the_command_exits_with_1_when_a_fault_is_never_caught(shop, capsys):
    from llmwatch.cli import main

    shop()
    asked = ["gameday", "shop/answers", "--since", "2000-01-01", "--lasting", "1h", "--json"]
    assert main([*asked, "--faults", "errors"]) == 0
    told = orjson.loads(capsys.readouterr().out)
    assert (told["caught"], told["false_p0"], told["missed"]) == (1, 0, [])
    assert main([*asked, "--faults", "malformed"]) == 1
    assert main([*asked, "--faults", "gremlins"]) == 2
    assert main(["gameday", "shop/nothing"]) == 1


def test_too_little_traffic_says_how_much_it_takes(shop):
    with pytest.raises(
        LlmwatchError, match=r"8\.0 hours of traffic are too few for 7 faults, which need 11"
    ):
        planned([START, START + 8 * HOUR_US - 1], faults.FAULTS, HOUR_US, 0)
    with pytest.raises(LlmwatchError, match="too little traffic"):
        planned([START, START + 24 * HOUR_US], faults.FAULTS, HOUR_US, 0)
    with pytest.raises(NotFound):
        play.on_table("shop/answers", since_us=START + 90 * HOUR_US)
    with pytest.raises(SettingsError, match="gremlins is no fault"):
        faults.named("gremlins")


def test_faults_come_after_the_clean_part_each_with_time_to_be_over():
    times = [START + n * 60_000_000 for n in range(7 * 24 * 60)]
    plan = planned(times, faults.FAULTS, 4 * HOUR_US, 1)
    assert {slot.fault.name for slot in plan.slots} == {fault.name for fault in faults.FAULTS}
    assert plan.clean_until_us >= START + 2 * 24 * HOUR_US
    for one, other in zip(plan.slots, plan.slots[1:], strict=False):
        assert one.start_us < one.end_us < one.until_us <= other.start_us


# --- what a fault does to a row ----------------------------------------------------------


def call(**fields):
    return {
        "id": "1",
        "ts": 1,
        "inputs": {"question": "Where?", "k": 3},
        "output": "Here.",
    } | fields


def changed(name, row):
    (fault,) = faults.named(name)
    assert fault.change(row, Random(1))
    return row


def test_prompts_are_replaced_wherever_they_are():
    assert changed("prompts", call())["inputs"]["question"] != "Where?"
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where?"}]
    given = changed("injections", call(inputs={"messages": messages}))["inputs"]["messages"]
    assert given[0]["content"] == "Be brief."
    assert given[1]["content"] != "Where?"


def test_a_malformed_output_is_json_that_does_not_parse():
    for output in ("Here.", {"answer": "Here."}, ["a", 1], 5):
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(changed("malformed", call(output=output))["output"])


def test_calls_inside_of_a_trace_keep_their_outputs():
    assert not faults.named("nulls")[0].change(call(parent_id="0"), Random(1))


def test_dearer_prompts_are_dearer_wherever_their_tokens_are_told():
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
    row = call(prompt_tokens=10, cost_usd=0.5, output={"usage": dict(usage)})
    changed("cost", row)
    assert (row["prompt_tokens"], row["cost_usd"]) == (60, 3.0)
    assert row["output"]["usage"] == {
        "prompt_tokens": 60,
        "completion_tokens": 1,
        "total_tokens": 61,
    }
    assert not faults.named("cost")[0].change(call(), Random(1))


def test_slow_calls_end_later():
    row = changed("slow", call(latency_ms=100.0, ended_at=1_000_000))
    assert (row["latency_ms"], row["ended_at"]) == (400.0, 1_300_000)


@pytest.mark.slow
def test_on_the_demos_traffic_every_fault_is_caught_and_no_p0_is_false():
    day = play.on_demo(seed=1, end_us=START)
    assert [one.fault.name for one in day.missed] == []
    assert day.false_p0 == []
