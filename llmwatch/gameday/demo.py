"""The traffic of a game day when none is given: the demo's help desk, busier, with nothing wrong in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING

from llmwatch import settings
from llmwatch.demo import history, place, rehearsal, traffic
from llmwatch.demo.place import Place
from llmwatch.demo.traffic import DAY_US
from llmwatch.store import EVENTS
from llmwatch.stream import spool
from llmwatch.stream.compact import compact

if TYPE_CHECKING:
    from pathlib import Path

    from llmwatch.demo.rehearsal import Takes
    from llmwatch.watch.backtest import Progress

TABLE = f"{rehearsal.PROJECT}/{rehearsal.TABLE}"
DAYS = 11
A_DAY = 700.0


@contextmanager
def recorded(
    directory: Path, end_us: int, seed: int, progress: Progress, takes: Takes | None = None
) -> Iterator[Place]:
    """A store with the traffic; the settings inside the block are the help desk's."""
    with place.made_anew(directory) as here, place.secluded(here):
        told = files("llmwatch.gameday") / "llmwatch.toml"
        (here.root / "llmwatch.toml").write_text(told.read_text(encoding="utf-8"), "utf-8")
        end = end_us // DAY_US * DAY_US
        asked = list(traffic.requests(end - DAYS * DAY_US, end, seed=seed, a_day=A_DAY))
        if takes is None:
            with progress("asking the help desk", 0):
                takes = rehearsal.rehearse(asked, here.store)
        with progress("playing days", len(asked)) as passed:
            history.play(asked, takes, here.project, settings.current(), end, passed, seed)
            spool.close_all()
            for table in (rehearsal.TABLE, EVENTS):
                compact(here.project, table, seal=True)
        yield here
