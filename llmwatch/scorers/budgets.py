"""Budgets: how much may be spent in a period, and where that stands now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from llmwatch import settings
from llmwatch.errors import SettingsError
from llmwatch.scorers import rollups

if TYPE_CHECKING:
    from llmwatch.stream.query import Reader

PERIODS = ("hour", "day", "week", "month", "ever")
_ONLY = ("model", "user", "session", "version", "op", "endpoint")


@dataclass(frozen=True)
class Budget:
    """At most `usd` dollars (or `tokens`) a period, of the calls that have all values in `only`.

    With `each`, everyone has it: `Budget("per user", usd=1, per="day", each="user")`.
    """

    name: str
    usd: float | None = None
    tokens: int | None = None
    per: str = "month"
    warn: float = 0.8
    only: Mapping[str, str] = field(default_factory=dict)
    each: str | None = None

    def __post_init__(self) -> None:
        where = f"budget {self.name!r}"
        if (self.usd is None) == (self.tokens is None):
            raise SettingsError(f"{where} needs either usd or tokens")
        if not _is_amount(self.limit) or not _is_amount(self.warn):
            raise SettingsError(f"usd, tokens and warn of {where} are numbers above 0")
        if self.per not in PERIODS:
            raise SettingsError(f"per of {where} is one of {', '.join(PERIODS)}; not {self.per!r}")
        if unknown := {*self.only, *filter(None, [self.each])} - {*_ONLY}:
            raise SettingsError(
                f"{where} can be of {', '.join(_ONLY)}; not of {', '.join(sorted(unknown))}"
            )

    @property
    def limit(self) -> float:
        return self.usd if self.usd is not None else float(self.tokens or 0)


@dataclass(frozen=True)
class Standing:
    """Where a budget stands: what an alert is raised from.

    `state` is `ok`, `warning`, `over`, or `unknown`: `ok` as far as is known, with calls in it that have no price
    (`unpriced`) or wait for one (`unscored`). `of` is whose it is, for a budget that each has.
    """

    budget: str
    of: str | None
    unit: str
    per: str
    since: datetime | None
    until: datetime | None
    limit: float
    used: float
    left: float
    share: float
    state: str
    calls: int
    unpriced: int
    unscored: int
    estimated: int

    def row(self) -> dict[str, Any]:
        """As a flat row."""
        return asdict(self)


def declared() -> list[Budget]:
    """The budgets that the settings files name, under `[budgets.NAME]`."""
    found, source = settings.section("budgets")
    return [_read(name, said, source) for name, said in found.items()]


def _read(name: str, said: Any, source: str) -> Budget:
    if not isinstance(said, dict):
        raise SettingsError(
            f"budgets.{name} in {source} is a table, such as {{ usd = 100, per = 'month' }}"
        )
    known = {"usd", "tokens", "per", "warn", "each", *_ONLY}
    if unknown := sorted(set(said) - known):
        raise SettingsError(
            f"budgets.{name} in {source} has {unknown[0]!r}; it may have: {', '.join(sorted(known))}"
        )
    only = {key: str(said[key]) for key in _ONLY if key in said}
    given = {key: said[key] for key in ("usd", "tokens", "per", "warn", "each") if key in said}
    return Budget(name, only=only, **given)


def standings(
    reader: Reader, budgets: Sequence[Budget], *, now: datetime | None = None, table: str = "traces"
) -> list[Standing]:
    """Where budgets stand now, those that are most used first."""
    now = now or datetime.now(timezone.utc)
    found = [each for budget in budgets for each in _stand(reader, budget, now, table)]
    return sorted(found, key=lambda standing: -standing.share)


def _stand(reader: Reader, budget: Budget, now: datetime, table: str) -> list[Standing]:
    since, until = period(budget.per, now)
    by = (budget.each,) if budget.each else ()
    sums = rollups.costs(reader, by, table=table, since=since, until=until, equal=budget.only)
    return [
        _standing(budget, since, until, total)
        for total in sums
        if not budget.each or total[budget.each] is not None
    ]


def _standing(
    budget: Budget, since: datetime | None, until: datetime | None, total: Mapping[str, Any]
) -> Standing:
    if budget.usd is not None:
        used, unknown = total["cost_usd"] or 0.0, total["unpriced"] + total["unscored"]
    else:
        used, unknown = float((total["prompt_tokens"] or 0) + (total["completion_tokens"] or 0)), 0
    share = used / budget.limit
    return Standing(
        budget=budget.name,
        of=str(total[budget.each]) if budget.each else None,
        unit="usd" if budget.usd is not None else "tokens",
        per=budget.per,
        since=since,
        until=until,
        limit=budget.limit,
        used=used,
        left=budget.limit - used,
        share=share,
        state=_state(share, budget.warn, unknown),
        calls=total["calls"],
        unpriced=total["unpriced"],
        unscored=total["unscored"],
        estimated=total["estimated"],
    )


def _state(share: float, warn: float, unknown: int) -> str:
    if share > 1:
        return "over"
    if share >= warn:  # what has no price can only add to it
        return "warning"
    return "unknown" if unknown else "ok"


def period(per: str, now: datetime) -> tuple[datetime | None, datetime | None]:
    """When the period that `now` is in began and will end, in UTC; weeks begin on Monday.

    >>> period("month", datetime(2026, 12, 24, tzinfo=timezone.utc))[1].isoformat()
    '2027-01-01T00:00:00+00:00'
    """
    now = now.astimezone(timezone.utc)
    hour = now.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    if per == "ever":
        return None, None
    if per == "month":
        first = day.replace(day=1)
        return first, (first + timedelta(days=32)).replace(day=1)
    starts = {"hour": hour, "day": day, "week": day - timedelta(days=day.weekday())}
    lasts = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
    return starts[per], starts[per] + lasts[per]


def _is_amount(value: Any) -> bool:
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf")
    )
