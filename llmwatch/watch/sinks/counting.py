"""Counts calls as they finish: requests, errors, tokens, dollars and a histogram of latencies, for a scraper.

Counters begin at zero when counting begins, as those of any process do: rows from before are in the store and in the
windows of metric sets. A call counts once. What a score says of its cost later is added when it is said.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from llmwatch.store import EVENTS
from llmwatch.stream.columns import quoted
from llmwatch.stream.derived import SCORE
from llmwatch.stream.follow import Follower
from llmwatch.watch.sinks.labels import OTHER, Bounded, label_value

if TYPE_CHECKING:
    from llmwatch.settings import Settings
    from llmwatch.store import Project

BUCKETS_MS = (
    5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000,
)  # fmt: skip
"""Upper bounds of latencies: from a cached answer to an agent's five minutes."""
MOST_SERIES = 200
"""Different (table, op, model) that are told apart; further ones are `(other)`."""
_REMEMBERED = 50_000
"""Calls whose cost may still be told by a score."""
_BATCH, _BATCHES = 1000, 50
_SHORT_OP = "regexp_extract(op_name, '([^/:]+)(?::[^/:]*)?$', 1)"
_NUMBERS = ("latency_ms", "prompt_tokens", "completion_tokens", "cost_usd")


class Exemplar(NamedTuple):
    trace_id: str
    value: float
    at_s: float


@dataclass
class Histogram:
    """How many values are in each bucket, their sum, and the last trace in each."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_MS) + 1))
    sum: float = 0.0
    exemplars: dict[int, Exemplar] = field(default_factory=dict)

    def add(self, value: float, trace_id: str | None, at_s: float) -> None:
        bucket = bisect_left(BUCKETS_MS, value)
        self.counts[bucket] += 1
        self.sum += value
        if trace_id:
            self.exemplars[bucket] = Exemplar(trace_id, value, at_s)


class Labels(NamedTuple):
    """What counts are told apart by."""

    project: str
    table: str
    op: str
    model: str
    root: str


class _Call(NamedTuple):
    labels: Labels
    has: frozenset[str]


class Counts:
    """The sums. Their labels are bounded; `left_out` says how many calls are under `(other)`."""

    def __init__(self, most: int = MOST_SERIES) -> None:
        self.requests: defaultdict[tuple[Labels, str], int] = defaultdict(int)
        self.errors: defaultdict[tuple[Labels, str], int] = defaultdict(int)
        self.tokens: defaultdict[tuple[Labels, str], int] = defaultdict(int)
        self.dollars: defaultdict[Labels, float] = defaultdict(float)
        self.latency: defaultdict[Labels, Histogram] = defaultdict(Histogram)
        self._bound = Bounded(most)
        self._calls: OrderedDict[str, _Call] = OrderedDict()

    @property
    def left_out(self) -> int:
        return self._bound.refused

    def add(self, project: str, table: str, row: Mapping[str, Any]) -> None:
        """Count a call that finished."""
        labels = self._labels(project, table, row)
        failed = row["status"] == "error" or row["exception_type"] is not None
        self.requests[labels, "error" if failed else "success"] += 1
        if failed:
            self.errors[labels, _category(row)] += 1
        if (latency := _number(row["latency_ms"])) is not None:
            self.latency[labels].add(latency, row["trace_id"], row["at"] / 1_000_000)
        self._spend(labels, row, frozenset())
        self._remember(row, labels)

    def add_cost(self, row_id: str | None, said: Any) -> None:
        """Add what a score says of a call's cost, unless the call itself said it."""
        call = self._calls.get(row_id or "")
        if call is None or not isinstance(said, Mapping):
            return
        self._spend(call.labels, said, call.has)
        has = call.has | {name for name in _NUMBERS if said.get(name) is not None}
        self._calls[row_id or ""] = _Call(call.labels, has)

    def _spend(self, labels: Labels, said: Mapping[str, Any], known: frozenset[str]) -> None:
        for name, way in (("prompt_tokens", "input"), ("completion_tokens", "output")):
            if name not in known and (tokens := _number(said.get(name))) is not None:
                self.tokens[labels, way] += int(tokens)
        if "cost_usd" not in known and (dollars := _number(said.get("cost_usd"))) is not None:
            self.dollars[labels] += dollars

    def _labels(self, project: str, table: str, row: Mapping[str, Any]) -> Labels:
        root = "false" if row["parent_id"] else "true"
        op, model = label_value(row["op"]), label_value(row["model"])
        if not self._bound.lets((project, table, op, model)):
            op = model = OTHER
        return Labels(project, table, op, model, root)

    def _remember(self, row: Mapping[str, Any], labels: Labels) -> None:
        self._calls[row["id"]] = _Call(
            labels, frozenset(name for name in _NUMBERS if row[name] is not None)
        )
        while len(self._calls) > _REMEMBERED:
            self._calls.popitem(last=False)


class Counting:
    """Follows the tables of a project from now on, and adds what finishes to counts."""

    def __init__(
        self, project: Project, settings: Settings, tables: Iterable[str], counts: Counts
    ) -> None:
        self._project, self._counts = project, counts
        self._rows = [
            _Calls(project, table, "prometheus", settings, start="now") for table in tables
        ]
        self._events = _Costs(project, EVENTS, "prometheus", settings, start="now")

    def advance(self) -> None:
        """Count what is new. A scrape waits for so much at most; the rest is counted at the next one."""
        for follower in self._rows:
            for row in _next(follower):
                self._counts.add(self._project.id, follower.table, row)
        for event in _next(self._events):
            if event["kind"] == "score" and event["name"] == SCORE:
                self._counts.add_cost(event["row_id"], orjson.loads(event["value"] or "null"))

    def behind(self) -> int:
        return sum(follower.lag() for follower in self._rows)

    def close(self) -> None:
        for follower in (*self._rows, self._events):
            follower.close()


def _next(follower: Follower) -> Iterator[dict[str, Any]]:
    for _ in range(_BATCHES):
        rows = follower.batch(_BATCH)
        yield from rows
        if not rows:
            return


class _Passing(Follower):
    """A follower that keeps its position to itself: who counts next begins anew."""

    fields = "*"

    def commit(self) -> None:
        self._prune()

    def _read(self, ids: Iterable[str], also: str = "", *params: int) -> list[dict[str, Any]]:
        among = "id IN (SELECT unnest(?::VARCHAR[]))"
        sql = f"SELECT {self.fields} FROM main.{quoted(self.table)} WHERE {among}{also}"
        return self._reader.execute(sql, [sorted(ids), *params], [self.table]).dicts()


class _Costs(_Passing):
    fields = "id, writer, seq, row_id, kind, name, value"


class _Calls(_Passing):
    """Of each call what is counted; a dict that was logged may say it under the same names."""

    fields = (
        "id, writer, seq, trace_id, parent_id, epoch_us(coalesce(ended_at, ts)) AS at, "
        f"coalesce({_SHORT_OP}, '') AS op, coalesce(model, data->>'model', '') AS model, "
        "coalesce(status, lower(data->>'status')) AS status, "
        "coalesce(exception_type, data->>'exception_type', data->>'error_type') AS exception_type, "
        "left(coalesce(exception, data->>'exception', data->>'error'), 500) AS exception, "
        + ", ".join(
            f"coalesce({name}, try_cast(data->>'{name}' AS DOUBLE)) AS {name}" for name in _NUMBERS
        )
    )


def _category(row: Mapping[str, Any]) -> str:
    from llmwatch.watch.families.errors import category

    return category(row["exception_type"], text=row["exception"])


def _number(value: Any) -> float | None:
    """A count or an amount: a finite number that a counter can take."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) and value >= 0 else None
