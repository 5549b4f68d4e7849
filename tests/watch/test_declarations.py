"""What is watched: declared in settings files and in modules they name, by default otherwise; one bad entry disables itself."""

from __future__ import annotations

import logging
import random
import subprocess
import sys

import pytest
from watched import TABLE, Time, chats, log, project, stopped_clock, told

from llmwatch import StreamTable, clock, faults, settings
from llmwatch.cli import main
from llmwatch.errors import SettingsError
from llmwatch.store import open_store
from llmwatch.watch import Latency, MetricSet, declared, default_sets, measure
from llmwatch.watch.declarations import usable
from llmwatch.watch.rules import usable as usable_rules
from llmwatch.watch.subscriber import Watch

pytestmark = pytest.mark.usefixtures("llmwatch_store")
GOOD = f'[[watch.metrics]]\nname = "good"\ntable = "{TABLE}"\nlatency = true\n'


@pytest.fixture
def settle(tmp_path, monkeypatch):
    """Writes the settings file."""
    monkeypatch.setenv(settings.ROOT_ENV, str(tmp_path))
    return lambda text: (tmp_path / "llmwatch.toml").write_text(text, encoding="utf-8")


@pytest.fixture
def time():
    with stopped_clock() as stopped:
        yield stopped


def worked() -> set[str]:
    """The names of the sets of which the watch told something."""
    watch = Watch()
    watch.finish(open_store(), settings.current())
    return {key[0] for key in told()}


# --- one bad entry -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('name = "bad"\nwindow = "soon"', "soon"),
        ('name = "bad"\nlatencies = true', "no latencies"),
        ('name = "bad"\nlatency = { colum = "x" }', "colum"),
        ('name = "bad"\nhealth = { checks = ["age"] }', "bad"),
        ('name = "bad"\nquality = { prediction = "a", label = "b", baseline = { tabel = "x" } }', "tabel"),
        ('name = "bad"\ntable = "a/b/c/d"', "a/b/c/d"),
        ('name = "good"\nerrors = true', "two metric sets named 'good'"),
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_disables_only_itself_and_says_why(settle, time, entry, said):
    settle(f"{GOOD}\n[[watch.metrics]]\n{entry}\n")
    wrong: list[SettingsError] = []
    assert [one.name for one in usable(wrong.append)] == ["good"]
    assert said in str(wrong[0])
    with pytest.raises(SettingsError):
        declared()
    log(time, 5)
    time.seconds(120)
    with faults.strict(False):
        assert worked() == {"good"}
    assert any(said in fault for fault in faults.counts())


def test_a_set_that_fails_on_the_rows_holds_up_no_other(settle, time):
    settle(
        f'{GOOD}\n[[watch.metrics]]\nname = "bad"\ntable = "{TABLE}"\nerrors = true\nwhere = "no_such_column > 1"\n'
    )
    log(time, 5)
    time.seconds(120)
    with faults.strict(False):
        assert worked() == {"good"}
    assert "metric set bad of local/bot could not be worked out" in faults.counts()


def test_a_rule_that_cannot_be_disables_only_itself(settle):
    settle(
        '[watch]\ndefault_rules = false\n[[watch.rules]]\nname = "slow"\nmetric = "m"\nabove = 1\ncauses = ["bad"]\n'
        '[[watch.rules]]\nname = "bad"\nmetric = "m"\n'
    )
    wrong: list[SettingsError] = []
    [rule] = usable_rules(wrong.append)
    assert (rule.name, rule.causes) == ("slow", ())
    assert "rule 'bad'" in str(wrong[0])


def test_the_command_says_what_it_left_out_and_its_code_too(settle, capsys):
    settle(f'{GOOD}\n[[watch.metrics]]\nname = "bad"\nwindow = "soon"\n')
    chats().log({"latency_ms": 1.0})
    assert main(["watch", "--once"]) == 3
    assert "left out: metric set bad in" in capsys.readouterr().err


# --- in Python -----------------------------------------------------------------------------

MODULE = """
from llmwatch.watch import Errors, MetricSet, Rule, Threshold

WATCH = [
    MetricSet("ours", "bot/chats", [Errors()], time="at"),
    Rule("ours", Threshold("errors/total_rate_percent", above=1)),
]
"""


def test_sets_and_rules_of_a_module_are_the_workers_too(settle, tmp_path):
    (tmp_path / "our_watching.py").write_text(MODULE)
    settle('[watch]\npython = "our_watching:WATCH"\ndefault_rules = false\n')
    root = str(open_store().root)
    for minutes in (20, 10):  # each a worker of its own, as after a restart
        at = clock.now_us() / 1e6 - 60 * minutes
        for _ in range(25):
            chats().log({"latency_ms": 1.0, "status": "error", "at": at})
        command = [sys.executable, "-m", "llmwatch", "up", "--once", "--store", root]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, "could not" in done.stderr) == (0, False), done.stderr
    windows = [one for key, one in told().items() if key[0] == "ours"]
    assert [one["errors/total_count"] for one in windows] == [25, 25]


def test_a_module_that_raises_is_said_and_stops_nothing(settle, tmp_path):
    (tmp_path / "our_broken_watching.py").write_text("1 / 0\n")
    settle(f'{GOOD}[watch]\npython = "our_broken_watching:WATCH"\n')
    wrong: list[SettingsError] = []
    assert [one.name for one in usable(wrong.append)] == ["good"]
    assert "ZeroDivisionError" in str(wrong[0])


# --- by default ----------------------------------------------------------------------------


def calls(time: Time, rows: int = 30) -> None:
    chance, table = random.Random(1), StreamTable("bot/traces")
    for _ in range(rows):
        table.log({"latency_ms": chance.random() * 100, "status": "success"})
        time.seconds(1)
    time.seconds(120)


def test_without_configuration_calls_are_watched(settle, time):
    settle("")
    calls(time)
    assert worked() == {"default"}
    [window] = [one for key, one in told().items() if one["n"]]
    assert (window["errors/request_count"], window["errors/total_count"]) == (30, 0)
    assert measure("bot", "default", "1h")["errors/request_count"] == 30


def test_one_setting_switches_it_off(settle, time):
    settle("[watch]\ndefault_metrics = false\n")
    calls(time)
    assert worked() == set()
    settle('[watch]\ndefault_metrics = "no"\n')
    with pytest.raises(SettingsError, match=r"default_metrics in .* is true or false"):
        default_sets.wanted()


def test_a_set_of_the_same_table_takes_its_place_and_one_of_another_does_not(settle):
    StreamTable("bot/traces").log({"latency_ms": 1.0})
    chats().log({"latency_ms": 1.0})
    own = MetricSet("own", "bot/traces", [Latency()])
    other = MetricSet("other", TABLE, [Latency()])
    settle("")
    names = [
        [one.name for one in default_sets.of_project(project(), given)]
        for given in ([own], [other], [])
    ]
    assert names == [["own"], ["other", "default"], ["default"]]


def test_the_command_says_that_it_watches_by_default(settle, capsys, caplog):
    settle("")
    StreamTable("bot/traces").log({"latency_ms": 1.0, "status": "success"})
    with caplog.at_level(logging.ERROR, "llmwatch"):
        assert main(["watch", "--once"]) == 0
    assert "calls are watched by the default one" in capsys.readouterr().err
    assert not caplog.records
