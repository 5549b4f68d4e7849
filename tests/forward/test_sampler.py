"""A sample that keeps what matters, whole, and whose weights add up to what happened."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from llmwatch import clock, settings
from llmwatch.backend import wire
from llmwatch.errors import SettingsError
from llmwatch.forward.sampler import (
    AdaptiveSampler,
    Facts,
    confidence_of,
    is_dislike,
    is_unsafe,
    pool_size,
    slow_above,
)
from llmwatch.forward.sampling import Sampling
from llmwatch.forward.state import State
from llmwatch.store import EVENTS, open_store
from llmwatch.stream import events, spool
from llmwatch.stream.follow import Follower, RecordedReader


class Traffic:
    """Traces written to a store, and a sampler that takes them as the forwarder does."""

    def __init__(self, store, sampler, seed=0):
        self.project = store.project("local", "bot")
        self.settings = settings.Settings(worker=False)
        self.chance = random.Random(seed)
        self.reader = RecordedReader(self.project)
        self.state = State(self.project)
        self.sampler = sampler
        self.rows = Counter()
        self.truth = {}
        self.begin()

    def begin(self):
        """A new process goes on with the memory of the one before."""
        self.sampling = Sampling(self.sampler, self.state, self.reader, chance=self.chance.random)
        self.followers = [
            Follower(self.project, table, "test", reader=self.reader)
            for table in ("traces", EVENTS)
        ]

    def close(self):
        self.reader.close()
        self.state.close()

    def trace(self, op="answer", *, spans=2, failed=False, latency_ms=10.0, at_us=None):
        trace_id = clock.new_id()
        for n in reversed(range(spans)):
            self.span(
                trace_id,
                trace_id if n == 0 else clock.new_id(),
                op if n == 0 else "step",
                parent_id=None if n == 0 else trace_id,
                failed=failed and n == spans - 1,
                latency_ms=latency_ms,
            )
        self.truth[trace_id] = op
        return trace_id

    def span(self, trace_id, row_id, op, *, parent_id=None, failed=False, latency_ms=10.0):
        now = clock.now_us()
        row = {
            "id": row_id,
            "trace_id": trace_id,
            "parent_id": parent_id,
            "op_name": op,
            "status": "error" if failed else "success",
            "started_at": now,
            "ended_at": now,
            "latency_ms": latency_ms,
        }
        spool.writer(self.project, "traces", self.settings).append(
            "row", wire.dumps(wire.without_unknown(row))
        )
        self.rows[trace_id] += 1

    def take(self, *, settle=False):
        while rows := self.followers[0].batch(300):
            self.sampling.take(rows, "traces")
        self.sampling.decide(settle=settle)
        while said := self.followers[1].batch(300):
            self.sampling.hear(said)
        self.sampling.decide(settle=settle)

    def kept(self):
        """Weight and reason of each unit that is sent, by trace; and sends them."""
        found = {}
        while units := self.sampling.kept(50):
            for _, rows in self.sampling.rows_of(units):
                for row, unit in rows:
                    assert row["trace_id"] == unit.id
                    found.setdefault(unit.id, []).append(unit)
            self.sampling.sent(units)
        return found


@pytest.fixture
def traffic(tmp_path):
    made = []

    def make(sampler, seed=0):
        made.append(Traffic(open_store(tmp_path / "store"), sampler, seed))
        return made[-1]

    yield make
    for one in made:
        one.close()
    spool.close_all()


def weights(kept):
    return {trace: units[0].weight for trace, units in kept.items()}


# --- weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3, 0.7, 1.0])
def test_weights_add_up_to_the_number_of_traces_by_stratum(traffic, rate):
    here = traffic(AdaptiveSampler(base_rate=rate))
    for n in range(600):
        here.trace(op="search" if n % 3 else "answer", failed=n % 17 == 0)
    here.take(settle=True)
    total = Counter()
    for trace, weight in weights(here.kept()).items():
        total[here.truth[trace]] += weight
    assert total == {"search": 400, "answer": 200}


def test_as_many_traces_are_sent_as_the_rate_says(traffic):
    here = traffic(AdaptiveSampler(base_rate=0.3))
    for _ in range(900):
        here.trace(spans=1)
    here.take(settle=True)
    assert len(here.kept()) == pytest.approx(270, abs=12)


def test_traces_are_sent_whole_or_not_at_all(traffic):
    here = traffic(AdaptiveSampler(base_rate=0.2))
    for n in range(200):
        here.trace(spans=1 + n % 5)
    here.take(settle=True)
    kept = here.kept()
    assert 20 < len(kept) < 80
    assert {trace: len(units) for trace, units in kept.items()} == {t: here.rows[t] for t in kept}


def test_weights_are_unbiased_for_what_was_not_asked_about(traffic):
    """The sum of latencies, estimated by weight in many samples, is the true one within its own error."""
    here = traffic(AdaptiveSampler(base_rate=0.1))
    latencies = {}
    estimates = []
    for _ in range(30):
        here.truth.clear()
        for n in range(100):
            latencies[here.trace(latency_ms=float(1 + n % 10))] = float(1 + n % 10)
        here.take(settle=True)
        estimates.append(sum(w * latencies[t] for t, w in weights(here.kept()).items()))
    mean = sum(estimates) / len(estimates)
    error = (sum((one - mean) ** 2 for one in estimates) / len(estimates) ** 2) ** 0.5
    assert abs(mean - 550) < 4 * error


def test_the_share_that_is_sent_is_the_rate_that_was_asked_for():
    chance = random.Random(2)
    sizes = [pool_size(0.3, chance.random) for _ in range(20_000)]
    assert set(sizes) == {3, 4}
    assert len(sizes) / sum(sizes) == pytest.approx(0.3, rel=0.01)


# --- what matters -------------------------------------------------------------------------------


def test_every_error_is_kept_for_itself_wherever_in_the_trace_it_was(traffic):
    here = traffic(AdaptiveSampler(base_rate=0.01))
    failed = {here.trace(spans=3, failed=True) for _ in range(20)}
    for _ in range(200):
        here.trace()
    here.take(settle=True)
    kept = here.kept()
    assert failed <= set(kept)
    assert {kept[trace][0].reason for trace in failed} == {"error"}
    assert sum(weights(kept)[trace] for trace in failed) == 20


def test_a_share_of_the_errors_can_be_kept_and_stands_for_all_of_them(traffic):
    here = traffic(AdaptiveSampler(base_rate=0.01, errors=0.25))
    failed = {here.trace(failed=True) for _ in range(100)}
    for _ in range(100):
        here.trace()
    here.take(settle=True)
    kept = weights(here.kept())
    assert sum(weight for trace, weight in kept.items() if trace in failed) == 100
    assert sum(kept.values()) == 200
    assert 20 <= len(failed & set(kept)) <= 30


def test_what_was_disliked_unsafe_or_unsure_before_the_decision_is_kept(traffic):
    here = traffic(AdaptiveSampler(base_rate=0.01))
    for _ in range(100):
        here.trace()
    said = {
        here.trace(): ("feedback", "wandb.reaction.1", {"emoji": "👎🏽", "alias": ":thumbsdown:"}),
        here.trace(): ("score", "safety", {"flagged": True}),
        here.trace(): ("score", "confidence", {"score": 0.2, "method": "logprobs"}),
    }
    for trace, (kind, name, value) in said.items():
        events.add(here.project, kind=kind, name=name, value=value, row_id=trace, table="traces")
    here.take(settle=True)
    kept = here.kept()
    assert {kept[trace][0].reason for trace in said} == {"disliked", "unsafe", "low confidence"}
    assert sum(weights(kept).values()) == 103


def test_a_dislike_that_comes_after_the_decision_has_the_trace_sent_and_counted_once(traffic):
    here = traffic(AdaptiveSampler(base_rate=0.1))
    traces = [here.trace() for _ in range(40)]
    here.take(settle=True)
    first = weights(here.kept())
    dropped = next(trace for trace in traces if trace not in first)
    events.add(
        here.project, kind="feedback", name="reaction", value="👎", row_id=dropped, table="traces"
    )
    here.take()
    assert weights(here.kept()) == {dropped: 0.0}
    assert sum(first.values()) == 40


def test_a_slow_trace_is_kept_once_it_is_known_what_is_slow(traffic):
    here = traffic(AdaptiveSampler(base_rate=0.02))
    for n in range(150):
        here.trace(latency_ms=10 + n % 5)
    here.take()
    slow = here.trace(latency_ms=5000)
    here.take(settle=True)
    assert here.kept()[slow][0].reason == "slow"


def test_a_stratum_in_trouble_is_sampled_more(traffic):
    here = traffic(AdaptiveSampler(base_rate=0.02, boost=5, error_rate_threshold=0.1))
    for _ in range(300):
        here.trace("calm")
        here.trace("troubled", failed=here.chance.random() < 0.4)
    here.take(settle=True)
    sent = Counter(
        here.truth[trace] for trace, units in here.kept().items() if units[0].reason == "sample"
    )
    assert sent["calm"] <= 8
    assert sent["troubled"] >= 12


# --- traces as they come ------------------------------------------------------------------------


def test_a_trace_waits_for_its_root(traffic):
    here = traffic(AdaptiveSampler(base_rate=1.0))
    trace_id, child = clock.new_id(), clock.new_id()
    here.span(trace_id, child, "step", parent_id=trace_id)
    here.take()
    assert here.kept() == {}
    here.span(trace_id, trace_id, "answer")
    here.take()
    assert len(here.kept()[trace_id]) == 2


def test_a_row_that_ends_after_its_root_follows_its_trace(traffic):
    here = traffic(AdaptiveSampler(base_rate=1.0))
    trace = here.trace(spans=1)
    here.take()
    assert list(here.kept()) == [trace]
    here.span(trace, clock.new_id(), "late", parent_id=trace)
    here.take()
    assert len(here.kept()[trace]) == 2


def test_a_trace_whose_root_never_comes_is_decided_about_in_the_end(traffic):
    here = traffic(AdaptiveSampler(base_rate=1.0, patience_s=0))
    trace_id = clock.new_id()
    here.span(trace_id, clock.new_id(), "step", parent_id=clock.new_id())
    here.take()
    assert list(here.kept()) == [trace_id]


def test_a_killed_sampler_goes_on_with_the_decisions_it_made(traffic):
    here = traffic(AdaptiveSampler(base_rate=0.1))
    for n in range(100):
        here.trace(failed=n % 9 == 0)
    here.take(settle=True)
    decided = {unit.id: unit.weight for unit in here.sampling.kept(1000)}
    here.begin()  # nothing was committed: all rows come again
    here.take(settle=True)
    assert {unit.id: unit.weight for unit in here.sampling.kept(1000)} == decided
    assert sum(decided.values()) == 100


def test_rows_of_tables_without_traces_are_sampled_one_by_one(traffic):
    here = traffic(AdaptiveSampler(base_rate=0.1, by="city"))
    writer = spool.writer(here.project, "orders", here.settings)
    for n in range(200):
        city = "Rome" if n % 4 else "Oslo"
        writer.append("row", wire.dumps({"id": clock.new_id(), "data": {"n": n, "city": city}}))
    follower = Follower(here.project, "orders", "test", reader=here.reader)
    while rows := follower.batch(100):
        here.sampling.take(rows, "orders")
    here.sampling.decide(settle=True)
    total = Counter()
    for _, rows in here.sampling.rows_of(here.sampling.kept(1000)):
        for row, unit in rows:
            total[wire.loads(row["data"])["city"]] += unit.weight
    assert total == {"Rome": 150, "Oslo": 50}


def test_decisions_are_not_remembered_for_ever(traffic, monkeypatch):
    from llmwatch.forward import sampling

    monkeypatch.setattr(sampling, "MOST_REMEMBERED", 10)
    here = traffic(AdaptiveSampler(base_rate=0.5))
    for _ in range(30):
        here.trace()
    here.take(settle=True)
    here.kept()
    with clock.use(now=lambda: time.time_ns() // 1000 + 2 * sampling.PRUNE_EVERY_US):
        here.sampling.decide()
    assert sum(here.sampling.counts().values()) == 10


# --- the words it goes by -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["👎", ":thumbsdown:", {"emoji": "👎🏿"}, {"alias": ":thumbs_down:"}, "dislike"]
)
def test_a_thumb_down_is_a_dislike_in_any_form(value):
    assert is_dislike(value)


@pytest.mark.parametrize(
    "value", ["👍", {"emoji": "🎉"}, None, 1, {"note": "down the road"}, "put it down here"]
)
def test_other_feedback_is_no_dislike(value):
    assert not is_dislike(value)


def test_scores_say_unsafe_and_unsure_in_their_own_words():
    assert is_unsafe({"flagged": True})
    assert is_unsafe({"passed": False})
    assert not is_unsafe({"flagged": False, "score": 0.9})
    assert confidence_of("confidence", {"score": 0.3}) == 0.3
    assert confidence_of("toxicity", {"score": 0.3}) is None
    assert confidence_of("judge", {"confidence": None}) is None
    assert confidence_of("confidence", float("nan")) is None


def test_nothing_is_slow_until_enough_is_known():
    assert slow_above([1.0] * 99) is None
    assert slow_above([float(n) for n in range(1, 201)]) == 198


def test_facts_remember_the_worst_that_was_said():
    facts = Facts("t", "traces", "s")
    facts.learn("score", "confidence", {"score": 0.9})
    facts.learn("score", "confidence", {"score": 0.4})
    facts.learn("score", "safety", {"flagged": False})
    assert (facts.confidence, facts.unsafe) == (0.4, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_rate": 0},
        {"base_rate": 1.5},
        {"errors": 0},
        {"boost": 0.5},
        {"hold_s": -1},
        {"rate": 0.1},
    ],
)
def test_a_sampler_that_cannot_be_is_refused_with_what_it_can(wrong):
    with pytest.raises(SettingsError):
        AdaptiveSampler.from_dict(wrong)
