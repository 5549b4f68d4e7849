"""What a traced function is: itself, a Weave op, and whatever the decorator's keywords made of its rows."""

from __future__ import annotations

import asyncio
import inspect
import re
import subprocess
import sys
import textwrap

import orjson
import pytest

from llmwatch import faults, settings
from llmwatch.tracing import (
    GuardrailBlocked,
    Row,
    context,
    current_row,
    traced,
)
from llmwatch.tracing import recorder as recording


def test_decorating_imports_no_weave():
    code = """
        import sys
        from llmwatch.tracing import traced, context
        @traced(kind="tool")
        def ask(question): return question
        assert ask("why?") == "why?"
        with context(user_id="u1"): ask("why?")
        assert ask.name == "ask" and ask.ref is None
        assert "weave" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_a_traced_function_keeps_its_face():
    @traced
    async def ask(question: str, *, k: int = 3) -> str:
        """Ask."""
        return question

    assert (ask.__name__, ask.__doc__) == ("ask", "Ask.")
    assert str(inspect.signature(ask)) == "(question: 'str', *, k: 'int' = 3) -> 'str'"
    assert inspect.iscoroutinefunction(ask)


def test_a_traced_function_is_a_weave_op():
    from weave.trace.op import as_op, is_op

    class Model:
        @traced
        def predict(self, question):
            return question

    @traced
    def ask(question):
        return question

    assert is_op(ask)
    assert as_op(Model().predict).name == "Model.predict"


def test_call_gives_the_output_and_a_row_that_is_a_weave_call(recorded):
    from weave.trace.call import Call

    @traced
    def ask(question, k=3):
        return question * 2

    output, row = ask.call("why?")
    assert output == "why?why?" == row.output
    assert isinstance(row, Row)
    assert isinstance(row, Call)
    assert row.inputs == {"question": "why?", "k": 3}
    assert row.ui_url.endswith(row.id)
    assert recorded.only()["id"] == row.id


def test_call_keeps_an_error_in_the_row(recorded):
    @traced
    def ask():
        raise ValueError("no answer")

    output, row = ask.call()
    assert output is None
    assert "no answer" in row.exception
    with pytest.raises(ValueError, match="no answer"):
        ask.call(__should_raise=True)
    assert [row["status"] for row in recorded.rows()] == ["error", "error"]


def test_an_async_call_gives_output_and_row(recorded):
    @traced
    async def ask():
        return 1

    output, row = asyncio.run(ask.call())
    assert (output, recorded.only()["id"]) == (1, row.id)


def test_weave_ops_and_traced_functions_nest_both_ways(recorded):
    from weave.trace.call import Call
    from weave.trace.context import call_context

    @traced
    def inner():
        return call_context.get_current_call()

    theirs = Call("theirs", "trace-1", "local/demo", None, {}, id="call-1")
    call_context.push_call(theirs)
    row = inner()
    call_context.pop_call("call-1")
    assert isinstance(row, Row)
    assert (row.parent_id, row.trace_id) == ("call-1", "trace-1")
    assert call_context.get_call_stack() == []


def test_inputs_are_as_they_were_at_call_time(recorded):
    @traced
    def ask(messages):
        messages.append("changed")
        return len(messages)

    ask(["first"])
    assert recorded.only()["inputs"] == {"messages": ["first"]}


def test_an_argument_python_refuses_is_recorded_as_the_error_it_is(recorded):
    @traced
    def ask(question):
        return question

    with pytest.raises(TypeError, match="unexpected keyword"):
        ask("why?", wrong=1)
    assert recorded.only()["exception_type"] == "TypeError"


def test_context_blocks_nest_and_leave_nothing_behind(recorded):
    @traced
    def ask():
        return 1

    with context(user_id="u1", version="v1", tags="a", team="red"):
        with context(session_id="s1", user_id="u2", tags=["b"]):
            ask()
        ask()
    ask()
    inner, outer, none = recorded.rows()
    assert (inner["user_id"], inner["session_id"], inner["version"]) == ("u2", "s1", "v1")
    assert inner["attributes"]["tags"] == ["a", "b"]
    assert inner["attributes"]["team"] == "red"
    assert inner["turn_id"] == inner["id"]
    assert outer["user_id"] == "u1"
    assert "session_id" not in outer
    assert "user_id" not in none
    assert "tags" not in none["attributes"]


def test_weave_attributes_and_threads_reach_the_row(recorded):
    import weave

    @traced
    def ask():
        return 1

    with weave.attributes({"env": "prod"}), weave.thread("t1"):
        ask()
    row = recorded.only()
    assert row["attributes"]["env"] == "prod"
    assert (row["session_id"], row["turn_id"]) == ("t1", row["id"])


def test_a_trace_goes_on_in_another_process(recorded):
    @traced
    def here():
        return current_row().headers

    @traced
    def there():
        return 1

    with context(**here()):
        assert current_row() is None
        there()
    (first,), (second,) = recorded.named("here"), recorded.named("there")
    assert (second["trace_id"], second["parent_id"]) == (first["trace_id"], first["id"])


def test_a_foreign_span_may_be_the_parent(recorded):
    @traced
    def ask():
        return 1

    with context(traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"):
        ask()
    with context(traceparent="nonsense"):
        ask()
    child, root = recorded.rows()
    assert child["trace_id"] == "0af76519-16cd-43dd-8448-eb211c80319c"
    assert child["parent_id"] == "b7ad6b7169203331"
    assert root["trace_id"] == root["id"]


def test_children_follow_their_root_to_its_table(recorded):
    @traced
    def leaf():
        return 1

    @traced(table="bot")
    def root():
        return leaf()

    root()
    assert [row["op_name"] for row in recorded.rows("bot")] == ["leaf", "root"]


def test_kinds_are_ours_in_the_column_and_weaves_in_the_attributes(recorded):
    @traced(kind="retrieval", color="blue", attributes={"tier": 1})
    def ask():
        return 1

    ask()
    row = recorded.only()
    assert row["kind"] == "retrieval"
    assert row["attributes"]["weave"]["kind"] == "search"
    assert row["attributes"]["weave"]["color"] == "blue"
    assert row["attributes"]["tier"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "retreival"}, "kind must be one of"),
        ({"tracing_sample_rate": 2}, "from 0 to 1"),
        ({"attributes": {"weave": 1}}, "belongs to Weave"),
        ({"table": "../x"}, "table"),
    ],
)
def test_a_wrong_option_is_refused_at_decoration(options, message):
    with pytest.raises(ValueError, match=message):
        traced(**options)


def test_processing_decides_what_is_recorded(recorded):
    @traced(
        postprocess_inputs=lambda inputs: {"length": len(inputs["question"])},
        postprocess_output=str.upper,
        call_display_name=lambda call: f"ask {call.inputs['question']}",
    )
    def ask(question):
        return question

    assert ask("why?") == "why?"
    row = recorded.only()
    assert (row["inputs"], row["output"], row["display_name"]) == (
        {"length": 4},
        "WHY?",
        "ask why?",
    )


def test_a_display_name_may_tell_how_the_call_ended(recorded):
    @traced(call_display_name=lambda call: "failed" if call.exception else "fine")
    def ask(question):
        return 1 / question

    with pytest.raises(ZeroDivisionError):
        ask(0)
    assert recorded.only()["display_name"] == "failed"


def test_a_finish_handler_may_name_the_call(recorded):
    @traced
    def ask(question):
        return question

    def handler(call, output, error):
        call._display_name = f"said {output}"

    ask._set_on_finish_handler(handler)
    ask("why?")
    assert recorded.only()["display_name"] == "said why?"


def test_an_id_that_is_given_is_a_text(recorded):
    @traced
    def ask(question):
        return question

    ask.call("why?", __weave={"call_id": 5})
    row = recorded.only()
    assert (row["id"], row["trace_id"]) == ("5", "5")


def test_failed_processing_records_nothing_of_the_value(recorded):
    @traced(postprocess_inputs=lambda inputs: inputs["missing"], postprocess_output=len)
    def ask(question):
        return 7

    with faults.strict(False):
        assert ask("a secret") == 7
    row = recorded.only()
    assert "a secret" not in str(row)
    assert "postprocessing failed with KeyError" in row["inputs"]["error"]


def test_an_eager_call_shows_as_running_until_it_ends(recorded):
    @traced(eager=True)
    def ask(question):
        return recorded.only()["status"]

    assert ask("why?") == "running"
    row = recorded.only()
    assert (row["status"], row["inputs"], row["output"]) == (
        "success",
        {"question": "why?"},
        "running",
    )


def test_a_record_is_written_when_it_is_finalised(recorded):
    @traced(auto_log=False)
    def ask(question):
        return question * 2

    record = ask("why?")
    assert record.get() == "why?why?"
    assert recorded.rows() == []
    record.add_data({"grade": 3})
    record.finalize()
    record.finalize()
    record.add_data({"late": True})
    row = recorded.only()
    assert row["id"] == record.id
    assert (row["attributes"]["grade"], row["attributes"]["late"]) == (3, True)


def test_labels_are_events_of_the_row(recorded):
    from llmwatch.stream.query import Reader

    @traced
    def ask():
        return 1

    _, row = ask.call()
    row.label({"resolved": True}, creator="ann")
    found = Reader(recorded.project).execute(
        'SELECT row_id, kind, name, value, creator FROM "_events"', tables=("_events",)
    )
    assert found.rows == [(row.id, "label", "resolved", "true", "ann")]


def test_a_guardrail_stops_an_output(recorded):
    def polite(output):
        return "damn" not in output

    @traced(guardrails=[polite])
    def ask(answer):
        return answer

    assert ask("hello") == "hello"
    with pytest.raises(GuardrailBlocked, match="'polite' refused"):
        ask("damn")
    good, bad = recorded.rows()
    assert (good["status"], bad["status"], bad["output"]) == ("success", "error", "damn")
    assert good["attributes"]["llmwatch"] == {"guardrails": ["polite"]}


def test_an_accumulator_makes_one_output_of_a_stream(recorded):
    @traced(accumulator=lambda total, item: (total or 0) + item)
    def numbers():
        return iter([1, 2, 3])

    assert list(numbers()) == [1, 2, 3]
    assert recorded.only()["output"] == 6


def test_usage_is_read_from_an_answer_and_summed_once(recorded):
    @traced(kind="generation")
    def generate():
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        message = {"role": "assistant", "content": "hello"}
        return {"model": "m-1", "usage": usage, "choices": [{"message": message}]}

    @traced
    def answer():
        generate()
        return generate()

    answer()
    (root,) = recorded.named("answer")
    leaf = recorded.named("generate")[0]
    assert (leaf["model"], leaf["prompt_tokens"], leaf["completion_tokens"]) == ("m-1", 5, 2)
    assert leaf["output_chars"] == 5
    assert "prompt_tokens" not in root
    assert root["summary"]["usage"]["m-1"]["requests"] == 2
    assert root["summary"]["usage"]["m-1"]["total_tokens"] == 14


SECRET = "sk-" + "a1B2" * 8


@pytest.mark.parametrize(
    ("options", "question"),
    [
        ({}, f"my key is {SECRET}"),
        ({}, {"headers": [{"Authorization": SECRET[3:]}]}),
        ({"redact": "ssn"}, {"person": {"ssn": SECRET[3:]}}),
        ({"redact": ["question"]}, SECRET[3:]),
        ({"redact": [re.compile("a1B2[a-zA-Z0-9]*")]}, f"it is {SECRET[3:]}"),
        ({"redact": lambda text: text.replace(SECRET[3:], "x")}, [f"it is {SECRET[3:]}"]),
    ],
)
def test_secrets_never_reach_the_store(options, question, recorded):
    @traced(**options)
    def ask(question):
        if isinstance(question, str) and question.endswith("!"):
            raise ValueError(question)
        return [question, {"question": question}] if "redact" in options else question

    ask(question)
    if isinstance(question, str) and options.get("redact") != ["question"]:
        with pytest.raises(ValueError, match="a1B2"):
            ask(question + " !")
    recorded.rows()
    held = b"".join(p.read_bytes() for p in recorded.project.path.rglob("*") if p.is_file())
    if options.get("redact") == ["question"]:
        held = held.split(b'"output"')[0]
    assert b"a1B2a1B2" not in held


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("padding", ["", "a long-winded story, " * 100])
@pytest.mark.parametrize(
    "secret",
    [
        SECRET,
        "Bearer " + SECRET[3:],
        "AKIA" + "A1B2C3D4E5F6G7H8",
        "ghp_" + SECRET[3:],
        "github_pat_" + SECRET[3:],
        "AIza" + SECRET[3:] + "xyz",
        "xoxb-Xk29fJq0aLp7Wd3vTz8R5mNc1bYe",
        "sk_live_" + SECRET[3:],
        "hf_Xk29fJq0aLp7Wd3vTz8R5mNc1bYeQsGu",
        "postgres://ann:hunter2x7@db/x",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.c2lnbmF0dXJlMTIz",
        "AccountKey=" + "a1B2" * 12,
    ],
)
def test_a_secret_is_found_in_the_question_or_the_answer_long_or_short(
    secret, padding, eager, recorded
):
    @traced(eager_call_start=eager)
    def say(question, answer):
        return answer

    say(padding, [f"{padding} it is {secret}"])
    say([f"it is {secret} {padding}"], "no")
    say(f"it is {secret} {padding}", 7)
    recorded.rows()
    held = b"".join(p.read_bytes() for p in recorded.project.path.rglob("*") if p.is_file())
    assert (
        secret.partition("ann:")[2].partition("@")[0].encode() not in held or "ann:" not in secret
    )
    assert "ann:" in secret or secret[12:].encode() not in held
    assert held.count(b"REDACTED") >= 4


def test_personal_data_is_taken_out_where_that_is_asked(recorded):
    @traced(redact="pii")
    def ask(question):
        return [question, {"pii": 7}]

    ask("I am Ann, write to ann@example.org or call +44 20 7946 0958")
    row = recorded.only()
    assert row["inputs"] == {"question": "I am Ann, write to [email] or call [phone]"}
    assert row["output"][1] == {"pii": 7}


def test_the_settings_redact_every_call(recorded):
    settings.use(settings.load(redact="pii, ssn"))
    recording.configure(recorded.project, settings.current())

    @traced(redact="name")
    def ask(question, ssn):
        return {"name": "Ann", "to": "ann@example.org"}

    ask("who?", "078-05-1120")
    row = recorded.only()
    assert row["inputs"] == {"question": "who?", "ssn": "REDACTED"}
    assert row["output"] == {"name": "REDACTED", "to": "[email]"}


def test_json_that_the_user_brings_may_have_lines(recorded):
    @traced
    def ask(question):
        return orjson.Fragment(b'{"a":\n [1,\n2]}')

    ask(orjson.Fragment(b"{\n}"))
    row = recorded.only()
    assert (row["inputs"], row["output"]) == ({"question": {}}, {"a": [1, 2]})


def test_a_failing_redaction_rule_records_nothing(recorded):
    @traced(redact=lambda text: 1 / 0)
    def ask(question):
        return question

    with faults.strict(False):
        assert ask("secret text") == "secret text"
    assert "secret text" not in str(recorded.only())


def test_sampling_keeps_whole_traces(recorded, monkeypatch):
    @traced
    def leaf():
        return 1

    @traced(tracing_sample_rate=0.5)
    def root():
        return leaf()

    for _ in range(200):
        root()
    roots, leaves = recorded.named("root"), recorded.named("leaf")
    assert 0 < len(roots) < 200
    assert {leaf["parent_id"] for leaf in leaves} == {row["id"] for row in roots}


def test_our_own_fault_leaves_the_call_alone(recorded, monkeypatch):
    from llmwatch.tracing import writing

    @traced
    def ask():
        return 1

    def broken(*_):
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(writing, "_columns", broken)
    with faults.strict(False):
        faults.clear()
        assert ask() == 1
    (fault,) = faults.counts().values()
    assert "a bug of ours" in fault.last_error
    faults.clear()
