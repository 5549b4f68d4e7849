"""`llmwatch.score` and `llmwatch score`: past rows, once, with a report; and how scoring stands."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from scoring_rows import call, demo, lane, run, said, scored, scorers_in

import llmwatch
from llmwatch import cli
from llmwatch.errors import LlmwatchError, NotFound, SettingsError
from llmwatch.scoring import results
from llmwatch.stream.compact import compact

pytestmark = pytest.mark.usefixtures("llmwatch_store")

TABLE = "local/demo/traces"


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> object:
    capsys.readouterr()
    cli.main([*arguments, "--json"])
    return json.loads(capsys.readouterr().out)


def test_past_rows_are_scored_once_and_counted(tmp_path: Path) -> None:
    ids = [call() for _ in range(4)]
    compact(demo(), "traces", seal=True)
    ids.append(call())
    done = llmwatch.score("my_scorers:length", TABLE, paths=scorers_in(tmp_path))
    assert (done.rows, done.scored, done.failed) == (5, 5, 0)
    again = llmwatch.score("my_scorers:length", TABLE, paths=scorers_in(tmp_path))
    assert (again.scored, again.there_already) == (0, 5)
    assert scored() == {(row_id, "length"): 1 for row_id in ids}


def test_what_the_worker_scored_is_not_scored_again(tmp_path: Path) -> None:
    call()
    run(lane(tmp_path, "length"))
    assert llmwatch.score("my_scorers:length", TABLE, paths=scorers_in(tmp_path)).there_already == 1


def test_only_the_rows_that_were_asked_for_are_scored(tmp_path: Path) -> None:
    call(user_id="a")
    wanted = call(user_id="b")
    call(user_id="b", kind="scorer")
    done = llmwatch.score(
        "my_scorers:length",
        TABLE,
        where="user_id = 'b'",
        since=timedelta(hours=1),
        until=datetime.now(timezone.utc),
        paths=scorers_in(tmp_path),
    )
    assert (done.rows, done.scored, done.not_wanted) == (2, 1, 1)
    assert list(scored()) == [(wanted, "length")]


def test_again_scores_rows_that_have_a_score(tmp_path: Path) -> None:
    row_id = call()
    llmwatch.score("my_scorers:length", TABLE, paths=scorers_in(tmp_path))
    done = llmwatch.score("my_scorers:length", TABLE, again=True, paths=scorers_in(tmp_path))
    assert done.scored == 1
    assert llmwatch.StreamTable(TABLE).get(row_id).scores == {"length": {"characters": 7}}


def test_a_function_of_this_process_only_scores_here() -> None:
    def is_short(output: str) -> dict[str, bool]:
        if output == "bad":
            raise ValueError("no")
        return {"short": len(output) < 3}

    call(output="no")
    call(output="bad")
    done = llmwatch.score(is_short, TABLE)
    assert (done.scored, done.failed, done.error) == (1, 1, "ValueError: no")
    assert [event["value"] for event in said()] == [{"short": True}]


def test_failed_rows_are_scored_when_the_scorer_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOODY_FLAG", str(tmp_path / "flag"))
    row_id = call("once")
    call()
    options = {"paths": scorers_in(tmp_path)}
    assert llmwatch.score("my_scorers:moody", TABLE, **options).failed == 1
    done = llmwatch.score("my_scorers:moody", TABLE, failed_only=True, **options)
    assert (done.rows, done.scored) == (1, 1)
    assert said(results.FAILED) == []
    assert row_id in {row for row, _ in scored()}


def test_a_scorer_that_is_not_there_and_a_table_that_is_not_there_say_so() -> None:
    with pytest.raises(NotFound, match="no table"):
        llmwatch.score("token_cost", TABLE)
    call()
    with pytest.raises(LlmwatchError, match="No module named 'nowhere_at_all'"):
        llmwatch.score("nowhere_at_all:x", TABLE)
    with pytest.raises(SettingsError, match="token_cost, confidence, safety"):
        llmwatch.score("toxicity", TABLE)
    with pytest.raises(SettingsError, match="no setting colour"):
        llmwatch.score("token_cost", TABLE, colour="red")


# --- the command -------------------------------------------------------------------------


def test_the_command_scores_and_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(scorers_in(tmp_path))
    call()
    call("raise")
    arguments = (
        "score",
        TABLE,
        "--scorer",
        "my_scorers:length",
        "--scorer",
        "my_scorers:moody",
        "--since",
        "1d",
    )
    length, moody = told(capsys, *arguments)  # type: ignore[misc]
    assert (length["scored"], moody["scored"], moody["failed"]) == (2, 1, 1)
    assert cli.main([*arguments]) == 3
    assert "--retry-failed" in capsys.readouterr().err
    assert cli.main(["score", TABLE, "--scorer", "my_scorers:Above", "--setting", "limit=99"]) == 0
    assert [e["value"] for e in said() if e["name"] == "above"] == [{"above": False}] * 2


def test_the_status_tells_what_was_done_what_failed_and_what_is_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(scorers_in(tmp_path))
    (root / "llmwatch.toml").write_text(
        '[[scorers]]\nuse = "my_scorers:moody"\n[scoring]\nbuiltin = []\n'
    )
    monkeypatch.chdir(root)
    call()
    call("raise")
    from llmwatch.scoring.configured import lanes

    [configured] = lanes(demo().store)
    run(configured, turns=1)
    call()
    [standing] = told(capsys, "score", "--status")  # type: ignore[misc]
    assert (standing["scorer"], standing["live"], standing["scored"]) == ("moody", True, 1)
    assert (standing["behind"], standing["to_retry"], standing["given_up"]) == (1, 1, 0)
    assert cli.main(["score", "--status"]) == 0
    assert "I do not like this" in capsys.readouterr().err
