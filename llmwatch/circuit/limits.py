"""When a breaker trips and how it recovers: what `llmwatch.breaker` was given, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmwatch.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Shares run from 0 to 1; None: not a reason to trip."""

    error_rate: float | None = 0.5
    slow_ms: float | None = None
    slow_rate: float = 0.5
    alert: str | None = None
    min_calls: int = 20
    window_s: float = 60.0
    rest_s: float = 30.0
    probes: int = 3
    ignore: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        if self.error_rate is not None:
            _share("error_rate", self.error_rate)
        _share("slow_rate", self.slow_rate)
        for name in ("window_s", "rest_s", "slow_ms"):
            _positive(name, getattr(self, name))
        for name in ("min_calls", "probes"):
            _count(name, getattr(self, name))
        if self.alert is not None and (not isinstance(self.alert, str) or not self.alert):
            raise SettingsError(f"alert is the name of a rule, not {self.alert!r}")
        if self.error_rate is None and self.slow_ms is None and self.alert is None:
            raise SettingsError(
                "this breaker never trips: give it an error_rate, slow_ms or an alert"
            )
        object.__setattr__(self, "ignore", _exceptions(self.ignore))


def _share(name: str, value: Any) -> None:
    if not _is_number(value) or not 0 < value <= 1:
        raise SettingsError(f"{name} is a share above 0 and up to 1, not {value!r}")


def _positive(name: str, value: Any) -> None:
    if value is not None and (not _is_number(value) or not 0 < value < float("inf")):
        raise SettingsError(f"{name} is a number above 0, not {value!r}")


def _count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SettingsError(f"{name} is a whole number from 1 on, not {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _exceptions(told: Any) -> tuple[type[BaseException], ...]:
    kinds = (told,) if isinstance(told, type) else tuple(told)
    if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
        raise SettingsError(f"ignore names types of exceptions, not {told!r}")
    return kinds
