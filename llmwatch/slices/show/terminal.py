"""Slices and changes on a terminal, in colour where there is one; the same as plain text for a pipe or a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import StringIO
from typing import TYPE_CHECKING, Any

from llmwatch.slices.show import words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from llmwatch.slices.changes import Changes
    from llmwatch.slices.found import Slices

_WIDTH = 120
_MOST = 12
_COLOURS = {"worse": "bold red", "better": "green"}


def changes_text(changes: Changes) -> str:
    """The changes as text without escapes."""
    return _as_text(lambda console: write_changes(changes, console))


def write_changes(changes: Changes, console: Console) -> None:
    """Print the changes; nothing in them is read as markup."""
    _print(_changes(changes), console)


def write(found: Slices | Changes, console: Console) -> None:
    """Print either of them."""
    from llmwatch.slices.found import Slices

    if isinstance(found, Slices):
        write_slices(found, console)
    else:
        write_changes(found, console)


def _print(parts: Iterator[Any], console: Console) -> None:
    for part in parts:
        console.print(part, soft_wrap=False, highlight=False, markup=False)


def _as_text(write: Callable[[Any], None]) -> str:
    from rich.console import Console

    out = StringIO()
    write(
        Console(
            file=out,
            width=_WIDTH,
            color_system=None,
            force_terminal=False,
            force_jupyter=False,  # else it would show it there and write nothing here
            legacy_windows=False,
        )
    )
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _changes(changes: Changes) -> Iterator[Any]:
    head = heading(words.headline(changes), "bold")
    head.append(f"\n{changes.project}/{changes.table}\n", style="dim")
    for word, said, count in zip(
        ("before", "after"), changes.selections, changes.rows, strict=True
    ):
        head.append(f"{word}: {words.visible(said)}, {count:,} rows\n", style="dim")
    yield head
    if changes.outcomes:
        yield _outcomes(changes)
        yield text("")
    if changes.found:
        yield _causes(changes)
    unchanged = len(changes.causes) - len(changes.found)
    if unchanged:
        yield text(f"· {unchanged} other columns did not change.", "dim")
    for note in changes.notes:
        yield text(f"· {words.visible(note, 400)}", "dim")


def _outcomes(changes: Changes) -> Any:
    made = table("outcome", "verdict", "before → after", "p")
    for one in changes.outcomes:
        made.add_row(
            text(words.name(one.name)),
            text(one.verdict, _COLOURS.get(one.verdict, "")),
            text(words.went(one)),
            text(words.chance(one.p) if one.verdict != "not enough data" else ""),
        )
    return made


def _causes(changes: Changes) -> Any:
    made = table("column", "moved", "what changed", "accounts for", "p")
    for one in changes.found[:_MOST]:
        made.add_row(
            text(words.name(one.name)),
            text(f"{one.effect:.0%}" if one.changed else ""),
            text(words.says(one)),
            text(words.explains(one)),
            text(words.chance(one.p if one.behaviour is None else min(one.p, one.behaviour.p))),
        )
    return made


def slices_text(slices: Slices) -> str:
    """The slices as text without escapes."""
    return _as_text(lambda console: write_slices(slices, console))


def write_slices(slices: Slices, console: Console) -> None:
    """Print the slices; nothing in them is read as markup."""
    _print(_slices(slices), console)


def _slices(slices: Slices) -> Iterator[Any]:
    head = heading(words.slices_headline(slices), "bold")
    head.append(f"\n{slices.project}/{slices.table}, {words.looked_at(slices)}\n", style="dim")
    yield head
    if slices.slices:
        made = table("worse", "slice", "rows", "inside", "elsewhere", "impact", "p")
        for one in slices.slices:
            inside, elsewhere = words.inside_and_elsewhere(one)
            made.add_row(
                text(words.name(one.metric), "red"),
                text(words.visible(one.name), "bold"),
                text(f"{one.rows:,} ({words.share(one.share)})"),
                text(inside),
                text(elsewhere),
                text(words.impact(one)),
                text(words.chance(one.p)),
            )
        yield made
        yield from _rows_of(slices)
    for note in slices.notes:
        yield text(f"· {words.visible(note, 400)}", "dim")


def _rows_of(slices: Slices) -> Iterator[Any]:
    yield text("\nRows to look at", "bold")
    for one in slices.slices:
        yield text(f"  {words.visible(one.name)}: {words.name(one.metric)}", "cyan")
        if one.also:
            yield text(
                f"      nearly the same rows: {'; '.join(map(words.visible, one.also))}", "dim"
            )
        for row in one.exemplars:
            said = words.amount(row.value, one.unit)
            yield text(
                f"      {words.visible(row.row_id)}  {said}  {words.visible(row.text or '', 70)}"
            )


def table(*names: str) -> Any:
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in names:
        made.add_column(text(name), overflow="fold", no_wrap=name in {"p", "moved"})
    return made


def text(said: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(said, style=style)


def heading(said: str, style: str) -> Text:
    """The first of several lines, each of a style of its own."""
    from rich.text import Text

    return Text().append(said, style=style)
