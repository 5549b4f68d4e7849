"""A stand-in for W&B, a store whose records are meant for it, and the forwarder between them."""

from __future__ import annotations

import os

os.environ["WANDB_ERROR_REPORTING"] = "false"
os.environ["WEAVE_PRINT_CALL_LINK"] = "false"

import pytest
from sending import Sending

import llmwatch
from llmwatch import faults, settings
from llmwatch.stream import spool
from llmwatch.testing.wandb_server import WandbServer


@pytest.fixture
def server(monkeypatch):
    """W&B, as far as this process can tell."""
    with WandbServer() as started:
        for name, value in started.environment.items():
            monkeypatch.setenv(name, value)
        yield started


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A store and a home directory of the test's own, nobody logged in."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LLMWATCH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("LLMWATCH_WORKER", "false")
    for name in ("WANDB_MODE", "WEAVE_DISABLED", "LLMWATCH_DESTINATION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    settings.use(None)
    faults.clear()
    yield tmp_path
    llmwatch.finish()
    spool.close_all()
    settings.use(None)


@pytest.fixture
def sending(home, server):
    """A session that is sent, with passes of the forwarder on demand."""
    with Sending(server, home / "store") as made:
        yield made
