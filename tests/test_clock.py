"""Time and ids."""

from __future__ import annotations

import os
import threading
import time
import uuid

import pytest

from llmwatch import clock


def test_ids_are_uuids_of_version_7_that_hold_the_time():
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(clock.new_id())
    after = time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= after


def test_the_text_of_an_id_is_the_canonical_one():
    made = clock.uuid7(1_645_557_742_000_000_000, 0x18C4DC0C0C07398F)
    assert made == "017f22e2-79b0-7000-98c4-dc0c0c07398f"
    assert str(uuid.UUID(made)) == made


def test_ids_sort_by_time_within_a_millisecond():
    made = [clock.uuid7(1_700_000_000_000_000_000 + step, 7) for step in range(0, 2_000_000, 1000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_threads_never_share_an_id():
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.extend([clock.new_id() for _ in range(5000)]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 20_000


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_draws_other_bits_than_its_parent():
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, b"%d" % clock._bits(62))
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(read, 100)) != clock._bits(62)
    os.close(read)
    os.close(write)


def test_both_can_be_replaced_and_come_back():
    with clock.use(now=lambda: 42, ids=lambda: "id-1"):
        assert (clock.now_us(), clock.new_id()) == (42, "id-1")
        with clock.use(now=lambda: 43):
            assert (clock.now_us(), clock.new_id()) == (43, "id-1")
        assert clock.now_us() == 42
    assert clock.now_us() > 1_600_000_000_000_000
    assert len(clock.new_id()) == 36
