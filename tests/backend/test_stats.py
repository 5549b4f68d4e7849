"""Statistics over calls and feedback: buckets, usage that is counted once, threads."""

from __future__ import annotations

from datetime import timedelta

import pytest
from local_backend import moment

from llmwatch.testing import deterministic


def stats(local, **req):
    return local.ask(
        "call_stats", start=moment(0).isoformat(), end=moment(100), granularity=10, **req
    )


def used(model="m", prompt=10, completion=5, *, calls=1, **more):
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "requests": 1, **more}
    return {"usage": {model: usage}, "status_counts": {"success": calls, "error": 0}}


class TestCallStats:
    def test_calls_are_counted_by_when_they_began(self, local):
        for n, at in enumerate((0, 5, 12, 99.9, 100, -1)):
            local.call(f"c{n}", at, exception="boom" if n == 1 else None)
        metrics = [{"metric": "call_count"}, {"metric": "error_count", "aggregations": ["sum"]}]
        found = stats(local, call_metrics=metrics).call_buckets
        assert [(b["sum_call_count"], b["sum_error_count"]) for b in found] == [
            (2, 1),
            (1, 0),
            (1, 0),
        ]
        assert found[1]["timestamp"] == moment(10).isoformat()

    def test_latency_has_the_aggregates_that_were_asked_for(self, local):
        for n, took in enumerate((1, 2, 3, 4)):
            local.call(f"c{n}", n, took=took)
        local.start("running", 4)
        spec = {
            "metric": "latency_ms",
            "aggregations": ["avg", "max", "count"],
            "percentiles": [50, 97.5],
        }
        [bucket] = stats(local, call_metrics=[spec]).call_buckets
        assert bucket == {
            "timestamp": moment(0).isoformat(),
            "avg_latency_ms": 2500,
            "max_latency_ms": 4000,
            "count_latency_ms": 4,
            "p50_latency_ms": 2500,
            "p97.5_latency_ms": pytest.approx(3925),
        }

    def test_a_filter_selects_the_calls(self, local):
        local.call("root")
        local.call("child", 1, parent_id="root", trace_id="root")
        found = stats(
            local, call_metrics=[{"metric": "call_count"}], filter={"trace_roots_only": True}
        )
        assert [b["sum_call_count"] for b in found.call_buckets] == [1]

    def test_a_token_is_counted_once_though_the_parent_sums_it_up(self, local):
        local.call("root", summary=used(calls=2))
        local.call("child", 1, parent_id="root", trace_id="root", summary=used())
        [bucket] = stats(local, usage_metrics=[{"metric": "total_tokens"}]).usage_buckets
        assert (bucket["model"], bucket["sum_total_tokens"]) == ("m", 15)

    def test_usage_is_by_model_whatever_its_name_and_its_keys(self, local):
        local.call("a", summary=used("a/b~c", prompt=1))
        anthropic = {"input_tokens": 7, "output_tokens": 1, "cache_read_input_tokens": 3}
        local.call("b", summary={"usage": {"claude": anthropic, "odd": "text"}})
        metrics = [{"metric": m} for m in ("input_tokens", "cache_read_input_tokens")]
        found = {b["model"]: b for b in stats(local, usage_metrics=metrics).usage_buckets}
        assert (found["a/b~c"]["sum_input_tokens"], found["claude"]["sum_input_tokens"]) == (1, 7)
        assert found["claude"]["sum_cache_read_input_tokens"] == 3
        assert found["a/b~c"]["sum_cache_read_input_tokens"] is None

    def test_a_cost_that_is_not_known_is_none_not_0(self, local):
        price = {"prompt_token_cost": 2, "completion_token_cost": 1, "effective_date": moment(-1)}
        local.ask("cost_create", costs={"m": price})
        local.call("a", summary=used("m"))
        local.call("b", summary=used("free-of-price"))
        metrics = [{"metric": "total_cost"}, {"metric": "input_cost"}]
        found = {b["model"]: b for b in stats(local, usage_metrics=metrics).usage_buckets}
        assert (found["m"]["sum_total_cost"], found["m"]["sum_input_cost"]) == (25, 20)
        assert found["free-of-price"]["sum_total_cost"] is None

    def test_buckets_follow_the_clock_of_the_zone(self, local):
        local.call("c", 60 * 60 * 20)
        day = 24 * 60 * 60
        found = local.ask(
            "call_stats",
            start=moment(0),
            end=moment(2 * day),
            granularity=day,
            timezone="Asia/Tokyo",
            call_metrics=[{"metric": "call_count"}],
        )
        midnight_there = moment(0) + timedelta(hours=15)
        assert [b["timestamp"] for b in found.call_buckets] == [midnight_there.isoformat()]

    @pytest.mark.parametrize(
        "wrong",
        [
            {"call_metrics": [{"metric": "nope"}]},
            {"call_metrics": [{"metric": "latency_ms", "aggregations": ["median"]}]},
            {"call_metrics": [{"metric": "latency_ms", "percentiles": [101]}]},
            {"usage_metrics": [{"metric": "total_cost", "aggregations": ["avg"]}]},
            {"timezone": "Mars/Olympus"},
            {"timezone": "../../etc/passwd"},
        ],
    )
    def test_what_cannot_be_computed_is_an_invalid_request(self, local, wrong):
        from weave.trace.errors import InvalidRequest

        with pytest.raises(InvalidRequest):
            stats(local, **{"call_metrics": [{"metric": "call_count"}], **wrong})

    def test_a_window_that_ends_before_it_begins_is_an_invalid_request(self, local):
        from weave.trace.errors import InvalidRequest

        with pytest.raises(InvalidRequest):
            local.ask("call_stats", start=moment(5), end=moment(0))


class TestUsage:
    def test_a_call_has_what_is_below_it(self, local):
        local.call("root", summary=used(calls=3, prompt=20, completion=10))
        local.call("a", 1, parent_id="root", trace_id="root", summary=used(prompt=15))
        local.call("b", 2, parent_id="a", trace_id="root", summary=used("other", 1, 1))
        found = local.ask("calls_usage", call_ids=["root", "gone"]).call_usage
        assert found["gone"] == {}
        # 20 were summed up by the root, of which 15 are its child's: 5 are its own
        assert found["root"]["m"].prompt_tokens == 20
        assert found["root"]["other"].prompt_tokens == 1

    def test_children_that_the_parent_did_not_sum_up_are_added(self, local):
        local.call("root", summary={"status_counts": {"success": 1}})
        local.call("a", 1, parent_id="root", trace_id="root", summary=used())
        local.start("b", 2, parent_id="root", trace_id="root")
        answer = local.ask("trace_usage", filter={"trace_ids": ["root"]})
        assert answer.call_usage["root"]["m"].total_tokens == 15
        assert answer.unfinished_call_ids == ["b"]

    def test_costs_are_none_unless_asked_for_and_known(self, local):
        local.ask(
            "cost_create", costs={"m": {"prompt_token_cost": 2, "effective_date": moment(-1)}}
        )
        local.call("a", summary=used())
        plain = local.ask("calls_usage", call_ids=["a"]).call_usage["a"]["m"]
        priced = local.ask("calls_usage", call_ids=["a"], include_costs=True).call_usage["a"]["m"]
        assert plain.prompt_tokens_total_cost is None
        assert priced.prompt_tokens_total_cost == 20
        assert priced.completion_tokens_total_cost is None

    def test_calls_that_are_each_others_parents_end(self, local):
        local.call("a", parent_id="b", trace_id="t", summary=used())
        local.call("b", parent_id="a", trace_id="t", summary=used())
        assert set(local.ask("trace_usage", filter={"trace_ids": ["t"]}).call_usage) == {"a", "b"}

    def test_more_calls_than_the_limit_are_refused_not_cut_off(self, local):
        from weave.trace.errors import InvalidRequest

        for n in range(3):
            local.call(f"c{n}", trace_id="t", summary=used())
        with pytest.raises(InvalidRequest, match="more than 2"):
            local.ask("trace_usage", filter={"trace_ids": ["t"]}, limit=2)


class TestThreads:
    def turn(self, local, call_id, at, thread, took=1):
        local.call(call_id, at, took=took, thread_id=thread, turn_id=call_id)
        local.call(f"{call_id}-in", at, parent_id=call_id, thread_id=thread, turn_id=call_id)

    def test_a_thread_is_made_of_its_turns(self, local):
        self.turn(local, "t1", 0, "chat", took=1)
        self.turn(local, "t2", 10, "chat", took=3)
        self.turn(local, "t3", 5, "other")
        local.call("none", 7)
        first, second = local.ask("threads_query_stream")
        assert (first.thread_id, first.turn_count) == ("chat", 2)
        assert (first.first_turn_id, first.last_turn_id) == ("t1", "t2")
        assert (first.start_time, first.last_updated) == (moment(0), moment(13))
        assert first.p50_turn_duration_ms == 2000
        assert second.thread_id == "other"

    def test_threads_are_filtered_sorted_and_paged(self, local):
        for n in range(4):
            self.turn(local, f"t{n}", n, f"chat-{n}")
        order = [{"field": "thread_id", "direction": "asc"}]
        found = list(local.ask("threads_query_stream", sort_by=order, limit=2, offset=1))
        assert [t.thread_id for t in found] == ["chat-1", "chat-2"]
        some = local.ask("threads_query_stream", filter={"thread_ids": ["chat-3"]})
        assert [t.thread_id for t in some] == ["chat-3"]
        late = local.ask("threads_query_stream", filter={"after_datetime": moment(1)})
        assert len(list(late)) == 2

    def test_no_other_sort_gets_into_the_query(self, local):
        from weave.trace.errors import InvalidRequest

        with pytest.raises(InvalidRequest):
            list(
                local.ask(
                    "threads_query_stream", sort_by=[{"field": "1; DROP", "direction": "asc"}]
                )
            )


class TestFeedbackStats:
    @pytest.fixture(autouse=True)
    def at_0(self, local):
        with deterministic(start=moment(0), step=timedelta()):
            self.say(local)
            yield

    def say(self, local):
        for score, ok in ((1, True), (2, False), (6, True), ("x", None)):
            local.feedback("stars", {"output": {"score": score, "ok": ok}})
        local.feedback("wandb.reaction.1", {"emoji": "👍"})

    def ask(self, local, **req):
        times = {"start": moment(-30), "end": moment(30), "granularity": 30}
        return local.ask("feedback_stats", feedback_type="stars", **times, **req)

    def test_numbers_are_aggregated_in_each_bucket_and_in_all(self, local):
        metric = {
            "json_path": "output.score",
            "aggregations": ["avg", "count"],
            "percentiles": [50],
        }
        found = self.ask(local, metrics=[metric])
        assert [b["count"] for b in found.buckets] == [0, 4]
        assert found.buckets[1]["avg_output_score"] == 3
        assert found.buckets[0] == {
            "timestamp": moment(-30).isoformat(),
            "count": 0,
            "avg_output_score": None,
            "count_output_score": 0,
            "p50_output_score": None,
        }
        assert found.window_stats == {"output_score": {"avg": 3, "count": 3, "p50": 2}}

    def test_truth_values_are_counted(self, local):
        found = self.ask(local, metrics=[{"json_path": "output.ok", "value_type": "boolean"}])
        assert found.window_stats["output_ok"] == {"count_true": 2, "count_false": 1}

    def test_the_schema_names_what_can_be_counted(self, local):
        found = local.ask(
            "feedback_payload_schema", start=moment(-30), feedback_type="stars", end=moment(1)
        )
        assert {p.json_path: p.value_type for p in found.paths} == {
            "output.score": "categorical",
            "output.ok": "boolean",
        }

    def test_scores_are_tallied_by_scorer(self, local):
        for scorer, rating in (("A", 1), ("A", 3), ("B", 5)):
            local.feedback(
                f"wandb.runnable.{scorer}",
                {"output": rating},
                runnable_ref=f"weave:///local/p/object/{scorer}:abc",
                scorer_tags=["good"] if rating > 1 else [],
                scorer_ratings={"_rating_": rating},
            )
        at = int(moment(0).timestamp() * 1000)
        req = {"after_ms": at - 1000, "before_ms": at + 1000, "feedback_types": ["wandb.runnable."]}
        found = local.ask("feedback_aggregate", group_by=["scorer_id"], **req).buckets
        assert [(b.group["scorer_id"], b.total_count, b.scored_count) for b in found] == [
            ("A", 2, 2),
            ("B", 1, 1),
        ]
        assert (found[0].tag_counts, found[0].rating_sums) == ({"good": 1}, {"_rating_": 4})
        [low] = local.ask("feedback_aggregate", rating_max=2, **req).buckets
        assert low.total_count == 1
        [tagged] = local.ask("feedback_aggregate", tags=["good"], scorer_ids=["A*"], **req).buckets
        assert tagged.total_count == 1
        [none] = local.ask("feedback_aggregate", tags=["no such"], **req).buckets
        assert none.total_count == 0
