"""`llmwatch forward`: what it says, and what it does."""

from __future__ import annotations

import json

import pytest

import llmwatch
from llmwatch import clock, settings
from llmwatch.cli import main
from llmwatch.testing.wandb_server.faults import Trouble


@pytest.fixture
def forward(sending, monkeypatch, capsys):
    monkeypatch.setenv("LLMWATCH_STORE", str(sending.store))

    def run(*arguments):
        capsys.readouterr()
        code = main(["forward", *arguments])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def test_status_says_where_to_how_much_waits_and_why(sending, forward, monkeypatch):
    sending.table().log({"a": 1})
    monkeypatch.delenv("WANDB_API_KEY")
    code, said = forward()
    assert code == 0
    assert "nobody is logged in" in said
    assert "about 1 in answers" in said


def test_once_sends_what_there_is_and_status_says_so(sending, forward):
    sending.table().log({"a": 1})
    assert forward("--once")[0] == 0
    assert len(sending.calls) == 1
    _, said = forward("--status")
    assert "everything is sent" in said
    assert "1 rows" in said


def test_once_ends_when_wandb_has_to_be_waited_for(sending, forward):
    sending.table().log({"a": 1})
    sending.server.faults.add(lambda path, _: Trouble(status=503, retry_after="60"))
    code, said = forward("--once")
    assert code == 3
    assert "503" in said


def test_refused_rows_are_shown_without_steering_the_terminal_and_tried_again(sending, forward):
    row_id = sending.table().add({"a": 1})
    sending.server.faults.add(
        lambda path, _: (
            Trouble(status=422, message="\x1b[31mno") if path.endswith("complete") else None
        )
    )
    forward("--once")
    _, said = forward("--status")
    assert row_id in said
    assert "\x1b" not in said
    sending.server.faults.clear()
    assert forward("--retry-dead")[0] == 0
    assert set(sending.calls) == {row_id}
    assert "refused" not in forward("--status")[1]


def test_status_is_json_for_a_script(sending, forward):
    sending.table().log({"a": 1})
    (status,) = json.loads(forward("--status", "--json")[1])
    assert status["project"] == "local/bot"
    assert status["waiting"]["answers"] == 1


def test_an_estimate_says_when_too_little_is_known(sending, forward):
    sending.table().log({"a": 1})
    assert "unknown" in forward("--estimate")[1]
    sending.table().log([{"a": n} for n in range(50)])
    (found,) = [
        one for one in json.loads(forward("--estimate", "--json")[1]) if one["table"] == "answers"
    ]
    assert found["rows_a_day"] is None  # a burst of a second is no day
    assert "60 are needed" in found["note"]


def test_an_estimate_is_rows_and_bytes_a_day(sending, forward):
    now = clock.now_us()
    moments = iter(range(now - 7200 * 10**6, now, 72 * 10**6))
    table = sending.table()
    with clock.use(now=lambda: next(moments)):
        for n in range(100):
            table.log({"n": n, "text": "x" * 1000})
    table.finish()
    found = {one["table"]: one for one in json.loads(forward("--estimate", "--json")[1])}["answers"]
    assert found["rows_a_day"] == pytest.approx(1200, rel=0.05)
    assert found["bytes_a_day"] == pytest.approx(1200 * 1300, rel=0.2)


def test_offline_mode_sends_nothing_even_when_asked(sending, forward, monkeypatch):
    sending.table().log({"a": 1})
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert forward("--once")[0] == 2
    assert sending.calls == {}


def test_what_was_recorded_offline_is_sent_when_asked_for(home, server, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    llmwatch.init("bot", destination="wandb")
    llmwatch.StreamTable("local/bot/answers").log({"a": 1})
    monkeypatch.delenv("WANDB_MODE")
    settings.use(None)
    assert main(["forward", "--once"]) == 0
    assert len(server.kept.calls_of("team/bot")) == 1


def test_a_project_that_is_not_meant_for_wandb_is_not_sent(home, server):
    llmwatch.init("bot", destination="local")
    llmwatch.StreamTable("local/bot/answers").log({"a": 1})
    assert main(["forward", "--once"]) == 2
    assert sum(server.paths.values()) == 0
