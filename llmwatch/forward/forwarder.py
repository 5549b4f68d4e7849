"""One project's forwarding: a pass takes what is new from each lane, sends it, and remembers how far it came."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmwatch import clock
from llmwatch.backend.projects import Projects
from llmwatch.forward import lanes, options
from llmwatch.forward.connection import Connection, NoCredentials
from llmwatch.forward.lanes import Events, Sender
from llmwatch.forward.publish import Publisher
from llmwatch.forward.sampler import AdaptiveSampler
from llmwatch.forward.sampling import Sampling
from llmwatch.forward.state import State
from llmwatch.forward.trouble import Backoff, Later, Rejected, meaning
from llmwatch.store import EVENTS
from llmwatch.stream import deletions, holds
from llmwatch.stream.follow import Follower, RecordedReader

if TYPE_CHECKING:
    from llmwatch.destination import Wanted
    from llmwatch.settings import Settings
    from llmwatch.store import Project

BATCH = 500
TRACES = 100
LOOK_FOR_CREDENTIALS_S = 10.0
SAY_EVERY_S = 60.0
DAY_US = 86_400_000_000
EVENTS_WAIT_DAYS = 7
"""How long an event waits for its row; feedback on a row that was recorded for this machine only waits in vain."""


class Forwarder:
    """Sends what a project records to W&B. One of a project at a time, in one thread."""

    def __init__(
        self,
        project: Project,
        settings: Settings,
        wanted: Wanted,
        *,
        backoff: Backoff | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.project, self.wanted = project, wanted
        self.backoff = backoff or Backoff()
        self._settings, self._now = settings, now
        self.state = State(project)
        self._backends = Projects(project.store, settings)
        self._here = self._backends.get(project.id)
        self._reader = RecordedReader(project, settings)
        self._connection = Connection(wanted, known_as=self._known_as())
        self._publisher = Publisher(self._here, self._connection, self.state)
        self._sender = Sender(self._connection, self._publisher, self.state)
        self._events = Events(self._reader, self.state, self._sender, wanted)
        self._followers: dict[str, Follower] = {}
        self.problem: str | None = None
        self.is_locked_out = False
        """Whether W&B is not asked because nobody is logged in, or refuses the key: waiting alone does not help."""
        self._until = 0.0
        self._stopped = False
        self._forget_at_us = 0
        self._say_at = 0.0
        known = holds.needed(project).since
        self._caught_up = {table: int(at * 1e6) for table, at in known.items()}
        self._sampling: Sampling | None = None
        if wanted.sampler is not None:
            sampler = AdaptiveSampler.from_dict(wanted.sampler)
            self._sampling = Sampling(sampler, self.state, self._reader)

    def _known_as(self) -> str | None:
        """What the project is called at W&B, as an earlier run found; not after the wish has changed."""
        known: dict[str, str] = json.loads(self.state.notes().get("project", "{}"))
        return known.get("id") if known.get("for") == self._wish() else None

    def _wish(self) -> str:
        wanted = self.wanted
        return f"{wanted.base_url} {wanted.entity}/{wanted.project}"

    def close(self) -> None:
        for follower in self._followers.values():
            follower.close()
        self._reader.close()
        self._here.close()
        self._connection.close()
        self.state.close()

    def run(self, *, seconds: float = 10.0, settle: bool = False) -> bool:
        """One pass, for about so long; True when there was something to do.

        What has to wait is tried again by a later pass. `settle` has the sampler decide about everything it holds.
        """
        self._say_what_is_needed()
        if self.wanted.paused or self.backoff.wait_s > 0:
            return self.problem is not None and not self.is_locked_out
        self._until, before = self._now() + seconds, self.progress
        try:
            worked = self._pass(settle=settle)
        except Later as later:
            if self.progress != before:
                self.backoff.worked()  # it goes on, however slowly: what comes is a first failure
            self._wait(later)
            return not isinstance(later, NoCredentials)
        except Exception as fault:
            self._wait(Later(f"a fault of llmwatch's: {type(fault).__name__}: {fault}"))
            raise
        self.backoff.worked()
        if worked or self.problem:
            self._note(None)
        return worked

    def stop(self) -> None:
        """End the pass that runs in another thread, after the request it is at."""
        self._stopped = True

    @property
    def progress(self) -> float:
        """Grows with everything that was sent."""
        return sum(self.state.counts().values())

    def lag(self) -> int:
        """About how many rows, events and publications there are that no pass has taken."""
        return sum(self._follower(table).lag() for table in self._tables())

    # --- a pass -----------------------------------------------------------------------------

    def _pass(self, *, settle: bool) -> bool:
        if not self.wanted.on:
            return self._delete()  # what was sent and is deleted here is deleted there all the same
        if (there := self._connection.project_id) != self._known_as():
            self.state.note("project", json.dumps({"for": self._wish(), "id": there}))
        worked = self._delete()
        worked |= self._lane(lanes.OBJECTS, self._take_published)
        for table in options.tables_of(self.project):
            worked |= self._lane(table, lambda rows, t=table: self._take_rows(rows, t))  # type: ignore[misc]
        worked |= self._send_sampled(settle=settle)
        worked |= self._lane(EVENTS, self._take_events)
        worked |= self._events.send_waiting()
        worked |= self._send_sampled(settle=False)  # an event may have had a trace kept
        worked |= self._send_dead_again()
        self._forget_what_is_gone()
        return worked | self._delete()

    def _forget_what_is_gone(self) -> None:
        """Once a day: ids of rows that retention removed, and events whose row was never sent."""
        now = clock.now_us()
        if now < self._forget_at_us:
            return
        self._forget_at_us = now + DAY_US
        self.state.forget_waiting(now - EVENTS_WAIT_DAYS * DAY_US)
        if self._settings.retention_days:
            self.state.forget_sent(now - int((self._settings.retention_days + 7) * DAY_US))

    def _say_what_is_needed(self) -> None:
        """For retention, now and then: from when on each table's rows have not been sent."""
        if self._now() < self._say_at:
            return
        self._say_at = self._now() + SAY_EVERY_S
        since = {table: us / 1e6 for table, us in self._caught_up.items()}
        if self._sampling is not None and (oldest := self._sampling.oldest_us()) is not None:
            since = {table: min(at, oldest / 1e6) for table, at in since.items()}
        bound = float(self.wanted.options.get("backlog_gb", options.BACKLOG_GB)) * (1 << 30)
        holds.note(self.project, holds.Needed(since, self.wanted.begins / 1e6, bound))

    def _lane(self, table: str, take: Callable[[list[Any]], None]) -> bool:
        """Batches of one table until it is empty or time is up, at least one; each is committed when it is done."""
        follower, worked = self._follower(table), False
        while not self._stopped:
            looked = clock.now_us()
            rows = follower.batch(BATCH)
            if not rows:
                self._caught_up[table] = looked
                break
            try:
                take(rows)
            except Exception as error:
                follower.rewind()  # nothing of the batch is given up
                raise self._meant_by(error) from error
            follower.commit()
            worked = True
            if self._now() >= self._until:  # the other tables have their turn too
                break
        return worked

    def _take_rows(self, rows: list[Any], table: str) -> None:
        if self._sampling is not None:
            lanes.sample_rows(rows, table, self.wanted, self.state, self._sampling)
        else:
            lanes.take_rows(rows, table, self.wanted, self.state, self._sender)

    def _take_published(self, rows: list[Any]) -> None:
        lanes.take_published(rows, self.wanted, self.state, self.project.id, self._publisher)

    def _take_events(self, events: list[Any]) -> None:
        if self._sampling is not None:
            self._sampling.hear(events)
        self._events.take(events, may_wait=self._sampling is None)

    def _send_sampled(self, *, settle: bool) -> bool:
        """Send the traces that the sampler keeps, each whole, with its weight."""
        if self._sampling is None:
            return False
        worked = False
        self._sampling.decide(settle=settle)
        while not self._stopped and (kept := self._sampling.kept(TRACES)):
            for table, rows in self._sampling.rows_of(kept):
                about = {row["id"]: unit.about for row, unit in rows}
                self._guarded(lambda t=table, r=rows, a=about: self._send_traces(t, r, a))  # type: ignore[misc]
            self._sampling.sent(kept)
            worked = True
            if self._now() >= self._until:
                break
        return worked

    def _send_traces(self, table: str, rows: list[Any], about: dict[str, Any]) -> None:
        self._sender.rows((row for row, _ in rows), table, about)
        self._sender.events(self._events.about(list(about)))

    def _send_dead_again(self) -> bool:
        """What was refused and somebody asked to try again."""
        asked = self.state.dead(again=True)
        for kind, item_id, source, *_ in asked:
            if kind in {"object", "file"}:
                self._publish_again(kind, item_id)
            elif kind == lanes.FEEDBACK:
                events = self._events.read([item_id])
                self._guarded(lambda e=events: self._sender.events(e))  # type: ignore[misc]
            elif kind == lanes.ROW:
                self._send_row_again(source, item_id)
            elif kind == lanes.DELETION:
                self._guarded(lambda i=item_id: self._sender.delete([i]))  # type: ignore[misc]
            self.state.unbury(
                kind, item_id
            )  # only now: a network that fails meanwhile loses nothing
        return bool(asked)

    def _send_row_again(self, table: str, row_id: str) -> None:
        rows = lanes.rows_by_id(self._reader, table, [row_id])
        about = self._sampling.about(rows) if self._sampling is not None else None
        self._guarded(lambda: self._sender.rows(rows, table, about))

    def _publish_again(self, kind: str, item_id: str) -> None:
        if kind == "object":
            self.state.run("DELETE FROM published WHERE ref = ?", (item_id,))
            self._guarded(lambda: self._publisher.ref(item_id))
        else:
            self.state.run("DELETE FROM published WHERE ref = ?", (f"file:{item_id}",))
            self._guarded(lambda: self._publisher.again(item_id))

    def _delete(self) -> bool:
        """Forward what was deleted or erased here, as far as it was sent."""
        ids = deletions.waiting(self.project)
        if not ids:
            return False
        for first in range(0, len(ids), BATCH):
            some = ids[first : first + BATCH]
            there = self.state.sent_of(some) | self.state.doubtful_of(some)
            if there:
                gone = sorted(there)
                self._guarded(lambda g=gone: self._sender.delete(g))  # type: ignore[misc]
                self.state.count("deleted", len(there))
            self._forget(some)
        deletions.dealt_with(self.project, len(ids))
        return True

    def _forget(self, ids: list[str]) -> None:
        with self.state.at_once():
            self.state.forget(ids)
            self.state.run_many(
                "DELETE FROM waiting WHERE id = ? OR row_id = ?", [(i, i) for i in ids]
            )
            self.state.run_many(
                "DELETE FROM dead WHERE id = ? AND kind <> ?", [(i, lanes.DELETION) for i in ids]
            )
        if self._sampling is not None:
            self._sampling.forget(ids)

    # --- what goes wrong --------------------------------------------------------------------

    def _guarded(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:
            raise self._meant_by(error) from error

    def _meant_by(self, error: Exception) -> Exception:
        """An error of the network as `Later`; a fault of ours as it is, to be reported."""
        if isinstance(error, (Later, Rejected)) or hasattr(error, "response"):
            why = meaning(error)
            return why if isinstance(why, Later) else Later(str(why), in_doubt=False)
        return error

    def _wait(self, later: Later) -> None:
        if isinstance(later, NoCredentials):
            self.backoff.wait(LOOK_FOR_CREDENTIALS_S)
        else:
            self.backoff.failed(later.after_s)
        self.is_locked_out = isinstance(later, NoCredentials) or later.status in {401, 403}
        self._note(str(later))
        if later.status in {401, 403, 404}:
            self._connection.reset()

    def _note(self, problem: str | None) -> None:
        self.problem = problem
        with self.state.at_once():
            self.state.note("problem", problem)
            self.state.note("problem at" if problem else "worked at", str(clock.now_us()))
            tries = time.time() + self.backoff.wait_s
            self.state.note("next try", str(int(tries * 1e6)) if problem else None)

    # --- lanes ------------------------------------------------------------------------------

    def _tables(self) -> list[str]:
        return [lanes.OBJECTS, *options.tables_of(self.project), EVENTS]

    def _follower(self, table: str) -> Follower:
        if table not in self._followers:
            self._followers[table] = Follower(
                self.project, table, options.NAME, self._settings, reader=self._reader, patched=True
            )
        return self._followers[table]
