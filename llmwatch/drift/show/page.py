"""A report as HTML: one page that needs nothing else, or a part of a notebook. No script, everything escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from llmwatch.drift.explain import Exemplar, Group
from llmwatch.drift.report import Line, Report, Slice
from llmwatch.drift.show import words
from llmwatch.drift.show.pictures import bars, levels
from llmwatch.drift.show.style import STYLE
from llmwatch.drift.windows import moment

MOST_SLICES = 50
_KINDS = {"drift": "drift", "no drift": "quiet", "insufficient data": "unsure"}


def page(report: Report) -> str:
    """A whole document. Its policy lets it load nothing and run nothing."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{_text(words.headline(report))} · {_text(report.table)}</title>{STYLE}</head>"
        f"<body>{_body(report)}</body></html>\n"
    )


def fragment(report: Report) -> str:
    """For a notebook cell."""
    return f"{STYLE}{_body(report)}"


def _body(report: Report) -> str:
    parts = [_head(report), _signals(report), _new_prompts(report), _slices(report), _foot(report)]
    return f'<main class="llmwatch-drift">{"".join(parts)}</main>'


def _head(report: Report) -> str:
    kind = _KINDS[report.verdict]
    return (
        f'<header class="{kind}"><h1>{_text(words.headline(report))}</h1>'
        f"<p class=where>{_text(report.project)}/<b>{_text(report.table)}</b></p>"
        f"<dl><div><dt>Window</dt><dd>{_text(report.window)}<br>{_rows(report.rows[1])}</dd></div>"
        f"<div><dt>Compared with</dt><dd>{_text(report.reference)}<br>{_rows(report.rows[0])}</dd></div></dl></header>"
    )


def _rows(count: int) -> str:
    return f"{count:,} {'row' if count == 1 else 'rows'}"


def _signals(report: Report) -> str:
    legend = (
        "<p class=legend><span class=was></span> before <span class=is></span> now</p>"
        if any(line.histogram or line.finding.detail.get("levels") for line in report.lines)
        else ""
    )
    cards = "".join(_signal(line) for line in words.in_order(report))
    return f"<section><h2>Signals</h2>{legend}<div class=cards>{cards}</div></section>"


def _signal(line: Line) -> str:
    picture = ""
    if line.histogram is not None:
        picture = bars(line.histogram, line.unit)
    elif line.finding.detail.get("levels"):
        picture = levels(line.finding.detail["levels"])
    means = words.before_and_now(line)
    return (
        f'<article class="{_KINDS[line.verdict]}"><h3>{_text(line.name)} <span class=badge>{line.verdict}</span></h3>'
        f"<p class=said>{_text(words.said(line), 400)}</p>"
        + (f"<p>mean {_text(means)}</p>" if means else "")
        + picture
        + f"<p class=how>{_how(line)}</p></article>"
    )


def _how(line: Line) -> str:
    """p, the test, and the figures that people know."""
    parts = []
    if line.judged.p_adjusted is not None:
        parts.append(
            f"p {escape(words.chance(line.judged.p_adjusted))} after all signals of the run"
        )
    if not line.finding.insufficient:
        parts.append(_text(words.method(line)))
    known = (
        ("Kolmogorov-Smirnov", "KS"),
        ("PSI", "PSI"),
        ("Wasserstein", "Wasserstein"),
        ("random-Fourier MMD", "MMD"),
    )
    for method, short in known:
        part = line.finding.part(method)
        if part is not None and part.statistic is not None:
            parts.append(f"{short} {words.number(part.statistic)}")
    if line.finding.left_out:
        parts.append(f"{line.finding.left_out:,} without a usable value")
    return " · ".join(parts)


def _new_prompts(report: Report) -> str:
    explained = report.explanation
    if explained is None:
        return ""
    if not explained.groups:
        return f"<section><h2>New prompts</h2><p>{escape(words.NOTHING_NEW)}</p></section>"
    groups = "".join(_group(group) for group in explained.groups)
    return (
        f"<section><h2>New prompts</h2><p>{explained.new_rows:,} of {explained.looked_at:,} prompts are among others "
        f"of their kind that the reference has hardly any of.</p><div class=cards>{groups}</div></section>"
    )


def _group(group: Group) -> str:
    about = ", ".join(words.visible(term, 40) for term in group.terms) or "no word in common"
    return (
        f"<article><h3>{_text(about, 200)}</h3><p>{_rows(group.rows)}, {group.share:.1%} of the window</p>"
        f"{_examples(group.exemplars)}</article>"
    )


def _examples(examples: Sequence[Exemplar]) -> str:
    return "".join(f"<blockquote dir=auto>{_text(one.text)}</blockquote>" for one in examples)


def _slices(report: Report) -> str:
    if not report.slices:
        return ""
    rows = "".join(_slice(one) for one in report.slices[:MOST_SLICES])
    heads = "".join(
        f"<th>{name}</th>" for name in ("level", "verdict", "of all rows", "what changed", "p")
    )
    return (
        f"<section><h2>By {_text(report.slice_column or '')}</h2><div class=scroll><table><thead><tr>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _slice(one: Slice) -> str:
    moved = [line for line in one.lines if line.verdict == "drift"]
    shown: Iterable[Line] = moved or one.lines[:1]
    said = "<br>".join(
        f"<b>{_text(line.name)}</b> {_text(words.said(line), 300)}" for line in shown
    )
    chances = "<br>".join(escape(words.chance(line.judged.p_adjusted)) for line in shown)
    return (
        f'<tr class="{_KINDS[one.verdict]}"><td>{_text(one.level, 60)}</td><td><span class=badge>{one.verdict}</span></td>'
        f"<td class=n>{one.shares[0]:.1%} → {one.shares[1]:.1%}</td><td>{said}</td><td class=n>{chances}</td></tr>"
    )


def _foot(report: Report) -> str:
    said = [
        *report.notes,
        f"Drift means: p under {report.alpha:g} over all signals together, and an effect large enough to matter.",
    ]
    if report.embedder:
        said.append(f"Prompts were embedded by {report.embedder}.")
    if any(line.tokens_estimate[0] is not None for line in report.lines):
        said.append("Tokens are estimated at four characters each, which can be off by half.")
    made = (
        f"{moment(report.made_at_us):%Y-%m-%d %H:%M} UTC, in {report.seconds:.1f} s"
        if report.made_at_us
        else ""
    )
    listed = "".join(f"<li>{_text(one, 400)}</li>" for one in said)
    return f"<footer><ul>{listed}</ul><p>llmwatch {made} {_text(report.run_id)}</p></footer>"


def _text(text: str, longest: int = 240) -> str:
    return escape(words.visible(text, longest))
