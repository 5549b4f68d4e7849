"""What every test gets: nothing of the machine's settings, and no way to record outside a temporary directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmwatch import faults

pytest_plugins = ["llmwatch.testing.fixtures"]


# What these hold is the same on every Python: a page in a browser, statistics, SQL, HTTP to a stand-in. CI runs them on one
# Python, and what is left without them (`-m "not slow and not once"`) on all: tracing, recording, storing, reading, serving.
ONCE = frozenset(
    [
        *("board", "breaker", "canary", "datasets", "demo", "drift", "examples", "forward", "gameday", "integrations"),
        *("notebooks", "remarks", "scorers", "scoring", "slices", "watch", "cli/test_commands.py", "cli/test_doctor.py"),
        *(f"backend/test_{n}.py" for n in ("calls", "costs", "expressions", "feedback", "monitors", "stats", "tables")),
        *(f"stream/test_{n}.py" for n in ("derived", "erase", "exchange", "holds", "lake_elsewhere", "merge")),
        *(f"stream/test_{n}.py" for n in ("retention", "snapshot", "sql_guard")),
    ]
)


def pytest_collection_modifyitems(config, items):
    here = Path(__file__).parent
    for item in items:
        place = item.path.relative_to(here)
        if place.parts[0] in ONCE or str(place) in ONCE or "fuzzed" in place.name:
            item.add_marker(pytest.mark.once)


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
