"""The machine's own resources: CPU, memory, disk and network, and GPUs where there are any.

With `[watch.system]` in the settings files, the worker writes a row of the table `system` each time it looks, and once a
minute the means to `metrics`, as the set `system`: rules, reports and other sinks then know them like any metric.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from llmwatch import faults
from llmwatch.errors import MissingExtra

if TYPE_CHECKING:
    from pathlib import Path

SET = TABLE = "system"
CPU = (
    "system/cpu_percent",
    "system/load_1m",
    "system/worker_cpu_percent",
    "system/worker_rss_bytes",
)
MEMORY = ("system/memory_percent", "system/memory_used_bytes", "system/memory_available_bytes")
DISK = ("system/disk_percent", "system/disk_free_bytes")
RATES = (
    "system/disk_read_bytes_per_second",
    "system/disk_write_bytes_per_second",
    "system/network_sent_bytes_per_second",
    "system/network_received_bytes_per_second",
)
NAMES = (*CPU, *MEMORY, *DISK, *RATES)
"""What every machine has. Where something cannot be known (no `/proc/diskstats`, say) its name is left out."""
GPU_NAMES = ("percent", "memory_percent", "memory_used_bytes", "temperature_c", "power_w")
"""Of each GPU, as `system/gpu_<number>_<name>`."""

Values = dict[str, float]


def gpu(number: int, name: str) -> str:
    """The name of a GPU's metric.

    >>> gpu(0, "memory_percent")
    'system/gpu_0_memory_percent'
    """
    return f"system/gpu_{number}_{name}"


class Resources:
    """Reads what the machine is doing. The disk is the one of the store."""

    def __init__(self, store: Path) -> None:
        try:
            import psutil
        except ImportError as error:
            raise MissingExtra("system", "recording the machine's resources") from error
        self._psutil = psutil
        self._store = str(store)
        self._worker = psutil.Process()
        self._gpus = _Gpus()
        self._sums: tuple[float, Sequence[int | None]] | None = None
        psutil.cpu_percent()  # both are since the call before
        self._worker.cpu_percent()

    def read(self, at_s: float) -> Values:
        """What is known at this moment, rates and CPU since the last reading."""
        ps = self._psutil
        memory, disk = ps.virtual_memory(), ps.disk_usage(self._store)
        values = {
            "system/cpu_percent": ps.cpu_percent(),
            "system/worker_cpu_percent": self._worker.cpu_percent(),
            "system/worker_rss_bytes": self._worker.memory_info().rss,
            "system/memory_percent": memory.percent,
            "system/memory_used_bytes": memory.used,
            "system/memory_available_bytes": memory.available,
            "system/disk_percent": disk.percent,
            "system/disk_free_bytes": disk.free,
        }
        with suppress(OSError, AttributeError):
            values["system/load_1m"] = ps.getloadavg()[0]
        return {**values, **self._rates(at_s), **self._gpus.read()}

    def _rates(self, at_s: float) -> Values:
        before, self._sums = self._sums, (at_s, _transferred(self._psutil))
        if before is None or at_s <= before[0]:
            return {}
        pairs = zip(RATES, self._sums[1], before[1], strict=True)
        return {
            name: (now - then) / (at_s - before[0])
            for name, now, then in pairs
            if now is not None and then is not None and now >= then  # a counter may start over
        }


def means(readings: Sequence[Values]) -> Values:
    """The mean of each name over the readings that have it, and the most CPU and memory of any."""
    names = dict.fromkeys(name for reading in readings for name in reading)
    found: Values = {}
    for name in names:
        values = [reading[name] for reading in readings if name in reading]
        found[name] = math.fsum(values) / len(values)
        if name in {"system/cpu_percent", "system/memory_percent"}:
            found[f"{name}_max"] = max(values)
    return found


def _transferred(ps: Any) -> Sequence[int | None]:
    """Bytes read, written, sent and received since the machine began; None where it does not tell."""
    disk = network = None
    with faults.contained("the machine does not tell how much its disks and network did"):
        disk, network = ps.disk_io_counters(), ps.net_io_counters()
    return (
        *((disk.read_bytes, disk.write_bytes) if disk else (None, None)),
        *((network.bytes_sent, network.bytes_recv) if network else (None, None)),
    )


class _Gpus:
    """NVIDIA's GPUs by NVML; none where its library or a driver is not there."""

    def __init__(self) -> None:
        self._handles: dict[int, Any] = {}
        with suppress(ImportError):
            import pynvml

            self._nvml = pynvml
            with suppress(pynvml.NVMLError):
                pynvml.nvmlInit()
                for number in range(pynvml.nvmlDeviceGetCount()):
                    with suppress(pynvml.NVMLError):  # a card that fell off the bus
                        self._handles[number] = pynvml.nvmlDeviceGetHandleByIndex(number)

    def read(self) -> Values:
        return {
            gpu(number, name): value
            for number, handle in self._handles.items()
            for name, value in self._of(handle)
        }

    def _of(self, handle: Any) -> Iterator[tuple[str, float]]:
        nvml = self._nvml
        gaps = (nvml.NVMLError, TypeError, ZeroDivisionError)  # each card has its own
        with suppress(*gaps):
            yield "percent", float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        with suppress(*gaps):
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            yield "memory_used_bytes", float(memory.used)
            yield "memory_percent", 100 * memory.used / memory.total
        with suppress(*gaps):
            sensor = nvml.NVML_TEMPERATURE_GPU
            yield "temperature_c", float(nvml.nvmlDeviceGetTemperature(handle, sensor))
        with suppress(*gaps):
            yield "power_w", nvml.nvmlDeviceGetPowerUsage(handle) / 1000


def typed(values: Mapping[str, float]) -> dict[str, float]:
    """Every number as a float: a column has one type from its first row on."""
    return {name: float(value) for name, value in values.items()}
