"""Runs that the settings files ask for, made by the worker when they are due."""

from __future__ import annotations

import pytest
from drift_rows import NOW, log_day, log_weeks

from llmwatch import StreamTable, clock, settings
from llmwatch.drift.schedule import jobs
from llmwatch.drift.scheduled import Scheduled
from llmwatch.errors import SettingsError
from llmwatch.testing import temporary_store


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv(settings.ROOT_ENV, str(tmp_path))
    return tmp_path


def written(root, text):
    (root / "llmwatch.toml").write_text(text, encoding="utf-8")


def test_a_job_becomes_the_arguments_of_the_command(root):
    written(
        root,
        '[[drift.job]]\ntable = "bot/chats"\nevery = "15m"\nwindow = "1h"\nsignals = ["latency"]\nwhere = "a = 1"\n',
    )
    [job] = jobs()
    assert str(job.table) == "local/bot/chats"
    assert job.every_us == 900_000_000
    assert job.arguments == ("--window=1h", "--where=a = 1", "--signal=latency")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[drift.job]]\nwindow = "1h"', "names no table"),
        ('[[drift.job]]\ntable = "t"\nevry = "1h"', "has no evry"),
        ('[[drift.job]]\ntable = "t"\nevery = "often"', "not a length of time"),
        ('[[drift.job]]\ntable = "t"\nsignals = "latency"', "is a list of names"),
        ('[drift]\njob = "chats"', "list of runs"),
    ],
)
def test_a_job_that_cannot_be_is_told(root, text, said):
    written(root, text)
    with pytest.raises(SettingsError, match=said):
        jobs()


def test_a_job_that_is_due_runs_once_and_its_result_is_a_row(root):
    written(root, '[[drift.job]]\ntable = "bot/chats"\nevery = "1h"\nsignals = ["prompt_length"]\n')
    with temporary_store(segment_age_s=1e9) as store:
        log_weeks()
        log_day()
        scheduled = Scheduled()
        scheduled.finish(store, settings.current())
        rows = list(StreamTable("bot/drift").rows())
        assert [row["table"] for row in rows] == ["chats"]
        scheduled.finish(store, settings.current())
        assert len(list(StreamTable("bot/drift").rows())) == 1
        with clock.use(now=clock_after_an_hour):
            scheduled.finish(store, settings.current())
        assert len(list(StreamTable("bot/drift").rows())) == 2


def clock_after_an_hour() -> int:
    import time

    return int((time.time() + 3_601) * 1_000_000)


def test_a_job_of_a_table_that_is_not_there_yet_waits(root):
    written(root, '[[drift.job]]\ntable = "bot/chats"\n')
    with temporary_store() as store:
        assert Scheduled().tick(store, settings.current()) is False


def test_a_job_that_fails_is_reported_with_what_it_said_and_not_tried_at_once(root):
    from llmwatch import faults

    written(root, '[[drift.job]]\ntable = "bot/chats"\nsignals = ["nothing"]\n')
    faults.clear()
    with temporary_store(strict=False) as store:
        log_day(rows=3, ends=NOW)
        Scheduled().finish(store, settings.current())
        [fault] = [one for one in faults.counts().values() if "drift job" in one.cause]
        assert "no column or signal 'nothing'" in fault.last_error
        assert fault.count == 1
