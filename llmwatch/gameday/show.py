"""A game day on a terminal: a line for each fault, then what was told of nothing."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Any

from llmwatch.cli.output import plain
from llmwatch.watch.wording import time as moment

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from llmwatch.gameday.outcome import Found, GameDay

_STYLES = {"P0": "bold white on red", "P1": "bold black on yellow", "P2": "bold black on cyan"}
_MOST = 10
_WIDTH = 120


def as_text(day: GameDay) -> str:
    """The game day as text without escapes."""
    from rich.console import Console

    out = StringIO()
    console = Console(
        file=out, width=_WIDTH, color_system=None, force_terminal=False, force_jupyter=False, legacy_windows=False
    )  # fmt: skip
    write(day, console)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def write(day: GameDay, console: Console) -> None:
    """Print it; nothing in it is read as markup."""
    for part in (_head(day), _table(day), _sums(day)):
        console.print(part, soft_wrap=False, highlight=False, markup=False)


def _head(day: GameDay) -> Text:
    from rich.text import Text

    head = Text().append(f"Game day on a copy of {plain(day.table)}", "bold")
    plan = day.plan
    head.append(
        f"\n{day.traces:,} traces, {moment(plan.start_us)} to {moment(plan.end_us)}; nothing is wrong until "
        f"{moment(plan.clean_until_us)}\n",
        style="dim",
    )
    return head


def _table(day: GameDay) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("fault", overflow="fold")
    table.add_column("began", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("caught by", overflow="fold", ratio=1)
    table.add_column("after", justify="right", no_wrap=True)
    for one in day.found:
        table.add_row(
            _fault(one), moment(one.start_us).removesuffix(" UTC"), f"{one.rows:,}",
            _caught(one), "" if one.after_s is None else length(one.after_s),
        )  # fmt: skip
    return table


def _fault(one: Found) -> Text:
    from rich.text import Text

    return Text().append(one.fault.name, "bold").append(f"\n{one.fault.said}", "dim")


def _caught(one: Found) -> Text:
    from rich.text import Text

    if not one.alerts:
        if not one.rows:
            return Text(f"not tried: {one.why}", "dim")
        return Text().append("never", "bold red").append(f": {plain(one.why)}")
    said = Text()
    for number, alert in enumerate(one.alerts):
        said.append("\n" if number else "")
        said.append(alert.severity, _STYLES[alert.severity]).append(f" {plain(alert.rule)}", "bold")
        said.append(f"  {plain(alert.said)}", "dim")
    return said


def _sums(day: GameDay) -> Text:
    from rich.text import Text

    tried = [one for one in day.found if one.rows]
    caught = sum(bool(one.alerts) for one in tried)
    good = "bold green" if caught == len(tried) else "bold red"
    said = Text().append(f"{caught} of {len(tried)} faults caught", good)
    false = len(day.false_p0)
    said.append(f"; {false or 'no'} false P0", "bold red" if false else "green")
    said.append(f", {len(day.of_nothing) - false} other alerts where nothing was wrong")
    said.append(f"  ({day.seconds:.0f} s, seed {day.seed})", "dim")
    for alert in day.of_nothing[:_MOST]:
        said.append(f"\n  {moment(alert.at_us)} ", "dim")
        said.append(f"{alert.severity} {plain(alert.rule)}: {plain(alert.said)}")
    for one in day.found:
        for alert in one.others:
            said.append(f"\n  beside {one.fault.name}: {alert.severity} {plain(alert.rule)}", "dim")
    return said


def length(seconds: float) -> str:
    """A time to detection.

    >>> length(5400), length(45), length(200_000)
    ('1h 30m', '45s', '2d 7h')
    """
    whole: Any = round(seconds)
    for unit, below, size, part in (("d", "h", 86_400, 3600), ("h", "m", 3600, 60)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size}{unit}" + (f" {rest}{below}" if rest else "")
    return f"{whole // 60}m" if whole >= 60 else f"{whole}s"
