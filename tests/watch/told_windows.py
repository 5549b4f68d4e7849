"""Windows of metrics as the watch tells them, and rounds of rules over them, for the tests of alerts."""

from __future__ import annotations

from collections.abc import Iterable

from llmwatch import StreamTable, clock
from llmwatch.store import Project, open_store
from llmwatch.stream.query import Reader
from llmwatch.watch import history, sending
from llmwatch.watch.rounds import look

START = 1_800_000_000_000_000 // 86_400_000_000 * 86_400_000_000  # a midnight
MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
ERRORS = "errors/total_rate_percent"


def project() -> Project:
    return open_store().project("local", "shop")


def tell(
    minutes: Iterable[int],
    values: dict[str, float],
    *,
    n: int = 100,
    set_: str = "checkout",
    group: str = "{}",
    closed: bool = True,
    window_s: int = 60,
) -> None:
    table = StreamTable("shop/metrics")
    for minute in minutes:
        row = {"set": set_, "table": "traces", "window_start": START + minute * MINUTE}
        table.log({**row, "window_s": window_s, "group": group, "n": n, "closed": closed, **values})


class Watcher:
    """Rounds over the shop's rules at times that the test says."""

    def __init__(self, rules, channels=()) -> None:
        self.rules, self.channels = rules, list(channels)
        self._reader = Reader(project())

    def at(self, minute: float):
        """A round when so many minutes have passed, and everything sent that is due."""
        now = START + round(minute * MINUTE)
        with clock.use(now=lambda: now):
            found = look(self._reader, self.rules, self.channels, now)
            sending.send(project(), self.channels)
        return found

    def each(self, minutes: Iterable[int], **values):
        """Windows one after the other, a round after each: a value, or a list of them (None: not known)."""
        found = []
        for place, minute in enumerate(minutes):
            told = {name: v[place] if isinstance(v, list) else v for name, v in values.items()}
            tell(
                [minute],
                {ERRORS if k == "errors" else k: v for k, v in told.items() if v is not None},
            )
            found += self.at(minute + 1).changed
        return [one.change.state for one in found]


def alerts():
    reader = Reader(project())
    try:
        return history.alerts(reader)
    finally:
        reader.close()


def history_rows(*states):
    reader = Reader(project())
    try:
        return history.rows(reader, states or tuple(history._ABOUT))
    finally:
        reader.close()
