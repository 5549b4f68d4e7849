"""`llmwatch.drift.run`: compares a window of a table with a baseline, and records what it found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmwatch import clock
from llmwatch import settings as settings_
from llmwatch.drift import assembly, baselines, embedders, past, sides, slicing, summaries, windows
from llmwatch.drift import compare as comparing
from llmwatch.drift.embedders import CARRIED
from llmwatch.drift.embedding import embedded
from llmwatch.drift.explain import Explanation, explain
from llmwatch.drift.frames import Frame
from llmwatch.drift.gates import Gates
from llmwatch.drift.lines import line
from llmwatch.drift.reading import Plan, Rows, table_of
from llmwatch.drift.report import Line, Report
from llmwatch.drift.sides import Reading, Side
from llmwatch.drift.sources import DEFAULT, Source
from llmwatch.errors import SettingsError
from llmwatch.names import parse_table
from llmwatch.store import open_store
from llmwatch.stream.query import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmwatch.drift.embedders import Embedder
    from llmwatch.settings import Settings
    from llmwatch.store import Project

RESULTS = "drift"
"""The StreamTable that runs are recorded in."""
BLOCKS = ("sessions", "users", "time", "rows")


@dataclass(frozen=True)
class Options:
    """How a run goes; see `run`."""

    baseline: str | None = None
    window: str | float | timedelta = "1d"
    until: datetime | str | float | None = None
    signals: Sequence[str] = DEFAULT
    slice: str | None = None
    embedder: str | Embedder | None = None
    where: str | None = None
    every_call: bool = False
    text: str | None = None
    by: str | None = None
    alpha: float = comparing.ALPHA
    gates: Gates = field(default_factory=Gates)
    most_prompts: int = sides.MOST_PROMPTS
    seed: int = 0


def run(
    table: str = "traces",
    *,
    project: str | None = None,
    store: str | Path | None = None,
    record: bool = True,
    **options: Any,
) -> Report:
    """Compare the last rows of a table with a baseline.

    `baseline`: `weeks` (the same hours of four earlier weeks, the default), `previous` (the four windows before), or
    a saved one, `name` or `name@2`. `window` is how much time is looked at (`"1h"`, `"1d"`), `until` where it ends
    (now). `signals`: `prompt_length`, `embedding`, `output_length`, `latency`, `confidence`, `retrieval_score`,
    `language`, `topic`, `score:NAME`, `label:NAME`, any column, or `all`. `slice` is a column whose levels are
    compared by themselves. `where` is SQL that rows must fit. Every option is one of `Options`.

    `report = llmwatch.drift.run("support-bot/traces", window="1h"); print(report)`
    """
    name = parse_table(table, project=project)
    chosen = _checked(options)
    opened = open_store(store).project(name.entity, name.project)
    with reading_from(opened) as reader:
        report = Run(reader, settings_.current(), name.table, chosen).report()
    if record:
        recorded(report, store)
    return report


def _checked(options: dict[str, Any]) -> Options:
    try:
        chosen = Options(**{name: value for name, value in options.items() if value is not None})
    except TypeError as error:
        known = ", ".join(Options.__dataclass_fields__)
        raise SettingsError(f"{error}; the options of a drift run are {known}") from None
    if chosen.by not in {None, *BLOCKS}:
        raise SettingsError(f"rows are put together by {', '.join(BLOCKS)}, not by {chosen.by!r}")
    if not 0 < chosen.alpha < 1:
        raise SettingsError(f"alpha is a chance between 0 and 1, such as .01, not {chosen.alpha}")
    return chosen


@contextmanager
def reading_from(project: Project) -> Iterator[Reader]:
    reader = Reader(project)
    try:
        yield reader
    finally:
        reader.close()


def recorded(report: Report, store: str | Path | None = None) -> None:
    """Append the run to the `drift` table of its project: numbers only, nothing that anybody wrote."""
    from llmwatch.stream.table import StreamTable

    said = report.as_dict(prompts=False)
    said |= {
        "kind": "job",
        "window": report.window,
        "drift_detected": report.drift,
        **report.metrics(),
    }
    said |= {"window_start_us": report.window_us[0], "window_end_us": report.window_us[1]}
    table = StreamTable(f"{report.project}/{RESULTS}", store=store)
    table.log({key: value for key, value in said.items() if key not in {"explanation", "project"}})


class Run:
    """One run over a table that a reader reads."""

    def __init__(self, reader: Reader, settings: Settings, table: str, options: Options) -> None:
        self._reader, self._settings, self._options = reader, settings, options
        self._table = table_of(reader, table)
        asked = tuple(options.signals)
        self._all = asked == ("all",)
        self._signals = tuple(dict.fromkeys(self._table.every() if self._all else asked))
        if not self._signals:
            raise SettingsError("name at least one signal")
        self._embedder: Embedder | None = None
        self._carried = _carried(options.embedder)
        self._prompts = assembly.needs_prompts(self._signals, self._table.logged)
        if self._carried is None and self._prompts:
            self._embedder = embedders.chosen(options.embedder)

    def report(self) -> Report:
        began = time.perf_counter()
        window, reference = self.sides()
        signals: Sequence[str] = self._signals
        if self._all and reference.given is not None:
            signals = list(reference.given)
        elif self._all:
            signals = assembly.present(signals, reference, window)
        lines = self._lines(signals, reference, window)
        slices = self._slices(signals, reference, window)
        found = Report(
            self._reader.project.id,
            self._table.name,
            window.label,
            (window.windows[0].start_us, window.windows[0].end_us),
            reference.label,
            (reference.rows, window.rows),
            tuple(lines),
            self._options.slice,
            slices,
            embedder=self.identity if self._prompts else None,
            shares=(reference.share, window.share),
            alpha=self._options.alpha,
            run_id=clock.new_id(),
            made_at_us=clock.now_us(),
            notes=tuple(_notes(lines, window, reference)),
        )
        if found.drift:
            found = replace(found, explanation=self._explained(reference, window))
        return replace(found, seconds=time.perf_counter() - began)

    def sides(self) -> tuple[Side, Side]:
        """The window and what it is compared with."""
        current = self._window()
        reading = Reading(self.rows(), self._prompts, self.embed, self._options.most_prompts)
        window = reading.window(current)
        reference = sides.reference(reading, self._options.baseline, current, self._saved)
        sides.check_sizes(reference, window)
        return window, reference

    def _window(self) -> windows.Window:
        length = windows.duration_us(self._options.window)
        end = windows.until_us(self._options.until, clock.now_us())
        return windows.Window(end - length, end)

    def rows(self) -> Rows:
        """What the run reads of the table."""
        options = self._options
        read: list[Source] = [
            source for name in self._signals for source in self._table.sources(name)
        ]
        plan = Plan(
            self._table,
            read,
            options.where,
            options.every_call,
            options.slice,
            options.text,
            self._carried,
        )
        return Rows(self._reader, plan)

    @property
    def identity(self) -> str:
        """Of the embedder: what a baseline remembers."""
        return f"{CARRIED}{self._carried}" if self._embedder is None else self._embedder.identity

    def embed(self, frame: Frame) -> Frame:
        """The frame with a vector for each prompt."""
        if self._embedder is None:
            return frame
        return embedded(frame, self._embedder, self._reader, self._settings)

    def kept(self) -> tuple[Frame, windows.Window]:
        """Rows of the window with all that a baseline keeps."""
        window = self._window()
        rows = self.rows()
        count = rows.count(window)
        share = min(1.0, self._options.most_prompts / count.rows) if count.rows else 1.0
        frame = self.embed(rows.sample(window, count, share, keep=True))
        known = {key: column for key, column in frame.columns.items() if column.known}
        return replace(frame, columns=known), window

    def _saved(self, name: str) -> Side:
        baseline = baselines.find(self._reader, name)
        if self._prompts:
            baselines.check_embedder(baseline, self.identity)
        return sides.saved(
            baseline, baselines.load(self._reader, baseline), self.embed, prompts=self._prompts
        )

    def _confirmed(self, found: Line, reference: Side) -> Line:
        """A drift that earlier weeks show as well is none; only what would be reported is worth the time."""
        if found.verdict != "drift" or len(reference.parts) < past.FEWEST:
            return found
        seen = past.among(found.name, found.finding, reference, self._find, self._options.gates)
        return replace(found, judged=past.confirmed(found.judged, seen), among=seen)

    def _lines(self, signals: Sequence[str], reference: Side, window: Side) -> list[Line]:
        options = self._options
        if reference.given is not None:
            return summaries.lines(list(signals), reference, window, options.gates, options.by)
        made = assembly.assemble(signals, reference, window, by=options.by, seed=options.seed)
        judged = comparing.compare(
            [one.signal for one in made],
            alpha=options.alpha,
            gates=options.gates,
            seed=options.seed,
        )
        return [
            self._confirmed(line(one, said), reference)
            for one, said in zip(made, judged, strict=True)
        ]

    def _find(self, name: str, reference: Side, window: Side) -> Any:
        (made,) = assembly.assemble(
            [name], reference, window, by=self._options.by, seed=self._options.seed
        )
        return comparing.find(made.signal, seed=self._options.seed)

    def _slices(self, signals: Sequence[str], reference: Side, window: Side) -> Any:
        if self._options.slice is None:
            return ()
        return slicing.compared(signals, reference, window, self._options)

    def _explained(self, reference: Side, window: Side) -> Explanation | None:
        if reference.sample is None or window.sample is None or reference.sample.texts is None:
            return None
        return explain(reference.sample, window.sample, seed=self._options.seed)


def _carried(embedder: str | Embedder | None) -> str | None:
    if isinstance(embedder, str) and embedder.startswith(CARRIED):
        return embedder.removeprefix(CARRIED)
    return None


def _notes(lines: Sequence[Line], window: Side, reference: Side) -> Iterator[str]:
    """What a person should know beside the verdict."""
    if not window.rows:
        yield "The window has no rows."
    if reference.given is not None:
        yield (
            "Of statistics no p-value can be had: drift is said where the mean moved by a fifth of the given standard "
            "deviation at least, the chance in the window's own rows (99%) taken off."
        )
    elif not reference.rows:
        yield (
            f"There is nothing in {reference.label}. Compare with --baseline previous, or save a baseline: "
            "llmwatch baseline save NAME --table TABLE"
        )
    for side, name in ((reference, "reference"), (window, "window")):
        if side.share < 1:
            yield f"Prompts were read of {side.share:.0%} of the {name}'s rows, whole sessions drawn by chance."
    for one in lines:
        if one.among is not None and one.among.as_large and one.verdict != "drift":
            yield (
                f"{one.name} differs, but so did {one.among.as_large} of {one.among.windows} earlier windows from "
                "the others: that is how it varies."
            )
