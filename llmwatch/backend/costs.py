"""Prices of models: a project's own, and what the calls of a query cost by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from llmwatch import clock
from llmwatch.backend import events, wire
from llmwatch.backend.event_queries import EventQuery
from llmwatch.backend.fields import Field, json_text
from llmwatch.backend.fragments import Fragment
from llmwatch.store import Project

if TYPE_CHECKING:
    from weave.vendor.weave_server_sdk.types import CostCreateResponse, CostQueryResponse

    from llmwatch.scorers.usage import Usage
    from llmwatch.settings import Settings
    from llmwatch.stream.query import Reader

_NUMBERS = (
    "prompt_token_cost",
    "completion_token_cost",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
)
_TEXTS = ("prompt_token_cost_unit", "completion_token_cost_unit", "provider_id")
PRICE = (*_NUMBERS, *_TEXTS, "effective_date")
Price = Mapping[str, Any]

DefaultPrice = Callable[[str, datetime], "Price | None"]
"""The built-in price of a model at a time, under the names of `PRICE`; None when it is not known."""


def no_default(_llm_id: str, _at: datetime) -> Price | None:
    return None


class Costs:
    """The prices of a project."""

    def __init__(
        self,
        project: Project,
        settings: Settings,
        reader: Callable[[], Reader],
        default: DefaultPrice = no_default,
    ) -> None:
        self._project, self._settings, self._reader = project, settings, reader
        self._default = default

    def create(self, req: Mapping[str, Any]) -> CostCreateResponse:
        from weave.vendor.weave_server_sdk.types import CostCreateResponse

        return CostCreateResponse(
            ids=[[llm_id, self._add(llm_id, price)] for llm_id, price in req["costs"].items()]
        )

    def query(self, req: Mapping[str, Any]) -> CostQueryResponse:
        from weave.vendor.weave_server_sdk.types import CostQueryResponse
        from weave.vendor.weave_server_sdk.types.cost_query_response import Result

        fields = set(req.get("fields") or ("id", "llm_id", *PRICE))
        rows = EventQuery("cost", _field, req).rows(self._reader())
        found = [{"id": row["id"], "llm_id": row["name"], **row["value"]} for row in rows]
        return CostQueryResponse(
            results=[Result(**{k: v for k, v in row.items() if k in fields}) for row in found]
        )

    def purge(self, req: Mapping[str, Any]) -> None:
        for row in EventQuery("cost", _field, req).rows(self._reader()):
            events.retract(self._project, self._settings, "cost", row["id"])

    def include(self, req: Mapping[str, Any], batch: list[dict[str, Any]]) -> None:
        """Put costs under `summary.weave.costs` of calls whose request wants them."""
        if not req.get("include_costs"):
            return
        prices = self._by_model()
        for call in batch:
            usage = call["summary"].get("usage")
            if isinstance(usage, dict) and usage:
                at = call["started_at"]
                call["summary"]["weave"]["costs"] = {
                    llm_id: _cost(counts, *self._price(prices, llm_id, at))
                    for llm_id, counts in usage.items()
                    if isinstance(counts, dict)
                }

    def prices(self) -> Callable[[str, datetime], tuple[float | None, float | None]]:
        """A function of a model and a time: what an input and an output token cost; None where it is not known."""
        own = self._by_model()

        def price_of(llm_id: str, at: datetime) -> tuple[float | None, float | None]:
            price, _ = self._price(own, llm_id, at)
            return price.get("prompt_token_cost"), price.get("completion_token_cost")

        return price_of

    def _add(self, llm_id: str, price: Mapping[str, Any]) -> str:
        cost_id = clock.new_id()
        effective = price.get("effective_date") or wire.from_microseconds(clock.now_us())
        given: dict[str, Any] = {
            "prompt_token_cost_unit": "USD",
            "completion_token_cost_unit": "USD",
            "provider_id": "default",
            "cache_read_input_token_cost": 0.0,
            "cache_creation_input_token_cost": 0.0,
            **wire.without_unknown(price),
            "effective_date": wire.as_datetime(effective).isoformat(),
        }
        event = {
            "id": cost_id,
            "row_id": "",
            "table": "",
            "kind": "cost",
            "name": llm_id,
            "value": {name: given.get(name) for name in PRICE},
        }
        events.write(self._project, self._settings, event)
        return cost_id

    def _by_model(self) -> dict[str, list[Price]]:
        """The project's prices, the latest to take effect first."""
        found: dict[str, list[Price]] = {}
        for row in EventQuery("cost", _field, {}).rows(self._reader()):
            found.setdefault(row["name"], []).append(row["value"])
        for prices in found.values():
            # the later of two that take effect at once is meant as its correction
            prices.reverse()
            prices.sort(key=lambda price: wire.as_datetime(price["effective_date"]), reverse=True)
        return found

    def _price(
        self, prices: Mapping[str, list[Price]], llm_id: str, at: datetime
    ) -> tuple[Price, str]:
        """The price of a model at a time and where it is from: the project's own before a built-in one."""
        for price in prices.get(llm_id, []):
            if wire.as_datetime(price["effective_date"]) <= at:
                return price, "project"
        return self._default(llm_id, at) or {}, "default"


def _cost(counts: Mapping[str, Any], price: Price, level: str) -> dict[str, Any]:
    """Tokens, totals and unit prices of one model; without a price the totals are not known."""
    from llmwatch.scorers import usage

    prompt = counts.get("prompt_tokens") or counts.get("input_tokens") or 0
    completion = counts.get("completion_tokens") or counts.get("output_tokens") or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "requests": counts.get("requests", 0),
        "total_tokens": counts.get("total_tokens") or prompt + completion,
        "prompt_tokens_total_cost": _prompt_cost(usage.read(counts), price),
        "completion_tokens_total_cost": _times(completion, price.get("completion_token_cost")),
        **{name: price.get(name) for name in PRICE},
        "pricing_level": level if price else None,
    }


def _prompt_cost(used: Usage, price: Price) -> float | None:
    """What went in, what came from the cache or went into it at its own price; a price of 0 is one that nobody gave."""
    each = price.get("prompt_token_cost")
    if each is None:
        return None
    cached, written = used.cached or 0, used.cache_write or 0
    cost = max((used.prompt or 0) - cached - written, 0) * each
    cost += cached * (price.get("cache_read_input_token_cost") or each)
    return float(cost + written * (price.get("cache_creation_input_token_cost") or each))


def _times(tokens: float, price: float | None) -> float | None:
    return None if price is None else tokens * price


def _field(path: str) -> Field:
    from weave.trace.errors import InvalidFieldError

    columns = {"id": "f.id", "llm_id": "f.name"}
    if path in columns:
        return Field(Fragment(columns[path]))
    if path in PRICE:
        return Field(json_text("f.value", [path]))
    raise InvalidFieldError(f"costs have no field {path!r}")
