"""The few shapes pictures are made of. Every text is escaped here: what it says may come from a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timezone
from html import escape
from typing import Any

from llmwatch.board.asks import OTHER

INK, FAINT, RULE = "#1b1f24", "#6a737d", "#e1e4e8"
FAILED = "#c0392b"
COLOURS = ("#3b6fd4", "#d9822b", "#2f9e6e", "#c0504d", "#7d5fc7", "#3aa6b9", "#b5953a", "#8a8f98")
FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


def document(width: float, height: float, title: str, *shapes: str) -> str:
    """The whole picture, on white ground so that it reads on a dark page too."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}" '
        f'role="img" font-family="{FONT}" font-size="11"><title>{said(title)}</title>'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(shapes)}</svg>\n'
    )


def text(
    x: float,
    y: float,
    what: Any,
    *,
    size: float = 11,
    fill: str = INK,
    anchor: str = "start",
    bold: bool = False,
    room: float | None = None,
) -> str:
    """A line of text; with `room` (in pixels), cut to about that."""
    shown = str(what) if room is None else cut(str(what), room, size)
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill}" text-anchor="{anchor}"{weight}>{said(shown)}</text>'


def box(
    x: float,
    y: float,
    width: float,
    height: float,
    fill: str,
    *,
    stroke: str = "none",
    round: float = 0,  # noqa: A002 - what it does
    opacity: float = 1,
) -> str:
    see = f' fill-opacity="{opacity:.3g}"' if opacity < 1 else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" rx="{round:g}" fill="{fill}" stroke="{stroke}"{see}/>'


def boxes(
    places: Sequence[tuple[float, float]], width: float, height: float, fill: str, opacity: float
) -> str:
    """Many boxes of one size as one shape, a quarter as long to write."""
    way = f"h{width:.1f}v{height:.1f}h-{width:.1f}z"
    path = "".join(f"M{x:.1f} {y:.1f}{way}" for x, y in places)
    return f'<path d="{path}" fill="{fill}" fill-opacity="{opacity:.3g}"/>'


def line(points: Sequence[tuple[float, float] | None], colour: str, width: float = 1.6) -> str:
    """A line through points, broken where nothing is known; a point without neighbours is a dot."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return "".join(_run(run, colour, width) for run in runs if run)


def _run(run: list[tuple[float, float]], colour: str, width: float) -> str:
    if len(run) == 1:
        return f'<circle cx="{run[0][0]:.1f}" cy="{run[0][1]:.1f}" r="1.8" fill="{colour}"/>'
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in run)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}" stroke-linejoin="round"/>'


def said(what: str) -> str:
    """Text for an SVG: escaped, and without characters that are none or that turn the line around."""
    return escape("".join(ch if ch.isprintable() else " " for ch in what))


def cut(what: str, room: float, size: float) -> str:
    most = max(1, int(room / (size * 0.56)))
    return what if len(what) <= most else what[: most - 1] + "…"


def number(value: float | str | None, unit: str | None = "") -> str:
    """A number as short as it may be without becoming wrong; – where nothing is known."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if unit == "percent":
        return f"{value * 100:.3g}%"
    if unit == "usd":
        return f"${value:,.2f}" if abs(value) >= 1 or value == 0 else f"${value:.2g}"
    if unit == "ms" and abs(value) >= 1000:
        return f"{value / 1000:.3g} s"
    return _short(float(value)) + (" ms" if unit == "ms" else "")


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (size if letter != 'k' else 1e3):.3g}{letter}"
    return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"


def name_of(group: Any) -> str:
    """A group as a person knows it: of the ref of an op, its name."""
    if group is None or group == OTHER:
        return "none" if group is None else "others"
    name = str(group)
    return name.rpartition("/")[2].partition(":")[0] if name.startswith("weave:///") else name


def colour_of(group: Any, place: int) -> str:
    """What failed is red in every picture."""
    return FAILED if group == "error" else COLOURS[place % len(COLOURS)]


def day(at_us: float, span_us: float) -> str:
    """A time on an axis, as precise as the span wants it (UTC)."""
    at = datetime.fromtimestamp(at_us / 1e6, timezone.utc)
    return (
        f"{at:%d %b}"
        if span_us > 2 * 86_400e6
        else f"{at:%H:%M}"
        if span_us > 600e6
        else f"{at:%H:%M:%S}"
    )


def nice_top(value: float) -> float:
    """The end of an axis: 1, 2, 2.5 or 5 times a power of ten."""
    if not value > 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value * 0.999)
