"""A backend on a store that lives for one test; Weave is kept quiet before it is imported."""

from __future__ import annotations

import os

os.environ["WANDB_ERROR_REPORTING"] = "false"
os.environ["WEAVE_PRINT_CALL_LINK"] = "false"

import pytest
from local_backend import Local

from llmwatch.store import open_store
from llmwatch.stream import spool


@pytest.fixture
def store(tmp_path):
    yield open_store(tmp_path / "store")
    spool.close_all()


@pytest.fixture
def local(store):
    return Local(store)
