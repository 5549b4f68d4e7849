"""When what goes wrong: a first part of the traffic in which nothing does, then each fault in a part of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from llmwatch.errors import LlmwatchError
from llmwatch.gameday.faults import Fault

MINUTE_US = 60_000_000
CLEAN = 0.36
"""Share of the time that comes before the first fault."""
_LEAST_US = 30 * MINUTE_US
_FEWEST = 5


@dataclass(frozen=True)
class Slot:
    """A fault from one time to another; what is told until `until_us` is about it."""

    fault: Fault
    start_us: int
    end_us: int
    until_us: int

    def covers(self, at_us: int) -> bool:
        return self.start_us <= at_us < self.end_us


@dataclass(frozen=True)
class Plan:
    """A game day."""

    start_us: int
    end_us: int
    slots: tuple[Slot, ...]

    @property
    def clean_until_us(self) -> int:
        return self.slots[0].start_us

    def slot(self, at_us: int) -> Slot | None:
        return next((slot for slot in self.slots if slot.covers(at_us)), None)

    def told_in(self, at_us: int) -> Slot | None:
        """The slot that an alert of this time is about; None where nothing went wrong."""
        return next((slot for slot in self.slots if slot.start_us < at_us <= slot.until_us), None)


def planned(times: Sequence[int], faults: Sequence[Fault], lasting_us: int, seed: int) -> Plan:
    """Faults in the parts after the clean one, in an order by chance, each in the busiest stretch of its part.

    `times`: when each trace was, in order. A fault takes at most half of its part, so what it raised can be over before the next."""
    start, end = times[0], times[-1] + 1
    begin = start + int((end - start) * CLEAN)
    part = (end - begin) // len(faults)
    length = min(lasting_us, part // 2)
    if length < _LEAST_US:
        needed = _LEAST_US * 2 * len(faults) / (1 - CLEAN) / 3600e6
        raise LlmwatchError(
            f"{(end - start) / 3600e6:.1f} hours of traffic are too few for {len(faults)} faults, which need "
            f"{needed:.0f}: choose fewer with --faults, or an earlier --since"
        )
    order = Random(f"order {seed}").sample(list(faults), len(faults))  # noqa: S311
    slots = [
        _slot(fault, times, begin + number * part, part, length)
        for number, fault in enumerate(order)
    ]
    return Plan(start, end, tuple(slots))


def _slot(fault: Fault, times: Sequence[int], start: int, part: int, length: int) -> Slot:
    """In the busiest stretch of the first half of the part (the whole part's where that is busier and leaves time)."""
    from bisect import bisect_left

    latest = start + part - 2 * length
    step = max(1, length // 8)
    starts = range(start, max(start + 1, latest + 1), step)
    busy = {at: bisect_left(times, at + length) - bisect_left(times, at) for at in starts}
    at = max(busy, key=lambda one: (busy[one], -one))
    if busy[at] < _FEWEST:
        raise LlmwatchError(
            f"only {busy[at]} traces are in the busiest {length / 60e6:.0f} minutes where the fault {fault.name} would be: "
            "there is too little traffic to try an alert on"
        )
    return Slot(fault, at, at + length, at + 2 * length)
