"""What is sent twice is there once: in this process, after a restart, and when the first time failed."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

from local_backend import PROJECT, Local, moment

from llmwatch import clock
from llmwatch.backend import seen as seen_module
from llmwatch.backend.seen import Seen
from llmwatch.testing import deterministic

LONG_AGO = "00000000-0000-7000-8000-000000000000"


def whole(call_id, **fields):
    return {
        "project_id": PROJECT,
        "id": call_id,
        "op_name": "op",
        "trace_id": call_id,
        "started_at": moment(0).isoformat(),
        "ended_at": moment(1).isoformat(),
        "attributes": {},
        "inputs": {},
        "summary": {},
        **fields,
    }


class TestCalls:
    def test_a_batch_that_comes_again_changes_nothing(self, local):
        batch = [whole(clock.new_id(), output=n) for n in range(3)]
        for _ in range(3):
            local.server.calls_complete({"batch": batch})
        assert sorted(call.output for call in local.calls()) == [0, 1, 2]

    def test_nor_after_a_restart_nor_under_an_id_that_tells_no_time(self, local):
        batch = [whole(clock.new_id()), whole("span-1"), whole(LONG_AGO)]
        local.server.calls_complete({"batch": batch})
        Local(local.store).server.calls_complete({"batch": batch})
        assert len(local.ids()) == 3

    def test_a_call_twice_in_a_batch_is_one(self, local):
        call = whole(clock.new_id())
        local.server.calls_complete({"batch": [call, call]})
        assert len(local.ids()) == 1

    def test_what_a_second_version_knows_better_wins(self, local):
        call_id = clock.new_id()
        local.server.calls_complete({"batch": [whole(call_id, output="first", thread_id="t")]})
        local.server.calls_complete({"batch": [whole(call_id, output="second")]})
        [call] = local.calls()
        assert (call.output, call.thread_id) == ("second", "t")

    def test_a_batch_that_comes_again_at_the_same_time_is_one(self, local):
        batch = [whole(clock.new_id()) for _ in range(50)]
        threads = [
            threading.Thread(target=local.server.calls_complete, args=({"batch": batch},))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(local.ids()) == 50

    def test_a_deleted_call_stays_deleted(self, local):
        batch = [whole(clock.new_id())]
        local.server.calls_complete({"batch": batch})
        local.ask("calls_delete", call_ids=[batch[0]["id"]])
        local.server.calls_complete({"batch": batch})
        assert local.ids() == []


class TestFeedback:
    def test_feedback_that_comes_again_is_one(self, local):
        feedback_id = clock.new_id()
        for here in (local, local, Local(local.store)):
            here.feedback("stars", {"n": 1}, id=feedback_id)
        assert len(local.ask("feedback_query").result) == 1


class TestIds:
    def asked(self, ids, stored=(), **known):
        asked = []
        seen = Seen(lambda ids: asked.extend(ids) or stored)
        return seen.fresh(ids), asked

    def test_the_store_is_not_asked_about_an_id_of_after_the_start(self):
        with deterministic(step=timedelta(seconds=1)):
            seen = Seen(lambda ids: [0 / 0])
            ids = [clock.uuid7(clock.now_us() * 1000, 1)]
            assert seen.fresh(ids) == set(ids)
            assert seen.fresh(ids) == set()

    def test_an_id_from_the_future_says_nothing(self):
        ahead = datetime.now(timezone.utc) + timedelta(hours=1)
        id_ = clock.uuid7(int(ahead.timestamp() * 1e9), 1)
        assert self.asked([id_], stored=[id_]) == (set(), [id_])

    def test_ids_that_were_let_go_of_are_asked_about(self, monkeypatch):
        monkeypatch.setattr(seen_module, "KEPT", 2)
        with deterministic(step=timedelta(seconds=1)):
            asked, ids = [], []
            seen = Seen(lambda wanted: asked.extend(wanted) or wanted)
            for n in range(4):
                ids.append(clock.uuid7(clock.now_us() * 1000, n))
                assert seen.fresh(ids[-1:]) == set(ids[-1:])
            assert asked == []
            assert seen.fresh(ids[:1]) == set()
            assert asked == ids[:1]

    def test_what_could_not_be_written_is_fresh_again(self):
        seen = Seen(lambda ids: [])
        assert seen.fresh([LONG_AGO]) == {LONG_AGO}
        seen.forget([LONG_AGO])
        assert seen.fresh([LONG_AGO]) == {LONG_AGO}
