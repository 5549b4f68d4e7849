"""Every row of the table of values in docs/reference/capture.md is true."""

from __future__ import annotations

import datetime as dt
import enum
import math
import re
from collections import deque, namedtuple
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import pytest

from llmwatch import capture
from llmwatch.capture.decode import RESTORERS

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "capture.md"


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Ticket:
    id: int
    tags: set[str]


class Client:
    def __init__(self) -> None:
        self.url, self.api_key, self._hidden = "x", "sk-1", "y"


Client.__module__ = "shop"
Point = namedtuple("Point", "x y")  # noqa: PYI024
cyclic: list[Any] = [1]
cyclic.append(cyclic)


def rows() -> list[tuple[str, str, str]]:
    values = DOCUMENT.read_text().split("## Media")[0]
    lines = [line for line in values.splitlines() if line.startswith("| `")]
    return [tuple(re.findall(r"`([^`]+)`", line)[:3]) for line in lines]  # type: ignore[misc]


@pytest.mark.parametrize(("value", "line", "back"), rows(), ids=lambda text: text[:30])
def test_a_value_is_recorded_and_comes_back_as_documented(
    value: str, line: str, back: str, tmp_path: Path
) -> None:
    recorded = capture.encode(eval(value), media=tmp_path)
    assert recorded.decode() == line
    restored, expected = capture.decode(orjson.loads(recorded), media=tmp_path), eval(back)
    assert restored == expected
    assert type(restored) is type(expected)


def test_the_table_has_not_lost_its_rows() -> None:
    assert len(rows()) > 25


def test_every_kind_that_comes_back_is_documented() -> None:
    text = DOCUMENT.read_text()
    short = {kind.removeprefix("wandb.") for kind in RESTORERS} - {"media"}
    assert not [kind for kind in short if kind not in text]
    assert all((dt, math, deque, Decimal, PurePosixPath, UUID, np))  # named by the rows
