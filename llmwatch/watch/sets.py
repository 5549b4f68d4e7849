"""Metric sets: which numbers of which table, over which windows, for which groups."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from llmwatch.errors import SettingsError
from llmwatch.watch import names

MINUTE_S = 60
DAY_S = 86_400
_UNITS = {"m": 60, "h": 3600, "d": DAY_S, "w": 7 * DAY_S}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,127}")

Group = tuple[str, ...]
"""Names of dimensions: `model`, `op`, `version`, `endpoint`, `user`, `session`, or any column. Empty: all rows together."""


@dataclass(frozen=True)
class Latency:
    """How long calls took: percentiles, mean, standard deviation (of all rows, as numpy's), least and most."""

    column: str = "latency_ms"


@dataclass(frozen=True)
class Throughput:
    """Requests a second, and how many were being answered at once: time spent answering over the window's length."""


@dataclass(frozen=True)
class Errors:
    """Failures by category. `categories` maps exception types (`ValueError`, `shop.OutOfStock`) to names of categories,
    before the built-in map."""

    categories: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Api:
    """Each route of an API, from the rows of requests (`llmwatch.integrations.asgi`): mean latency, the usual status, and
    the share that went well."""


@dataclass(frozen=True)
class Cost:
    """Tokens and dollars. What is not known is None; `cost/unpriced_requests` says how many have no price."""


@dataclass(frozen=True)
class Outputs:
    """What came out of calls that went well: how often nothing, how often text that begins as JSON and is none."""

    column: str = "output"


@dataclass(frozen=True)
class Predictions:
    """How sure answers are and how varied. Confidence is a column, else a `confidence` score; the output is a column
    (`output`, a logged key, a path into one such as `output.label`)."""

    confidence: str = "confidence"
    output: str = "output"
    low: float = 0.5
    alert_share: float = 0.3


@dataclass(frozen=True)
class Baseline:
    """What is usual. One of: a golden set (`table`, all of its rows), a past window of the same table (`ago`: the same
    window that long before), or summary statistics alone (`values`: the usual value of each metric, and for features
    `mean` and `std` of each column: then effect sizes are given, and no p-value is invented)."""

    table: str | None = None
    ago: str | None = None
    values: Mapping[str, float] = field(default_factory=dict, hash=False)
    features: Mapping[str, Mapping[str, float]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        told = [self.table, self.ago, self.values or self.features or None]
        if sum(one is not None for one in told) != 1:
            raise SettingsError(
                "a baseline is one of: table (a golden set), ago (a past window), values or features (summary statistics)"
            )
        if self.ago is not None:
            seconds(self.ago)


@dataclass(frozen=True)
class Check:
    """What one column should be like."""

    column: str
    type: Literal["number", "integer", "text", "boolean"] | None = None
    range: tuple[float | None, float | None] | None = None
    sentinels: tuple[float | str, ...] = (-999, -9999)
    """Values that stand for nothing: counted, and left out of mean and deviation."""
    categories: tuple[str, ...] | None = None
    """What was seen before; anything else is unseen."""
    outlier_z: float = 4.0
    """With a baseline's mean and deviation: so many deviations off is an outlier."""


@dataclass(frozen=True)
class Health:
    """Data health of columns: nulls, wrong types, sentinels, ranges, outliers, unseen categories, mean off baseline."""

    checks: tuple[Check, ...]
    baseline: Baseline | None = None


@dataclass(frozen=True)
class Quality:
    """Predictions against labels that come later: label events on the row, or on the person's own key.

    `label` is the name of a label (`row.label({"resolved": True})` has the name `resolved`) or, with `label_table`, a
    column of a table of labels that is joined on `key` (`inference_id`)."""

    prediction: str
    label: str
    task: Literal["classification", "regression", "custom"] = "classification"
    key: str | None = None
    label_table: str | None = None
    positive: str | None = None
    """For two classes: precision, recall and F1 are this class's. Without it they are means over classes (macro)."""
    losses: Mapping[str, str] = field(default_factory=dict, hash=False)
    """More measures: name -> `module:function` of (prediction, label) that gives a number, averaged over rows."""
    proxy: str | None = None
    """A column or score whose mean stands in for quality until labels come: `performance/proxy`."""
    baseline: Baseline | None = None
    degradation: float = 0.05


@dataclass(frozen=True)
class Kpi:
    """A business metric: statistics of a column or of a label (`label.resolved`; true counts as 1)."""

    name: str
    value: str
    statistics: tuple[str, ...] = ("mean",)

    def __post_init__(self) -> None:
        if unknown := set(self.statistics) - set(names.KPI_STATISTICS):
            raise SettingsError(
                f"a KPI has {', '.join(names.KPI_STATISTICS)}, not {', '.join(sorted(unknown))}"
            )


Family = Latency | Throughput | Errors | Api | Cost | Outputs | Predictions | Health | Quality | Kpi


@dataclass(frozen=True)
class MetricSet:
    """A named set of metrics of one table, over windows of one length, for all rows and for each group.

    >>> checkout = MetricSet(
    ...     "checkout", "shop/traces", [Latency(), Errors()], window="5m", by=["model"]
    ... )
    >>> checkout.window_s, checkout.groupings
    (300, ((), ('model',)))
    """

    name: str
    table: str = "traces"
    metrics: Sequence[Family] = (Latency(), Throughput(), Errors())
    window: str = "1m"
    by: Sequence[str | Sequence[str]] = ()
    where: str | None = None
    """SQL over the table's columns: only rows for which it is true count."""
    every: str | None = None
    """A window is also told while it lasts, this often (a day's cost, say)."""
    timezone: str = "UTC"
    """Where days (and weeks) begin."""
    time: str | None = None
    """A column with the row's time; else when the call ended, or the row was recorded."""
    every_call: bool = False
    """Count the calls inside of traces too, not only their roots. A set that groups by op does."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise SettingsError(f"{self.name!r} cannot be the name of a metric set")
        if not self.metrics:
            raise SettingsError(f"metric set {self.name} has no metrics")
        object.__setattr__(self, "metrics", tuple(self.metrics))
        object.__setattr__(self, "by", tuple(_group(each) for each in self.by))
        seconds(self.window)
        if self.every is not None:
            seconds(self.every)
        zone(self.timezone)

    @property
    def window_s(self) -> int:
        return seconds(self.window)

    @property
    def groupings(self) -> tuple[Group, ...]:
        """All rows together first, then each group-by."""
        return tuple(dict.fromkeys([(), *(_group(each) for each in self.by)]))

    @property
    def counts_every_call(self) -> bool:
        return self.every_call or any("op" in group for group in self.groupings)

    def names(self) -> tuple[str, ...]:
        """Every metric that a row of this set may have."""
        found = [name for family in self.metrics for name in _names(family, self.window_s)]
        return tuple(dict.fromkeys(found))


def seconds(text: str) -> int:
    """A length of time in whole minutes or more.

    >>> seconds("1m"), seconds("2h"), seconds("1d")
    (60, 7200, 86400)
    """
    found = re.fullmatch(r"([1-9][0-9]{0,5})([mhdw])", text) if isinstance(text, str) else None
    if found is None:
        raise SettingsError(f"{text!r} is no length of a window: write 1m, 15m, 1h, 1d or 1w")
    return int(found[1]) * _UNITS[found[2]]


def zone(name: str) -> ZoneInfo:
    """A time zone by its name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError) as error:
        raise SettingsError(f"this machine knows no time zone {name!r}") from error


def _group(told: Any) -> Group:
    group = (told,) if isinstance(told, str) else tuple(told)
    if not all(isinstance(name, str) and name for name in group):
        raise SettingsError(f"a group is a name or a list of names, not {told!r}")
    return group


_FIXED: Mapping[type[Any], tuple[str, ...]] = {
    Latency: names.LATENCY,
    Throughput: names.THROUGHPUT,
    Api: (names.API_TOTAL,),  # and three of each route that there is
    Outputs: names.OUTPUTS,
    Predictions: names.PREDICTIONS,
}


def _names(family: Family, window_s: int) -> tuple[str, ...]:
    if isinstance(family, (Latency, Throughput, Api, Outputs, Predictions)):
        return _FIXED[type(family)]
    if isinstance(family, Errors):
        categories = dict.fromkeys([*names.CATEGORIES, *family.categories.values()])
        return (*names.ERRORS, *(name for one in categories for name in names.errors(one)))
    if isinstance(family, Cost):
        return (*(names.DAILY if window_s == DAY_S else ()), *names.COST)
    return _declared_names(family)


def _declared_names(family: Health | Quality | Kpi) -> tuple[str, ...]:
    if isinstance(family, Health):
        return tuple(names.feature(c.column, n) for c in family.checks for n in names.HEALTH)
    if isinstance(family, Kpi):
        return tuple(names.kpi(family.name, statistic) for statistic in family.statistics)
    measures = {
        "classification": names.CLASSIFICATION,
        "regression": names.REGRESSION,
        "custom": (),
    }[family.task] + tuple(f"performance/{name}" for name in family.losses)
    found = (*measures, *names.QUALITY)
    if family.baseline is None:
        return found
    compared = [names.degradation(one) for one in measures if one.startswith("performance/")]
    return (*found, *compared, names.DEGRADATION)
