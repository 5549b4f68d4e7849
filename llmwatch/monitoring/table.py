"""`StreamTable` as old code knows it: each row gains `timestamp` and `_client_id`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import orjson

from llmwatch import capture, clock, faults, settings
from llmwatch.names import parse_table
from llmwatch.stream import table as stream
from llmwatch.tracing.redact import Redactor

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class StreamTable(stream.StreamTable):
    """A table of rows: `StreamTable("prodmon_demo").log({"text": "hi", "img": image})`.

    All that `llmwatch.StreamTable` does, and each row gains `timestamp` (if it has none) and `_client_id`, which
    tells the writers of a table apart. What was logged is on the disk when the process ends, `finish()` or not.
    """

    def __init__(
        self,
        table_name: str,
        *,
        project_name: str | None = None,
        entity_name: str | None = None,
        store: str | Path | None = None,
    ) -> None:
        super().__init__(
            table_name, project_name=project_name, entity_name=entity_name, store=store
        )
        self._client = (os.getpid(), clock.new_id())
        self.redactor = Redactor(self._settings.redact)

    @property
    def client_id(self) -> str:
        """Of this object in this process: a forked child is a client of its own."""
        pid = os.getpid()
        if self._client[0] != pid:
            self._client = (pid, clock.new_id())
        return self._client[1]

    def add(self, row: Mapping[str, Any]) -> str | None:
        if isinstance(row, Mapping):
            row = {**row, "_client_id": self.client_id}
            if row.get("timestamp") is None:
                row["timestamp"] = time_of(clock.now_us())
        return super().add(row)

    def encode(self, value: Any) -> bytes:
        return capture.encode(value, media=self._media, limit=self._limits[0])

    def encode_fields(self, fields: Mapping[str, Any]) -> bytes:
        limit, total = self._limits
        return capture.encode_fields(fields, media=self._media, limit=limit, total=total)

    def add_call(self, columns: Mapping[str, Any], parts: Mapping[str, bytes], data: bytes) -> bool:
        """Append a call: our columns of it, its JSON columns, and as `data` what it is called in old code."""
        known = {name: value for name, value in columns.items() if value is not None}
        body = orjson.dumps(known)[:-1]
        for name, part in parts.items():
            body += b',"%b":%b' % (name.encode(), part)
        return self._writer.append("row", b'%b,"data":%b}' % (body, data))


class TableInUse:
    """A table that is opened when it is first written to, in the project that is the process's own by then."""

    def __init__(
        self, name: str, project_name: str | None = None, entity_name: str | None = None
    ) -> None:
        parse_table(name, project=project_name, entity=entity_name)  # a bad name is refused here
        self.name = name
        self._project_name, self._entity_name = project_name, entity_name
        self._table: StreamTable | None = None
        self._settings: settings.Settings | None = None

    def get(self) -> StreamTable:
        """The table now: `llmwatch.init` may have moved to another project since the last call."""
        now = settings.current()
        if self._table is None or now is not self._settings:
            self._table = StreamTable(
                self.name, project_name=self._project_name, entity_name=self._entity_name
            )
            self._settings = now
        return self._table

    def get_or_none(self) -> StreamTable | None:
        """The same on the way of a user's call, where a store that cannot be opened is ours to bear."""
        with faults.contained(f"the table {self.name} could not be opened", lost=1):
            return self.get()
        return None


def time_of(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
