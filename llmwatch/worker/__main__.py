"""`python -m llmwatch.worker STORE`: the worker as a process of its own, at low priority."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

from llmwatch import settings
from llmwatch.store import Store
from llmwatch.stream import fork
from llmwatch.worker.loop import work
from llmwatch.worker.spawn import LOG_LIMIT


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m llmwatch.worker", description=__doc__)
    parser.add_argument("store", type=Path, help="the store's directory")
    parser.add_argument("--lock-fd", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    os.umask(0o077)
    os.nice(10)  # Linux derives the priority of its reads and writes from this
    loaded = settings.load(store=str(given.store))
    settings.use(loaded)
    _log_to(given.store / "worker.log")
    if given.lock_fd is not None:
        fork.adopt(given.lock_fd)
    if not work(Store(given.store), loaded, idle_s=loaded.worker_idle_s, lock_fd=given.lock_fd):
        sys.stderr.write(f"{given.store} has a worker already\n")
    return 0


def _log_to(path: Path) -> None:
    handler = RotatingFileHandler(path, maxBytes=LOG_LIMIT, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    logger = logging.getLogger("llmwatch")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


if __name__ == "__main__":
    sys.exit(main())
