"""What there is to send of a project, a lane each: rows of a table, events, what was published."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llmwatch.backend import objects, wire
from llmwatch.forward import calls, feedback
from llmwatch.forward.delivery import Delivery, Thing
from llmwatch.forward.trouble import Later, Rejected, meaning
from llmwatch.store import EVENTS
from llmwatch.stream.columns import quoted

if TYPE_CHECKING:
    from llmwatch.destination import Wanted
    from llmwatch.forward.connection import Connection
    from llmwatch.forward.publish import Publisher
    from llmwatch.forward.sampling import Sampling
    from llmwatch.forward.state import State
    from llmwatch.stream.query import Reader

Row = Mapping[str, Any]
ROW, FEEDBACK, DELETION = "row", "feedback", "deletion"
MOST_NAMES = 20_000
CLOCKS_DIFFER_US = 3_600_000_000
"""What takes an event back was recorded after it, by clocks that differ by no more than this."""
_UNFIT = (
    Rejected,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RecursionError,
)
"""What making a call of odd contents may raise: that row is set aside, the others go on."""


class Sender:
    """Makes calls and feedback of rows and events, and delivers them."""

    def __init__(self, connection: Connection, publisher: Publisher, state: State) -> None:
        self._connection, self._publisher, self._state = connection, publisher, state
        self._rows = Delivery(ROW, state, self._post_calls, self._known_calls)
        self._feedback = Delivery(FEEDBACK, state, self._post_feedback, self._known_feedback)
        self._scorers: dict[str, str] = {}
        self._names: OrderedDict[str, str | None] = OrderedDict()

    def rows(
        self,
        rows: Iterable[Row],
        table: str,
        sampled: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Send rows; `sampled` is what each one stands for, by its id, when they are a sample."""
        there = self._connection.project_id

        def made(row: Row) -> dict[str, Any]:
            self._remember(row)
            stands_for = (sampled or {}).get(row["id"])
            return calls.call_of(row, table, there, self._publisher.carry, stands_for)

        things = self._things(ROW, rows, table, made)
        self._publisher.flush()
        self._rows.send(things)

    def events(self, events: Sequence[Row]) -> None:
        there = self._connection.project_id
        costs = [event for event in events if event["kind"] == "cost"]
        said = [event for event in events if event["kind"] != "cost"]

        def made(event: Row) -> dict[str, Any]:
            return feedback.feedback_of(event, self._publisher, there, self._scorer)

        things = self._things(FEEDBACK, said, EVENTS, made)
        self._publisher.flush()
        self._feedback.send(things)
        for cost in costs:
            self._cost(cost)

    def update(self, row: Row) -> None:
        """A call that was sent and got another display name since: all that Weave lets be changed."""
        name = row.get("display_name")
        if name and self._names.get(row["id"]) != name:
            request = {"call_id": row["id"], "display_name": row["display_name"]}
            with self._burying("display name", [row["id"]]):
                self._ask("call_update", {"project_id": self._connection.project_id, **request})
            self._remember(row)

    def _remember(self, row: Row) -> None:
        """Under which name a call went: most patches of a row change something else."""
        self._names[row["id"]] = row.get("display_name")
        while len(self._names) > MOST_NAMES:
            self._names.popitem(last=False)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete calls and feedback; ids that W&B does not know do no harm."""
        there = self._connection.project_id
        with self._burying(DELETION, ids):
            self._ask("calls_delete", {"project_id": there, "call_ids": list(ids)})
        self.purge(ids)

    def purge(self, ids: Sequence[str]) -> None:
        """Delete feedback."""
        there = self._connection.project_id
        with self._burying(DELETION, ids):
            self._ask("feedback_purge", {"project_id": there, "query": feedback.by_id(list(ids))})

    @contextmanager
    def _burying(self, kind: str, ids: Sequence[str]) -> Iterator[None]:
        """A refusal is remembered and the rest goes on."""
        try:
            yield
        except Rejected as refused:
            for item_id in ids:
                self._state.bury(kind, item_id, "", refused.status, str(refused))

    def _things(self, kind: str, items: Iterable[Row], source: str, make: Any) -> list[Thing]:
        """Those that can be made; a row that cannot become a call is refused like one that W&B refuses."""
        found = list(items)
        sent = self._state.sent_of(item["id"] for item in found)
        things = []
        for item in found:
            if item["id"] in sent:
                continue
            try:
                things.append(Thing.of(make(item), source))
            except Later:
                raise
            except _UNFIT as error:
                status = error.status if isinstance(error, Rejected) else 0
                why = f"{type(error).__name__}: {error}"
                self._state.bury(kind, item["id"], source, status, why)
        return things

    def _scorer(self, name: str) -> str:
        if name not in self._scorers:
            local = f"scorer:{name}"
            known = self._state.remote(local)
            if known is None:
                there = self._connection.project_id
                obj = {"project_id": there, "object_id": name, "val": feedback.scorer_object(name)}
                digest = self._ask("obj_create", {"obj": obj}).digest
                known = f"weave:///{there}/object/{name}:{digest}"
                self._state.published(local, known)
            self._scorers[name] = known
        return self._scorers[name]

    def _cost(self, event: Row) -> None:
        if not self._state.sent_of([event["id"]]):
            price = wire.loads(event["value"])
            request = {"project_id": self._connection.project_id, "costs": {event["name"]: price}}
            with self._burying(FEEDBACK, [event["id"]]):
                self._ask("cost_create", request)
                self._state.done([event["id"]])

    # --- requests ---------------------------------------------------------------------------

    def _post_calls(self, bodies: list[dict[str, Any]]) -> None:
        self._connection.ask("calls_complete", {"batch": bodies})

    def _known_calls(self, ids: list[str]) -> set[str]:
        request = {
            "project_id": self._connection.project_id,
            "filter": {"call_ids": ids},
            "columns": ["id"],
            "limit": len(ids),
        }
        found = self._ask("calls_query", request).calls
        return {call.id for call in found} & set(ids)

    def _post_feedback(self, bodies: list[dict[str, Any]]) -> None:
        self._connection.ask("feedback_create_batch", {"batch": bodies})

    def _known_feedback(self, ids: list[str]) -> set[str]:
        there = self._connection.project_id
        request = {
            "project_id": there,
            "query": feedback.by_id(ids),
            "fields": ["id"],
            "limit": len(ids),
        }
        return {said["id"] for said in self._ask("feedback_query", request).result} & set(ids)

    def _ask(self, method: str, request: dict[str, Any]) -> Any:
        try:
            return self._connection.ask(method, request)
        except Exception as error:
            raise meaning(error) from error


# --- rows -----------------------------------------------------------------------------------


def take_rows(rows: list[Row], table: str, wanted: Wanted, state: State, sender: Sender) -> None:
    """Send a batch of a table's rows, all of them."""
    meant = _meant(rows, wanted, state)
    sent = state.sent_of(row["id"] for row in meant)
    for row in meant:
        if row["id"] in sent:
            sender.update(row)
    sender.rows((row for row in meant if row["id"] not in sent), table)


def sample_rows(
    rows: list[Row], table: str, wanted: Wanted, state: State, sampling: Sampling
) -> None:
    """Hand a batch of a table's rows to the sampler, which decides by whole traces."""
    sampling.take(_meant(rows, wanted, state), table)


def _meant(rows: list[Row], wanted: Wanted, state: State) -> list[Row]:
    """Those that were recorded while the project's records were meant for W&B."""
    meant = [row for row in rows if wanted.covers(wire.microseconds(row["ts"]) or 0)]
    if len(meant) < len(rows):
        state.count("recorded for this machine only", len(rows) - len(meant))
    return meant


# --- what was published ---------------------------------------------------------------------


def take_published(
    rows: list[Row], wanted: Wanted, state: State, project_id: str, publisher: Publisher
) -> None:
    """Publish what was published here (datasets, models, prompts), whether or not a row refers to it."""
    for row in _meant(rows, wanted, state):
        entry = wire.loads(row["data"])
        if entry.get("op") == "create":
            kind = "op" if entry.get("kind") == "op" else "object"
            publisher.ref(f"weave:///{project_id}/{kind}/{entry['object_id']}:{entry['digest']}")
    publisher.flush()


# --- events ---------------------------------------------------------------------------------


class Events:
    """Feedback, scores and labels: each after its row, and never for a row that was not sent."""

    def __init__(self, reader: Reader, state: State, sender: Sender, wanted: Wanted) -> None:
        self._reader, self._state, self._sender, self._wanted = reader, state, sender, wanted

    def take(self, events: list[Row], *, may_wait: bool = True) -> None:
        """Send what can be sent; what waits for its row is remembered by id, unless it is sent with its row."""
        meant = _meant(events, self._wanted, self._state)
        self._take_back([e for e in meant if e.get("deletes") or e.get("replaces")])
        said = [e for e in meant if e["kind"] in feedback.KINDS and not e.get("deletes")]
        early = self._send(self._live(said))
        if may_wait:
            since = [(e["id"], e["row_id"], wire.microseconds(e["ts"])) for e in early]
            self._state.run_many("INSERT OR IGNORE INTO waiting VALUES (?, ?, ?)", since)

    def _live(self, events: Sequence[Row]) -> list[Row]:
        """Those that were not taken back or replaced before their turn: such ones never leave."""
        if not events:
            return []
        since = min(wire.microseconds(event["ts"]) or 0 for event in events) - CLOCKS_DIFFER_US
        found = self._reader.execute(
            f'SELECT unnest([replaces, deletes]) FROM main."{EVENTS}" '
            "WHERE (replaces IS NOT NULL OR deletes IS NOT NULL) AND ts >= make_timestamptz(?::BIGINT)",
            [since],
            [EVENTS],
        )
        undone = {row[0] for row in found.rows}
        return [event for event in events if event["id"] not in undone]

    def _send(self, events: Sequence[Row]) -> list[Row]:
        """Send the events whose row was sent, and those that are about no row; returns the others."""
        about = [event["row_id"] for event in events if _is_about_a_row(event)]
        there = self._state.sent_of(about)
        ready = [e for e in events if not _is_about_a_row(e) or e["row_id"] in there]
        self._sender.events(ready)
        return [e for e in events if _is_about_a_row(e) and e["row_id"] not in there]

    def send_waiting(self) -> bool:
        """Send those whose row has been sent meanwhile."""
        ready = self._state.ready()
        if ready:
            self._sender.events(self.read(ready))
            self._state.run_many("DELETE FROM waiting WHERE id = ?", [(one,) for one in ready])
        return bool(ready)

    def read(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Live events by id."""
        sql = "SELECT * FROM said.events WHERE id IN (SELECT unnest(?::VARCHAR[])) ORDER BY ts, writer, seq"
        return self._reader.execute(sql, [list(ids)], [EVENTS]).dicts()

    def about(self, row_ids: Sequence[str]) -> list[dict[str, Any]]:
        """What was said about rows so far, of the kinds that are sent."""
        sql = (
            "SELECT * FROM said.events WHERE row_id IN (SELECT unnest(?::VARCHAR[])) "
            "AND list_contains(?::VARCHAR[], kind) ORDER BY ts, writer, seq"
        )
        return self._reader.execute(sql, [list(row_ids), list(feedback.KINDS)], [EVENTS]).dicts()

    def _take_back(self, events: Sequence[Row]) -> None:
        """What was taken back or replaced here is taken back there."""
        gone = [str(event.get("deletes") or event.get("replaces")) for event in events]
        self._state.run_many("DELETE FROM waiting WHERE id = ?", [(one,) for one in gone])
        there = self._state.sent_of(gone) | self._state.doubtful_of(gone)
        if there:
            self._sender.purge(sorted(there))
            self._state.count("taken back", len(there))


def _is_about_a_row(event: Row) -> bool:
    """Rather than about an object (by its ref) or about the project (a price)."""
    row_id = event.get("row_id") or ""
    return bool(row_id) and not row_id.startswith("weave:///")


def rows_by_id(reader: Reader, table: str, ids: Sequence[str]) -> list[dict[str, Any]]:
    sql = f"SELECT * FROM main.{quoted(table)} WHERE id IN (SELECT unnest(?::VARCHAR[]))"
    return reader.execute(sql, [list(ids)], [table]).dicts()


OBJECTS = objects.TABLE
