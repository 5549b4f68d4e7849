"""A weekly report as one page that needs nothing else: no script, no network, everything escaped."""

from __future__ import annotations

from html import escape
from typing import Any

from llmwatch.watch.history import Alert
from llmwatch.watch.periods import moment
from llmwatch.watch.weekly import DAYS, Figure, TableWeek, Week
from llmwatch.watch.weekly_text import change, headline, lasted, shown, where
from llmwatch.watch.wording import number, one_line

MOST_ALERTS = 100
_STYLE = """
:root{--ink:#1b1f24;--soft:#59636e;--line:#d8dee4;--card:#fff;--page:#f6f8fa;--bar:#0969da;--bar-soft:#c9d8ea;
--bad:#b42318;--bad-soft:#fde8e6;--mid:#8a5a00;--mid-soft:#fdf1d5;--good:#1a7f37;--good-soft:#dff4e4;color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa4af;--line:#30363d;--card:#161b22;--page:#0d1117;
--bar:#58a6ff;--bar-soft:#23415f;--bad:#ff8f85;--bad-soft:#3d1513;--mid:#e3b341;--mid-soft:#2f2509;--good:#56d364;--good-soft:#10281a}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1040px;margin:0 auto;padding:28px 20px}
header{background:var(--card);border:1px solid var(--line);border-left:5px solid var(--mark);border-radius:10px;padding:18px 20px}
h1{font-size:24px;line-height:1.25;margin:0 0 4px;letter-spacing:-.01em;color:var(--mark);overflow-wrap:anywhere}
h2{font-size:17px;margin:30px 0 8px;overflow-wrap:anywhere}h2 small{color:var(--soft);font-weight:400;font-size:13px}
p{margin:4px 0;color:var(--soft);overflow-wrap:anywhere}
.bad{--mark:var(--bad);--mark-soft:var(--bad-soft)}.mid{--mark:var(--mid);--mark-soft:var(--mid-soft)}
.good{--mark:var(--good);--mark-soft:var(--good-soft)}.none{--mark:var(--soft);--mark-soft:transparent}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,230px),1fr));gap:12px}
article{display:flex;flex-direction:column;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px;min-width:0}
h3{font-size:13px;font-weight:500;color:var(--soft);margin:0}
.value{font-size:24px;font-weight:600;letter-spacing:-.01em;font-variant-numeric:tabular-nums;margin:2px 0 0;color:var(--ink)}
.change{font-size:12.5px;color:var(--mark);margin:0;min-height:19px}
svg{display:block;width:100%;height:56px;margin-top:auto;padding-top:8px}
svg rect{fill:var(--bar)}svg .zero{fill:var(--bar-soft)}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;vertical-align:top;padding:8px 14px;border-bottom:1px solid var(--line)}
tr:last-child td{border-bottom:0}th{font-weight:500;color:var(--soft);font-size:12.5px;white-space:nowrap}
td{overflow-wrap:anywhere;min-width:70px}.wide{min-width:150px}
.badge{font-size:12px;font-weight:600;color:var(--mark);background:var(--mark-soft);border-radius:99px;padding:1px 9px;white-space:nowrap}
footer{margin-top:28px;color:var(--soft);font-size:12.5px}
"""
_MARKS = {"P0": "bad", "P1": "mid", "P2": "none"}


def page(week: Week) -> str:
    """A whole document. Its policy lets it load nothing and run nothing."""
    title = _text(f"{week.project}: {headline(week)}")
    tables = "".join(map(_table, week.tables)) or (
        "<h2>Metrics</h2><p>No metrics of this week: declare [[watch.metrics]].</p>"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>"
        f"{_head(week)}{tables}{_alerts(week)}{_drift(week)}"
        "<footer>Made by llmwatch. Days are of 24 hours, up to the end of the report; times are UTC.</footer>"
        "</main></body></html>\n"
    )


def _head(week: Week) -> str:
    worst = min((alert.severity for alert in week.alerts), default="")
    mark = {"P0": "bad", "P1": "mid"}.get(worst, "good")
    span = f"{moment(week.from_us):%d %B} to {moment(week.until_us):%d %B %Y, %H:%M} UTC"
    return (
        f'<header class="{mark}"><h1>{_text(headline(week))}</h1>'
        f"<p><b>{_text(week.project)}</b> · {span}</p></header>"
    )


def _table(told: TableWeek) -> str:
    labels = "".join(map(_card, told.figures))
    return (
        f"<section><h2>{_text(told.table)} <small>metric set {_text(told.set)}</small></h2>"
        f'<div class="cards">{labels}</div></section>'
    )


def _card(figure: Figure) -> str:
    notes = (figure.note, figure.set and f"metric set {figure.set}")
    note = "".join(f" ({_text(one)})" for one in notes if one)
    return (
        f'<article class="{_mark(figure)}"><h3>{_text(figure.name)}{note}</h3>'
        f'<p class="value">{_text(shown(figure))}</p><p class="change">{_text(change(figure))}</p>{_bars(figure)}</article>'
    )


def _mark(figure: Figure) -> str:
    """Colour only where a change is neither small nor a matter of taste."""
    if figure.change is None or figure.less_is_better is None or abs(figure.change) < 0.1:
        return "none"
    return "good" if (figure.change < 0) == figure.less_is_better else "bad"


def _bars(figure: Figure) -> str:
    most = max((day for day in figure.days if day is not None), default=0.0)
    drawn = "".join(_bar(place, day, most) for place, day in enumerate(figure.days))
    told = ", ".join("not known" if day is None else number(day) for day in figure.days)
    return (
        f'<svg viewBox="0 0 140 56" preserveAspectRatio="none" role="img" aria-label="day by day: {_text(told)}">'
        f"{drawn}</svg>"
    )


def _bar(place: int, day: float | None, most: float) -> str:
    if day is None:
        return ""
    height = max(1.5, 54 * day / most) if most > 0 else 1.5
    kind = "" if day > 0 else ' class="zero"'
    width = 140 / DAYS
    return (
        f'<rect{kind} x="{place * width + 1.5:.1f}" y="{56 - height:.1f}" width="{width - 3:.1f}" height="{height:.1f}">'
        f"<title>{number(day)}</title></rect>"
    )


def _alerts(week: Week) -> str:
    if not week.alerts:
        return ""
    rows = "".join(_row(alert, week) for alert in week.alerts[:MOST_ALERTS])
    more = len(week.alerts) - MOST_ALERTS
    rest = f"<p>and {more:,} more</p>" if more > 0 else ""
    return (
        '<section><h2>Alerts</h2><div class="scroll"><table><tr><th>Severity</th><th>Rule</th><th>Where</th>'
        f"<th>When</th><th>What</th><th>Told</th></tr>{rows}</table></div>{rest}</section>"
    )


def _row(alert: Alert, week: Week) -> str:
    told = f"{alert.messages} sent" + (f", {alert.failed} failed" if alert.failed else "")
    told += ", silenced" if alert.silenced else ""
    return (
        f'<tr class="{_MARKS.get(alert.severity, "none")}"><td><span class="badge">{_text(alert.severity)}</span></td>'
        f'<td class="wide">{_text(alert.rule)}</td><td class="wide">{_text(where(alert))}</td><td class="wide">{_text(lasted(alert, week))}</td>'
        f'<td class="wide">{_text(alert.said)}</td><td>{told}</td></tr>'
    )


def _drift(week: Week) -> str:
    if not week.drift_runs:
        return ""
    return f"<section><h2>Drift</h2><p>Found in {week.drift_found} of {week.drift_runs} runs of the drift job.</p></section>"


def _text(value: Any) -> str:
    return escape(one_line(value))
