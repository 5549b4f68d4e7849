"""A rerun on a terminal: the rows that are not as they were, before and after side by side, then the sums."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from typing import TYPE_CHECKING, Any

from llmwatch.cli.output import plain
from llmwatch.datasets.verdicts import VERDICTS

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from llmwatch.datasets.report import Rerun, RerunRow

_STYLES = {"broke": "bold red", "fixed": "bold green", "changed": "yellow", "same": "dim"}
_LONGEST = 300
_MOST = 50
_WIDTH = 120


def as_text(run: Rerun, *, every_row: bool = False) -> str:
    """The run as text without escapes."""
    from rich.console import Console

    out = StringIO()
    console = Console(
        file=out, width=_WIDTH, color_system=None, force_terminal=False, force_jupyter=False, legacy_windows=False
    )  # fmt: skip
    write(run, console, every_row=every_row)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def write(run: Rerun, console: Console, *, every_row: bool = False) -> None:
    """Print the run; nothing in it is read as markup."""
    from rich.text import Text

    head = Text().append(f"{plain(run.dataset)} against {plain(run.against)}", "bold")
    head.append(f"\n{run.project}, version {plain(run.version)}, run {run.run}\n", style="dim")
    _print(console, head)
    told = [row for row in run.rows if every_row or row.verdict != "same" or row.error]
    told.sort(key=lambda row: VERDICTS.index(row.verdict))
    if told:
        _print(console, _table(told[:_MOST]))
    if len(told) > _MOST:
        _print(console, Text(f"and {len(told) - _MOST:,} more rows (--json has all)", style="dim"))
    _print(console, _sums(run))


def _print(console: Console, part: Any) -> None:
    console.print(part, soft_wrap=False, highlight=False, markup=False)


def _table(rows: list[RerunRow]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", show_lines=False)
    expected = any(row.expected is not None for row in rows)
    scored = any(row.scores for row in rows)
    for name in ("", "inputs", "recorded", *(["expected"] if expected else []), "now"):
        table.add_column(name, overflow="fold", ratio=None if not name else 1, no_wrap=not name)
    if scored:
        table.add_column("scores", overflow="fold")
    table.add_column("ms", justify="right", no_wrap=True)
    for row in rows:
        cells = [
            _text(row.verdict, _STYLES[row.verdict]),
            _text(_inputs(row)),
            _text(row.before_error, "red") if row.before_error else _text(row.before),
        ]
        cells += [_text(row.expected)] if expected else []
        cells += [_text(row.error, "red") if row.error else _text(row.after)]
        cells += [_text(_scores(row))] if scored else []
        table.add_row(*cells, _text(_beside(row.before_ms, row.after_ms)))
    return table


def _text(value: Any, style: str = "") -> Text:
    from rich.text import Text

    shown = plain(value)
    return Text(shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…", style=style)


def _inputs(row: RerunRow) -> str:
    """One input by itself, several by their names."""
    if len(row.inputs) == 1:
        return plain(next(iter(row.inputs.values())))
    return ", ".join(f"{plain(name)}: {plain(value)}" for name, value in row.inputs.items())


def _scores(row: RerunRow) -> str:
    return "; ".join(
        f"{name} {_score(both['before'])} → {_score(both['after'])}"
        for name, both in row.scores.items()
    )


def _score(value: Any) -> str:
    if isinstance(value, Mapping):
        first = next(((k, v) for k, v in value.items() if isinstance(v, (bool, int, float))), None)
        return plain(value) if first is None else f"{plain(first[0])} {_score(first[1])}"
    if isinstance(value, float):
        return f"{value:.3g}"
    return "?" if value is None else plain(str(value).lower() if isinstance(value, bool) else value)


def _beside(before: float | None, after: float | None) -> str:
    return f"{_ms(before)} → {_ms(after)}"


def _ms(value: float | None) -> str:
    return "?" if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _sums(run: Rerun) -> Text:
    from rich.text import Text

    said = Text(f"{len(run.rows):,} rows in {run.seconds:.1f} s: ")
    for number, (verdict, count) in enumerate(run.counts.items()):
        said.append(", " if number else "")
        said.append(f"{count:,} {verdict}", style=_STYLES[verdict] if count else "dim")
    if run.raised:
        said.append(f"; {run.raised:,} raised", style="red")
    for unit, name in (("ms", "time"), ("usd", "cost")):
        (before, of), (after, _) = run.total(f"before_{unit}"), run.total(f"after_{unit}")
        if before is not None and after is not None:
            said.append(
                f"\n{name} of {of:,} rows: {_sum(before, unit)} → {_sum(after, unit)}", "dim"
            )
    return said


def _sum(value: float, unit: str) -> str:
    return f"{value:,.0f} ms" if unit == "ms" else f"{value:.3g} USD"
