"""Bad rows become tests: a dataset of them, and a function called on each of its rows again."""

from __future__ import annotations

import sys
import threading

import pytest

import llmwatch
from llmwatch import StreamTable, datasets, traced
from llmwatch.errors import InvalidName, NotFound, SettingsError


@pytest.fixture
def bot(llmwatch_store):
    llmwatch.init("bot", destination="local")
    yield llmwatch_store
    llmwatch.finish()


@traced
def answer(question, output="short"):
    if question == "fail":
        raise ValueError("cannot")
    return f"{question}?"


@pytest.fixture
def golden(bot):
    """Four rows: the first was corrected, the second labelled, of the third nothing is known, the last failed."""
    rows = [answer.call(question)[1] for question in ("a", "b", "c")]
    with pytest.raises(ValueError, match="cannot"):
        answer("fail")
    rows[0].feedback.add("correction", {"expected": "A"})
    rows[1].label({"expected": "b?", "resolved": False})
    datasets.add("golden", table="bot/traces")
    return rows


def verdicts(run):
    return {row.inputs["question"]: row.verdict for row in run.rows}


def test_each_row_is_called_with_the_inputs_it_had_and_put_beside_what_was_recorded(golden):
    given = []

    def shout(question, output):
        given.append((question, output))
        if question == "c":
            raise RuntimeError("[bold]no")
        return {"a": "A", "b": "B!"}.get(question, "at last")

    run = datasets.rerun("bot/golden", shout)
    assert sorted(given) == [("a", "short"), ("b", "short"), ("c", "short"), ("fail", "short")]
    assert verdicts(run) == {"a": "fixed", "b": "broke", "c": "broke", "fail": "fixed"}
    raised = run.rows[2]
    assert (raised.before, raised.error) == ("c?", "RuntimeError: [bold]no")
    assert raised.before_ms is not None
    assert run.rows[0].row == golden[0].id


def test_a_run_is_recorded_in_a_table_of_its_own_with_all_that_it_calls(golden):
    traces = StreamTable("bot/traces").count()
    run = datasets.rerun("bot/golden", answer)
    assert StreamTable("bot/traces").count() == traces, "tests are no traffic"
    reruns = StreamTable("bot/reruns")
    assert reruns.count() == 8, "each call, and the traced function in it"
    row = next(one for one in reruns.rows() if one["id"] == run.rows[0].id)
    assert row["attributes"]["rerun"]["row"] == golden[0].id
    assert row.labels == {"rerun": "same"}
    assert row["inputs"]["question"] == "a"


def test_async_functions_run_on_one_loop_as_many_at_once_as_are_allowed(golden):
    import asyncio

    loops, now, most = set(), [0], [0]

    async def slowly(question):
        loops.add(asyncio.get_running_loop())
        now[0] += 1
        most[0] = max(most[0], now[0])
        await asyncio.sleep(0.02)
        now[0] -= 1
        return f"{question}?"

    run = datasets.rerun("bot/golden", slowly, parallel=2)
    assert (len(loops), most[0]) == (1, 2)
    assert verdicts(run) == {"a": "same", "b": "same", "c": "same", "fail": "fixed"}


def test_a_model_is_called_by_its_predict_and_no_more_threads_than_allowed(golden):
    import weave

    threads = set()

    class Model(weave.Model):
        after: str = "?"

        @weave.op
        def predict(self, question: str) -> str:
            threads.add(threading.current_thread().name)
            return question + self.after

    for against in (Model, Model(after="?")):
        run = datasets.rerun("bot/golden", against, parallel=1)
        assert verdicts(run)["a"] == "same"
    assert len(threads) == 1


def test_a_scorer_that_says_true_or_false_decides_and_is_recorded(golden):
    def brief(output):
        return {"correct": len(output) < 3, "length": len(output)}

    run = datasets.rerun("bot/golden", lambda question: "long" * len(question), scorers=[brief])
    assert verdicts(run)["c"] == "broke"
    assert run.rows[2].scores["brief"]["after"] == {"correct": False, "length": 4}
    row = next(one for one in StreamTable("bot/reruns").rows() if one["id"] == run.rows[2].id)
    assert row.scores["brief"] == {"correct": False, "length": 4}


def test_a_scorer_that_fails_says_so_and_ends_nothing(golden):
    def broken(output):
        raise LookupError(output)

    run = datasets.rerun("bot/golden", answer, scorers=[broken])
    assert run.rows[0].scores["broken"]["after"] == {"error": "LookupError: a?"}
    assert verdicts(run)["a"] == "same"


def test_what_calls_of_a_model_cost_is_known_then_and_now(bot):
    @traced(kind="generation")
    def generate(question):
        return {"model": "gpt-4o-mini", "usage": {"prompt_tokens": 1000, "completion_tokens": 10}}

    row = generate.call("q")[1]
    llmwatch.score("token_cost", "bot/traces")
    datasets.add("priced", table="bot/traces", rows=[row.id])
    run = datasets.rerun("bot/priced", generate)
    assert run.rows[0].before_usd == pytest.approx(run.rows[0].after_usd)
    assert run.rows[0].after_usd > 0


def test_an_older_version_is_run_by_its_name_and_the_first_rows_only_when_asked(golden):
    datasets.add("golden", table="bot/traces", rows=[answer.call("new")[1].id])
    assert len(datasets.rerun("bot/golden", answer).rows) == 5
    assert len(datasets.rerun("bot/golden:v0", answer).rows) == 4
    assert [
        row.inputs["question"] for row in datasets.rerun("bot/golden", answer, most=1).rows
    ] == ["a"]


def test_what_cannot_be_called_is_said_before_anything_is(golden):
    with pytest.raises(SettingsError, match="asks for query, which no row of the dataset has"):
        datasets.rerun("bot/golden", lambda query: query)
    with pytest.raises(NotFound, match="there is: golden"):
        datasets.rerun("bot/golde", answer)
    with pytest.raises(SettingsError, match="ModuleNotFoundError"):
        datasets.rerun("bot/golden", "no_such_module:f")
    with pytest.raises(SettingsError, match="module:function"):
        datasets.rerun("bot/golden", "no_such_module")
    with pytest.raises(SettingsError, match="parallel"):
        datasets.rerun("bot/golden", answer, parallel=0)
    assert "reruns" not in llmwatch.open_store().project("local", "bot").tables()


def test_rows_that_are_not_there_are_named_and_none_is_added(bot):
    answer("a")
    with pytest.raises(NotFound, match="no row nowhere"):
        datasets.add("golden", table="bot/traces", rows=["nowhere"])
    with pytest.raises(NotFound, match="no row of traces is like that"):
        datasets.add("golden", table="bot/traces", where="latency_ms < 0")
    with pytest.raises(InvalidName, match="no row"):
        datasets.add("golden", table="bot/traces", rows=[])


def test_a_label_that_is_named_is_what_is_expected(golden):
    datasets.add("by_label", table="bot/traces", label="resolved")
    run = datasets.rerun("bot/by_label", lambda question: False)
    assert [row.expected for row in run.rows] == ["A", False, None, None]
    assert verdicts(run)["b"] == "fixed"


def test_the_text_shows_both_sides_and_nothing_in_it_steers_a_terminal(bot):
    hostile = "\x1b[31m[bold red]x[/]"
    datasets.add("golden", table="bot/traces", rows=[answer.call(hostile)[1].id])
    told = str(datasets.rerun("bot/golden", lambda question: "fine"))
    assert "\x1b" not in told
    assert "\\x1b[31m[bold red]x[/]?" in told.replace("\n", "")
    assert "0 broke, 0 fixed, 1 changed" in told


@pytest.mark.parametrize("missing", ["broke", "same"])
def test_the_command_says_by_its_exit_code_whether_something_broke(
    golden, tmp_path, monkeypatch, capsys, missing
):
    from llmwatch.cli import main

    text = "def f(question):\n    return question + " + ("'?'" if missing == "same" else "'!'")
    (tmp_path / f"app_{missing}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    code = main(["rerun", "bot/golden", "--against", f"app_{missing}:f", "--json"])
    assert code == (1 if missing == "broke" else 0)
    assert '"counts": {"broke": ' in capsys.readouterr().out


def test_the_command_adds_rows_and_lists_datasets(golden, capsys):
    from llmwatch.cli import main

    where = ["--table", "bot/traces", "--where", "output = '\"a?\"'"]
    assert main(["dataset", "add", "one", *where, "--json"]) == 0
    assert '"rows": 1' in capsys.readouterr().out
    assert main(["dataset", "list", "bot"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["local/bot\tgolden\t4", "local/bot\tone\t1"]
    assert main(["dataset", "add", "one", "--table", "bot/traces", "--where", "no such sql"]) == 2
