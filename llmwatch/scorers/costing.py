"""What one row used and cost: usage as it was reported, else counted; rates of its model, time and tier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, TypedDict, TypeVar

from llmwatch.scorers import texts, tokens, usage
from llmwatch.scorers.prices import Prices, tier_of
from llmwatch.scorers.protocol import Row
from llmwatch.scorers.usage import Usage

_Number = TypeVar("_Number", int, float)


class _Details(TypedDict, total=False):
    total_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    audio_tokens: int
    image_tokens: int
    input_cost_usd: float
    output_cost_usd: float
    cost_at_least_usd: float
    priced_as: str
    provider: str
    price_from: str
    note: str


class CostResult(_Details):
    """What TokenCost says of a row; None is unknown. A detail that is unknown is left out.

    `tokens_from` is `provider` (reported), `counted`, or None. `estimated` says that a count may be off, `note` why, or why
    there is no cost. `cost_at_least_usd` stands where a part could not be priced.
    """

    model: str | None
    tier: str
    tokens_from: str | None
    estimated: bool
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None


def score(row: Row, prices: Prices) -> CostResult | None:
    """The tokens and cost of a row that used a model itself; None for any other, and where children did."""
    row = _flat(row)
    if _sums_children(row):
        return None
    model = texts.model_of(row)
    used = _reported(row)
    if used.prompt is not None and used.completion is not None:
        return priced(model, used, prices, _time(row), _tier(row))
    counted = _counted(row, model, prices, used)
    if counted is None and used:
        return priced(model, used, prices, _time(row), _tier(row))
    return counted


def of_summary(summary: Any, prices: Prices, at: datetime) -> CostResult | None:
    """The same of a call's usage by model, as Weave sums it up; what several models cost is one sum."""
    used = summary.get("usage") if isinstance(summary, Mapping) else None
    parts = [
        priced(model, usage.read(counts), prices, at, None)
        for model, counts in (used.items() if isinstance(used, Mapping) else ())
        if usage.read(counts)
    ]
    return _together(parts) if parts else None


def priced(
    model: str | None, used: Usage, prices: Prices, at: datetime, tier: str | None
) -> CostResult:
    """The result for a usage that was reported."""
    result: CostResult = {
        "model": model,
        "tier": tier_of(tier),
        "tokens_from": "provider",
        "estimated": False,
        "prompt_tokens": used.prompt,
        "completion_tokens": used.completion,
        "cost_usd": None,
    }
    _tell_details(result, used)
    _price(result, used, prices, at)
    return result


# --- the usage of a row ------------------------------------------------------------------


def _flat(row: Row) -> Row:
    """A dict that was logged, as a row: its own keys tell the model and the tokens."""
    data = row.get("data")
    return {**row, **data} if isinstance(data, Mapping) and row.get("inputs") is None else row


def _sums_children(row: Row) -> bool:
    """Whether the usage in the row's summary is its children's: it must not count twice."""
    summary = row.get("summary")
    counts = summary.get("status_counts") if isinstance(summary, Mapping) else None
    if row.get("prompt_tokens") is not None or not isinstance(counts, Mapping):
        return False
    return sum(each for each in counts.values() if isinstance(each, int)) > 1


def _reported(row: Row) -> Usage:
    output, summary = row.get("output"), row.get("summary")
    by_model = summary.get("usage") if isinstance(summary, Mapping) else None
    summed = list(by_model.values()) if isinstance(by_model, Mapping) else []
    told = [
        output.get("usage") or output.get("usage_metadata")
        if isinstance(output, Mapping)
        else None,
        summed[0] if len(summed) == 1 else None,
        row.get("usage"),
        row,
    ]
    return next((found for found in map(usage.read, told) if found), Usage())


def _counted(row: Row, model: str | None, prices: Prices, told: Usage) -> CostResult | None:
    """Tokens counted from the texts as far as nobody told them, where the row is the call of a model that finished."""
    if model is None or not _is_call_of_model(row):
        return None
    went_in = tokens.prompt(row, model) if told.prompt is None else None
    came_out = tokens.completion(row, model) if told.completion is None else None
    used = replace(
        told,
        prompt=went_in.tokens if went_in else told.prompt,
        completion=came_out.tokens if came_out else told.completion,
    )
    if row.get("status") == "error" and came_out is None and not told:
        return None  # refused or cut off: what was billed, if anything, nobody said
    result = priced(model, used, prices, _time(row), _tier(row))
    why = [reason for count in (went_in, came_out) if count for reason in count.why]
    result["tokens_from"] = "counted" if used else None
    result["estimated"] = bool(why)
    if why:
        result["note"] = "; ".join(
            filter(None, ("; ".join(dict.fromkeys(why)), result.get("note")))
        )
    return result


def _is_call_of_model(row: Row) -> bool:
    """A function around a client's call has no usage either, and the tokens are the call's."""
    return row.get("kind") in ("generation", "embedding") and bool(
        row.get("model") or texts.inputs_of(row).get("model")
    )


def _time(row: Row) -> datetime:
    for name in ("started_at", "ts", "timestamp"):
        at = row.get(name)
        if isinstance(at, datetime):
            return at
    return datetime.now(timezone.utc)


def _tier(row: Row) -> str | None:
    """As the provider says it processed the call; a batch is told by nobody but the row's attributes."""
    attributes, output = row.get("attributes"), row.get("output")
    for place, name in (
        (attributes, "processing"),
        (attributes, "service_tier"),
        (output, "service_tier"),
    ):
        said = place.get(name) if isinstance(place, Mapping) else None
        if isinstance(said, str) and said:
            return said
    return None


# --- the result --------------------------------------------------------------------------

_DETAILS = {
    "cached_tokens": ("cached",),
    "cache_write_tokens": ("cache_write",),
    "reasoning_tokens": ("reasoning",),
    "audio_tokens": ("audio_in", "audio_out"),
    "image_tokens": ("image_in", "image_out"),
}


def _tell_details(result: CostResult, used: Usage) -> None:
    if used.prompt is not None and used.completion is not None:
        result["total_tokens"] = used.prompt + used.completion
    for name, parts in _DETAILS.items():
        known = [value for value in (getattr(used, part) for part in parts) if value is not None]
        if any(known):
            result[name] = sum(known)  # type: ignore[literal-required]


def _price(result: CostResult, used: Usage, prices: Prices, at: datetime) -> None:
    model, tier = result["model"], result["tier"]
    if model is None:
        result["note"] = "the model is not known"
        return
    rates = prices.rates(model, at, tier)
    if rates is None:
        result["note"] = _no_price(model, tier, prices, at)
        return
    result["priced_as"], result["price_from"] = rates.priced_as, rates.source
    if rates.provider:
        result["provider"] = rates.provider
    charge = rates.charge(used)
    if charge.total is None:
        result["note"] = f"no price is known of: {', '.join(charge.unpriced)}"
        result["cost_at_least_usd"] = _dollars(charge.at_least)
        return
    result["cost_usd"] = _dollars(charge.total)
    result["input_cost_usd"], result["output_cost_usd"] = (
        _dollars(charge.input),
        _dollars(charge.output),
    )


def _no_price(model: str, tier: str, prices: Prices, at: datetime) -> str:
    if tier != "standard" and prices.rates(model, at) is not None:
        return f"no price is known of {model} in tier {tier}"
    return f"no price is known of {model}; give one under [prices] in llmwatch.toml"


def _dollars(amount: Decimal) -> float:
    return float(amount)


def _together(parts: list[CostResult]) -> CostResult:
    if len(parts) == 1:
        return parts[0]
    costs = [part["cost_usd"] for part in parts]
    together: CostResult = {
        **parts[0],
        "model": ", ".join(sorted(part["model"] or "?" for part in parts)),
        "prompt_tokens": _sum([part["prompt_tokens"] for part in parts]),
        "completion_tokens": _sum([part["completion_tokens"] for part in parts]),
        "cost_usd": None if None in costs else _sum(costs),
    }
    for name in (*_Details.__annotations__,):
        together.pop(name, None)  # type: ignore[misc]
    return together


def _sum(parts: Sequence[_Number | None]) -> _Number | None:
    """Of what is known (an embedding has no completion); None when nothing is."""
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
