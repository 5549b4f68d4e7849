"""Values as they stand on a line are JSON that every reader takes."""

from __future__ import annotations

import json

import orjson
import pytest

from llmwatch.backend import wire


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ({"n": 2**80}, {"n": 2**80}),
        (
            {"n": 2**80, "nan": float("nan"), "inf": [float("-inf")]},
            {"n": 2**80, "nan": None, "inf": [None]},
        ),
        ({"\ud800": "lone \udfff"}, {"\ufffd": "lone \ufffd"}),
        ({1: (1, 2)}, {"1": [1, 2]}),
    ],
)
def test_what_is_written_is_read_by_strict_readers(value, read):
    line = wire.dumps(value)
    assert json.loads(line) == read
    orjson.loads(line)  # refuses NaN and lone surrogates
