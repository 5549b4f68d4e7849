"""The wandb sink, through wandb itself: what reaches W&B is what the store holds, once."""

from __future__ import annotations

import io
import json
import time

import pytest
from PIL import Image

import llmwatch
from llmwatch import clock, settings
from llmwatch.errors import LlmwatchError
from llmwatch.stream.erase import erase
from llmwatch.watch.sinks import wandb_sink

pytestmark = pytest.mark.slow

OFFLINE = '[watch.wandb]\nmode = "offline"\nentity = "team"\ntags = ["blue"]\n'
ONLINE = OFFLINE.replace("offline", "online")


def only(server):
    (run,) = server.runs.values()
    return run


def metrics_of(run) -> list[dict]:
    """The history without what wandb adds."""
    return [
        {key: value for key, value in line.items() if not key.startswith("_") or key == "_step"}
        for line in run.history
    ]


def test_offline_directories_that_wandb_sync_uploads_hold_what_the_store_holds(shop, server):
    shop.ask(OFFLINE)
    starts = [
        shop.tell(n, latency__p50_ms=10.25 + n, errors__5xx_count=n, cost__total_usd=1e-7 * n)
        for n in range(5)
    ]
    shop.tell(2, group='{"model":"gpt-4o"}', latency__p50_ms=99.5)
    shop.tell(3, set_="other", latency__p50_ms=7.0)
    shop.request("a red square?", picture=Image.new("RGB", (8, 6), (255, 0, 0)), version="v7")
    shop.request("no picture", confidence=0.25)
    shop.send()
    assert server.runs == {}  # nothing leaves before `wandb sync`
    shop.sync()

    run = only(server)
    told = metrics_of(run)
    assert [line["_step"] for line in told] == list(range(8))  # two requests, and their table
    for n, line in enumerate(told[:5]):
        assert line["window_time"] == starts[n] / 1_000_000
        assert line["latency/p50_ms"] == 10.25 + n
        assert line["errors/5xx_count"] == n
        assert line["cost/total_usd"] == 1e-7 * n
    assert told[2]["latency/p50_ms/model=gpt-4o"] == 99.5
    assert told[3]["other/60s/latency/p50_ms"] == 7.0
    assert set(run.bucket["tags"]) >= {"blue", "llmwatch", "version:v7"}
    assert server.unknown == []


def test_sampled_requests_are_a_table_with_their_pictures(shop, server):
    shop.ask(OFFLINE)
    shop.tell(0, latency__p50_ms=1.0)
    shop.request("a red square?", picture=Image.new("RGB", (8, 6), (255, 0, 0)))
    shop.request("no picture", confidence=0.25)
    shop.send()
    shop.sync()
    rows = server.table(only(server), "production/requests")
    assert [row[0] for row in rows] == ["a red square?", "no picture"]
    assert [row[2] for row in rows] == ["about a red square?", "about no picture"]
    assert [row[3:6] for row in rows] == [[None, 7, 12.5], [0.25, 7, 12.5]]
    assert rows[1][1] is None
    (increment,) = server.increments(only(server), "production/requests")
    image = Image.open(io.BytesIO(increment["files"][rows[0][1]["path"]]))
    assert image.size == (8, 6)
    assert image.convert("RGB").getpixel((3, 3)) == (255, 0, 0)


def test_each_sampled_request_is_a_point_under_the_names_people_log_them_by(shop, server):
    shop.ask(OFFLINE)
    shop.tell(0, latency__p50_ms=1.0)
    shop.request("fine")
    shop.request("bad", status="error", exception_type="ValueError", exception="ValueError: empty")
    shop.send()
    shop.sync()
    _, fine, bad, _ = metrics_of(only(server))
    assert fine.pop("inference/timestamp") == fine.pop("window_time") <= time.time()
    assert fine == {
        "_step": 1,
        "inference/latency_ms": 12.5,
        "inference/success": 1,
        "inference/tokens_allocated": 7,
    }
    assert (bad["inference/success"], bad["inference/error"]) == (0, "ValueError: empty")


def picture_of(server, line, name):
    return Image.open(io.BytesIO(only(server).files[line[name]["path"]])).convert("RGB")


def test_what_demos_record_has_their_names_too(shop, server):
    llmwatch.init("shop", store=shop.store.root)
    red, long = Image.new("RGB", (8, 6), (255, 0, 0)), "what is this? " * 200
    for via in ("gradio", "streamlit"):
        with llmwatch.context(via=via):
            llmwatch.traced(lambda question, picture: {"answer": "red", "usage": {}})(long, red)
    llmwatch.finish()
    shop.ask(OFFLINE)
    shop.tell(0, latency__p50_ms=1.0)
    shop.send()
    shop.sync()
    _, gradio, streamlit, _ = metrics_of(only(server))
    assert gradio["demo/latency_ms"] == gradio["inference/latency_ms"]
    assert gradio["demo/query_length"] == len(long)
    assert "red" in gradio["demo/prediction"]
    assert picture_of(server, gradio, "demo/image").getpixel((3, 3)) == (255, 0, 0)
    assert streamlit["streamlit/query"].startswith("what is this?")
    assert picture_of(server, streamlit, "streamlit/image").size == (8, 6)
    assert not any(name.startswith("streamlit/") for name in gradio)


def test_runs_of_the_drift_job_are_in_the_history(shop, server):
    shop.ask(OFFLINE)
    now = clock.now_us()
    found = {"drift/drift_detected": 1.0, "drift/prompt_length_ks_statistic": 0.25}
    for verdict, told in (("drift", found), ("insufficient data", {"drift/drift_detected": 0.0})):
        shop.drift.log({"kind": "job", "table": "traces", "verdict": verdict,
                        "window_start_us": now - 3_600_000_000, "window_end_us": now, **told})  # fmt: skip
    shop.send()
    shop.send()
    shop.sync()
    first, second = metrics_of(only(server))
    assert abs(first.pop("window_time") * 1e6 - now) < 60e6
    assert first == {"_step": 0, **found}
    assert set(second) == {"_step", "window_time"}  # too little data is not "no drift"


def test_a_restart_goes_on_with_the_day_and_sends_nothing_twice(shop, server):
    shop.ask(OFFLINE)
    shop.tell(0, latency__p50_ms=1.0)
    shop.request("one")
    shop.send()
    shop.tell(1, latency__p50_ms=2.0)
    shop.request("two")
    shop.send()
    shop.send()  # with nothing new
    shop.sync()
    told = metrics_of(only(server))
    assert [line.get("latency/p50_ms") for line in told] == [1.0, None, None, 2.0, None, None]
    assert [line["_step"] for line in told] == list(range(6))
    assert [row[0] for row in server.table(only(server), "production/requests")] == ["one", "two"]


def test_online_the_day_s_run_is_resumed_where_the_server_has_it(shop, server):
    shop.ask(ONLINE)
    shop.tell(0, latency__p50_ms=1.0)
    shop.request("one")
    shop.send()
    shop.tell(1, latency__p50_ms=2.0)
    shop.request("two")
    shop.send()
    run = only(server)
    assert [line.get("latency/p50_ms") for line in metrics_of(run)] == [
        1.0,
        None,
        None,
        2.0,
        None,
        None,
    ]
    assert [row[0] for row in server.table(run, "production/requests")] == ["one", "two"]
    assert run.bucket["displayName"].startswith("watch 20")
    assert server.unknown == []


def test_steps_that_the_server_did_not_get_are_sent_again(shop, server):
    shop.ask(ONLINE)
    for minute in range(3):
        shop.tell(minute, latency__p50_ms=float(minute))
    shop.send()
    run = only(server)
    lines = run.streams["wandb-history.jsonl"]
    before = metrics_of(run)
    del lines[max(lines)]  # as if the process had died before the last one left
    run.streams["wandb-summary.json"] = {0: json.dumps({"_step": max(lines)})}
    for note in shop.store.project("local", "shop").path.glob("positions/wandb/sent-*.json"):
        note.unlink()
    shop.send()
    assert metrics_of(run)[:3] == before[:3]


def test_a_window_that_is_said_again_tells_only_what_changed(shop, server):
    shop.ask(OFFLINE)
    shop.tell(0, latency__p50_ms=1.0, errors__total_count=0)
    shop.send()
    shop.tell(0, latency__p50_ms=1.0, errors__total_count=0, performance__accuracy=0.75)
    shop.send()
    shop.sync()
    first, second = metrics_of(only(server))
    assert first["window_time"] == second["window_time"]
    assert second["performance/accuracy"] == 0.75
    assert "latency/p50_ms" not in second


def test_nothing_goes_anywhere_unless_it_is_asked_for(shop, server):
    shop.ask("")
    shop.tell(0, latency__p50_ms=1.0)
    shop.request("secret")
    shop.send()
    assert shop.directories() == []
    assert server.runs == {}


def test_what_redaction_takes_out_is_not_in_the_table(shop, server):
    shop.request(
        "my key is sk-abcdefghijklmnop1234567890", iban="DE00"
    )  # recorded before the setting
    shop.ask(f'redact = ["answer"]\n{OFFLINE}')
    shop.tell(0, latency__p50_ms=1.0)
    shop.send()
    shop.sync()
    ((query, _, prediction, *_),) = server.table(only(server), "production/requests")
    assert "sk-abc" not in query
    assert prediction == "REDACTED"


def test_without_tables_no_request_leaves(shop, server):
    shop.ask(f"{OFFLINE}tables = []\n")
    shop.tell(0, latency__p50_ms=1.0)
    shop.request("secret")
    shop.send()
    shop.sync()
    uploaded = json.dumps([metrics_of(only(server)), only(server).bucket]) + str(server.blobs)
    assert "secret" not in uploaded


def test_windows_that_still_last_wait_until_they_are_closed(shop, server):
    shop.ask(OFFLINE)
    shop.tell(0, closed=False, cost__total_usd=1.0)
    shop.tell(0, cost__total_usd=2.0)
    shop.send()
    shop.sync()
    (line,) = metrics_of(only(server))
    assert line["cost/total_usd"] == 2.0


def until(is_so):
    for _ in range(600):
        if is_so():
            return
        time.sleep(0.1)
    pytest.fail("it did not become so")


def test_a_process_that_is_killed_leaves_a_day_that_is_whole_and_told_once(shop, server):
    shop.ask(OFFLINE)
    for minute in range(4):
        shop.tell(minute, latency__p50_ms=float(minute))
    child = wandb_sink.Child(shop.store)
    until(lambda: child.code() is None and child.turns >= 1)
    child.kill()
    child.close()
    assert len(shop.directories()) == 1  # what it left was never closed
    shop.tell(4, latency__p50_ms=4.0)
    shop.request("after the crash")
    shop.send()
    assert len(shop.directories()) == 1
    shop.sync()
    told = metrics_of(only(server))
    assert [line.get("latency/p50_ms") for line in told] == [0.0, 1.0, 2.0, 3.0, 4.0, None, None]
    assert [row[0] for row in server.table(only(server), "production/requests")] == [
        "after the crash"
    ]


def test_what_is_erased_is_not_in_directories_that_wait_to_be_uploaded(shop, server):
    shop.ask(OFFLINE)
    shop.tell(0, latency__p50_ms=1.0)
    shop.request("mine, please forget")
    shop.request("another's")
    shop.send()
    project = shop.store.project("local", "shop")
    assert erase(project, "question LIKE 'mine%'", table="traces").found_after == []
    assert shop.directories() == []
    shop.send()
    shop.sync()
    assert [row[0] for row in server.table(only(server), "production/requests")] == ["another's"]
    assert [line.get("latency/p50_ms") for line in metrics_of(only(server))] == [
        1.0,
        None,
        None,
        None,
    ]


def test_a_wandb_that_hangs_is_killed_and_the_next_one_sends_everything(shop, server, monkeypatch):
    shop.ask(ONLINE)
    shop.tell(0, latency__p50_ms=1.0)
    server.away = True
    sink = wandb_sink.WandbSink()
    sink.tick(shop.store, settings.current())
    monkeypatch.setattr(wandb_sink, "HUNG_S", 4.0)
    with pytest.raises(LlmwatchError):  # strict: what a worker would log
        until(lambda: sink.tick(shop.store, settings.current()) and False)
    server.away = False
    shop.send()
    assert [line["latency/p50_ms"] for line in metrics_of(only(server))] == [1.0]


def test_a_worker_that_runs_once_has_one_process_and_one_directory(shop, server):
    shop.ask(OFFLINE)
    shop.tell(0, latency__p50_ms=1.0)
    sink = wandb_sink.WandbSink()
    sink.tick(shop.store, settings.current())
    sink.finish(shop.store, settings.current())
    shop.sync()
    assert len(shop.directories()) == 1
    assert [line["latency/p50_ms"] for line in metrics_of(only(server))] == [1.0]


def test_two_processes_do_not_write_one_run(shop, server):
    shop.ask(OFFLINE)
    shop.tell(0, latency__p50_ms=1.0)
    first = wandb_sink.Child(shop.store)
    until(lambda: first.code() is None and first.turns >= 1)
    shop.send()
    assert len(shop.directories()) == 1
    assert first.end(60) == 0
    first.close()
    shop.sync()
    assert [line["latency/p50_ms"] for line in metrics_of(only(server))] == [1.0]


def test_a_missing_key_is_said_and_costs_nothing(shop, server, monkeypatch):
    shop.ask(ONLINE)
    shop.tell(0, latency__p50_ms=1.0)
    key = server.environment["WANDB_API_KEY"]
    monkeypatch.delenv("WANDB_API_KEY")
    with pytest.raises(LlmwatchError, match=r"(?i)api.?key|login"):
        shop.send()
    monkeypatch.setenv("WANDB_API_KEY", key)
    shop.send()
    assert [line["latency/p50_ms"] for line in metrics_of(only(server))] == [1.0]
