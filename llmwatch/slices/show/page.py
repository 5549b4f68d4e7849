"""Slices and changes as a part of a notebook. No script, everything escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from llmwatch.drift.show.style import STYLE
from llmwatch.slices.show import words

if TYPE_CHECKING:
    from llmwatch.slices.changes import Changes
    from llmwatch.slices.found import Slices

_KINDS = {"worse": "drift", "better": "quiet"}


def changes_fragment(changes: Changes) -> str:
    kind = "drift" if any(one.verdict == "worse" for one in changes.outcomes) else "quiet"
    sides = "".join(
        f"<div><dt>{word}</dt><dd>{safe(said)}<br>{count:,} rows</dd></div>"
        for word, said, count in zip(
            ("Before", "After"), changes.selections, changes.rows, strict=True
        )
    )
    outcomes = grid(
        ("outcome", "verdict", "before → after", "p"),
        (
            (safe(one.name), badge(one.verdict), safe(words.went(one)), safe(words.chance(one.p)))
            for one in changes.outcomes
        ),
    )
    causes = grid(
        ("column", "moved", "what changed", "accounts for"),
        (
            (
                safe(one.name),
                f"{one.effect:.0%}" if one.changed else "",
                safe(words.says(one)),
                safe(words.explains(one)),
            )
            for one in changes.found
        ),
    )
    return whole(
        kind,
        words.headline(changes),
        f"{changes.project}/{changes.table}",
        f"<dl>{sides}</dl>",
        (outcomes, causes),
        changes.notes,
    )


def slices_fragment(slices: Slices) -> str:
    found = grid(
        ("worse", "slice", "rows", "inside", "elsewhere", "impact", "p"),
        (
            (
                safe(one.metric),
                f"<b>{safe(one.name)}</b>",
                f"{one.rows:,} ({words.share(one.share)})",
                *(safe(said) for said in words.inside_and_elsewhere(one)),
                safe(words.impact(one)),
                safe(words.chance(one.p)),
            )
            for one in slices.slices
        ),
    )
    rows = grid(
        ("slice", "row", "value", "prompt"),
        (
            (
                safe(one.name),
                safe(row.row_id),
                safe(words.amount(row.value, one.unit)),
                safe(row.text or ""),
            )
            for one in slices.slices
            for row in one.exemplars
        ),
    )
    head = f"<p>{safe(words.looked_at(slices))}</p>"
    kind = "drift" if slices.slices else "quiet"
    where = f"{slices.project}/{slices.table}"
    return whole(kind, words.slices_headline(slices), where, head, (found, rows), slices.notes)


def whole(
    kind: str, headline: str, where: str, head: str, parts: Iterable[str], notes: Iterable[str]
) -> str:
    """One part of a notebook, in the style that drift reports have."""
    listed = "".join(f"<li>{safe(note)}</li>" for note in notes)
    return (
        f'{STYLE}<main class="llmwatch-drift"><header class="{kind}"><h1>{safe(headline, 200)}</h1>'
        f"<p class=where>{safe(where)}</p>{head}</header>"
        f"{''.join(f'<p></p>{part}' for part in parts if part)}<footer><ul>{listed}</ul></footer></main>"
    )


def grid(names: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; cells are HTML."""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    if not body:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    return f"<div class=scroll><table><tr>{head}</tr>{body}</table></div>"


def badge(verdict: str) -> str:
    kind = _KINDS.get(verdict, "unsure" if verdict == "not enough data" else "quiet")
    return f'<span class="{kind}"><span class=badge>{safe(verdict)}</span></span>'


def safe(text: str, longest: int = 400) -> str:
    return f"<bdi>{escape(words.visible(text, longest))}</bdi>"
