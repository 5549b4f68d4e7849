"""Before and now as small pictures, in SVG and in plain elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from llmwatch.drift.report import Histogram
from llmwatch.drift.show import words

_WIDTH, _HEIGHT, _FLOOR = 320, 96, 78
_MOST_LEVELS = 8


def bars(histogram: Histogram, unit: str = "") -> str:
    """What was as a grey area, what is as coloured bars in front of it."""
    most = max(*histogram.reference, *histogram.window) or 1.0
    step = _WIDTH / len(histogram.window)
    is_now = "".join(
        f'<rect x="{n * step + 1:.1f}" y="{_FLOOR - share / most * _FLOOR:.1f}" '
        f'width="{step - 2:.1f}" height="{share / most * _FLOOR:.1f}"/>'
        for n, share in enumerate(histogram.window)
        if share
    )
    low, high = histogram.edges[0], histogram.edges[-1]
    ends = f"{words.number(low)} to {words.number(high)} {unit}".strip()
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="before and now, {escape(ends)}">'
        f'<path class=was d="{_area(histogram.reference, most, step)}"/><g class=is>{is_now}</g>'
        f'<path class=was-line d="{_outline(histogram.reference, most, step)}"/>'
        f'<text x="0" y="{_HEIGHT - 3}">{words.number(low)}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT - 3}" text-anchor="end">{words.number(high)} {escape(unit)}</text>'
        + (
            f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 3}" text-anchor="middle">log scale</text>'
            if histogram.log
            else ""
        )
        + "</svg>"
    )


def _area(shares: Sequence[float], most: float, step: float) -> str:
    return f"M0 {_FLOOR}{_steps(shares, most, step)}L{_WIDTH} {_FLOOR}Z"


def _outline(shares: Sequence[float], most: float, step: float) -> str:
    return "M" + _steps(shares, most, step)[1:]


def _steps(shares: Sequence[float], most: float, step: float) -> str:
    tops = [f"{_FLOOR - share / most * _FLOOR:.1f}" for share in shares]
    return "".join(
        f"L{n * step:.1f} {top}L{(n + 1) * step:.1f} {top}" for n, top in enumerate(tops)
    )


def levels(shares: Mapping[str, Sequence[float]]) -> str:
    """The levels that moved most, each with its share before and now."""
    shown = list(shares.items())[:_MOST_LEVELS]
    most = max((max(pair) for _, pair in shown), default=0.0) or 1.0
    rows = "".join(_level(name, pair[0], pair[1], most) for name, pair in shown)
    left = len(shares) - len(shown)
    more = f"<li class=more>and {left} more</li>" if left > 0 else ""
    return f"<ul class=levels>{rows}{more}</ul>"


def _level(name: str, before: float, now: float, most: float) -> str:
    return (
        f"<li><span class=name dir=auto>{escape(words.visible(name, 60))}</span>"
        f'<span class=pair><i class=was style="width:{before / most:.1%}"></i><i class=is style="width:{now / most:.1%}"></i></span>'
        f"<span class=n>{before:.1%} → {now:.1%}</span></li>"
    )
