"""`AdaptiveSampler`: which traces are worth sending, and how many others each one that is sent stands for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from llmwatch.errors import SettingsError

ENOUGH_FOR_A_RATE = 20
"""Traces of a stratum before its error rate means anything."""
ENOUGH_FOR_SLOW = 100
"""Traces of a stratum before it is known what is slow in it."""
SLOW_SHARE = 0.99
_DISLIKES = ("👎", "thumbsdown", "thumbs_down", "thumbs down", "-1", "dislike", "down")


@dataclass(frozen=True)
class AdaptiveSampler:
    """Send every trace that matters, and of the others a sample that stands for the rest. Local rows are all kept.

    A trace is sent whole or not at all, when it is finished. One that failed, was slow, unsafe, disliked or of low
    confidence is sent for itself (weight 1). The others wait in a pool of their stratum; when the pool holds about
    `1 / base_rate` traces (or `hold_s` has passed), one of them is drawn and sent with the pool's size as its
    weight. So the weights of what was sent add up to the number of traces decided about: exactly, not on average.

    While more than `error_rate_threshold` of a stratum's traces fail, `boost` times as many of its others are sent.
    `by` is the column that tells strata apart. `errors` is the share of failed traces to send. `slow_ms` is what is
    slow; without it, what is slower than 99% of its stratum.

        llmwatch.init("support-bot", destination="wandb", sampler=AdaptiveSampler(base_rate=0.05, by="model"))
    """

    base_rate: float = 0.01
    errors: float = 1.0
    error_rate_threshold: float = 0.1
    boost: float = 5
    slow_ms: float | None = None
    low_confidence: float = 0.5
    by: str = "op_name"
    hold_s: float = 3600
    patience_s: float = 600
    """How long the root of a trace is waited for after its first row."""

    def __post_init__(self) -> None:
        for name in ("base_rate", "errors"):
            _check(
                0 < getattr(self, name) <= 1,
                name,
                getattr(self, name),
                "a share above 0, at most 1",
            )
        share = self.error_rate_threshold
        _check(0 <= share <= 1, "error_rate_threshold", share, "a share from 0 to 1")
        _check(self.boost >= 1, "boost", self.boost, "1 or more")
        for name in ("hold_s", "patience_s"):
            _check(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> AdaptiveSampler:
        """From a table of the settings file: `sampler = { base_rate = 0.05, by = "model" }`."""
        unknown = set(told) - {field.name for field in fields(cls)}
        if unknown:
            raise SettingsError(f"the sampler has no {', '.join(sorted(unknown))}")
        try:
            return cls(**told)
        except TypeError as error:
            raise SettingsError(f"the sampler cannot be {dict(told)!r}: {error}") from error

    def rate(self, *, failed: bool, seen: int, error_rate: float) -> float:
        """The share of traces that do not matter by themselves to send, as a stratum is doing now."""
        if failed:
            return self.errors
        alarmed = seen >= ENOUGH_FOR_A_RATE and error_rate > self.error_rate_threshold
        return min(1.0, self.base_rate * (self.boost if alarmed else 1))

    def reason(self, facts: Facts, slow_above_ms: float | None) -> str | None:
        """Why a trace matters by itself; None when it does not."""
        if facts.failed and self.errors >= 1:
            return "error"
        if facts.unsafe:
            return "unsafe"
        if facts.disliked:
            return "disliked"
        if facts.confidence is not None and facts.confidence < self.low_confidence:
            return "low confidence"
        limit = self.slow_ms if self.slow_ms is not None else slow_above_ms
        if limit is not None and facts.latency_ms is not None and facts.latency_ms > limit:
            return "slow"
        return None


@dataclass
class Facts:
    """What is known of a finished trace, or of a row that is in none."""

    unit: str
    table: str
    stratum: str
    failed: bool = False
    latency_ms: float | None = None
    confidence: float | None = None
    unsafe: bool = False
    disliked: bool = False

    def learn(self, kind: str, name: str, value: Any) -> None:
        """Take in what was said about one of its rows."""
        if kind == "score":
            self.unsafe = self.unsafe or is_unsafe(value)
            said = confidence_of(name, value)
            if said is not None:
                self.confidence = said if self.confidence is None else min(said, self.confidence)
        elif kind == "feedback":
            self.disliked = self.disliked or is_dislike(value)

    @property
    def matters(self) -> bool:
        return self.unsafe or self.disliked or self.confidence is not None


def pool_size(rate: float, chance: Callable[[], float]) -> int:
    """How many traces one is to stand for: whole, and `1 / rate` on average."""
    whole, part = divmod(1 / rate, 1)
    return int(whole) + (chance() < part)


def slow_above(latencies: list[float]) -> float | None:
    """What 99% of the latencies of a stratum are not above; None when too few are known."""
    if len(latencies) < ENOUGH_FOR_SLOW:
        return None
    return sorted(latencies)[math.ceil(SLOW_SHARE * len(latencies)) - 1]


def is_unsafe(value: Any) -> bool:
    """Whether a score says that something is wrong with the content, in any of the words scorers use."""
    if not isinstance(value, Mapping):
        return False
    said_bad = any(
        value.get(name) is True for name in ("flagged", "unsafe", "blocked", "injection")
    )
    return said_bad or any(value.get(name) is False for name in ("safe", "passed"))


def confidence_of(name: str, value: Any) -> float | None:
    """The confidence that a score states, if that is what it is about."""
    if isinstance(value, Mapping):
        found = value.get(
            "confidence", value.get("score") if "confidence" in name.lower() else None
        )
    else:
        found = value if "confidence" in name.lower() else None
    is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
    return float(found) if is_number and math.isfinite(found) else None


def is_dislike(value: Any) -> bool:
    """Whether a reaction is a thumb down, in any of the forms it is given in."""
    if isinstance(value, Mapping):
        said = [value.get(name) for name in ("emoji", "detoned", "alias", "reaction", "value")]
        return any(is_dislike(each) for each in said if isinstance(each, str))
    return (
        isinstance(value, str)
        and value.strip().strip(":").rstrip("🏻🏼🏽🏾🏿").lower() in _DISLIKES
    )


def _check(good: bool, name: str, value: Any, what: str) -> None:
    if not good:
        raise SettingsError(f"{name} of the sampler cannot be {value!r}: it is {what}")
