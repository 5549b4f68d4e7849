"""The worker feeds detectors: alarms are rows of `drift`, each row counts once, and a restart forgets nothing."""

from __future__ import annotations

import random
from pathlib import Path

import orjson
import pytest

from llmwatch import StreamTable, settings
from llmwatch.drift.watches import configured
from llmwatch.drift.watching import Watching
from llmwatch.errors import SettingsError
from llmwatch.store import open_store

pytestmark = pytest.mark.usefixtures("llmwatch_store")

WATCH = """
[[drift.watch]]
table = "bot/chats"
signals = ["prompt_length", "temperature"]
learn = 300
"""


@pytest.fixture
def _configured(tmp_path, monkeypatch):
    (tmp_path / "llmwatch.toml").write_text(WATCH)
    monkeypatch.chdir(tmp_path)


def log(rows: int, *, words: int = 8, session: str | None = None, seed: int = 1) -> None:
    chance = random.Random(seed)
    table = StreamTable("bot/chats")
    for number in range(rows):
        count = chance.randint(words // 2, words * 2)
        row = {"question": "word " * count, "temperature": chance.random()}
        table.log({**row, "session_id": session or f"{seed}-{number}"})


def turn(watching: Watching | None = None) -> None:
    (watching or Watching()).finish(open_store(), settings.current())


def state() -> Path:
    return open_store().project("local", "bot").path / "detectors" / "chats.json"


def alarms() -> list[dict]:
    if "drift" not in open_store().project("local", "bot").tables():
        return []
    return [dict(row) for row in StreamTable("bot/drift").rows()]


@pytest.mark.usefixtures("_configured")
def test_longer_prompts_raise_an_alarm_and_what_did_not_move_raises_none():
    log(1, seed=0)
    turn()
    log(300)
    turn()
    log(200, seed=2)
    turn()
    assert alarms() == []
    log(400, words=16, seed=3)
    turn()
    [first] = alarms()
    assert (first["signal"], first["table"]) == ("prompt_length", "chats")
    assert first["what"] in {"higher values", "more in the top 5%"}
    assert first["drift_detected"] is True


@pytest.mark.usefixtures("_configured")
def test_after_an_alarm_what_comes_is_learnt_as_the_usual():
    log(1, seed=0)
    turn()
    log(300)
    log(1500, words=16, seed=3)
    turn()
    assert [one["signal"] for one in alarms()] == ["prompt_length"]
    log(400, words=8, seed=4)
    turn()
    assert [one["signal"] for one in alarms()] == ["prompt_length", "prompt_length"]


@pytest.mark.usefixtures("_configured")
def test_rows_from_before_the_watch_do_not_count():
    log(500)
    turn()
    assert not state().exists()


@pytest.mark.usefixtures("_configured")
def test_each_row_counts_once_however_often_the_worker_starts():
    log(1, seed=0)
    turn()
    log(300)
    for seed in range(10, 15):
        log(20, seed=seed)
        turn()
        turn()
    assert orjson.loads(state().read_bytes())["prompt_length"]["detector"]["rows"] == 100


@pytest.mark.usefixtures("_configured")
def test_nothing_that_anybody_wrote_is_kept():
    log(1, seed=0)
    turn()
    log(350, session=None)
    log(10, session="ada@example.com", seed=5)
    turn()
    kept = state().read_bytes()
    assert b"ada@example.com" not in kept
    assert b"word" not in kept


@pytest.mark.usefixtures("_configured")
def test_a_conversation_counts_as_one_row():
    log(1, seed=0)
    turn()
    log(300)
    log(500, words=90, session="one long conversation", seed=6)
    turn()
    assert alarms() == []


@pytest.mark.usefixtures("_configured")
def test_a_watch_stands_beside_jobs(tmp_path):
    with (tmp_path / "llmwatch.toml").open("a") as file:
        file.write("[[drift.job]]\ntable = 'bot/chats'\n")
    assert [watch.signals for watch in configured()] == [("prompt_length", "temperature")]


def test_without_settings_nothing_is_watched():
    log(10)
    turn()
    assert alarms() == []


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("[drift]\nevery = 3", "has no setting every"),
        ("[drift]\nwatch = 3", "write \\[\\[drift.watch\\]\\]"),
        ("[[drift.watch]]\nsignals = ['x']", "names no table"),
        (
            "[[drift.watch]]\ntable = 'bot/chats'\nrun_length = 0",
            "run_length in .* 1 or more, not 0",
        ),
        ("[[drift.watch]]\ntable = 'bot/chats'\nlearn = 12", "200 or more, not 12"),
        ("[[drift.watch]]\ntable = 'bot/chats'\nsignals = 'prompt_length'", "list of names"),
        ("[[drift.watch]]\ntable = 'bot/chats'\nsignal = 'x'", "has no signal"),
    ],
)
def test_a_watch_that_cannot_be_is_refused_in_a_sentence(told, message, tmp_path, monkeypatch):
    (tmp_path / "llmwatch.toml").write_text(told)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=message):
        configured()
