"""All panels of a page at once: what several of them want to know of the same rows is asked in one query."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from llmwatch.board import asks
from llmwatch.board.answers import told
from llmwatch.board.asked import Answer, Rows, Steps, Wish, alone, together
from llmwatch.board.choice import Choice
from llmwatch.board.desk import AT_ONCE, Desk
from llmwatch.board.source import Source
from llmwatch.board.spec import Panel


@dataclass(eq=False)
class _Open:
    """A panel on the way to its answer."""

    panel: Panel
    choice: Choice
    steps: Steps
    wishes: Sequence[Wish] = ()
    found: dict[int, Rows] = field(default_factory=dict)
    answer: Answer | None = None

    @property
    def ready(self) -> bool:
        return self.answer is not None or len(self.found) == len(self.wishes)

    def step(self) -> None:
        """Go on with what was found."""
        given = [self.found[n] for n in range(len(self.wishes))]
        self.wishes, self.found = (), {}
        with _told(self):
            try:
                self.wishes = self.steps.send(given) if given else next(self.steps)
            except StopIteration as stop:
                self.answer = stop.value


@contextmanager
def _told(panel: _Open) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - one panel's error is that panel's answer
        panel.answer = told(error)


Wished = tuple[_Open, int]


async def answers(
    desk: Desk, source: Source, panels: Sequence[Panel], choice: Choice
) -> AsyncIterator[Answer]:
    """The panels' answers as they are known: round by round, as a panel may need two queries."""
    opened = await desk.run(_begin, source, panels, choice, reader=source.reader)
    room = asyncio.Semaphore(AT_ONCE)
    while opened:
        for panel in opened:
            if panel.answer is not None:
                yield {"id": panel.panel.id, **panel.answer}
        opened = [panel for panel in opened if panel.answer is None]
        tasks = [
            asyncio.ensure_future(_asked(desk, source, wished, room)) for wished in _alike(opened)
        ]
        try:
            for task in asyncio.as_completed(tasks):
                for panel in await task:
                    if panel.answer is not None and panel in opened:
                        opened.remove(panel)
                        yield {"id": panel.panel.id, **panel.answer}
        finally:
            for task in tasks:
                task.cancel()


def _begin(source: Source, panels: Sequence[Panel], choice: Choice) -> list[_Open]:
    with source.steady():
        return [_opened(source, panel, choice) for panel in panels]


def _opened(source: Source, panel: Panel, choice: Choice) -> _Open:
    opened = _Open(panel, choice, iter(()))  # type: ignore[arg-type]
    with _told(opened):
        opened.steps = asks.steps(source, panel, choice)
        opened.step()
    return opened


def _alike(opened: Sequence[_Open]) -> list[list[Wished]]:
    """Everything that is wished for now, what one query can answer side by side; short queries first."""
    groups: dict[object, list[Wished]] = {}
    for panel in opened:
        for n, wish in enumerate(panel.wishes):
            groups.setdefault(wish.alike, []).append((panel, n))
    return sorted(groups.values(), key=lambda wished: len({id(panel) for panel, _ in wished}))


async def _asked(
    desk: Desk, source: Source, wished: Sequence[Wished], room: asyncio.Semaphore
) -> list[_Open]:
    """The panels that came to an answer, or to their next wishes, by this query."""
    async with room:
        found = await desk.run(_found, source, wished, reader=source.reader)
        for (panel, n), rows in zip(wished, found, strict=True):
            if rows is not None:
                panel.found[n] = rows
        moving = [panel for panel in dict.fromkeys(panel for panel, _ in wished) if panel.ready]
        await desk.run(_step, source, moving, reader=source.reader)
        return moving


def _found(source: Source, wished: Sequence[Wished]) -> list[Rows | None]:
    """One query for all. Where it fails, each panel is asked alone, so that one panel's error stays its own."""
    import duckdb

    with source.steady():
        try:
            return list(together([panel.wishes[n] for panel, n in wished]))
        except duckdb.InterruptException:
            raise
        except Exception:  # noqa: BLE001 - whose error it is shows when each is asked alone
            for panel in dict.fromkeys(panel for panel, _ in wished):
                _alone(source, panel)
            return [None] * len(wished)


def _alone(source: Source, panel: _Open) -> None:
    with _told(panel):
        panel.answer = alone(asks.steps(source, panel.panel, panel.choice))


def _step(source: Source, panels: Sequence[_Open]) -> None:
    with source.steady():
        for panel in panels:
            if panel.answer is None:
                panel.step()
