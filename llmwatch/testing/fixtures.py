"""A pytest plugin: put `pytest_plugins = ["llmwatch.testing.fixtures"]` in your top `conftest.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llmwatch.testing.stores import temporary_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmwatch.store import Store


@pytest.fixture
def llmwatch_store(tmp_path: Path) -> Iterator[Store]:
    """A store of the test's own; see `llmwatch.testing.temporary_store`."""
    with temporary_store(tmp_path / "llmwatch-store") as store:
        yield store
