"""The worker's turns: who gets one, when it ends, what a failure costs."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from llmwatch import faults
from llmwatch.settings import Settings
from llmwatch.store import Store, open_store
from llmwatch.stream import segments, spool
from llmwatch.worker import lock, subscribers
from llmwatch.worker.compaction import Backoff
from llmwatch.worker.durability import Durability
from llmwatch.worker.loop import Life, load_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUIET = Settings(worker=False)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    faults.clear()
    yield open_store(tmp_path / "store")
    spool.close_all()
    faults.clear()


@pytest.fixture
def lock_fd(store: Store) -> Iterator[int]:
    fd = lock.try_take(store)
    assert fd is not None
    yield fd
    os.close(fd)


class Counting:
    name = "counting"

    def __init__(self, works: bool = False, fails: bool = False) -> None:
        self.turns = 0
        self.works, self.fails = works, fails

    def tick(self, store: Store, settings: Settings) -> bool:
        self.turns += 1
        if self.fails:
            raise RuntimeError("no luck")
        return self.works


def test_a_subscriber_that_fails_does_not_cost_the_others_their_turn(
    store: Store, lock_fd: int
) -> None:
    failing, other = Counting(fails=True), Counting()
    life = Life(store, QUIET, lock_fd, 60, [failing, other])
    life.turn()
    life.turn()
    assert (failing.turns, other.turns) == (2, 2)
    (fault,) = faults.counts().values()
    assert "counting failed" in fault.cause


def test_work_keeps_it_from_being_idle(
    store: Store, lock_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    subscriber = Counting(works=True)
    life = Life(store, QUIET, lock_fd, 60, [subscriber])
    now += 59
    assert life.reason_to_end() is None
    life.turn()
    now += 59
    assert life.reason_to_end() is None
    subscriber.works = False
    life.turn()
    now += 1
    assert life.reason_to_end() == "nothing to do for 60 s"


def test_one_run_by_hand_is_never_idle(store: Store, lock_fd: int) -> None:
    life = Life(store, QUIET, lock_fd, None, [])
    life._worked_at -= 1e6
    assert life.reason_to_end() is None


def test_every_subscriber_in_the_list_can_be_loaded() -> None:
    with faults.strict():
        loaded = load_all(subscribers.SUBSCRIBERS)
    names = [subscriber.name for subscriber in loaded]
    assert names[:2] == ["compaction", "retention"]
    assert len(set(names)) == len(subscribers.SUBSCRIBERS)


def test_one_that_cannot_be_loaded_is_said_and_left_out() -> None:
    faults.clear()
    (loaded,) = load_all(["llmwatch.nowhere:Nothing", "llmwatch.worker.compaction:Retention"])
    assert loaded.name == "retention"
    (cause,) = faults.counts()
    assert "llmwatch.nowhere:Nothing" in cause


def test_growth_of_a_live_segment_is_work_and_standstill_is_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.fstat(fd).st_ino), fsync(fd))[1])
    writer = spool.writer(store.project("local", "p"), "t", QUIET)
    writer.append("row", b'{"id":"0"}')
    (segment,) = segments.list_segments(writer.project.spool("t"))
    segment_inode = segment.path.stat().st_ino
    durability = Durability()
    assert durability.tick(store, QUIET)
    assert synced == [segment_inode, segment.path.parent.stat().st_ino]
    assert not durability.tick(store, QUIET)
    writer.append("row", b'{"id":"1"}')
    assert durability.tick(store, QUIET)
    assert synced[2:] == [segment_inode]
    assert not segments.is_sealed(segment)


def test_a_failure_is_tried_again_later_and_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    tried: list[float] = []

    def fail() -> bool:
        tried.append(now)
        raise RuntimeError("no luck")

    backoff = Backoff(first_s=1)
    while now < 1020:
        backoff.attempt("t", fail, "it failed")
        now += 1
    assert [later - sooner for sooner, later in pairwise(tried)] == [2, 4, 8]
    now = 2000.0
    assert backoff.attempt("t", lambda: True, "it failed")
    assert backoff.attempt("t", lambda: True, "it failed")
    faults.clear()
