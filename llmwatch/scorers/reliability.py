"""A reliability diagram: scores against the share of right answers, as data and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from llmwatch.scorers.calibration_quality import Bin, Quality

_SIZE, _EDGE = 260.0, 46.0


@dataclass(frozen=True)
class Diagram:
    """What `llmwatch calibrate` shows: bins before, bins after (empty when nothing was fitted), and both qualities."""

    title: str
    before: Sequence[Bin]
    after: Sequence[Bin]
    quality_before: Quality
    quality_after: Quality | None = None

    def as_data(self) -> dict[str, Any]:
        """The points, for a chart of one's own."""
        return {
            "title": self.title,
            "before": [asdict(each) for each in self.before],
            "after": [asdict(each) for each in self.after],
            "quality_before": self.quality_before.as_dict(),
            "quality_after": self.quality_after.as_dict() if self.quality_after else None,
        }

    def as_svg(self) -> str:
        """The picture, self-contained; readable on light and dark grounds."""
        panels = [("before", self.before, self.quality_before, "#c2410c")]
        if self.quality_after is not None:
            panels.append(("after", self.after, self.quality_after, "#0f766e"))
        step = _SIZE + 2 * _EDGE
        drawn = "".join(_panel(n * step, *panel) for n, panel in enumerate(panels))
        width, height = step * len(panels), step + 14
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
            f'role="img" font-family="system-ui, sans-serif" font-size="12"><title>{escape(_printable(self.title))}</title>'
            f'<rect width="100%" height="100%" fill="#fff"/>'
            f'<text x="{_EDGE:g}" y="18" font-size="14" fill="#111">{escape(_printable(self.title))}</text>{drawn}</svg>\n'
        )

    def _repr_html_(self) -> str:
        return self.as_svg()


def _panel(left: float, name: str, bins: Sequence[Bin], quality: Quality, colour: str) -> str:
    x0, y0 = left + _EDGE, _EDGE
    points = [(x0 + b.score * _SIZE, y0 + (1 - b.right) * _SIZE, b) for b in bins]
    whiskers = "".join(
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y0 + (1 - b.low) * _SIZE:.1f}" y2="{y0 + (1 - b.high) * _SIZE:.1f}" '
        f'stroke="{colour}" stroke-opacity=".45" stroke-width="2"/>'
        for x, _, b in points
    )
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"><title>score {b.score:.3f}, right {b.right:.3f} '
        f"({b.low:.3f} to {b.high:.3f}), {b.n} answers</title></circle>"
        for x, y, b in points
    )
    return (
        f'<rect x="{x0:g}" y="{y0:g}" width="{_SIZE:g}" height="{_SIZE:g}" fill="none" stroke="#999"/>{_axes(x0, y0)}'
        f'<line x1="{x0:g}" y1="{y0 + _SIZE:g}" x2="{x0 + _SIZE:g}" y2="{y0:g}" stroke="#999" stroke-dasharray="4 4"/>'
        f'{whiskers}<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>{dots}'
        f'<text x="{x0 + 8:g}" y="{y0 + 18:g}" fill="{colour}">{name}: ECE {quality.ece:.3f} '
        f"[{quality.ece_low:.3f}, {quality.ece_high:.3f}]</text>"
        f'<text x="{x0 + 8:g}" y="{y0 + 34:g}" fill="#333">{_area(quality)}, {quality.n:,} labels</text>'
    )


def _area(quality: Quality) -> str:
    return "AUROC not known" if quality.auroc is None else f"AUROC {quality.auroc:.3f}"


def _axes(x0: float, y0: float) -> str:
    ticks = "".join(
        f'<text x="{x0 + at * _SIZE:g}" y="{y0 + _SIZE + 16:g}" text-anchor="middle" fill="#333">{at:g}</text>'
        f'<text x="{x0 - 6:g}" y="{y0 + (1 - at) * _SIZE + 4:g}" text-anchor="end" fill="#333">{at:g}</text>'
        for at in (0, 0.5, 1)
    )
    middle = y0 + _SIZE / 2
    return (
        f'{ticks}<text x="{x0 + _SIZE / 2:g}" y="{y0 + _SIZE + 34:g}" text-anchor="middle" fill="#333">score</text>'
        f'<text x="{x0 - 32:g}" y="{middle:g}" text-anchor="middle" fill="#333" '
        f'transform="rotate(-90 {x0 - 32:g} {middle:g})">share right</text>'
    )


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
