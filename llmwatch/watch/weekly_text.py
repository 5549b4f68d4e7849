"""A weekly report as lines of text, and as a letter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from email.message import EmailMessage

from llmwatch.watch.history import Alert
from llmwatch.watch.series import in_words
from llmwatch.watch.weekly import Figure, Week
from llmwatch.watch.wording import length, number, one_line, time

_BARS = "▁▂▃▄▅▆▇█"
MOST_ALERTS = 30


def headline(week: Week) -> str:
    """The week in a sentence."""
    if not week.alerts:
        return "A quiet week: no alerts."
    counts = Counter(alert.severity for alert in week.alerts)
    told = ", ".join(f"{counts[severity]} {severity}" for severity in sorted(counts))
    firing = sum(alert.state == "firing" for alert in week.alerts)
    still = f", {firing} still firing" if firing else ""
    before = f" ({week.alerts_before} the week before)"
    many = len(week.alerts)
    return f"{many} alert{'s' if many > 1 else ''}: {told}{still}{before}."


def as_text(week: Week) -> Iterator[str]:
    yield f"{week.project}, {time(week.from_us)} to {time(week.until_us)}"
    yield headline(week)
    for table in week.tables:
        yield ""
        yield f"{table.table} (metric set {table.set})"
        for figure in table.figures:
            other = f"  (metric set {figure.set})" if figure.set else ""
            yield f"  {figure.name:<15} {shown(figure):>14}  {change(figure):<24} {bars(figure)}{other}"
    if not week.tables:
        yield "No metrics of this week: declare [[watch.metrics]]."
    yield from _alerts(week)
    if week.drift_runs:
        yield ""
        yield f"drift: found in {week.drift_found} of {week.drift_runs} runs"


def _alerts(week: Week) -> Iterator[str]:
    if week.alerts:
        yield ""
        yield "alerts"
    for alert in week.alerts[:MOST_ALERTS]:
        yield f"  {alert.severity} {alert.rule}, {where(alert)}: {lasted(alert, week)}. {alert.said}"
    if len(week.alerts) > MOST_ALERTS:
        yield f"  and {len(week.alerts) - MOST_ALERTS} more: llmwatch alerts list --since 7d"


def where(alert: Alert) -> str:
    group = in_words(alert.group)
    return f"{alert.table}, {group}" if group else alert.table


def lasted(alert: Alert, week: Week) -> str:
    """When an alert began and how long it went on."""
    so_far = length((alert.resolved_us or week.until_us) - alert.fired_us)
    times = "once" if alert.reopened == 1 else f"{alert.reopened} times"
    again = f", came back {times}" if alert.reopened else ""
    firing = "fires still, " if alert.resolved_us is None else ""
    return f"{time(alert.fired_us)}, {firing}{so_far}{again}"


def shown(figure: Figure) -> str:
    """The value with its unit."""
    if figure.value is None:
        return "not known"
    return number(figure.value) + (f" {figure.unit}" if figure.unit else "")


def change(figure: Figure) -> str:
    """Against the week before, in words."""
    if figure.change is None:
        return "" if figure.before is None else f"was {number(figure.before)}"
    assert figure.before is not None
    percent = round(100 * figure.change)
    return f"{percent:+d}% (was {number(figure.before)})" if percent else "as before"


def bars(figure: Figure) -> str:
    """The days as bars; a day of which nothing is known is a dot."""
    known = [day for day in figure.days if day is not None]
    most = max(known, default=0)
    return "".join(
        "·" if day is None else _BARS[round((len(_BARS) - 1) * day / most) if most > 0 else 0]
        for day in figure.days
    )


def letter(week: Week) -> EmailMessage:
    """The report as mail: as text, and as the page."""
    from llmwatch.watch.weekly_page import page

    mail = EmailMessage()
    mail["Subject"] = one_line(f"{week.project}: {headline(week)}", 200)
    lines = [one_line(line, 1000) for line in as_text(week)]
    mail.set_content("\n".join(lines) + "\n")
    mail.add_alternative(page(week), subtype="html")
    return mail
