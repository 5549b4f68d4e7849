"""What came of a game day: of each fault the alerts that told of it and how soon, and what was told of nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from llmwatch.gameday.watching import looking
from llmwatch.watch.periods import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmwatch.gameday.faults import Fault
    from llmwatch.gameday.plan import Plan
    from llmwatch.gameday.watching import Alert
    from llmwatch.watch.rules import Rule
    from llmwatch.watch.series import Known


@dataclass(frozen=True)
class Found:
    """One fault."""

    fault: Fault
    start_us: int
    end_us: int
    rows: int
    """That it changed. None of them: it cannot happen to such rows, and counts neither way."""
    alerts: tuple[Alert, ...] = ()
    """Those that can be of it, the first of each rule."""
    others: tuple[Alert, ...] = ()
    """Told in its time, of metrics that it does not touch."""
    why: str = ""
    """Why nothing told of it."""

    @property
    def after_s(self) -> float | None:
        """From its beginning to the first alert, in the traffic's time."""
        return (self.alerts[0].at_us - self.start_us) / 1e6 if self.alerts else None

    @property
    def missed(self) -> bool:
        return bool(self.rows) and not self.alerts

    def to_json(self) -> dict[str, Any]:
        return {
            "fault": self.fault.name,
            "said": self.fault.said,
            "start": moment(self.start_us).isoformat(),
            "end": moment(self.end_us).isoformat(),
            "rows": self.rows,
            "caught": None if not self.rows else bool(self.alerts),
            "after_s": self.after_s,
            "alerts": [_alert(one) for one in self.alerts],
            "others": [_alert(one) for one in self.others],
            "why": self.why,
        }


@dataclass
class GameDay:
    """The whole of it."""

    table: str
    seed: int
    rows: int
    traces: int
    plan: Plan
    found: list[Found] = field(default_factory=list)
    of_nothing: tuple[Alert, ...] = ()
    """Told where no fault was: false, unless something was wrong with the traffic itself."""
    drift_runs: int = 0
    seconds: float = 0.0

    @property
    def missed(self) -> list[Found]:
        return [one for one in self.found if one.missed]

    @property
    def false_p0(self) -> list[Alert]:
        return [one for one in self.of_nothing if one.severity == "P0"]

    def to_json(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "seed": self.seed,
            "rows": self.rows,
            "traces": self.traces,
            "start": moment(self.plan.start_us).isoformat(),
            "end": moment(self.plan.end_us).isoformat(),
            "faults": [one.to_json() for one in self.found],
            "caught": sum(bool(one.alerts) for one in self.found),
            "missed": [one.fault.name for one in self.missed],
            "of_nothing": [_alert(one) for one in self.of_nothing],
            "false_p0": len(self.false_p0),
            "drift_runs": self.drift_runs,
            "seconds": round(self.seconds, 1),
        }


def outcomes(
    plan: Plan,
    alerts: Sequence[Alert],
    changed: dict[str, set[str]],
    wanted: Sequence[Rule],
    known: Known,
) -> tuple[list[Found], tuple[Alert, ...]]:
    """Each alert with the fault in whose time it was told."""
    found = []
    for slot in plan.slots:
        told = [one for one in alerts if plan.told_in(one.at_us) is slot]
        mine = [one for one in told if slot.fault.seen_in(one.metric)]
        first = {one.rule: one for one in reversed(mine)}
        rows = len(changed[slot.fault.name])
        of_it = tuple(one for one in mine if first[one.rule] is one)
        others = tuple(one for one in told if one not in mine)
        why = "" if of_it else _why(slot.fault, rows, wanted, known)
        found.append(Found(slot.fault, slot.start_us, slot.end_us, rows, of_it, others, why))
    return found, tuple(one for one in alerts if plan.told_in(one.at_us) is None)


def _why(fault: Fault, rows: int, wanted: Sequence[Rule], known: Known) -> str:
    if not rows:
        return "no row has what it would change"
    looked = looking(wanted, known, lambda metric: metric.startswith(fault.shows))
    if not looked:
        return f"no rule looks for it; declare {fault.setting}"
    return f"did not fire: {', '.join(looked)}"


def _alert(alert: Alert) -> dict[str, Any]:
    told = asdict(alert)
    return {**told, "at": moment(told.pop("at_us")).isoformat()}
