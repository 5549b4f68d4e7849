"""Prices that a person gave: in the settings files under `[prices]`, or by Weave's `client.add_cost`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from llmwatch import settings
from llmwatch.errors import SettingsError
from llmwatch.scorers.rates import KINDS, MILLION, Rate
from llmwatch.store import EVENTS

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

Book = Mapping[str, Sequence["OwnPrice"]]
Kinds = Mapping[str, Rate]

_TIERS = ("batch", "flex", "priority", "fast")
_ALWAYS = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class OwnPrice:
    """One price of one model: rates by kind, or the name of a model that it costs the same as.

    `tiers` are rates that differ in a tier; None: the price is the same in all of them.
    """

    rates: Kinds = field(default_factory=dict)
    since: datetime = _ALWAYS
    provider: str | None = None
    like: str | None = None
    tiers: Mapping[str, Kinds] | None = None

    def kinds(self, tier: str) -> Kinds | None:
        """The rates in a tier; None when this price does not tell them."""
        if tier == "standard" or self.tiers is None:
            return self.rates
        return {**self.rates, **self.tiers[tier]} if tier in self.tiers else None


def find(book: Book, model: str, at: datetime) -> OwnPrice | None:
    """The price of a model that holds at a time: the last to take effect. A name in the book may have `*` in it."""
    for name in _names(book, model):
        held = [price for price in book[name] if price.since <= at]
        if held:
            return max(
                reversed(held), key=lambda price: price.since
            )  # of two at once, the later said
    return None


def _names(book: Book, model: str) -> list[str]:
    exact = [model] if model in book else []
    return exact + [name for name in book if "*" in name and fnmatchcase(model, name)]


# --- from the settings files -------------------------------------------------------------


def from_settings() -> Book:
    """What stands under `[prices]`: USD per million tokens, by model, with `from` dates where a price changed."""
    found, source = settings.section("prices")
    return {
        model: [_priced(each, f"prices.{model} in {source}") for each in _entries(said)]
        for model, said in found.items()
    }


def _entries(said: Any) -> list[Any]:
    return said if isinstance(said, list) else [said]


def _priced(said: Any, where: str) -> OwnPrice:
    if not isinstance(said, dict):
        raise SettingsError(f"{where} is a table, such as {{ input = 0.15, output = 0.6 }}")
    known = KINDS | {"from", "provider", "like", *_TIERS}
    if unknown := sorted(set(said) - known):
        raise SettingsError(f"{where} has {unknown[0]!r}; it may have: {', '.join(sorted(known))}")
    own = OwnPrice(
        rates=_rates(said, where),
        since=_since(said.get("from"), where),
        provider=_text(said, "provider", where),
        like=_text(said, "like", where),
        tiers={tier: _tier(said[tier], f"{where}, {tier}") for tier in _TIERS if tier in said},
    )
    if not own.rates and own.like is None:
        raise SettingsError(f"{where} tells no price: give input and output, or like")
    return own


def _tier(said: Any, where: str) -> Kinds:
    if not isinstance(said, dict) or set(said) - KINDS:
        raise SettingsError(f"{where} is a table of rates: {', '.join(sorted(KINDS))}")
    return _rates(said, where)


def _rates(said: Mapping[str, Any], where: str) -> Kinds:
    return {kind: Rate(_usd(said[kind], f"{kind} of {where}")) for kind in said if kind in KINDS}


def _usd(value: Any, where: str) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal(-1)
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise SettingsError(f"{where} cannot be {value!r}: it is USD per million tokens, 0 or more")
    return amount


def _since(value: Any, where: str) -> datetime:
    if value is None:
        return _ALWAYS
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            value = None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
    raise SettingsError(f"from of {where} is a date, such as 2026-01-31")


def _text(said: Mapping[str, Any], name: str, where: str) -> str | None:
    value = said.get(name)
    if value is not None and not isinstance(value, str):
        raise SettingsError(f"{name} of {where} is a text")
    return value


# --- from the project --------------------------------------------------------------------

_OF_WEAVE = {
    "prompt_token_cost": "input",
    "completion_token_cost": "output",
    "cache_read_input_token_cost": "cached",
    "cache_creation_input_token_cost": "cache_write",
}


def from_events(reader: Reader) -> Book:
    """What `client.add_cost` said in the project, in the order it was said."""
    import orjson

    sql = "SELECT name, value FROM events WHERE kind = 'cost' ORDER BY ts, writer, seq"
    book: dict[str, list[OwnPrice]] = {}
    for name, value in reader.execute(sql, tables=(EVENTS,)).rows:
        said = orjson.loads(value)
        book.setdefault(name, []).append(_of_weave(said))
    return book


def _of_weave(said: Mapping[str, Any]) -> OwnPrice:
    """A price by the token. Weave fills in 0 where no price of the cache was given, which is not one."""
    rates = {
        kind: Rate(Decimal(str(said[name])) * MILLION)
        for name, kind in _OF_WEAVE.items()
        if said.get(name) is not None and (said[name] or kind in ("input", "output"))
    }
    since = _since(said.get("effective_date"), "a cost of the project")
    return OwnPrice(rates, since, said.get("provider_id"))
