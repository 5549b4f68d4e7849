"""Two versions side by side, on a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import TYPE_CHECKING, Any

from llmwatch.slices.show import words
from llmwatch.slices.show.page import grid, safe, whole
from llmwatch.slices.show.terminal import heading, table, text

if TYPE_CHECKING:
    from rich.console import Console

    from llmwatch.canary.verdicts import Comparison, Judged, Side

_WIDTH = 120
_COLOURS = {"promote": "bold green", "roll back": "bold red", "keep going": "bold yellow"}
_STANDINGS = {"worse": "red", "no worse": "green", "better": "green"}
_KINDS = {"promote": "quiet", "roll back": "drift", "keep going": "unsure"}


def headline(found: Comparison) -> str:
    """`Roll back v2`."""
    said = {
        "promote": f"Promote {found.new}",
        "roll back": f"Roll back {found.new}",
        "keep going": "Keep going",
    }
    return words.visible(said[found.verdict])


def as_text(found: Comparison) -> str:
    """The comparison as text without escapes."""
    from rich.console import Console

    out = StringIO()
    write(
        found,
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


def write(found: Comparison, console: Console) -> None:
    """Print the comparison; nothing in it is read as markup."""
    for part in _parts(found):
        console.print(part, soft_wrap=False, highlight=False, markup=False)


def _parts(found: Comparison) -> Iterator[Any]:
    head = heading(headline(found), _COLOURS[found.verdict])
    head.append(f"\n{found.project}/{found.table}, {words.visible(found.since)}\n", style="dim")
    head.append(
        f"{words.visible(found.old)}: {_counted(found, 0)}; {words.visible(found.new)}: {_counted(found, 1)}\n",
        style="dim",
    )
    yield head
    made = table(
        "pillar", words.name(found.old), words.name(found.new), "harm", "allowed", "stands"
    )
    for one in found.pillars:
        made.add_row(
            text(words.name(one.name)),
            text(shown(one, one.old)),
            text(shown(one, one.new)),
            text(possible(one)),
            text(measure(one, one.margin)),
            text(standing(one), _STANDINGS.get(one.standing, "")),
        )
    yield made
    yield text("")
    for reason in found.reasons:
        yield text(f"· {words.visible(reason, 400)}")
    for note in found.notes:
        yield text(f"! {words.visible(note, 400)}", "yellow")


def _counted(found: Comparison, side: int) -> str:
    rows = f"{found.rows[side]:,} rows"
    return rows if found.by == "rows" else f"{rows} of {found.users[side]:,} {found.by}"


def shown(one: Judged, side: Side) -> str:
    """What a version did: a share, or the mean and the slowest twentieth."""
    if side.mean is None:
        return ""
    rate = one.scale == "rate" or (one.unit == "" and side.median in {0.0, 1.0})
    said = words.amount(side.mean, one.unit, rate=rate)
    return (
        said
        if rate or one.unit == "liked" or side.p95 is None
        else f"{said}, p95 {words.number(side.p95)}"
    )


def possible(one: Judged) -> str:
    """`-3% to 8%`: the harm at this and all other looks."""
    if one.harm is None:
        return ""
    return f"{measure(one, one.low) or '?'} to {measure(one, one.high) or '?'}"


def measure(one: Judged, value: float | None) -> str:
    if value is None:
        return ""
    if one.scale in {"log", "ratio"}:
        return f"{value:+.1%}"
    return f"{100 * value:+.2g} points" if one.scale == "rate" else f"{value:+.3g}"


def standing(one: Judged) -> str:
    return one.standing if one.required else f"{one.standing}, only watched"


def fragment(found: Comparison) -> str:
    """For a notebook cell."""
    pillars = grid(
        ("pillar", words.visible(found.old), words.visible(found.new), "harm", "allowed", "stands"),
        (
            (
                safe(one.name),
                safe(shown(one, one.old)),
                safe(shown(one, one.new)),
                safe(possible(one)),
                safe(measure(one, one.margin)),
                safe(standing(one)),
            )
            for one in found.pillars
        ),
    )
    reasons = "".join(f"<li>{safe(reason)}</li>" for reason in found.reasons)
    head = f"<p>{safe(found.since)}</p><ul>{reasons}</ul>"
    where = f"{found.project}/{found.table}"
    return whole(_KINDS[found.verdict], headline(found), where, head, (pillars,), found.notes)
