"""Traffic in which nothing drifts: independent rows, sessions, daily rhythm, heavy tails."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from llmwatch.drift.blocks import chosen
from llmwatch.drift.signals import Signal

DIMENSIONS = 384
_POOL = 60_000
SHARES = np.array([0.4, 0.2, 0.15, 0.1, 0.08, 0.04, 0.02, 0.01])
_DAY = 24 * 3600 * 1_000_000


@dataclass
class Side:
    lengths: np.ndarray
    levels: np.ndarray
    vectors: np.ndarray
    groups: list | np.ndarray | None = None
    times: np.ndarray | None = None


@cache
def pool(heavy: bool = False) -> np.ndarray:
    """Unit vectors around forty topics; with heavy tails, some lie far out."""
    random = np.random.default_rng(1)
    topics = random.standard_normal((40, DIMENSIONS), dtype=np.float32)
    rows = random.standard_normal((_POOL, DIMENSIONS), dtype=np.float32)
    if heavy:
        return rows * random.pareto(1.5, (_POOL, 1)).astype(np.float32)
    rows += topics[random.integers(0, 40, _POOL)]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def independent(n: int, random: np.random.Generator) -> tuple[Side, Side]:
    """Every row by itself: lognormal lengths, eight levels of unequal frequency."""
    return _split(_rows(2 * n, random), n)


def heavy_tails(n: int, random: np.random.Generator) -> tuple[Side, Side]:
    """Lengths without a mean (Pareto 0.9), levels by Zipf's law, vectors of very unequal size."""
    rows = Side(
        np.ceil(20 * (1 + random.pareto(0.9, 2 * n))),
        random.zipf(1.5, 2 * n),
        pool(heavy=True)[random.choice(_POOL, 2 * n, replace=False)],
    )
    return _split(rows, n)


def sessions(n: int, random: np.random.Generator) -> tuple[Side, Side]:
    """Sessions of near-duplicates: eight rows each on average (four in 200 rows), of unequal number."""
    return _of_sessions(n, random), _of_sessions(n, random)


def _of_sessions(n: int, random: np.random.Generator) -> Side:
    mean = 8 if n >= 1000 else 4
    sizes = 1 + random.poisson(mean - 1, 2 * n)
    session = np.repeat(np.arange(2 * n), sizes)[:n]
    one = _rows(int(session[-1]) + 1, random)
    again = random.random(n) < 0.1
    noise = pool()[random.integers(0, _POOL, n)]
    return Side(
        np.round(one.lengths[session] * random.lognormal(0, 0.05, n)),
        np.where(again, random.choice(8, n, p=SHARES), one.levels[session]),
        one.vectors[session] + 0.2 * noise,
        session,
    )


def daily(n: int, random: np.random.Generator) -> tuple[Side, Side]:
    """A day against the same weekday of four earlier weeks; what is asked depends on the hour.

    Rows come in bursts of two on average; the rows say neither session nor user.
    """
    window = _day(n, 28, random)
    weeks = [_day(n // 4, day, random) for day in (0, 7, 14, 21)]
    reference = Side(
        *(
            np.concatenate([getattr(week, name) for week in weeks])
            for name in ("lengths", "levels", "vectors")
        ),
        times=np.concatenate([week.times for week in weeks]),
    )
    (reference.groups, window.groups), _ = chosen(times_us=(reference.times, window.times))
    return reference, window


def _day(n: int, day: int, random: np.random.Generator) -> Side:
    sizes = random.geometric(0.5, n)
    burst = np.repeat(np.arange(n), sizes)[:n]
    hour = random.beta(3, 2, n)[burst]
    swing = np.sin(2 * np.pi * hour)
    one = _rows(n, random)
    topic = np.clip((hour * 8).astype(int), 0, 7)
    same_hour = random.random(n) < 0.5
    centre = pool()[:8] * 1.0
    return Side(
        np.round(one.lengths[burst] * np.exp(0.5 * swing)),
        np.where(same_hour, topic, one.levels[burst]),
        one.vectors[burst] + 0.3 * centre[topic] + 0.2 * pool()[random.integers(0, _POOL, n)],
        times=(day * _DAY + hour * _DAY + np.arange(n)).astype(np.int64),
    )


def _rows(n: int, random: np.random.Generator) -> Side:
    return Side(
        np.round(random.lognormal(4, 0.8, n)),
        random.choice(8, n, p=SHARES),
        pool()[random.choice(_POOL, n, replace=False)],
    )


def _split(rows: Side, n: int) -> tuple[Side, Side]:
    return tuple(  # type: ignore[return-value]
        Side(rows.lengths[part], rows.levels[part], rows.vectors[part])
        for part in (slice(n), slice(n, None))
    )


def signals(reference: Side, window: Side) -> list[Signal]:
    groups = (reference.groups, window.groups)
    return [
        Signal("length", "number", reference.lengths, window.lengths, *groups),
        Signal("level", "category", reference.levels, window.levels, *groups),
        Signal("embedding", "embedding", reference.vectors, window.vectors, *groups),
    ]


TRAFFIC = {
    "independent rows": independent,
    "sessions of near-duplicates": sessions,
    "daily rhythm": daily,
    "heavy tails": heavy_tails,
}
