"""What every test gets: nothing of the machine's settings, and no way to record outside a temporary directory."""

from __future__ import annotations

import os

import pytest

from llmwatch import faults

pytest_plugins = ["llmwatch.testing.fixtures"]


@pytest.fixture(scope="session", autouse=True)
def _nothing_of_the_machine(tmp_path_factory):
    # A test that forgets to ask for a store of its own must not write into the checkout.
    for name in [name for name in os.environ if name.startswith(("LLMWATCH_", "WANDB_", "WEAVE_"))]:
        del os.environ[name]
    os.environ["LLMWATCH_STORE"] = str(tmp_path_factory.mktemp("store") / "session")
    os.environ["LLMWATCH_WORKER"] = "false"


@pytest.fixture(autouse=True)
def _no_faults_of_other_tests():
    faults.clear()
