"""The report's numbers and sentences in words that terminal and page share."""

from __future__ import annotations

import unicodedata

from llmwatch.drift.report import Line, Report

_HEADLINES = {
    "drift": "Drift",
    "no drift": "No drift",
    "insufficient data": "Not enough data to tell",
}

NOTHING_NEW = "No new kind of prompt: what changed is how many there are of each kind, or something else about them."


def in_order(report: Report) -> list[Line]:
    """What drifted first, then what could not be tested last."""
    return sorted(report.lines, key=lambda line: list(_HEADLINES).index(line.verdict))


def headline(report: Report) -> str:
    """`Drift in embedding and language`."""
    moved = [visible(line.name, 60) for line in report.lines if line.verdict == "drift"]
    slices = [visible(one.level, 60) for one in report.slices if one.verdict == "drift"]
    if moved:
        return f"Drift in {listed(moved)}"
    if slices:
        return f"Drift in {visible(report.slice_column or '', 60)} {listed(slices[:3])}{' and more' if len(slices) > 3 else ''}"
    return _HEADLINES[report.verdict]


def listed(words: list[str]) -> str:
    """`a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def said(line: Line) -> str:
    """What changed, or what is missing."""
    finding = line.finding
    if finding.insufficient:
        if not finding.n_reference and not finding.n_window:
            return "no value on either side"
        return f"needs {finding.lacking}"
    parts = list(line.judged.passed)
    if line.among is not None and line.among.as_large and line.verdict != "drift":
        parts.append(f"as {line.among.as_large} of {line.among.windows} earlier windows did")
    if new := list(finding.detail.get("new", {}))[:3]:
        parts.append(f"new: {', '.join(visible(str(level), 24) for level in new)}")
    return "; ".join(parts) or "no effect that matters"


def before_and_now(line: Line) -> str:
    """`54 → 61 characters (about 14 → 15 tokens)`; nothing for what has no mean."""
    if line.means[0] is None or line.means[1] is None:
        return ""
    unit = f" {line.unit}" if line.unit else ""
    text = f"{number(line.means[0])} → {number(line.means[1])}{unit}"
    if line.tokens_estimate[0] is not None and line.tokens_estimate[1] is not None:
        before, now = (number(value) for value in line.tokens_estimate if value is not None)
        text += f" (about {before} → {now} tokens)"
    return text


def chance(p: float | None) -> str:
    """A p-value: `.012`, `< .001`."""
    if p is None:
        return ""
    return (
        "< .001" if p < 0.001 else "1" if p >= 1 else f"{p:.2f}"[1:] if p >= 0.1 else f"{p:.3f}"[1:]
    )


def number(value: float) -> str:
    """Three digits that count: `0.0123`, `12.3`, `1,230`.

    >>> number(1234.5), number(12.345), number(0.001234)
    ('1,234', '12.3', '0.00123')
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def visible(text: str, longest: int = 240) -> str:
    """Text on one line; characters that would steer a terminal or turn a page's text round are shown as escapes."""
    text = " ".join(text.split())
    text = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(
        ch if ch in "\u200c\u200d" or unicodedata.category(ch) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        else ch.encode("unicode_escape", "backslashreplace").decode("ascii")
        for ch in text
    )  # fmt: skip


def rows_read(report: Report) -> str:
    """`700 rows against 2,800`."""
    return f"{report.rows[1]:,} rows against {report.rows[0]:,}"


def method(line: Line) -> str:
    """How it was tested: `chi-square over 934 sessions`."""
    finding = line.finding
    counted = [n for n in (finding.blocks_reference, finding.blocks_window) if n is not None]
    over = f" over {counted[0]:,} and {counted[1]:,} {line.blocks}" if len(counted) == 2 else ""
    return f"{finding.method}{over}"
