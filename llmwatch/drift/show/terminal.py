"""A report on a terminal, in colour where there is one; the same as plain text for a pipe or a log."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import TYPE_CHECKING, Any

from llmwatch.drift.report import Histogram, Line, Report
from llmwatch.drift.show import words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_COLOURS = {"drift": "bold red", "no drift": "green", "insufficient data": "yellow"}
_BARS = " ▁▂▃▄▅▆▇█"
_WIDTH = 110
_MOST_SLICES = 12


def as_text(report: Report) -> str:
    """The report as text without escapes."""
    from rich.console import Console

    out = StringIO()
    write(
        report,
        Console(
            file=out,
            width=_WIDTH,
            color_system=None,
            force_terminal=False,
            force_jupyter=False,  # else it would show it there and write nothing here
            legacy_windows=False,
        ),
    )
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def write(report: Report, console: Console) -> None:
    """Print the report; nothing in it is read as markup."""
    for part in _parts(report):
        console.print(part, soft_wrap=False, highlight=False, markup=False)


def _parts(report: Report) -> Iterator[Any]:
    yield _head(report)
    yield _signals(report)
    if report.explanation is not None and report.explanation.new_rows:
        yield from _new_prompts(report)
    if report.slices:
        yield _slices(report)
    for note in report.notes:
        yield _text(f"· {words.visible(note, 400)}", "dim")


def _head(report: Report) -> Text:
    from rich.text import Text

    said = Text()
    said.append(words.headline(report), style=_COLOURS[report.verdict])
    said.append(f"   {report.project}/{report.table}\n", style="bold")
    said.append(
        f"{report.window}, {words.rows_read(report)}: {words.visible(report.reference)}\n",
        style="dim",
    )
    return said


def _signals(report: Report) -> Any:
    table = _table("signal", "verdict", "before → now", "before", "now", "what changed", "p")
    for line in words.in_order(report):
        bars = ("", "") if line.histogram is None else _both(line.histogram)
        table.add_row(
            _text(words.visible(line.name)),
            _text(line.verdict, _COLOURS[line.verdict]),
            _text(words.before_and_now(line)),
            _text(bars[0], "dim"),
            _text(bars[1], _COLOURS[line.verdict]),
            _text(words.said(line)),
            _text(words.chance(line.judged.p_adjusted)),
        )
    return table


def _both(histogram: Histogram) -> tuple[str, str]:
    """Both sides as rows of bars of the same scale."""
    most = max(*histogram.reference, *histogram.window)
    return _bars(histogram.reference, most), _bars(histogram.window, most)


def _bars(shares: tuple[float, ...], most: float) -> str:
    pairs = [max(shares[n : n + 2]) for n in range(0, len(shares), 2)]
    return "".join(_BARS[max(1, round(share / most * 8)) if share else 0] for share in pairs)


def _new_prompts(report: Report) -> Iterator[Any]:
    explained = report.explanation
    assert explained is not None
    if not explained.groups:
        yield _text(f"\n{words.NOTHING_NEW}", "bold")
        return
    yield _text(
        f"\nNew prompts: {explained.new_rows:,} of {explained.looked_at:,} are among others of their kind that the "
        "reference has hardly any of",
        "bold",
    )
    for group in explained.groups:
        about = ", ".join(words.visible(term, 40) for term in group.terms) or "no word in common"
        yield _text(f"  {group.rows:,} rows ({group.share:.1%}): {about}", "cyan")
        for one in group.exemplars:
            yield _text(f"      {words.visible(one.text, 100)}")


def _slices(report: Report) -> Any:
    table = _table(
        words.visible(report.slice_column or ""),
        "verdict",
        "of all rows",
        "signal",
        "what changed",
        "p",
    )
    for one in report.slices[:_MOST_SLICES]:
        for n, line in enumerate(_telling(one.lines)):
            first = n == 0
            table.add_row(
                _text(words.visible(one.level, 40) if first else ""),
                _text(one.verdict if first else "", _COLOURS[one.verdict]),
                _text(f"{one.shares[0]:.1%} → {one.shares[1]:.1%}" if first else ""),
                _text(words.visible(line.name)),
                _text(words.said(line)),
                _text(words.chance(line.judged.p_adjusted)),
            )
    return table


def _telling(lines: tuple[Line, ...]) -> list[Line]:
    """Those that drifted; of a slice where none did, the first."""
    return [line for line in lines if line.verdict == "drift"] or list(lines[:1])


def _table(*names: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(_text(name), overflow="fold", no_wrap=name in {"before", "now", "p"})
    return table


def _text(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(text, style=style)
