"""A store for one test: temporary, without a worker, with faults that raise."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmwatch import faults, settings
from llmwatch.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def temporary_store(
    path: Path | None = None, *, strict: bool = True, **given: Any
) -> Iterator[Store]:
    """A store that everything in the block records to, gone after it (one at `path` is kept).

    No worker runs, nothing is sent anywhere, no setting comes from the machine, and a fault of llmwatch's own raises instead of
    being logged (`strict=False`: as in production). `given` are settings, such as `segment_mb=0.1`.

    >>> from llmwatch import StreamTable
    >>> with temporary_store() as store:
    ...     StreamTable("demo/answers").log({"ok": True})
    ...     store.projects()[0].id
    'local/demo'
    """
    with ExitStack() as undo:
        if path is None:
            # What is left open or being written by a process that outlives the test must not fail it.
            path = Path(undo.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        undo.enter_context(_environment(str(path)))
        own = {"worker": False, "destination": "local", **given, "store": str(path)}
        before = settings.use(settings.Settings(**own))
        undo.callback(settings.use, before)
        undo.enter_context(faults.strict(strict))
        undo.callback(_close_writers)
        yield open_store(path)


@contextmanager
def _environment(store: str) -> Iterator[None]:
    """For processes that the test starts: the same store, no worker, nothing else."""
    named = [name for setting in settings.TABLE for name in (setting.env, setting.also_env) if name]
    before = {name: os.environ.pop(name) for name in named if name in os.environ}
    os.environ.update(LLMWATCH_STORE=store, LLMWATCH_WORKER="false")
    try:
        yield
    finally:
        for name in named:
            os.environ.pop(name, None)
        os.environ.update(before)


def _close_writers() -> None:
    from llmwatch.stream import spool

    spool.close_all()
