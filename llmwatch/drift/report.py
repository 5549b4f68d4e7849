"""What a run found: the verdict, each signal and slice, the new prompts; as text, HTML, JSON, metrics and a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmwatch.drift.explain import Explanation
from llmwatch.drift.finding import Finding
from llmwatch.drift.past import Among
from llmwatch.drift.signals import Judged, Verdict

NO_DRIFT, DRIFT, INSUFFICIENT = 0, 4, 5
"""The exit codes of `llmwatch drift`; 1 and 2 are errors, as everywhere."""


@dataclass(frozen=True)
class Histogram:
    """Numbers of both sides in the same bins, as shares of the rows of each."""

    edges: tuple[float, ...]
    reference: tuple[float, ...]
    window: tuple[float, ...]
    log: bool = False
    """Whether the bins are as wide as they are in the logarithm."""


@dataclass(frozen=True)
class Line:
    """One signal of the report, or of a slice of it."""

    judged: Judged
    kind: str
    unit: str = ""
    blocks: str = "rows"
    """What rows were put together by: sessions, users, stretches of time."""
    means: tuple[float | None, float | None] = (None, None)
    spreads: tuple[float | None, float | None] = (None, None)
    tokens_estimate: tuple[float | None, float | None] = (None, None)
    """Mean tokens of each side, by a rule of thumb, where only characters are known."""
    among: Among | None = None
    histogram: Histogram | None = None

    @property
    def name(self) -> str:
        return self.judged.signal

    @property
    def finding(self) -> Finding:
        return self.judged.finding

    @property
    def verdict(self) -> Verdict:
        return self.judged.verdict

    def as_dict(self) -> dict[str, Any]:
        return {
            "signal": self.name,
            "kind": self.kind,
            "unit": self.unit,
            "verdict": self.verdict,
            "p_adjusted": self.judged.p_adjusted,
            "passed": list(self.judged.passed),
            "blocks": self.blocks,
            "mean": list(self.means),
            "std": list(self.spreads),
            "tokens_estimate": list(self.tokens_estimate),
            "earlier_windows": None if self.among is None else vars(self.among),
            "histogram": None if self.histogram is None else vars(self.histogram),
            **self.finding.as_dict(),
        }


@dataclass(frozen=True)
class Slice:
    """One level of the column that rows were sliced by."""

    level: str
    shares: tuple[float, float]
    """Of the reference's and of the window's rows."""
    lines: tuple[Line, ...]

    @property
    def verdict(self) -> Verdict:
        return verdict_of(self.lines)


@dataclass(frozen=True)
class Report:
    """What one run of the drift job found. Printed it is a table; in a notebook it shows itself."""

    project: str
    table: str
    window: str
    window_us: tuple[int, int]
    reference: str
    rows: tuple[int, int]
    """Of the reference and of the window."""
    lines: tuple[Line, ...]
    slice_column: str | None = None
    slices: tuple[Slice, ...] = ()
    explanation: Explanation | None = None
    embedder: str | None = None
    shares: tuple[float, float] = (1.0, 1.0)
    """Of the rows of each side, those whose prompts were read."""
    alpha: float = 0.01
    seconds: float = 0.0
    run_id: str = ""
    made_at_us: int = 0
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def verdict(self) -> Verdict:
        """Drift when any signal has, or any slice of it; insufficient data when nothing could be tested."""
        lines = [*self.lines, *(line for one in self.slices for line in one.lines)]
        return verdict_of(lines)

    @property
    def drift(self) -> bool:
        return self.verdict == "drift"

    @property
    def exit_code(self) -> int:
        return {"drift": DRIFT, "no drift": NO_DRIFT, "insufficient data": INSUFFICIENT}[
            self.verdict
        ]

    def line(self, signal: str) -> Line:
        """The line of that signal."""
        return next(line for line in self.lines if line.name == signal)

    def metrics(self) -> dict[str, float]:
        """Under the names that people chart: what is unknown is left out."""
        made: dict[str, float | None] = {"drift/drift_detected": float(self.drift)}
        for line in self.lines:
            made |= _metrics(line)
        return {name: value for name, value in made.items() if value is not None}

    def as_dict(self, *, prompts: bool = True) -> dict[str, Any]:
        """Plain values for JSON; without `prompts`, nothing that anybody wrote."""
        explained = self.explanation
        return {
            "run_id": self.run_id,
            "made_at_us": self.made_at_us,
            "project": self.project,
            "table": self.table,
            "verdict": self.verdict,
            "window": {
                "text": self.window,
                "start_us": self.window_us[0],
                "end_us": self.window_us[1],
            },
            "reference": self.reference,
            "rows": list(self.rows),
            "prompts_read": list(self.shares),
            "embedder": self.embedder,
            "alpha": self.alpha,
            "signals": [line.as_dict() for line in self.lines],
            "slice_column": self.slice_column,
            "slices": [_slice_dict(one) for one in self.slices],
            "explanation": explained.as_dict() if explained and prompts else None,
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
        }

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one page that needs nothing else; returns where it is."""
        from llmwatch.drift.show.page import page

        written = Path(path)
        written.write_text(page(self), encoding="utf-8")
        return written

    def __str__(self) -> str:
        from llmwatch.drift.show.terminal import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from llmwatch.drift.show.page import fragment

        return fragment(self)


def verdict_of(lines: Sequence[Line]) -> Verdict:
    verdicts = {line.verdict for line in lines}
    return (
        "drift"
        if "drift" in verdicts
        else "no drift"
        if "no drift" in verdicts
        else "insufficient data"
    )


def _metrics(line: Line) -> dict[str, float | None]:
    prefix = f"drift/{line.name}"
    made: Mapping[str, float | None] = {
        f"{prefix}_p_value": line.judged.p_adjusted,
        f"{prefix}_effect": line.finding.effect,
        f"{prefix}_mean": line.means[1],
        f"{prefix}_std": line.spreads[1],
        f"{prefix}_drift": None
        if line.verdict == "insufficient data"
        else float(line.verdict == "drift"),
    }
    known = (
        ("ks", "Kolmogorov-Smirnov"),
        ("psi", "PSI"),
        ("wasserstein", "Wasserstein"),
        ("mmd", "random-Fourier MMD"),
    )
    parts = {name: line.finding.part(method) for name, method in known}
    return {
        **made,
        **{f"{prefix}_{name}_statistic": part.statistic for name, part in parts.items() if part},
    }


def _slice_dict(one: Slice) -> dict[str, Any]:
    return {
        "level": one.level,
        "share": list(one.shares),
        "verdict": one.verdict,
        "signals": [line.as_dict() for line in one.lines],
    }
