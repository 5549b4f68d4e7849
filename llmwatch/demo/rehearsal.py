"""A rehearsal: each thing that was asked in two weeks is asked of the help desk once, and what llmwatch recorded of it is kept.

It runs in a process of its own (`python -m llmwatch.demo.rehearsal`, requests on its standard input), so that the
writers of its rows end with it: what they wrote is then taken out of the spool, to be played with the times and people
that each request had (`history`).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch.errors import LlmwatchError
from llmwatch.store import EVENTS, open_store

if TYPE_CHECKING:
    from llmwatch.demo.traffic import Request
    from llmwatch.scoring.spec import Spec
    from llmwatch.store import Project, Store

PROJECT = "helpdesk"
TABLE = "traces"
Asked = tuple[str, str, int]
Line = dict[str, Any]


@dataclass(frozen=True)
class Take:
    """What was recorded of one thing that was asked: the lines of its rows, and of the scores of those."""

    lines: list[Line]
    scores: list[Line]

    @property
    def root(self) -> Line:
        return next(line for line in self.lines if line["id"] == line.get("trace_id"))

    @property
    def asked(self) -> Asked:
        given = self.root["inputs"]
        return given["question"], given["model"], given["passages"]


Takes = Mapping[Asked, Take]


def rehearse(requests: Iterable[Request], store: Store) -> Takes:
    """Ask each different thing once; what was recorded of it is not in the store any more."""
    asked = sorted({request.asked for request in requests})
    with subprocess.Popen(
        [sys.executable, "-m", __name__, str(store.root)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            _, said = process.communicate(orjson.dumps(asked))
        finally:
            process.kill()
    if process.returncode:
        raise LlmwatchError(f"the help desk could not be rehearsed: {said.decode()[-2000:]}")
    project = store.project("local", PROJECT)
    return _takes(_taken_out(project, TABLE), _taken_out(project, EVENTS))


def _taken_out(project: Project, table: str) -> list[Line]:
    """The lines of a table's spool, which is empty then."""
    segments = sorted(project.spool(table).glob("*.jsonl"))
    lines = [orjson.loads(one) for path in segments for one in path.read_bytes().splitlines()]
    shutil.rmtree(project.spool(table))
    return lines


def _takes(lines: list[Line], scores: list[Line]) -> Takes:
    """What was recorded of each trace; what a patch says is in its row."""
    patches = {line["id"]: line["op_name"] for line in lines if line["t"] == "patch"}
    whole = [
        line | ({"op_name": patches[line["id"]]} if line["id"] in patches else {})
        for line in lines
        if line["t"] != "patch"
    ]
    trace_of = {line["id"]: line["trace_id"] for line in whole if "trace_id" in line}
    found: dict[str, Take] = {}
    for line in whole:
        found.setdefault(trace_of[line["id"]], Take([], [])).lines.append(line)
    for score in scores:
        found[trace_of[score["row_id"]]].scores.append(score)
    return {take.asked: take for take in found.values()}


# --- in the process of its own -----------------------------------------------------------


def main() -> None:
    """Ask what is on the standard input, and score the answers as the worker would."""
    import llmwatch
    from llmwatch.demo.model import connected

    llmwatch.init(PROJECT, store=sys.argv[1], destination="local")
    with connected():
        _ask(orjson.loads(sys.stdin.buffer.read()))
    llmwatch.finish()
    _score(open_store(sys.argv[1]).project("local", PROJECT))


def _ask(asked: Sequence[Asked]) -> None:
    from llmwatch.demo.application import serve
    from llmwatch.demo.traffic import Request

    for question, model, documents in asked:
        serve(Request(0, question, "", "u", "s", "", model=model, documents=documents))


def _score(project: Project) -> None:
    from llmwatch.scorers import protocol
    from llmwatch.scoring import results
    from llmwatch.scoring.child import loaded
    from llmwatch.stream.query import Reader

    reader = Reader(project)
    recorded = reader.execute("SELECT * FROM traces", tables=(TABLE,)).dicts()
    for spec in scorers(project):
        rows = [protocol.parsed(row) for row in recorded if spec.wants(row, TABLE)]
        scores = protocol.score_many(loaded(spec), rows)
        for row, value in zip(rows, scores, strict=True):
            results.write(project, TABLE, row["id"], spec, results.Outcome(value))
    reader.close()


def scorers(project: Project) -> list[Spec]:
    """What the worker scores the project's rows by."""
    from llmwatch.scoring.configured import lanes

    return [spec for lane in lanes(project.store) for spec in lane.specs]


if __name__ == "__main__":
    main()
