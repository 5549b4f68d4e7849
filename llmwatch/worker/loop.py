"""The worker's life: holds the store's lock, gives each subscriber its turn, knows when to end."""

from __future__ import annotations

import logging
import signal
import threading
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from llmwatch import faults
from llmwatch.stream import fork
from llmwatch.worker import lock, subscribers
from llmwatch.worker.durability import Durability

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from llmwatch.settings import Settings
    from llmwatch.store import Store
    from llmwatch.worker.subscribers import Subscriber

logger = logging.getLogger("llmwatch.worker")

_TURN_S = 1.0
_NAP_S = 0.1  # how soon a signal is noticed


def work(
    store: Store,
    settings: Settings,
    *,
    once: bool = False,
    idle_s: float | None = None,
    lock_fd: int | None = None,
) -> bool:
    """Be the worker until it should end; False when the store has one already."""
    held = lock_fd if lock_fd is not None else lock.try_take(store)
    if held is None:
        return False
    try:
        life = Life(store, settings, held, idle_s, load_all(subscribers.SUBSCRIBERS))
        with nullcontext() if once else _signals(life):
            lock.write_description(store)  # who reads it may send a signal
            life.once() if once else life.live()
    finally:
        lock.remove_description(store)
        fork.let_go(held)
    return True


def load_all(places: Sequence[str]) -> list[Subscriber]:
    """The subscribers that can be loaded; one that cannot is reported and does without."""
    loaded: list[Subscriber] = []
    for place in places:
        with faults.contained(f"the worker goes on without {place}, which could not be loaded"):
            loaded.append(subscribers.load(place))
    return loaded


class Life:
    """One worker's run over one store."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        lock_fd: int,
        idle_s: float | None,
        taking_part: Sequence[Subscriber],
    ) -> None:
        self.store = store
        self.settings = settings
        self.told_to_stop = False
        self._lock_fd = lock_fd
        self._idle_s = idle_s
        self._taking_part = taking_part
        self._durability = Durability()
        self._ended = False
        self._worked_at = time.monotonic()

    def live(self) -> None:
        logger.info("started on %s", self.store.root)
        # A long compaction must not keep rows from the disk; an fsync waits without the GIL.
        aside = threading.Thread(target=self._stay_durable, name="llmwatch-durability", daemon=True)
        aside.start()
        pause = min(_TURN_S, self.settings.compact_every_s)
        while (reason := self.reason_to_end()) is None:
            self.turn()
            self._rest(pause)
        self._ended = True
        self._tell("stop")
        aside.join()
        logger.info("ended: %s", reason)

    def once(self) -> None:
        self._give_turn(self._durability)
        self.turn()
        self._tell("finish", self.store, self.settings)

    def _tell(self, what: str, *about: Any) -> None:
        """Subscribers that work beside their turns: `finish` what is due, or `stop`."""
        for subscriber in self._taking_part:
            if (told := getattr(subscriber, what, None)) is not None:
                with faults.contained(
                    f"{subscriber.name} failed to {what} in the worker of {self.store.root}"
                ):
                    told(*about)

    def turn(self) -> None:
        """One turn for everyone, none of whom can keep the others from theirs."""
        before = self._worked_at
        for subscriber in self._taking_part:
            if not self.told_to_stop:
                self._give_turn(subscriber)
        if self._worked_at != before:  # the others may have taken longer than the worker may be idle
            self._worked_at = time.monotonic()

    def _give_turn(self, subscriber: Subscriber) -> None:
        with faults.contained(f"{subscriber.name} failed in the worker of {self.store.root}"):
            if subscriber.tick(self.store, self.settings):
                self._worked_at = time.monotonic()

    def _stay_durable(self) -> None:
        while not self._ended:
            self._give_turn(self._durability)
            self._rest(_TURN_S)

    def reason_to_end(self) -> str | None:
        if self.told_to_stop:
            return "told to"
        if not lock.is_current(self.store, self._lock_fd):
            return "the store is gone, or another worker took over"
        if self._idle_s is not None and time.monotonic() - self._worked_at >= self._idle_s:
            return f"nothing to do for {self._idle_s:g} s"
        return None

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not (self.told_to_stop or self._ended) and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _NAP_S))


@contextmanager
def _signals(life: Life) -> Iterator[None]:
    """SIGTERM and Ctrl-C end the run after the table in hand; a second one ends it there and then."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        life.told_to_stop = True
        signal.signal(number, before[number])

    before: dict[int, Any] = {}
    for caught in (signal.SIGTERM, signal.SIGINT):
        before[caught] = signal.signal(caught, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
