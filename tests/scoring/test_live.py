"""Live scoring: each row is scored once by each scorer that wants it, whatever scorers do and whenever the worker dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scoring_rows import call, demo, lane, run, said, scored, scorers_in

import llmwatch
from llmwatch import clock, faults, settings
from llmwatch.scoring import live, results
from llmwatch.scoring.live import Lane, LaneRun
from llmwatch.scoring.spec import Spec
from llmwatch.stream.compact import compact
from llmwatch.testing import temporary_store

pytestmark = pytest.mark.usefixtures("llmwatch_store")


def values(name: str) -> list[object]:
    return [event["value"] for event in said() if event["name"] == name]


def nested(value: object, levels: int) -> object:
    for _ in range(levels):
        value = [value]
    return value


# --- what is scored ----------------------------------------------------------------------


def test_every_row_is_scored_by_every_scorer_and_says_by_which_version(tmp_path: Path) -> None:
    ids = [call(output="x" * n) for n in range(5)]
    run(lane(tmp_path, "length", "Above"))
    assert values("length") == [{"characters": n} for n in range(5)]
    assert scored() == {(row_id, name): 1 for row_id in ids for name in ("length", "above")}
    attributes = json.loads(said()[0]["attributes"])
    assert attributes["scorer"] == "my_scorers:length"
    assert len(attributes["version"]) == 12


def test_rows_are_scored_once_whatever_starts_again(tmp_path: Path) -> None:
    call()
    chosen = lane(tmp_path, "length")
    run(chosen)
    compact(demo(), "traces", seal=True)
    call()
    run(chosen)
    run(chosen)
    assert set(scored().values()) == {1}
    assert len(scored()) == 2


def test_a_position_that_was_lost_scores_nothing_twice(tmp_path: Path) -> None:
    for _ in range(5):
        call()
    chosen = lane(tmp_path, "length")
    run(chosen)
    for position in (demo().path / "positions").rglob("*.json"):
        position.unlink()
    run(chosen)
    assert set(scored().values()) == {1}


def test_a_scorer_of_other_settings_is_another_version_and_scores_what_comes_then(
    tmp_path: Path,
) -> None:
    paths = (scorers_in(tmp_path),)
    first = Spec("my_scorers:Above", settings={"limit": 3}, paths=paths)
    second = Spec("my_scorers:Above", settings={"limit": 99}, paths=paths)
    assert first.version != second.version
    call()
    run(Lane("above", (first,)))
    call()
    run(Lane("above", (second,)))
    assert values("above") == [{"above": True}, {"above": False}]


def test_a_scorer_gets_only_the_rows_it_wants(tmp_path: Path) -> None:
    call(kind="retrieval")
    wanted = call(op_name="weave:///local/demo/op/summary:abc")
    call(status="error", op_name="summary")
    call(kind="scorer", op_name="summary")
    run(lane(tmp_path, "length", ops=("summary",), kinds=("generation",)))
    assert scored() == {(wanted, "length"): 1}


def test_a_sample_is_the_same_share_of_rows_each_time(tmp_path: Path) -> None:
    spec = Spec("my_scorers:length", sample=0.3)
    ids = [clock.new_id() for _ in range(2000)]
    chosen = [row_id for row_id in ids if spec.wants({"id": row_id, "started_at": 1}, "traces")]
    assert chosen == [
        row_id for row_id in ids if spec.wants({"id": row_id, "started_at": 1}, "traces")
    ]
    assert 500 < len(chosen) < 700


def test_rows_from_long_before_a_scorer_was_first_seen_are_left_to_llmwatch_score(
    tmp_path: Path,
) -> None:
    with clock.use(now=lambda: 1_000_000_000_000_000):
        call()
    recent = call()
    run(lane(tmp_path, "length"))
    assert scored() == {(recent, "length"): 1}


def test_a_scorer_with_nothing_to_say_leaves_no_event(tmp_path: Path) -> None:
    call()
    run(lane(tmp_path, "silent"))
    assert said() == []


def test_an_async_scorer_has_many_rows_in_work_at_once(tmp_path: Path) -> None:
    ids = [call() for _ in range(30)]
    before = time.monotonic()
    run(lane(tmp_path, "slow"))
    assert {row_id for row_id, _ in scored()} == set(ids)
    assert time.monotonic() - before < 30 * 0.2 * 5  # one after the other, each five times too slow


def test_hostile_results_and_prints_harm_nobody(tmp_path: Path) -> None:
    call()
    run(lane(tmp_path, "hostile", "chatty"))
    [result] = values("hostile")
    assert isinstance(result, dict)
    assert result["many"] == [1, 2]
    assert values("chatty") == [{"ok": 1}]


# --- scorers that fail -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ("raise", "ValueError: I do not like this"),
        ("die", "ended with code 3"),
        ("hang", "no result within 0.5 s"),
    ],
)
def test_a_row_that_a_scorer_fails_on_is_recorded_and_the_others_are_scored(
    tmp_path: Path, question: str, why: str
) -> None:
    good = [call() for _ in range(3)]
    bad = call(question)
    good += [call() for _ in range(3)]
    run(lane(tmp_path, "moody", "length", timeout_s=0.5), turns=1)
    assert {row_id for row_id, name in scored() if name == "moody"} == set(good)
    assert {row_id for row_id, name in scored() if name == "length"} == {*good, bad}
    [failure] = said(results.FAILED)
    assert failure["row_id"] == bad
    assert why in failure["value"]["error"]
    assert (failure["value"]["attempts"], failure["value"]["given_up"]) == (1, False)


def test_a_batch_that_fails_is_scored_row_by_row(tmp_path: Path) -> None:
    call()
    call(output="poison")
    run(lane(tmp_path, "Above"), turns=1)
    assert len(said()) == 1
    assert len(said(results.FAILED)) == 1


def test_what_failed_is_tried_again_and_then_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_RETRY_S", 0.0)
    monkeypatch.setenv("MOODY_FLAG", str(tmp_path / "flag"))
    row_id = call("once")
    run(lane(tmp_path, "moody"))
    assert scored() == {(row_id, "moody"): 1}
    assert said(results.FAILED) == []


def test_retries_go_on_where_a_killed_worker_left_them_and_end_with_the_last_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("raise")
    run(lane(tmp_path, "moody"), turns=1)
    monkeypatch.setattr(live, "_RETRY_S", 0.0)
    run(lane(tmp_path, "moody"))
    [failure] = said(results.FAILED)
    assert (failure["value"]["attempts"], failure["value"]["given_up"]) == (3, True)


def test_a_scorer_that_cannot_be_imported_costs_no_row_its_score(tmp_path: Path) -> None:
    row_id = call()
    with temporary_store(Path(demo().store.root), strict=False):
        run(Lane("later", (Spec("not_there_yet:length", paths=(str(tmp_path),)),)))
        assert any("not_there_yet" in cause for cause in faults.counts())
    assert said(results.FAILED) == []
    (tmp_path / "not_there_yet.py").write_text("def length(output): return {'n': 1}")
    run(Lane("later", (Spec("not_there_yet:length", paths=(str(tmp_path),)),)))
    assert scored() == {(row_id, "length"): 1}


def test_a_scorer_that_kills_its_process_on_import_is_unusable_not_failing(tmp_path: Path) -> None:
    call()
    (tmp_path / "deadly.py").write_text("import os; os._exit(9)")
    with temporary_store(Path(demo().store.root), strict=False):
        run(Lane("deadly", (Spec("deadly:length", paths=(str(tmp_path),)),)))
        assert any("deadly" in cause for cause in faults.counts())
    assert said(results.FAILED) == []


# --- killed ------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from scoring_rows import demo, lane
from llmwatch import settings
from llmwatch.scoring import live, results
from llmwatch.scoring.live import LaneRun
live.MOST_ROWS = 40
left = int(sys.argv[3])
write = results.write
def counted(*given):
    global left
    write(*given)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
results.write = counted
run = LaneRun(lane(Path(sys.argv[2]), "length", "Above"), demo().store, settings.current())
while run.turn():
    pass
run.close()
"""


def test_a_worker_killed_anywhere_scores_each_row_exactly_once(tmp_path: Path) -> None:
    ids = [call() for _ in range(150)]
    tests, source = str(Path(__file__).parent), str(Path(llmwatch.__file__).parents[1])
    for after in (3, 81, 50, 10_000):
        command = [sys.executable, "-c", KILLED, tests, str(tmp_path), str(after)]
        done = subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": source})
        assert done.returncode == (0 if after == 10_000 else -signal.SIGKILL)
        compact(demo(), "traces", seal=True)
    assert scored() == {(row_id, name): 1 for row_id in ids for name in ("length", "above")}


def test_children_end_when_their_worker_is_killed(tmp_path: Path) -> None:
    call("hang")
    code = KILLED.replace(
        'lane(Path(sys.argv[2]), "length", "Above")', 'lane(Path(sys.argv[2]), "moody")'
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path), "-1"]
    environment = {**os.environ, "PYTHONPATH": str(Path(llmwatch.__file__).parents[1])}
    worker = subprocess.Popen(command, env=environment)
    try:
        children = _wait_for(lambda: _children_of(worker.pid))
    finally:
        worker.kill()
        worker.wait()
    _wait_for(lambda: not any(map(_lives, children)))


def _children_of(pid: int) -> list[int]:
    of_threads = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(text) for texts in of_threads for text in texts]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _wait_for(found):  # type: ignore[no-untyped-def]
    until = time.monotonic() + 60
    while not (what := found()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return what


def test_what_a_slow_batch_has_come_to_is_kept_when_the_worker_is_killed_in_it(
    tmp_path: Path,
) -> None:
    done = [call() for _ in range(4)]
    hanging = call("hang")
    code = KILLED.replace('"length", "Above")', '"moody", batch=2, timeout_s=99)')
    assert code != KILLED
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path), "-1"]
    environment = {**os.environ, "PYTHONPATH": str(Path(llmwatch.__file__).parents[1])}
    worker = subprocess.Popen(command, env=environment)
    try:
        _wait_for(lambda: len(scored()) == len(done))
    finally:
        worker.kill()
        worker.wait()
    run(lane(tmp_path, "moody", batch=2, timeout_s=0.5), turns=1)
    assert scored() == {(row_id, "moody"): 1 for row_id in done}
    assert [failure["row_id"] for failure in said(results.FAILED)] == [hanging]


def test_work_that_is_interrupted_records_nothing(tmp_path: Path) -> None:
    import threading

    from llmwatch.scoring.pool import Stopped

    call("hang")
    chosen = LaneRun(lane(tmp_path, "moody"), demo().store, settings.current())
    threading.Timer(3.0, chosen.interrupt).start()
    with pytest.raises(Stopped):
        chosen.turn()
    chosen.close()
    assert said() == []
    assert said(results.FAILED) == []


@pytest.mark.parametrize(
    "unreadable",
    [
        pytest.param(float("nan"), id="NaN"),
        pytest.param(
            {"_type": 1, "of": nested("", 900)},
            id="nested too deep",
            marks=pytest.mark.skipif(sys.version_info >= (3, 12), reason="it is read there"),
        ),
    ],
)
def test_a_row_that_cannot_be_read_fails_alone(tmp_path: Path, unreadable: object) -> None:
    bad, good = call(output=unreadable), call()
    run(lane(tmp_path, "length"))
    assert set(scored()) == {(good, "length")}
    assert [failure["row_id"] for failure in said(results.FAILED)] == [bad]


def test_a_scorer_may_have_any_name(tmp_path: Path) -> None:
    paths = (scorers_in(tmp_path),)
    row_id = call()
    for name in ("is it brief? / Größe", "../" * 9, "x" * 300):
        run(Lane(name, (Spec("my_scorers:length", name=name, paths=paths),)))
        assert scored()[row_id, name] == 1


def test_a_monitor_that_was_changed_makes_its_lane_anew() -> None:
    from dataclasses import replace

    from llmwatch.backend.monitors import Monitor
    from llmwatch.scoring.subscriber import _identity

    monitor = Monitor("quality", "weave:///local/demo/object/quality:1", ())
    before = Lane("monitor.quality", (Spec("my_scorers:length"),), monitor=monitor)
    after = replace(before, monitor=replace(monitor, sampling_rate=0.1))
    assert _identity(before) == _identity(replace(before))
    assert _identity(before) != _identity(after)


def test_failures_that_were_given_up_do_not_hide_those_that_wait() -> None:
    from llmwatch.stream.query import Reader

    hopeless, waiting = Spec("my_scorers:length", attempts=1), Spec("my_scorers:length")
    failed = results.Outcome(error="no")
    for _ in range(3):
        results.write(demo(), "traces", call(), hopeless, failed)
    row_id = call()
    results.write(demo(), "traces", row_id, waiting, failed)
    reader = Reader(demo())
    assert [f.row_id for f in results.failures(reader, waiting=True, most=2)] == [row_id]
    assert len(results.failures(reader, most=2)) == 2
    reader.close()
