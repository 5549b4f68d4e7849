"""What the spool's tests share: a quiet configuration, real processes, and the lines on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import llmwatch
from llmwatch.settings import Settings
from llmwatch.store import Project, Store
from llmwatch.stream import segments

QUIET = Settings(worker=False)
SOURCE = Path(llmwatch.__file__).parents[1]

PREAMBLE = """
import os, signal, sys, threading, time
from pathlib import Path
from llmwatch import faults
from llmwatch.settings import Settings
from llmwatch.store import Store
from llmwatch.stream import spool
project = Store(Path(sys.argv[1])).project("local", "p")
writer = spool.writer(project, "t", Settings(worker=False))
def row(n, text=""): return b'{"id":"%s-%d","data":{"text":"%s"}}' % (sys.argv[2].encode(), n, text.encode())
"""


def project_in(root: Path) -> Project:
    return Store(root / "store").project("local", "p")


def body(name: object, text: str = "") -> bytes:
    return json.dumps({"id": str(name), "data": {"text": text}}).encode()


def start(project: Project, code: str, name: str = "a", **options: Any) -> subprocess.Popen[str]:
    """A Python process that has `project`, `writer` and `row(n)`."""
    return subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + code, str(project.store.root), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        **options,
    )


def run(project: Project, code: str, name: str = "a", expect: int = 0, **options: Any) -> str:
    """What that process prints; it has to end well, or with the code that is expected."""
    process = start(project, code, name, **options)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == expect
    return out


def raw_lines(project: Project, table: str = "t") -> list[bytes]:
    """Every whole line, as the compactor takes them; what follows the last newline is no line."""
    found: list[bytes] = []
    for segment in segments.list_segments(project.spool(table)):
        found += segment.path.read_bytes().split(b"\n")[:-1]
    return found


def lines(project: Project, table: str = "t") -> list[dict[str, Any]]:
    return [json.loads(line) for line in raw_lines(project, table)]


def ids(project: Project, table: str = "t") -> list[str]:
    return [line["id"] for line in lines(project, table)]


def assert_every_writer_counts_from_0(project: Project, table: str = "t") -> None:
    by_writer = defaultdict(list)
    for line in lines(project, table):
        by_writer[line["writer"]].append(line)
    for written in by_writer.values():
        assert [line["seq"] for line in written] == list(range(len(written)))
        stamps = [line["ts"] for line in written]
        assert stamps == sorted(stamps)
