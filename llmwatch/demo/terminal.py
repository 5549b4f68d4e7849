"""The demo in a terminal: what goes on, what happened, and where to look."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from llmwatch.cli.output import plain
from llmwatch.demo.incidents import BOARD
from llmwatch.demo.rehearsal import PROJECT, TABLE
from llmwatch.watch.wording import time as moment

if TYPE_CHECKING:
    from llmwatch.demo.incidents import Told
    from llmwatch.demo.live import Live
    from llmwatch.demo.place import Place

_STYLES = {"P0": "bold white on red", "P1": "bold black on yellow", "P2": "bold black on cyan"}
_SHOWN_EVERY_S = 0.2


class Terminal:
    """Writes to a terminal with colours and progress, to anything else plain lines."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._began = time.monotonic()

    def say(self, text: str | Text = "", indent: int = 0) -> None:
        shown = text if isinstance(text, Text) else Text(plain(text))
        self.console.print(Text(" " * indent) + shown)

    def begin(self, seed: int) -> None:
        title = Text("llmwatch demo", style="bold")
        title.append("  the help desk of Fernlight, a shop that does not exist", style="")
        self.say(title)
        self.say(
            Text(f"local, offline, seed {seed}; no key is needed and none is used", style="dim")
        )
        self.say()

    @contextmanager
    def stage(self, what: str, count: int = 0) -> Iterator[Callable[[int], None]]:
        """Show that something goes on, then that it is done and how long it took."""
        began = time.monotonic()
        parts = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            *((BarColumn(),) if count else ()),
        )
        with Progress(
            *parts,
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        ) as bar:
            task = bar.add_task(what, total=count or None)
            yield lambda done: bar.advance(task, done)
        done = Text("  ✓ ", style="green")
        done.append(what, style="default")
        done.append(f"  {time.monotonic() - began:.1f} s", style="dim")
        self.say(done)

    def story(self, told: Iterable[Told], address: str | None) -> None:
        """Each incident: when, what, the alert, and the page that shows it."""
        self.say()
        self.say(Text("What happened, and what llmwatch said of it", style="bold"))
        for one in told:
            self.say()
            self.say(self._alert(one))
            self.say(one.tale.said, indent=5)
            if one.message is not None:
                about = one.message.about[0]
                self.say(Text(plain(f"{about.where}: {about.said}"), style="dim"), indent=5)
            if address is not None:
                self.say(_link(f"{address}{one.path}"), indent=5)

    def _alert(self, one: Told) -> Text:
        if one.message is None:
            return Text(f"  ✗  {one.tale.incident}: no alert", style="bold red")
        line = Text("  ")
        line.append(one.message.severity, style=_STYLES[one.message.severity])
        line.append(f" {one.tale.rule}", style="bold")
        line.append(f"   {one.tale.incident} since {moment(one.incident.start_us)}", style="dim")
        line.append(f", told {moment(one.message.at_us)}", style="dim")
        return line

    def visible(self, address: str | None) -> None:
        """Where all of it can be seen, and how long it took until then."""
        self.say()
        took = time.monotonic() - self._began
        self.say(Text(f"{took:.0f} s from the start, all of it is on the board", style="bold"))
        if address is None:
            self.say(f"llmwatch board {PROJECT}/{TABLE} --board {BOARD}", indent=2)
            return
        for page, what in (
            (f"{TABLE}?board={BOARD}", "the incidents, and every question"),
            ("alerts", "the alerts"),
            ("drift", "the runs of the drift job"),
        ):
            self.say(
                _link(f"{address}/local/{PROJECT}/{page}").append(f"  {what}", "dim"), indent=2
            )

    @contextmanager
    def live(self, lasting_s: float | None) -> Iterator[Callable[[Live], None]]:
        """A line that says what goes on now."""
        end = "Ctrl-C ends" if lasting_s is None else f"for {lasting_s:g} s"
        self.say()
        self.say(f"The help desk goes on, with real calls of the openai client ({end}).")
        with self.console.status("") as status:
            shown = [0.0]

            def seen(live: Live) -> None:
                if time.monotonic() - shown[0] > _SHOWN_EVERY_S and live.last is not None:
                    shown[0] = time.monotonic()
                    question = plain(live.last[0])[:60]
                    status.update(Text(f"{live.answered} answered, the last: {question}"))

            yield seen

    def end(self, place: Place, answered: int) -> None:
        self.say()
        self.say(
            f"{answered} questions were answered live. The store stays, until the next demo here:"
        )
        self.say(Text(f"  cd {place.root}", style="bold"))
        for command, what in (
            ("llmwatch board helpdesk/traces --board incidents", "the page"),
            ("llmwatch alerts list --since 14d", "what was told"),
            ("llmwatch costs --by version", "what it cost"),
            ("llmwatch drift --baseline first-week --window 2d", "what people ask now"),
            ("llmwatch watch --backtest 14d", "other limits: change llmwatch.toml first"),
        ):
            line = Text(f"  {command:<52}")
            line.append(what, style="dim")
            self.say(line)


def _link(address: str) -> Text:
    return Text().append(address, f"blue underline link {address}")
