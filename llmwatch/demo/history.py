"""Two weeks of rows: what was rehearsed, with the times, people and versions that each request had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from random import Random
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch import clock
from llmwatch.demo.rehearsal import TABLE, Line, Take, Takes, scorers
from llmwatch.demo.traffic import SECOND_US, Request, remarks
from llmwatch.remarks import kinds
from llmwatch.scoring.results import event_id
from llmwatch.store import EVENTS
from llmwatch.stream.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmwatch.scoring.spec import Spec
    from llmwatch.settings import Settings
    from llmwatch.store import Project

_MODEL_CALL = "openai.chat.completions.create"
_ENVELOPE = {"v", "t", "project", "table", "writer", "seq", "ts"}
_IDS = ("id", "trace_id", "parent_id", "turn_id")
_SCORED_AFTER_US = 2 * SECOND_US
Body = tuple[int, str, bytes]
"""When a line was written, of what kind it is, and what it says."""


def play(
    requests: Iterable[Request],
    takes: Takes,
    project: Project,
    settings: Settings,
    until_us: int,
    passed: Callable[[int], None] = lambda _: None,
    seed: int = 0,
) -> None:
    """Record the requests as they were, and what people said of them until then."""
    chance = Random(seed)  # noqa: S311 - for ids that are the same each time
    specs = {spec.name: spec for spec in scorers(project)}
    rows: list[Body] = []
    said: list[Body] = []
    for request in requests:
        played = Played(request, takes[request.asked], chance)
        rows += played.rows()
        said += played.scores(specs)
        said += (one for one in _said(request, played.id, chance) if one[0] < until_us)
        passed(1)
    for table, bodies in ((TABLE, rows), (EVENTS, said)):
        _write(bodies, Replay(project, table, settings))


def _write(bodies: list[Body], replay: Replay) -> None:
    try:
        for at_us, kind, body in sorted(bodies, key=lambda one: one[0]):
            replay.append(kind, body, at_us)
    finally:
        replay.close()


class Played:
    """A take as it would have been recorded of a request."""

    def __init__(self, request: Request, take: Take, chance: Random) -> None:
        self._request, self._take = request, take
        self._at = Times(take, request)
        started = [line for line in take.lines if "started_at" in line]
        self._ids = {
            line["id"]: clock.uuid7(self._at(line["started_at"]) * 1000, chance.getrandbits(62))
            for line in started
        }
        self._own = {
            "user_id": request.user_id,
            "session_id": request.session_id,
            "version": request.version,
            "tenant": request.tenant,
        }

    @property
    def id(self) -> str:
        """Of the answer's row."""
        return self._ids[self._take.root["id"]]

    def rows(self) -> Iterator[Body]:
        for line in self._take.lines:
            yield self._at(line["ts"]), line["t"], orjson.dumps(self._row(line))

    def _row(self, line: Line) -> Line:
        """A line with the request's ids, times, person and version."""
        new = {key: value for key, value in line.items() if key not in _ENVELOPE}
        new |= {key: self._ids[new[key]] for key in _IDS if key in new}
        new |= {key: self._at(new[key]) for key in ("started_at", "ended_at") if key in new}
        new |= {key: self._own[key] for key in self._own.keys() & new.keys()}
        if "ended_at" in new:
            new["latency_ms"] = (new["ended_at"] - self._at.started(line)) / 1000
        if (attributes := new.get("attributes")) is not None:
            own = self._own.keys() & attributes.keys()
            new["attributes"] = attributes | {key: self._own[key] for key in own}
        if isinstance(output := new.get("output"), dict) and "created" in output:
            new["output"] = output | {"created": new["ended_at"] // SECOND_US}
        return new

    def scores(self, specs: Mapping[str, Spec]) -> Iterator[Body]:
        """What the scorers said, as soon after the answer as they do."""
        at_us = self._at(self._take.root["ended_at"]) + _SCORED_AFTER_US
        for line in self._take.scores:
            new = {key: value for key, value in line.items() if key not in _ENVELOPE}
            row_id = self._ids[line["row_id"]]
            new |= {"id": event_id(row_id, specs[line["name"]]), "row_id": row_id, "table": TABLE}
            yield at_us, "event", orjson.dumps(new)


class Times:
    """When something of a take was, had the model taken as long as it did for this request."""

    def __init__(self, take: Take, request: Request) -> None:
        self._started = {one["id"]: one["started_at"] for one in take.lines if "started_at" in one}
        self._shift: int = request.at_us - take.root["started_at"]
        self._from, self._to = _model_call(take)
        self._takes = int(request.model_ms * 1000)

    def started(self, line: Line) -> int:
        """When the row of a line began."""
        return self(self._started[line["id"]])

    def __call__(self, us: int) -> int:
        took = self._to - self._from
        if not took or us <= self._from:
            return us + self._shift
        if us >= self._to:
            return us + self._shift + self._takes - took
        return self._from + self._shift + (us - self._from) * self._takes // took


def _model_call(take: Take) -> tuple[int, int]:
    """When the call of the model began and ended; nothing where a guardrail came before it."""
    begun = [one for one in take.lines if one.get("display_name") == _MODEL_CALL]
    ended = [one for one in take.lines for call in begun if one["id"] == call["id"]]
    starts = [one["started_at"] for one in ended if "started_at" in one]
    return (starts[0], max(one.get("ended_at", 0) for one in ended)) if starts else (0, 0)


def _said(request: Request, row_id: str, chance: Random) -> Iterator[Body]:
    """What the person said of the answer, as `row.feedback` and `row.label` record it."""
    for one in remarks(request):
        at_us = request.at_us + int(one.after_s * SECOND_US)
        label = one.kind == "label"
        name, value = (one.name, one.value) if label else kinds.kept(one.name, one.value)
        event: dict[str, Any] = {
            "id": clock.uuid7(at_us * 1000, chance.getrandbits(62)),
            "row_id": row_id,
            "table": TABLE,
            "kind": "label" if label else "feedback",
            "name": name,
            "creator": "help-desk" if label else request.user_id,
            "value": value,
        }
        yield at_us, "event", orjson.dumps(event)
