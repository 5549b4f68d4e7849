"""The ladder of a confidence, and each of its rungs."""

from __future__ import annotations

import asyncio
import math

import pytest
import weave

from llmwatch.scorers import Confidence, confiding
from llmwatch.scorers.agreement import agreement, say_the_same
from llmwatch.scorers.logprobs import of_output, sureness
from llmwatch.scorers.stated import stated
from llmwatch.scorers.support import context_of, support
from llmwatch.scorers.wording import names, numbers, sentences


def reply(*answers, logprobs=None, **more):
    choices = [{"message": {"content": answer}} for answer in answers]
    if logprobs is not None:
        choices[0]["logprobs"] = {"content": [{"token": t, "logprob": p} for t, p in logprobs]}
    return {"choices": choices, "model": "m", **more}


def row(output, kind="generation", **inputs):
    return {"output": output, "kind": kind, "inputs": inputs, "status": "success"}


# --- log-probabilities -------------------------------------------------------------------


def test_the_score_is_the_geometric_mean_and_the_lowest_span_is_found():
    tokens = [
        ("It", -0.1),
        (" is", -0.1),
        (" in", -0.1),
        (" Ul", -3.0),
        ("an", -2.0),
        (" Ba", -1.0),
        ("tor", -1.0),
        (".", -0.1),
        (" Yes", -0.1),
        (".", -0.1),
    ]
    found = sureness(of_output(reply("It is in Ulan Bator. Yes.", logprobs=tokens)))
    assert found.n_tokens == 10
    assert found.probability == pytest.approx(math.exp(-0.76))
    assert found.perplexity == pytest.approx(math.exp(0.76))
    assert found.minimum == -3.0
    assert found.span in {" Ulan Bator.", " in Ulan Bator"}
    assert found.span_mean == pytest.approx(-1.42)


def test_log_probabilities_are_read_from_every_kind_of_reply():
    responses = {"output": [{"content": [{"logprobs": [{"token": "a", "logprob": -1.0}]}]}]}
    old = {
        "choices": [
            {"text": "a", "logprobs": {"tokens": ["a", "b"], "token_logprobs": [None, -2.0]}}
        ]
    }
    assert [token.logprob for token in of_output(responses)] == [-1.0]
    assert [token.logprob for token in of_output(old)] == [-2.0]


@pytest.mark.parametrize(
    "output",
    [
        None,
        "text",
        {},
        {"choices": None},
        {"choices": [3]},
        {"choices": [{"logprobs": {"content": [3, {"logprob": "x"}]}}]},
    ],
)
def test_a_reply_without_log_probabilities_has_none(output):
    assert sureness(of_output(output)) is None


def test_impossible_log_probabilities_do_no_harm():
    tokens = [("a", -9999.0), ("b", float("-inf")), ("c", 0.5), ("d", float("nan"))]
    found = sureness(of_output(reply("abc", logprobs=tokens)))
    assert found.n_tokens == 3
    assert 0 <= found.probability <= 1
    assert math.isfinite(found.perplexity)


# --- samples -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Paris", "It is Paris.", True),
        ("It takes 30 days", "It takes 90 days", False),
        ("You can cancel online.", "You cannot cancel online.", False),
        ("42", "42", True),
        ("42", "43", False),
        ("1,000 euros", "1000 euros", True),
        ("Reset your key in the settings.", "In the settings, reset your keys!", True),
        ("Go to the moon", "Ask the support team", False),
        ("", "", True),
    ],
)
def test_answers_say_the_same_or_do_not(one, other, same):
    assert say_the_same(one, other) is same
    assert say_the_same(other, one) is same


def test_an_embedder_tells_answers_apart_when_one_is_named():
    answers = reply(
        "Reset it in the settings page",
        "Reset it on the settings pages",
        "Call us",
        "It takes 3 days",
    )
    by_vectors = Confidence(embedder="ngrams", alike_from=0.5).score_row(row(answers))
    assert (by_vectors["clusters"], by_vectors["agreement"]) == (3, 0.5)
    strict = Confidence(embedder="ngrams", alike_from=0.999).score_row(row(answers))
    assert strict["clusters"] == 4


def test_agreement_is_the_share_that_says_what_most_say():
    assert agreement(["yes", "yes", "yes", "no"]).share == 0.75
    assert agreement(["a b", "a b"]).entropy == 0
    all_different = agreement(["red", "green", "blue"])
    assert (all_different.share, all_different.entropy) == (pytest.approx(1 / 3), pytest.approx(1))
    assert agreement(["one"]) is None
    assert agreement(["", "  ", "one"]) is None


# --- support -----------------------------------------------------------------------------

CONTEXT = "API keys expire after 90 days. Anna Berg of the Oslo office renews them. The fee is 1,250.50 euros."


def test_an_answer_out_of_the_context_is_supported():
    found = support("Keys expire after 90 days. Anna Berg renews them for 1250.5 euros.", CONTEXT)
    assert found.score > 0.8
    assert (found.unsupported, found.numbers, found.names) == ((), (), ())


def test_numbers_and_names_that_the_context_lacks_are_named():
    found = support("Keys expire after 30 days. Then Carl Smith renews them.", CONTEXT)
    assert found.numbers == ("30",)
    assert found.names == ("Carl Smith",)
    assert len(found.unsupported) == 2
    assert found.score < 0.6


def test_what_the_question_says_is_not_made_up():
    assert support("Carl, keys expire after 90 days.", CONTEXT, "I am Carl. How long?").names == ()


def test_an_answer_about_something_else_is_not_supported():
    assert support("Bananas ripen faster beside apples.", CONTEXT).score < 0.2


def test_without_an_answer_or_a_context_there_is_no_support():
    assert support("", CONTEXT) is None
    assert support("Something.", "") is None


def test_the_context_is_found_among_inputs_or_in_the_prompt():
    assert "90 days" in context_of(row("x", question="?", docs=[{"text": CONTEXT}]))
    prompt = f"Answer from the context.\nContext: {CONTEXT}"
    assert "90 days" in context_of(row("x", messages=[{"role": "user", "content": prompt}]))
    assert context_of(row("x", messages=[{"role": "user", "content": "How long?"}])) == ""


def test_long_texts_take_no_long_time():
    assert support("The key. " * 50_000, "A key is a key. " * 20_000) is not None
    assert support("a" * 1_000_000, "a1 " * 300_000) is not None


@pytest.mark.parametrize(
    "text",
    [
        "Ab" + " " * 300_000 + "x",
        "A-" * 200_000,
        "confidence" + " " * 300_000,
        "* " * 200_000,
        "(" * 300_000,
        "1," * 200_000,
    ],
    ids=lambda text: ascii(text[:6]),
)
def test_no_text_holds_the_scorer_up(text):
    found = confiding.score(row(reply(*[text + str(n) for n in range(20)]), context=text))
    assert found["samples"] == 20


# --- words -------------------------------------------------------------------------------


def test_numbers_are_the_same_however_they_are_written():
    assert numbers("1,000 and 1\u202f000 and 1000.0") == {"1000"}
    assert numbers("in 2020 3 people, -5 degrees, 3.14, 1e6; v2 and a1") == {
        "2020",
        "3",
        "-5",
        "3.14",
        "1e6",
    }
    assert numbers("2019-2020") == {"2019", "2020"}


def test_names_are_capitals_inside_sentences():
    assert names("Yesterday I met Anna. She works at Acme Corp in New York.") == {
        "Anna",
        "Acme Corp",
        "New York",
    }
    assert names("Keys expire.") == set()


def test_sentences_are_parted_where_a_person_would():
    assert sentences("It is 3.5 km! Really? yes.\n\n1. First\n- second") == [
        "It is 3.5 km!",
        "Really?",
        "yes.",
        "First",
        "second",
    ]
    assert sentences("\x00\ud800...") == []


# --- stated ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("Paris. Confidence: 85%", 0.85),
        ("Confidence: 0.4. No, confidence: 0.6", 0.6),
        ("I am 90% sure that it is Paris.", 0.9),
        ("**Confidence:** high", 0.85),
        ("Confidence is 7/10", 0.7),
        ('{"answer": "Paris", "confidence": 72}', 0.72),
        ('```json\n{"confidence": "very low"}\n```', 0.1),
        ("Our confidence grew by 140%.", None),
        ("The confidence interval is wide.", None),
        ('{"confidence": true}', None),
        ('{"confidence": -1}', None),
        ("Paris.", None),
    ],
)
def test_a_stated_confidence_is_read(answer, value):
    assert stated(answer, answer) == (None if value is None else pytest.approx(value))


# --- the ladder --------------------------------------------------------------------------


def test_the_first_rung_is_the_score_and_every_rung_is_a_part():
    output = reply(
        "Keys expire after 90 days. Confidence: 60%",
        "Keys expire after 90 days. Confidence: 60%",
        logprobs=[("Keys", -0.5)],
    )
    found = confiding.score(row(output, context=CONTEXT))
    assert (found["method"], found["calibrated"]) == ("logprobs", False)
    assert found["score"] == found["logprob_score"] == pytest.approx(math.exp(-0.5))
    assert (found["agreement"], found["stated"]) == (1.0, 0.6)
    assert found["support"] > 0.3


def test_the_next_rung_is_taken_where_the_first_is_not_there():
    assert confiding.score(row(reply("a", "b")))["method"] == "samples"
    assert confiding.score(row("Keys expire.", context=CONTEXT))["method"] == "support"
    assert confiding.score(row("Yes, I am 80% sure."))["method"] == "stated"


def test_none_says_why():
    found = confiding.score(row("Yes."))
    assert (found["score"], found["method"]) == (None, None)
    assert "ask for logprobs=True" in found["reason"]
    assert "no context" in found["reason"]


def test_rows_that_are_no_answer_say_nothing():
    assert confiding.score(row("docs", kind="retrieval")) is None
    assert confiding.score({**row("x"), "status": "error"}) is None
    assert confiding.score(row(None)) is None
    assert confiding.score(row(3, kind=None)) is None


def test_results_are_flat():
    found = confiding.score(row(reply("A 7 b.", "C."), context=CONTEXT))
    assert all(value is None or isinstance(value, (str, float, int)) for value in found.values())


def test_rungs_can_be_chosen_and_ordered():
    output = reply("Yes. Confidence: 60%", logprobs=[("Yes", -0.5)])
    assert Confidence(rungs=["stated"]).score_row(row(output))["method"] == "stated"
    with pytest.raises(ValueError, match="no rung 'gut'"):
        Confidence(rungs=["gut"])


def test_it_works_in_an_evaluation(tmp_path):
    import llmwatch
    from llmwatch.testing import temporary_store

    with temporary_store(tmp_path / "store"):
        llmwatch.init("demo/confidence")

        @weave.op
        def answer(question: str) -> str:
            return "It is Paris. Confidence: 75%"

        summary = asyncio.run(
            weave.Evaluation(dataset=[{"question": "?"}], scorers=[Confidence()]).evaluate(answer)
        )
        llmwatch.finish()
    assert summary["confidence"]["score"]["mean"] == 0.75
