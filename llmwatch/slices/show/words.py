"""Slices and changes in words that terminal and page share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmwatch.drift.show.words import chance, number, visible

if TYPE_CHECKING:
    from llmwatch.slices.accounts import Behaviour
    from llmwatch.slices.changes import Change, Changes, Outcome
    from llmwatch.slices.found import Slice, Slices

_LONGEST = 60
_MOST = 3


def name(text: str) -> str:
    return visible(text, _LONGEST)


def share(value: float) -> str:
    """A share of rows: `0%`, `0.4%`, `31%`."""
    return "0%" if value == 0 else f"{value:.0%}" if value >= 0.1 else f"{value:.1%}"


def amount(value: float | None, unit: str, *, rate: bool = False) -> str:
    """A value with its unit: `812 ms`, `$0.0031`, `12%`."""
    if value is None:
        return ""
    if rate or unit == "liked":
        return f"{share(value)}{' liked' if unit == 'liked' else ''}"
    return f"${number(value)}" if unit == "$" else f"{number(value)}{' ' + unit if unit else ''}"


def headline(changes: Changes) -> str:
    """`What changed most: version`."""
    if not changes.outcomes and not changes.causes:
        return "Not enough data to tell what changed"
    if not changes.found:
        worse = [name(one.name) for one in changes.outcomes if one.changed]
        return (
            f"{', '.join(worse)} changed, and no column tells why" if worse else "Nothing changed"
        )
    first = changes.found[0]
    return f"What changed most: {name(first.name)}, {says(first)}"


def says(change: Change) -> str:
    """What became of a column: `v2 0% → 100%`, or which of its rows behave otherwise."""
    said = []
    if change.changed:
        if change.medians[0] is not None and change.medians[1] is not None:
            said.append(f"median {number(change.medians[0])} → {number(change.medians[1])}")
        moved = [p for p in change.parts if p.p <= 0.05] or list(change.parts)
        said += [
            f"{name(p.label)} {share(p.before)} → {share(p.after)}"
            for p in moved[: _MOST if not said else 1]
        ]
    if change.behaviour is not None:
        said.append(behaves(change.behaviour))
    return "; ".join(said)


def behaves(one: Behaviour) -> str:
    return (
        f"{name(one.metric)} of {name(one.level)} {number(one.before)} → {number(one.after)}, "
        f"of others {number(one.others[0])} → {number(one.others[1])}"
    )


def explains(change: Change) -> str:
    """`94% of latency, 60% of cost`."""
    told = dict(change.explains)
    if change.behaviour is not None:
        made = min(1.0, change.behaviour.contribution)
        told[change.behaviour.metric] = max(made, told.get(change.behaviour.metric, 0.0))
    known = sorted(((part, metric) for metric, part in told.items() if part >= 0.1), reverse=True)
    return ", ".join(f"{part:.0%} of {name(metric)}" for part, metric in known)


def went(outcome: Outcome) -> str:
    """`812 ms → 1,930 ms`: means, and medians where those are other numbers."""
    rate = outcome.name == "errors" or (outcome.unit == "" and outcome.medians[0] in {0.0, 1.0})
    before, after = (
        amount(value, outcome.unit, rate=rate) for value in (outcome.before, outcome.after)
    )
    return f"{before} → {after}" if before and after else before or after


def slices_headline(slices: Slices) -> str:
    """`Worst: latency of region = eu and model = large`."""
    if not slices.metrics:
        return "Nothing was measured of these rows"
    if not slices.slices:
        return "No slice is worse than the rest"
    first = slices.slices[0]
    return f"Worst: {name(first.metric)} of {visible(first.name, 120)}"


def looked_at(slices: Slices) -> str:
    metrics = ", ".join(map(name, slices.metrics)) or "no metric"
    return (
        f"{slices.rows:,} rows, {slices.tested:,} slices tested of {metrics}; one observation is one of the {slices.by}; "
        f"at most {slices.alpha:.0%} of what is told is not so"
    )


def inside_and_elsewhere(one: Slice) -> tuple[str, str]:
    """Means as people know them: a share of rows, or a median and the slowest twentieth."""
    values = {one.value, one.rest, *one.medians}
    rate = one.unit == "" and (one.metric == "errors" or {*one.medians, *one.p95} <= {0.0, 1.0})
    if rate or one.unit == "liked" or len(values) == 1:
        return amount(one.value, one.unit, rate=rate), amount(one.rest, one.unit, rate=rate)
    made = [
        f"{amount(mean, one.unit)}, p95 {number(p95)}"
        for mean, p95 in zip((one.value, one.rest), one.p95, strict=True)
    ]
    return made[0], made[1]


def impact(one: Slice) -> str:
    """`+18%`: what the slice does to the mean of all rows."""
    if one.impact is None:
        return ""
    return f"{one.impact:+.1%}" if abs(one.impact) < 0.1 else f"{one.impact:+.0%}"


__all__ = [
    "amount",
    "behaves",
    "chance",
    "explains",
    "headline",
    "impact",
    "inside_and_elsewhere",
    "looked_at",
    "name",
    "number",
    "says",
    "share",
    "visible",
    "went",
]
