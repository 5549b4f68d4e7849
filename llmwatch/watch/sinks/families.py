"""Families of metrics as prometheus_client writes them: from counts of calls, and from the lines of metric sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from llmwatch.watch.sinks.counting import BUCKETS_MS, Counts, Histogram
from llmwatch.watch.sinks.labels import group_labels, label_value, metric_name

if TYPE_CHECKING:
    from llmwatch.watch.sinks.gauges import Gauges


def of_counts(counts: Counts, behind: int) -> Iterator[Any]:
    """Counters and the histogram, in a bounded number of series."""
    from prometheus_client.core import Metric

    counters = (
        ("inference_requests", "Calls that finished", "status", counts.requests),
        ("inference_errors", "Calls that failed, by category", "category", counts.errors),
        (
            "inference_tokens",
            "Tokens of calls, as far as they are known",
            "direction",
            counts.tokens,
        ),
    )
    for name, says, label, sums in counters:
        family = Metric(name, says, "counter")
        for (labels, value), count in sums.items():
            family.add_sample(f"{name}_total", {**labels._asdict(), label: value}, count)
        yield family
    spent = Metric("inference_cost_usd", "US dollars of calls, as far as they are known", "counter")
    for labels, dollars in counts.dollars.items():
        spent.add_sample("inference_cost_usd_total", labels._asdict(), dollars)
    yield spent
    latency = Metric("inference_latency_ms", "Milliseconds that calls took", "histogram")
    for labels, histogram in counts.latency.items():
        _add(latency, labels._asdict(), histogram)
    yield latency
    left_out = Metric(
        "llmwatch_other_calls", "Calls counted under (other): too many labels", "counter"
    )
    left_out.add_sample("llmwatch_other_calls_total", {}, counts.left_out)
    yield left_out
    waiting = Metric("llmwatch_rows_behind", "Rows recorded and not counted yet", "gauge")
    waiting.add_sample("llmwatch_rows_behind", {}, behind)
    yield waiting


def of_gauges(told: Sequence[Gauges]) -> Iterator[Any]:
    """One family for each metric name, with the set, the table, the window's length and the group as labels."""
    from prometheus_client.core import Metric

    named: dict[str, Any] = {}
    start = Metric("metrics_window_start_seconds", "When the latest window of a set began", "gauge")
    for gauges in told:
        for row, values in gauges.lines():
            ours = {
                "project": gauges.project.id,
                "set": label_value(row.set),
                "table": label_value(row.table.rpartition("/")[2]),
                "window_s": str(row.window_s),
            }
            labels = group_labels(row.group, ours)
            start.add_sample(start.name, labels, row.window_start / 1_000_000)
            for name, value in values.items():
                plain = metric_name(name)
                family = named.setdefault(
                    plain, Metric(plain, f"{name} of the latest window", "gauge")
                )
                family.add_sample(plain, labels, value)
    yield from named.values()
    yield start
    left_out = Metric(
        "llmwatch_left_out_rows", "Rows of metrics beyond the bound of groups", "counter"
    )
    for gauges in told:
        for name, rows in gauges.left_out.items():
            labels = {"project": gauges.project.id, "set": label_value(name)}
            left_out.add_sample("llmwatch_left_out_rows_total", labels, rows)
    yield left_out


def _add(family: Any, labels: dict[str, str], histogram: Histogram) -> None:
    from prometheus_client.samples import Exemplar

    total = 0
    for n, count in enumerate(histogram.counts):
        total += count
        bound = str(float(BUCKETS_MS[n])) if n < len(BUCKETS_MS) else "+Inf"
        seen = histogram.exemplars.get(n)
        exemplar = seen and Exemplar({"trace_id": seen.trace_id[:100]}, seen.value, seen.at_s)
        family.add_sample(
            f"{family.name}_bucket", {**labels, "le": bound}, total, exemplar=exemplar
        )
    family.add_sample(f"{family.name}_count", labels, total)
    family.add_sample(f"{family.name}_sum", labels, histogram.sum)
