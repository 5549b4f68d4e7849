"""The process that talks to wandb, started by the worker: whatever wandb does, only this process waits for it.

It says a byte on its output after each turn, and ends when its input closes.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from typing import TYPE_CHECKING

from llmwatch import settings
from llmwatch.store import ensure, open_store
from llmwatch.stream import fork
from llmwatch.watch.sinks import options
from llmwatch.watch.sinks.daily import Daily, every

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmwatch.store import Project, Store
    from llmwatch.watch.sinks.options import WandbOptions

_TURN_S = 5.0
BUSY, QUIET = b"+", b"."


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", required=True)
    parser.add_argument("--once", action="store_true")
    given = parser.parse_args(arguments)
    told = options.wandb()
    if told is None:
        return 0
    _prepare()
    ended = threading.Event()
    if not given.once:
        threading.Thread(target=_wait_for_the_end, args=(ended,), daemon=True).start()
    _serve(open_store(given.store), told, ended, once=given.once)
    return 0


def _serve(store: Store, told: WandbOptions, ended: threading.Event, *, once: bool) -> None:
    loaded = settings.load(store=str(store.root))
    kept: dict[str, tuple[Daily, int]] = {}
    last = False
    try:
        while not last:
            last = once or ended.is_set()
            for project in every(store.projects()):
                if project.id not in kept and (held := _taken(project)) is not None:
                    kept[project.id] = Daily(project, loaded, told), held
            worked = [daily.turn(last=last) for daily, _ in kept.values()]
            os.write(1, BUSY if any(worked) else QUIET)
            if not last:
                ended.wait(_TURN_S)
    finally:
        for daily, held in kept.values():
            daily.close()
            fork.let_go(held)


def _taken(project: Project) -> int | None:
    """The lock on a project's runs; None while another process has it, one that is about to end perhaps."""
    path = project.task_lock("wandb-run")
    ensure(path.parent)
    fd = fork.open_held(path, os.O_RDWR | os.O_CREAT)
    if fork.lock(fd):
        return fd
    fork.close_only(fd)
    return None


def _prepare() -> None:
    """wandb may print: what it says goes to the errors, as the output is for turns."""
    os.environ["WANDB_SILENT"] = "true"
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    sys.stdout = sys.stderr


def _wait_for_the_end(ended: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    ended.set()


if __name__ == "__main__":
    sys.exit(main())
