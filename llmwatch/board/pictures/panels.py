"""One panel of a board as shapes: its answer, drawn into a frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmwatch.board.pictures import drawing as draw

if TYPE_CHECKING:
    from llmwatch.board.asked import Answer
    from llmwatch.board.spec import Panel

_LEFT, _UNDER = 40.0, 18.0
_SHADES = 8


@dataclass(frozen=True)
class Frame:
    """Where to draw, in pixels."""

    x: float
    y: float
    width: float
    height: float

    def inside(self, left: float, top: float, right: float, bottom: float) -> Frame:
        return Frame(
            self.x + left, self.y + top, self.width - left - right, self.height - top - bottom
        )


def drawn(panel: Panel, answer: Answer, frame: Frame) -> str:
    """The panel's card, its title, and what the answer says."""
    card = draw.box(frame.x, frame.y, frame.width, frame.height, "#fff", stroke=draw.RULE, round=6)
    title = draw.text(
        frame.x + 10, frame.y + 18, panel.title or panel.id, bold=True, room=frame.width - 20
    )
    body = _KINDS[panel.kind](panel, answer, frame.inside(10, 28, 10, 8))
    return card + title + (body or _nothing(frame))


def _nothing(frame: Frame) -> str:
    x, y = frame.x + frame.width / 2, frame.y + frame.height / 2 + 8
    return draw.text(x, y, "nothing known yet", fill=draw.FAINT, anchor="middle")


# --- numbers and notes -----------------------------------------------------------------------


def _number(panel: Panel, answer: Answer, frame: Frame) -> str:
    value = draw.text(
        frame.x, frame.y + 24, draw.number(answer["value"], panel.unit), size=22, bold=True
    )
    spark = frame.inside(0, min(36, frame.height - 12), 0, 0)
    known = [v for v in answer["spark"] if v is not None]
    if len(known) < 2:
        return value
    low, high = min(known), max(known)
    span = (high - low) or 1
    step = spark.width / max(1, len(answer["spark"]) - 1)
    points = [
        None if v is None else (spark.x + n * step, spark.y + spark.height * (1 - (v - low) / span))
        for n, v in enumerate(answer["spark"])
    ]
    return value + draw.line(points, draw.COLOURS[0], 1.3)


def _note(panel: Panel, answer: Answer, frame: Frame) -> str:
    del answer
    lines = (panel.text or "").splitlines()[: max(1, int(frame.height // 15))]
    return "".join(
        draw.text(frame.x, frame.y + 12 + n * 15, said, room=frame.width)
        for n, said in enumerate(lines)
    )


# --- over time -------------------------------------------------------------------------------


def _series(panel: Panel, answer: Answer, frame: Frame) -> str:
    series = answer["series"]
    if not answer["bins"] or not any(v is not None for one in series for v in one["values"]):
        return ""
    stacked = panel.kind == "bars" or (answer.get("stacks") and len(series) > 1)
    plot = frame.inside(_LEFT, 16 if len(series) > 1 else 2, 4, _UNDER)
    top = draw.nice_top(_highest(series, stacked=bool(stacked)))
    shapes = (_bars if stacked else _lines)(series, plot, top)
    legend = (
        _legend([draw.name_of(one["name"]) for one in series], frame) if len(series) > 1 else ""
    )
    return _scale(plot, top, panel.unit) + shapes + _times(answer["bins"], plot) + legend


def _highest(series: Sequence[Answer], *, stacked: bool) -> float:
    columns = zip(*(one["values"] for one in series), strict=True)
    heights = (
        (sum if stacked else max)([v for v in column if v is not None] or [0]) for column in columns
    )
    return float(max(heights, default=0))


def _lines(series: Sequence[Answer], plot: Frame, top: float) -> str:
    made = []
    for n, one in enumerate(series):
        step = plot.width / max(1, len(one["values"]))
        points = [
            None if v is None else (plot.x + (i + 0.5) * step, plot.y + plot.height * (1 - v / top))
            for i, v in enumerate(one["values"])
        ]
        made.append(draw.line(points, draw.colour_of(one["name"], n)))
    return "".join(made)


def _bars(series: Sequence[Answer], plot: Frame, top: float) -> str:
    made = []
    floor = [0.0] * len(series[0]["values"])
    step = plot.width / max(1, len(floor))
    for n, one in enumerate(series):
        for i, value in enumerate(one["values"]):
            if value:
                high = plot.height * value / top
                y = plot.y + plot.height - floor[i] - high
                colour = draw.colour_of(one["name"], n)
                made.append(draw.box(plot.x + i * step + 0.4, y, step - 0.8, high, colour))
                floor[i] += high
    return "".join(made)


def _scale(plot: Frame, top: float, unit: str | None) -> str:
    made = []
    for share in (0, 0.5, 1):
        y = plot.y + plot.height * (1 - share)
        made.append(draw.box(plot.x, y, plot.width, 1, draw.RULE))
        said = draw.number(top * share, unit)
        made.append(draw.text(plot.x - 5, y + 4, said, size=9, fill=draw.FAINT, anchor="end"))
    return "".join(made)


def _times(bins: Answer, plot: Frame) -> str:
    span = bins["width"] * bins["count"]
    made = []
    for n, anchor in enumerate(("start", "middle", "end")):
        said = draw.day(bins["start"] + span * n / 2, span)
        x, y = plot.x + plot.width * n / 2, plot.y + plot.height + 13
        made.append(draw.text(x, y, said, size=9, fill=draw.FAINT, anchor=anchor))
    return "".join(made)


def _legend(names: Sequence[str], frame: Frame) -> str:
    made, x = [], frame.x + _LEFT
    for n, name in enumerate(names):
        said = draw.cut(name, 110, 10)
        if x + len(said) * 5.6 + 20 > frame.x + frame.width:
            made.append(draw.text(x, frame.y + 7, f"+{len(names) - n}", size=10, fill=draw.FAINT))
            break
        made.append(draw.box(x, frame.y - 1, 8, 8, draw.colour_of(name, n), round=2))
        made.append(draw.text(x + 12, frame.y + 7, said, size=10, fill=draw.FAINT))
        x += len(said) * 5.6 + 24
    return "".join(made)


# --- distributions ---------------------------------------------------------------------------


def _distribution(panel: Panel, answer: Answer, frame: Frame) -> str:
    if "categories" in answer:
        return _ranked(answer["categories"], panel.unit, frame)
    if not answer["counts"]:
        return ""
    plot = frame.inside(4, 14, 4, _UNDER)
    top, step = max(answer["counts"]) or 1, plot.width / len(answer["counts"])
    bars = "".join(
        draw.box(
            plot.x + n * step + 0.4,
            plot.y + plot.height * (1 - count / top),
            step - 0.8,
            plot.height * count / top,
            draw.COLOURS[0],
        )
        for n, count in enumerate(answer["counts"])
    )
    edges, stats = answer["edges"], answer["stats"]
    ends = (("start", edges[0]), ("end", edges[-1]))
    marks = "".join(
        draw.text(
            plot.x + plot.width * n,
            plot.y + plot.height + 13,
            draw.number(value, panel.unit),
            size=9,
            fill=draw.FAINT,
            anchor=anchor,
        )
        for n, (anchor, value) in enumerate(ends)
    )
    told = " · ".join(
        f"{p} {draw.number(stats[p], panel.unit)}" for p in ("p50", "p95") if p in stats
    )
    return bars + marks + draw.text(frame.x, frame.y + 7, told, size=10, fill=draw.FAINT)


def _heatmap(panel: Panel, answer: Answer, frame: Frame) -> str:
    if not answer["cells"]:
        return ""
    plot = frame.inside(_LEFT, 2, 4, _UNDER)
    columns, levels = answer["bins"]["count"], len(answer["edges"]) - 1
    width, height = plot.width / columns, plot.height / levels
    most = max(cell[2] for cell in answer["cells"])
    shades: dict[int, list[tuple[float, float]]] = {}
    for x, y, n in answer["cells"]:
        place = (plot.x + x * width, plot.y + plot.height - (y + 1) * height)
        shades.setdefault(math.ceil(_SHADES * (n / most) ** 0.5), []).append(place)
    cells = "".join(
        draw.boxes(places, width, height, draw.COLOURS[0], shade / _SHADES)
        for shade, places in sorted(shades.items())
    )
    ends = "".join(
        draw.text(
            plot.x - 5, y, draw.number(value, panel.unit), size=9, fill=draw.FAINT, anchor="end"
        )
        for y, value in (
            (plot.y + plot.height, answer["edges"][0]),
            (plot.y + 8, answer["edges"][-1]),
        )
    )
    return cells + ends + _times(answer["bins"], plot)


# --- lists -----------------------------------------------------------------------------------


def _top(panel: Panel, answer: Answer, frame: Frame) -> str:
    return _ranked(answer["items"], panel.unit, frame)


def _ranked(items: Sequence[Answer], unit: str | None, frame: Frame) -> str:
    fit = max(1, int(frame.height // 19))
    most = (
        max((item["value"] or 0 for item in items if not isinstance(item["value"], str)), default=0)
        or 1
    )
    made = []
    for n, item in enumerate(items[:fit]):
        y = frame.y + n * 19
        value = item["value"] or 0
        share = value / most if not isinstance(value, str) else 0
        made.append(
            draw.box(frame.x, y, frame.width * share, 15, draw.COLOURS[0], round=3, opacity=0.18)
        )
        made.append(
            draw.text(frame.x + 5, y + 11, draw.name_of(item["name"]), room=frame.width - 70)
        )
        said = draw.number(item["value"], unit)
        made.append(draw.text(frame.x + frame.width, y + 11, said, anchor="end", fill=draw.FAINT))
    return "".join(made)


def _groups(panel: Panel, answer: Answer, frame: Frame) -> str:
    del panel
    fit = max(1, int(frame.height // 19) - 1)
    names = [answer["by"], *answer["measures"]]
    step = (frame.width - 180) / max(1, len(answer["measures"]))
    made = [_cells(names, frame, 0, step, fill=draw.FAINT)] if answer["rows"] else []
    for n, row in enumerate(answer["rows"][:fit]):
        units = [_unit_of(measure) for measure in answer["measures"]]
        said = [draw.number(value, unit) for value, unit in zip(row[1:], units, strict=True)]
        made.append(_cells([draw.name_of(row[0]), *said], frame, n + 1, step))
    return "".join(made)


def _unit_of(measure: str) -> str:
    if measure.startswith("share("):
        return "percent"
    return "usd" if "_usd" in measure else "ms" if "_ms" in measure else ""


def _cells(said: Sequence[Any], frame: Frame, at: int, step: float, fill: str = draw.INK) -> str:
    y = frame.y + at * 19 + 11
    first = draw.text(frame.x, y, said[0], room=180, fill=fill)
    return first + "".join(
        draw.text(frame.x + 180 + (n + 1) * step, y, what, anchor="end", fill=fill, room=step - 6)
        for n, what in enumerate(said[1:])
    )


_KINDS: dict[str, Callable[[Panel, Answer, Frame], str]] = {
    "number": _number,
    "note": _note,
    "lines": _series,
    "bars": _series,
    "percentiles": _series,
    "distribution": _distribution,
    "heatmap": _heatmap,
    "top": _top,
    "groups": _groups,
}
