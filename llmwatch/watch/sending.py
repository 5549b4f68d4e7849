"""Sends what is due: each channel in a thread of its own with a deadline, and again later where that failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmwatch import clock
from llmwatch.watch import standing
from llmwatch.watch.channels.protocol import Channel, Undelivered
from llmwatch.watch.history import Log
from llmwatch.watch.standing import Delivery
from llmwatch.watch.wording import one_line

if TYPE_CHECKING:
    from llmwatch.store import Project

DEADLINE_S = 75.0
_BACK_OFF_S = (5, 15, 60, 300, 900, 3600)
_GIVE_UP_S = 24 * 3600
_TRIES_AT_ONCE = 3


class _Post(threading.Thread):
    """Sends the messages of one channel, one after the other; the first that fails ends it, the rest waits."""

    def __init__(self, channel: Channel, deliveries: Sequence[Delivery]) -> None:
        super().__init__(name=f"llmwatch-alert-{channel.name}", daemon=True)
        self._channel, self._deliveries = channel, deliveries
        self.done: list[tuple[Delivery, Undelivered | None]] = []

    def run(self) -> None:
        for delivery in self._deliveries:
            error = self._sent(delivery)
            self.done.append((delivery, error))

    def _sent(self, delivery: Delivery) -> Undelivered | None:
        try:
            self._channel.send(delivery.message)
        except Undelivered as error:
            return error
        except Exception as error:  # noqa: BLE001 - a channel of anybody's making must not end the watch
            return Undelivered(one_line(f"{type(error).__name__}: {error}", 300))
        return None


def send(project: Project, channels: Sequence[Channel], *, once: bool = False) -> list[Delivery]:
    """Send what is due, and keep what could not be sent; `once`: try a few times, as nobody comes back later.

    Returns what is still to be sent."""
    kept = standing.load(project)
    if kept is None:
        return []
    for attempt in range(_TRIES_AT_ONCE if once else 1):
        if attempt:
            time.sleep(2**attempt / 2)
        if not _turn(project, kept.deliveries, channels, at_once=once):
            break
    return kept.deliveries


def _turn(
    project: Project, deliveries: list[Delivery], channels: Sequence[Channel], *, at_once: bool
) -> bool:
    """One try of everything that is due; True when something failed that may be tried again."""
    now = clock.now_us()
    by_name = {channel.name: channel for channel in channels}
    _drop_orphans(deliveries, by_name)
    due = [one for one in deliveries if at_once or one.next_us <= now]
    if not due:
        return False
    log = Log(project)
    try:
        for delivery, error in _posted(by_name, due):
            _note(log, deliveries, delivery, error)
    finally:
        log.close()
        kept = standing.load(project) or standing.Standing()
        kept.deliveries = deliveries
        standing.save(project, kept)
    return bool(deliveries)


def _drop_orphans(deliveries: list[Delivery], by_name: dict[str, Channel]) -> None:
    """What is for a channel that is no longer declared goes nowhere."""
    deliveries[:] = [one for one in deliveries if one.channel in by_name]


def _posted(
    by_name: dict[str, Channel], due: Sequence[Delivery]
) -> list[tuple[Delivery, Undelivered | None]]:
    posts = [
        (_Post(by_name[name], [one for one in due if one.channel == name]), name)
        for name in dict.fromkeys(one.channel for one in due)
    ]
    for post, _ in posts:
        post.start()
    end = time.monotonic() + DEADLINE_S
    found: list[tuple[Delivery, Undelivered | None]] = []
    for post, name in posts:
        post.join(max(0.0, end - time.monotonic()))
        done = list(post.done)
        found += done
        late = [one for one in due if one.channel == name and one not in [d for d, _ in done]]
        found += [(one, Undelivered(f"took longer than {DEADLINE_S:g} s")) for one in late]
    return found


def _note(
    log: Log, deliveries: list[Delivery], delivery: Delivery, error: Undelivered | None
) -> None:
    """Write down what became of a delivery: sent, given up, or (the first time) failed and tried again."""
    delivery.tries += 1
    now = clock.now_us()
    late = now - delivery.first_us > _GIVE_UP_S * 1_000_000
    if error is None or error.final or late:
        deliveries.remove(delivery)
        log.notified(delivery, None if error is None else f"given up: {error}")
        return
    pause = _BACK_OFF_S[min(delivery.tries, len(_BACK_OFF_S)) - 1]
    delivery.next_us = now + pause * 1_000_000
    if delivery.tries == 1:
        log.notified(delivery, f"tried again: {error}")
