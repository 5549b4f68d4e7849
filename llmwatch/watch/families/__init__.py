"""Families of metrics: what each reads of a row, which parts it keeps, and which values it makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from llmwatch.watch.families.api import ApiMeasure
from llmwatch.watch.families.cost import CostMeasure
from llmwatch.watch.families.errors import ErrorsMeasure
from llmwatch.watch.families.health import HealthMeasure
from llmwatch.watch.families.kpi import KpiMeasure
from llmwatch.watch.families.outputs import OutputsMeasure
from llmwatch.watch.families.predictions import PredictionsMeasure
from llmwatch.watch.families.quality import QualityMeasure
from llmwatch.watch.families.traffic import LatencyMeasure, ThroughputMeasure
from llmwatch.watch.sets import (
    Api,
    Cost,
    Errors,
    Family,
    Health,
    Kpi,
    Latency,
    Outputs,
    Predictions,
    Quality,
    Throughput,
)

if TYPE_CHECKING:
    from llmwatch.watch.families.measure import Measure


def measure_of(family: Family) -> Measure:
    """What computes a family."""
    made: Measure = _MEASURES[type(family)](family)
    return made


_MEASURES: Mapping[type[Any], Callable[[Any], Any]] = {
    Latency: LatencyMeasure,
    Throughput: lambda _: ThroughputMeasure(),
    Errors: ErrorsMeasure,
    Api: lambda _: ApiMeasure(),
    Cost: lambda _: CostMeasure(),
    Outputs: OutputsMeasure,
    Predictions: PredictionsMeasure,
    Health: HealthMeasure,
    Quality: QualityMeasure,
    Kpi: KpiMeasure,
}
