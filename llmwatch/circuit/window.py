"""What became of the calls of the last seconds, counted in a fixed number of slices."""

from __future__ import annotations

from dataclasses import dataclass

SLICES = 12


@dataclass(slots=True)
class Counts:
    calls: int = 0
    failed: int = 0
    slow: int = 0

    @property
    def error_rate(self) -> float | None:
        return self.failed / self.calls if self.calls else None

    @property
    def slow_rate(self) -> float | None:
        return self.slow / self.calls if self.calls else None


class Window:
    """A call counts for the window's length, give or take a twelfth. Not safe for threads by itself."""

    __slots__ = ("_slice_s", "_slices")

    def __init__(self, seconds: float) -> None:
        self._slice_s = seconds / SLICES
        self._slices: dict[int, Counts] = {}

    def add(self, now: float, *, failed: bool, slow: bool) -> None:
        number = int(now / self._slice_s)
        counts = self._slices.get(number)
        if counts is None:
            self._forget(number)
            counts = self._slices[number] = Counts()
        counts.calls += 1
        counts.failed += failed
        counts.slow += slow

    def counts(self, now: float) -> Counts:
        self._forget(int(now / self._slice_s))
        found = self._slices.values()
        return Counts(
            sum(each.calls for each in found),
            sum(each.failed for each in found),
            sum(each.slow for each in found),
        )

    def clear(self) -> None:
        self._slices.clear()

    def _forget(self, number: int) -> None:
        for old in [each for each in self._slices if each <= number - SLICES]:
            del self._slices[old]
