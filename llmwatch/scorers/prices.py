"""What a model costs at a time: the project's own price, else one in the settings files, else the built-in table.

The built-in table is that of `genai-prices`, which comes with the package and is read as it was installed: nothing is
fetched. A model, or a tier of one, that nobody knows the price of has no rates, and what it costs is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llmwatch.scorers import own_prices
from llmwatch.scorers.own_prices import OwnPrice
from llmwatch.scorers.rates import Rate, Rates

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

STANDARD = "standard"
_SAID_FOR_STANDARD = frozenset({"", "auto", "default", "standard", "on_demand"})
TIERS: Mapping[str, Mapping[str, str]] = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast"},
}
"""Tiers with rates of their own, and what the built-in table calls each."""

_KIND = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cached",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
    "cache_audio_read_mtok": "cached_audio",
    "input_image_mtok": "input_image",
    "output_image_mtok": "output_image",
    "cache_image_read_mtok": "cached_image",
    "output_reasoning_mtok": "reasoning",
    "requests_kcount": "request",
}
_LONGEST_NAME = 256


def rates(model: str, at: datetime | None = None, tier: str | None = None) -> Rates | None:
    """The rates of a model at a time (now) and tier, by the settings files and the built-in table.

    >>> str(rates("gpt-4o-mini").kinds["input"].base)
    '0.15'
    >>> rates("our-own-model") is None
    True
    """
    return Prices().rates(model, at, tier)


def tier_of(said: object) -> str:
    """A provider's word for how a request was processed, in ours."""
    word = said.strip().lower() if isinstance(said, str) else ""
    return STANDARD if word in _SAID_FOR_STANDARD else word


class Prices:
    """The prices that hold in a project. Make one with `of_project`, or without a project's own."""

    def __init__(self, project: Mapping[str, Sequence[OwnPrice]] | None = None) -> None:
        self._books = (("project", project or {}), ("settings", own_prices.from_settings()))

    @classmethod
    def of_project(cls, reader: Reader) -> Prices:
        """With what `client.add_cost` said in the project."""
        return cls(own_prices.from_events(reader))

    def rates(
        self, model: str, at: datetime | None = None, tier: str | None = None
    ) -> Rates | None:
        at, tier = _utc(at), tier_of(tier)
        for source, book in self._books:
            own = own_prices.find(book, model, at)
            if own is None:
                continue
            if own.like is not None:
                found = built_in(own.like, at, tier)
                return found and Rates(model, own.like, found.provider, tier, source, found.kinds)
            kinds = own.kinds(tier)
            return Rates(model, model, own.provider, tier, source, kinds) if kinds else None
        return built_in(model, at, tier)


def default_price(llm_id: str, at: datetime) -> dict[str, Any] | None:
    """The price of a model under the names that Weave has for one: what the backend shows where a project said none."""
    found = rates(llm_id, at)
    if found is None or "input" not in found.kinds:
        return None
    per_token = {kind: float(rate.base / 1_000_000) for kind, rate in found.kinds.items()}
    return {
        "prompt_token_cost": per_token["input"],
        "completion_token_cost": per_token.get("output"),
        "cache_read_input_token_cost": per_token.get("cached"),
        "cache_creation_input_token_cost": per_token.get("cache_write"),
        "prompt_token_cost_unit": "USD",
        "completion_token_cost_unit": "USD",
        "provider_id": found.provider,
    }


# --- the built-in table ------------------------------------------------------------------


def built_in(model: str, at: datetime, tier: str = STANDARD) -> Rates | None:
    # to the minute: some prices depend on the time of day
    return _built_in(model, at.replace(second=0, microsecond=0), tier)


@lru_cache(maxsize=8192)
def _built_in(model: str, at: datetime, tier: str) -> Rates | None:
    found = _find(model)
    if found is None:
        return None
    provider, info = found
    context = TIERS.get(tier)
    if tier != STANDARD and not _has_tier(info, context, at):
        return None
    price = info.get_prices(at, context)
    kinds = {
        kind: _rate(getattr(price, key), kind)
        for key, kind in _KIND.items()
        if getattr(price, key, None) is not None
    }
    return Rates(model, info.id, provider.id, tier, "built-in", kinds)


def _has_tier(info: Any, context: Mapping[str, str] | None, at: datetime) -> bool:
    """Whether the table has rates for the tier; without them the standard ones would be a guess."""
    return context is not None and any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(at))
        for variant in getattr(info, "price_variants", None) or ()
    )


@lru_cache(maxsize=1024)
def _find(model: str) -> tuple[Any, Any] | None:
    """The provider and the model of a name: as it stands, as `provider/model`, or as one of OpenAI's.

    OpenAI's names that do not begin with `gpt` (embeddings, speech) tell no provider.
    """
    from genai_prices.data_snapshot import get_snapshot

    if len(model) > _LONGEST_NAME:
        return None
    snapshot = get_snapshot()
    maker, _, rest = model.partition("/")
    for name, provider in ((model, None), *([(rest, maker)] if rest else []), (model, "openai")):
        try:
            return snapshot.find_provider_model(name, None, provider, None)
        except LookupError:
            continue
    return None


def _rate(price: Any, kind: str) -> Rate:
    scale = Decimal(1000) if kind == "request" else Decimal(1)
    if isinstance(price, Decimal):
        return Rate(price / scale)
    return Rate(price.base / scale, tuple((tier.start, tier.price / scale) for tier in price.tiers))


def _utc(at: datetime | None) -> datetime:
    if at is None:
        return datetime.now(timezone.utc)
    return at.replace(tzinfo=timezone.utc) if at.tzinfo is None else at.astimezone(timezone.utc)
