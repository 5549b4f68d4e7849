"""Outputs: how often calls that went well give nothing, or something that cannot be read."""

from __future__ import annotations

import pytest

from llmwatch import StreamTable
from llmwatch.watch import MetricSet, Outputs, measure
from llmwatch.watch.families.outputs import is_malformed


def test_rates_are_of_calls_that_went_well(llmwatch_store):
    table = StreamTable("shop/answers")
    table.log(
        [
            {"output": "fine", "status": "success"},
            {"output": {"answer": 1}},
            {"output": '{"answer": "cut'},
            {"output": None},
            {"output": "  "},
            {"output": None, "status": "error"},
        ]
    )
    found = measure("local/shop", MetricSet("o", "shop/answers", [Outputs()]), "1h")
    assert found["outputs/null_rate"] == pytest.approx(2 / 5)
    assert found["outputs/malformed_rate"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "text", ['{"a": 1', '```json\n{"a": \n```', '[{"a": 1}', '["a", ', "caf\ufffd", '  {"a" 1}']
)
def test_what_begins_as_json_and_is_none_is_malformed(text):
    assert is_malformed(text)


@pytest.mark.parametrize(
    "text", ["", "Prose.", '{"a": 1}', '```json\n{"a": 1}\n```', "[1] says so.", "[sic]", None]
)
def test_prose_and_whole_json_are_not(text):
    assert not is_malformed(text)
