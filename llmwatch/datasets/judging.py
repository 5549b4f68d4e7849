"""Scorers and verdicts of a rerun: asked about both answers, and written beside the new call."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmwatch.datasets.verdicts import is_right, of_failure, verdict
from llmwatch.scorers import protocol
from llmwatch.scoring import child, results
from llmwatch.scoring.past import spec_of
from llmwatch.scoring.results import Outcome
from llmwatch.stream import events

if TYPE_CHECKING:
    from llmwatch.datasets.report import RerunRow
    from llmwatch.scoring.spec import Spec
    from llmwatch.store import Project

LABEL = "rerun"


class Judges:
    """The scorers of a run. Those that say true or false decide; all of them have to."""

    def __init__(self, project: Project, scorers: Sequence[Any]) -> None:
        self._project = project
        self._scorers = [_loaded(one) for one in scorers]

    def judge(self, row: RerunRow, table: str) -> None:
        """Score a row's two answers, give the verdict, and write both down."""
        for spec, scorer in self._scorers:
            after = None if row.error else _score(scorer, row, row.after)
            before = None if row.before is None else _score(scorer, row, row.before)
            row.scores[spec.name] = {"before": _shown(before), "after": _shown(after)}
            if after is not None and row.id is not None:
                results.write(self._project, table, row.id, spec, after)
        scores = row.scores.values()
        was = is_right(row.before, row.expected, (one["before"] for one in scores))
        now = is_right(row.after, row.expected, (one["after"] for one in scores))
        row.verdict = (
            of_failure(row.before, was)
            if row.error
            else verdict(row.before, row.after, was, now, raised=row.before_error is not None)
        )
        if row.id is not None:
            events.add(
                self._project, kind="label", name=LABEL, value=row.verdict,
                row_id=row.id, table=table, creator="llmwatch",
            )  # fmt: skip


def _loaded(scorer: Any) -> tuple[Spec, Any]:
    spec, local = spec_of(scorer, {})
    try:
        return spec, child.loaded(spec) if local is None else local
    except Exception as error:  # a module of theirs may raise anything
        from llmwatch.errors import SettingsError

        raise SettingsError(
            f"scorer {spec.use} cannot be had: {type(error).__name__}: {error}"
        ) from error


def _score(scorer: Any, row: RerunRow, answer: Any) -> Outcome:
    told = {"id": row.id or row.row, "inputs": row.inputs, "output": answer,
            "expected": row.expected, "target": row.expected}  # fmt: skip
    try:
        found = protocol.score_one(scorer, told)
        return Outcome(asyncio.run(_awaited(found)) if inspect.isawaitable(found) else found)
    except Exception as error:  # noqa: BLE001 - a person's scorer: its failure is told, the run goes on
        return Outcome(error=f"{type(error).__name__}: {error}")


async def _awaited(found: Any) -> Any:
    return await found


def _shown(outcome: Outcome | None) -> Any:
    if outcome is None:
        return None
    return outcome.value if outcome.error is None else {"error": outcome.error}
