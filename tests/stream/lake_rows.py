"""What the lake's tests share: lines of every kind, foreign bytes, a process killed at a step, and the ids a reader sees."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import llmwatch
from llmwatch import settings
from llmwatch.store import Project, open_store
from llmwatch.stream import spool
from llmwatch.stream.query import Reader
from llmwatch.stream.segments import segment_name

SOURCE = Path(llmwatch.__file__).parents[1]
PREAMBLE = """
import os, signal, sys
from llmwatch.store import open_store
from llmwatch.stream import compact, merge, retention, steps
compact.GRACE_S = -1
steps.listen(lambda name: name == sys.argv[2] and os.kill(os.getpid(), signal.SIGKILL))
project = open_store(sys.argv[1]).project("local", "demo")
"""


def demo() -> Project:
    return open_store().project("local", "demo")


def say(t: str, row_id: str, table: str = "traces", **fields: Any) -> None:
    """One line of kind `t` through the spool's writer."""
    writer = spool.writer(demo(), table, settings.current())
    assert writer.append(t, json.dumps({"id": row_id, **fields}).encode())


def foreign_segment(content: bytes, table: str = "traces", writer: str | None = None, number: int = 1) -> Path:
    """A sealed segment with these bytes, as a process that is gone would have left it."""
    directory = demo().spool(table)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / segment_name(writer or secrets.token_hex(6), number)
    path.write_bytes(content)
    return path


def line(row_id: str, seq: int = 0, **fields: Any) -> bytes:
    envelope = {"v": 1, "t": "row", "writer": "feedc0de", "seq": seq, "ts": 1_700_000_000_000_000 + seq}
    return json.dumps({**envelope, "id": row_id, **fields}).encode() + b"\n"


def kill_at(step: str, work: str) -> None:
    """Do `work` in a process that kills itself at `step`."""
    arguments = [sys.executable, "-c", PREAMBLE + work, str(demo().store.root), step]
    done = subprocess.run(arguments, check=False, env={**os.environ, "PYTHONPATH": str(SOURCE)})
    assert done.returncode == -signal.SIGKILL, f"{step} was not reached"


def ids_seen(table: str = "traces") -> list[str]:
    """The ids a new reader sees, sorted; a row seen twice is there twice."""
    reader = Reader(demo())
    try:
        return sorted(row[0] for row in reader.execute(f'SELECT id FROM main."{table}"', tables=[table]).rows)
    finally:
        reader.close()
