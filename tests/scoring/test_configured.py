"""Which scorers a store's rows get, and that the worker runs them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from scoring_rows import call, demo, run, said, scored, scorers_in

from llmwatch import settings, worker
from llmwatch.errors import SettingsError
from llmwatch.scoring import registered
from llmwatch.scoring.configured import lanes
from llmwatch.scoring.live import Lane
from llmwatch.scoring.spec import Spec
from llmwatch.store import open_store
from llmwatch.worker import lock

pytestmark = pytest.mark.usefixtures("llmwatch_store")


def configure(directory: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "llmwatch.toml").write_text(text)
    scorers_in(directory)
    monkeypatch.chdir(directory)


def test_costs_are_counted_unless_that_is_turned_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(tmp_path, "", monkeypatch)
    [lane] = lanes(open_store())
    assert [spec.name for spec in lane.specs] == ["token_cost"]
    configure(tmp_path, "[scoring]\nbuiltin = []\n", monkeypatch)
    assert lanes(open_store()) == []


def test_scorers_of_the_settings_file_have_lanes_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = '[[scorers]]\nname = "safety"\nsettings = {policy = "strict"}\n[[scorers]]\nuse = "my_scorers:length"\nsample = 0.5\n'
    configure(tmp_path, text, monkeypatch)
    builtin, mine = lanes(open_store())
    assert [spec.name for spec in builtin.specs] == ["safety", "token_cost"]
    assert builtin.specs[0].settings == {"policy": "strict"}
    assert (mine.name, mine.specs[0].sample, mine.specs[0].paths) == (
        "length",
        0.5,
        (str(tmp_path),),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[scorers]]\nname = "nice"\n', "none of token_cost"),
        ('[[scorers]]\nuse = "a:b"\nsampel = 1\n', "no setting sampel"),
        ('[[scorers]]\nuse = "a:b"\nsample = 2\n', "from 0 to 1"),
        ('[[scorers]]\nuse = "ab"\n', "module:object"),
        ("[scorers]\nuse = 1\n", r"write \[\[scorers\]\]"),
        ("[scoring]\nprocess = 1\n", "no setting process"),
        ('[scoring]\nbuiltin = ["x"]\n', "not 'x'"),
    ],
)
def test_what_is_wrong_in_the_file_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    configure(tmp_path, text, monkeypatch)
    with pytest.raises(SettingsError, match=says):
        lanes(open_store())


def test_scorers_of_traced_functions_are_known_by_file_and_only_for_their_ops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(scorers_in(tmp_path))
    import my_scorers  # type: ignore[import-not-found]

    registered.register(demo(), "answer", [my_scorers.length])
    registered.register(demo(), "summary", [my_scorers.length])
    [spec] = registered.read(demo())
    assert (spec.use, spec.name, spec.ops) == ("my_scorers:length", "length", ("answer", "summary"))
    assert spec.paths == (str(tmp_path),)
    sys.modules.pop("my_scorers")


def test_a_scorer_that_no_other_process_can_import_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    registered.register(demo(), "answer", [lambda output: None])
    assert registered.read(demo()) == []
    assert "in no module that the worker can import" in caplog.text


def test_the_worker_scores_while_rows_come_and_ends_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(tmp_path, '[[scorers]]\nuse = "my_scorers:length"\n', monkeypatch)
    row_id = call()
    store = open_store()
    monkeypatch.setenv(settings.ROOT_ENV, str(tmp_path))
    worker.ensure_running(
        store, settings.load(store=str(store.root), worker=True, worker_idle_s=60)
    )
    described = _wait_for(lambda: lock.describe(store))
    try:
        _wait_for(lambda: (row_id, "length") in scored())
        later = call()
        _wait_for(lambda: (later, "length") in scored())
    finally:
        os.kill(described["pid"], 15)
    _wait_for(lambda: not lock.is_running(store))
    assert set(scored().values()) == {1}


def test_a_worker_that_runs_once_scores_what_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(tmp_path, '[[scorers]]\nuse = "my_scorers:length"\n', monkeypatch)
    row_id = call()
    assert worker.run(open_store(), settings.current(), once=True)
    assert scored() == {(row_id, "length"): 1}


def _wait_for(found):  # type: ignore[no-untyped-def]
    until = time.monotonic() + 90
    while not (what := found()):
        assert time.monotonic() < until
        time.sleep(0.1)
    return what


def test_ops_may_have_scorers_of_one_name_and_the_newest_settings_of_each_hold() -> None:
    from llmwatch.scorers import Safety

    registered.register(demo(), "answer", [Safety(policy="strict")])
    registered.register(demo(), "summary", [Safety(policy="lenient")])
    registered.register(demo(), "answer", [Safety(policy="balanced")])
    [lane] = [lane for lane in lanes(open_store()) if lane.name == "safety"]
    policies = {spec.ops: spec.settings["policy"] for spec in lane.specs}
    assert policies == {("answer",): "balanced", ("summary",): "lenient"}
    registered.register(demo(), "answer", [Safety(policy="strict")])  # the old settings again
    policies = {spec.ops: spec.settings["policy"] for spec in registered.read(demo())}
    assert policies[("answer",)] == "strict"


def test_a_failure_is_tried_again_by_the_scorer_that_wants_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOODY_FLAG", str(tmp_path / "flag"))
    monkeypatch.setattr("llmwatch.scoring.live._RETRY_S", 0.0)
    paths = (scorers_in(tmp_path),)
    one_name = [
        Spec(f"my_scorers:{use}", name="same", paths=paths, ops=(op,))
        for use, op in (("moody", "answer"), ("length", "summary"))
    ]
    row_id = call("once")
    run(Lane("same", tuple(one_name)))
    assert [event["value"] for event in said()] == [{"ok": True}]
    assert scored() == {(row_id, "same"): 1}
