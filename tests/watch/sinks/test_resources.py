"""The machine's resources: read as psutil tells them, recorded as rows and as metrics."""

from __future__ import annotations

import math
import sys
from types import SimpleNamespace

import psutil
import pytest

from llmwatch import clock, settings
from llmwatch.errors import SettingsError
from llmwatch.stream.table import StreamTable
from llmwatch.testing import temporary_store
from llmwatch.watch.sinks import metric_rows, options, recording, resources


@pytest.fixture
def asked(tmp_path, monkeypatch):
    (tmp_path / "llmwatch.toml").write_text(
        'project = "shop"\n[watch.system]\nevery_s = 1\n', encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    with temporary_store(project="shop") as store:
        yield store


def test_every_name_that_every_machine_has_is_read_as_a_finite_number(tmp_path):
    reading = resources.Resources(tmp_path)
    reading.read(0.0)
    found = reading.read(1.0)
    known = set(resources.NAMES) - set(resources.RATES)
    assert known <= set(found)
    assert all(math.isfinite(value) and value >= 0 for value in found.values())


def test_memory_and_disk_are_what_psutil_says(tmp_path):
    found = resources.Resources(tmp_path).read(0.0)
    disk = psutil.disk_usage(str(tmp_path))
    assert found["system/disk_free_bytes"] == pytest.approx(disk.free, rel=0.05)
    assert found["system/memory_available_bytes"] == pytest.approx(
        psutil.virtual_memory().available, rel=0.2
    )


def test_rates_need_two_readings_and_a_clock_that_goes_on(tmp_path):
    reading = resources.Resources(tmp_path)
    assert not set(reading.read(5.0)) & set(resources.RATES)
    assert not set(reading.read(5.0)) & set(resources.RATES)


def test_a_minute_is_the_mean_of_the_readings_that_have_a_name():
    told = resources.means([{"system/cpu_percent": 10.0, "a": 1.0}, {"system/cpu_percent": 30.0}])
    assert told == {"system/cpu_percent": 20.0, "system/cpu_percent_max": 30.0, "a": 1.0}


def test_a_worker_records_nothing_unless_it_is_asked(tmp_path, monkeypatch):
    (tmp_path / "llmwatch.toml").write_text('project = "shop"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with temporary_store() as store:
        assert recording.Recording().tick(store, settings.current()) is False
        assert store.projects() == []


def test_asked_for_it_writes_rows_and_each_minute_a_row_of_metrics(asked):
    now = [29_000_000 * 60_000_000]
    with clock.use(now=lambda: now[0]):
        recorder = recording.Recorder(asked, options.system().project)
        for _ in range(5):
            recorder.look()
            now[0] += 15_000_000
        rows = StreamTable("shop/system", store=asked.root)
        assert rows.count() == 5
        metrics = StreamTable("shop/metrics", store=asked.root)
        (row,) = metric_rows.said_since(metrics.reader, 0)
    assert (row.set, row.table, row.window_s, row.closed) == ("system", "system", 60, True)
    assert row.window_start == 29_000_000 * 60_000_000
    assert row.values["system/memory_percent"] == pytest.approx(
        sum(one["system/memory_percent"] for one in list(rows.rows())[:4]) / 4
    )


def test_a_wrong_option_is_said_with_its_file(asked, tmp_path):
    (tmp_path / "llmwatch.toml").write_text("[watch.system]\nevry = 1\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"no evry in \[watch.system\] \(.*llmwatch.toml"):
        options.system()


class Nvml:
    """The parts of NVIDIA's library that are called, on a machine with these cards; a card without something says so."""

    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        pass

    def __init__(self, *cards, works=True):
        self._cards, self._works = cards, works

    def nvmlInit(self):  # noqa: N802 - its names are NVIDIA's
        if not self._works:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetCount(self):  # noqa: N802
        return len(self._cards)

    def nvmlDeviceGetHandleByIndex(self, number):  # noqa: N802
        if self._cards[number] is None:
            raise self.NVMLError("GPU is lost")
        return self._cards[number]

    def __getattr__(self, name):
        def ask(card, *_):
            if name not in card:
                raise self.NVMLError("Not Supported")
            return card[name]

        return ask


CARD = {
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=40),
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=3, total=4),
    "nvmlDeviceGetTemperature": 61,
    "nvmlDeviceGetPowerUsage": 70_500,
}


def gpus(tmp_path, monkeypatch, nvml):
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    found = resources.Resources(tmp_path).read(0.0)
    return {name: value for name, value in found.items() if name.startswith("system/gpu")}


def test_gpus_are_read_card_by_card_each_with_its_own_gaps(tmp_path, monkeypatch):
    found = gpus(tmp_path, monkeypatch, Nvml(CARD, {"nvmlDeviceGetTemperature": 33}))
    assert found == {
        "system/gpu_0_percent": 40.0,
        "system/gpu_0_memory_percent": 75.0,
        "system/gpu_0_memory_used_bytes": 3.0,
        "system/gpu_0_temperature_c": 61.0,
        "system/gpu_0_power_w": 70.5,
        "system/gpu_1_temperature_c": 33.0,
    }


@pytest.mark.parametrize(
    "nvml", [None, Nvml(CARD, works=False), Nvml()], ids=["no library", "no driver", "no card"]
)
def test_where_no_gpu_can_be_read_there_is_no_name_of_one(tmp_path, monkeypatch, nvml):
    assert gpus(tmp_path, monkeypatch, nvml) == {}


@pytest.mark.parametrize(
    "broken",
    [
        {"nvmlDeviceGetMemoryInfo": SimpleNamespace(used=0, total=0)},
        {"nvmlDeviceGetPowerUsage": None},
        None,
    ],
    ids=["no memory", "no number", "lost"],
)
def test_a_card_that_says_nonsense_takes_nothing_from_the_others(tmp_path, monkeypatch, broken):
    found = gpus(tmp_path, monkeypatch, Nvml(broken, CARD))
    assert found["system/gpu_1_percent"] == 40.0
    assert not [name for name in found if name.startswith("system/gpu_0") and "used" not in name]
