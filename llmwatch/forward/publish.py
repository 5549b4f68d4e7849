"""Objects, ops, tables and files that rows refer to, published at W&B once, before the rows."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from llmwatch.backend import digests, wire
from llmwatch.backend.contents import Contents
from llmwatch.capture.tag import MARK
from llmwatch.forward import media
from llmwatch.forward.trouble import Later, Rejected, meaning

if TYPE_CHECKING:
    from llmwatch.backend.projects import ProjectBackend
    from llmwatch.forward.connection import Connection
    from llmwatch.forward.state import State

_REF = re.compile(
    r"weave:///(?P<project>[^/]+/[^/]+)/(?P<kind>object|op|table|call)/(?P<name>[^/]+)(?P<rest>/.*)?"
)
UPLOADS_AT_ONCE = 8
LARGEST_FILE = 31 << 20
MOST_WAITING_BYTES = 64 << 20
_GIVE_UP_AFTER = 20
"""Failures in one round of uploads that mean an outage."""


class Publisher:
    """Makes values ready for W&B: `carry` rewrites refs to what they are called there, and gathers files.

    Files that were gathered are uploaded by `flush`, several at once; rows that name them go afterwards.
    """

    def __init__(self, here: ProjectBackend, connection: Connection, state: State) -> None:
        self._here, self._connection, self._state = here, connection, state
        self._media = here.project.media
        self._kept = Contents(here.project.objects / "files")
        self._files: dict[str, tuple[str, bytes]] = {}
        self._waiting_bytes = 0

    # --- values ---------------------------------------------------------------------------

    def carry(self, value: Any) -> Any:
        """The value as it travels. What it refers to is published first."""
        if type(value) is str:
            return self.ref(value) if value.startswith("weave:///") else value
        if type(value) is list:
            return [self.carry(each) for each in value]
        if type(value) is not dict:
            return value
        if media.is_media(value):
            return media.as_content(value, self._media, self._gather)
        if value.get(MARK) == "CustomWeaveType" and isinstance(value.get("files"), dict):
            for name, digest in value["files"].items():
                self._gather_kept(name, digest)
        return {key: self.carry(each) for key, each in value.items()}

    def ref(self, uri: str) -> str:
        """What a ref of this project is called at W&B; a ref of another project stays as it is."""
        found = _REF.fullmatch(uri)
        if found is None or found["project"] != self._here.project.id:
            return uri
        there, rest = self._connection.project_id, found["rest"] or ""
        if found["kind"] == "call":
            return f"weave:///{there}/call/{found['name']}{rest}"
        base = uri[: len(uri) - len(rest)]
        return self._published(base, found["kind"], found["name"]) + rest

    def _published(self, base: str, kind: str, name: str) -> str:
        known = self._state.remote(base)
        if known is not None:
            return known
        try:
            remote = self._publish(kind, name)
        except Rejected as refused:
            # The rows that refer to it are worth having without it.
            self._state.bury("object", base, "", refused.status, str(refused))
            remote = f"weave:///{self._connection.project_id}/{kind}/{name}"
        self._state.published(base, remote)
        return remote

    def _publish(self, kind: str, name: str) -> str:
        there = self._connection.project_id
        if kind == "table":
            digest = self._publish_table(name)
            return f"weave:///{there}/table/{digest}"
        object_id, _, digest = name.partition(":")
        val = self.carry(self._value(object_id, digest))
        self.flush()  # its files first: a reader of the object finds them
        obj = {"project_id": there, "object_id": object_id, "val": val}
        made = self._ask("obj_create", {"obj": obj})
        self._state.count("objects")
        return f"weave:///{there}/{kind}/{object_id}:{made.digest}"

    def _value(self, object_id: str, digest: str) -> Any:
        from weave.trace.errors import NotFoundError

        with suppress(NotFoundError):  # a deleted version has its value still: rows refer to it
            return self._here.objects.value(digest)
        raise Rejected(0, f"object {object_id}:{digest} is not in the store")

    def _publish_table(self, digest: str) -> str:
        from weave.trace.errors import NotFoundError

        try:
            rows = list(self._here.tables.read(digest).values().values())
        except NotFoundError as error:
            raise Rejected(0, str(error)) from error
        carried = [self.carry(row) for row in rows]
        self.flush()
        pieces = list(_pieces(carried))
        there = self._connection.project_id
        made = [
            self._ask("table_create", {"table": {"project_id": there, "rows": p}}) for p in pieces
        ]
        self._state.count("tables")
        if len(made) == 1:
            return str(made[0].digest)
        named = [row for part in made for row in part.row_digests]
        whole = self._ask("table_create_from_digests", {"project_id": there, "row_digests": named})
        return str(whole.digest)

    # --- files ----------------------------------------------------------------------------

    def _gather_kept(self, name: str, digest: Any) -> None:
        """A file that Weave's own client saved here."""
        if type(digest) is not str or self._knows(digest):
            return
        content = self._kept.get(digest)
        if content is None:
            self._state.bury("file", digest, "", 0, f"{name} is not in the store")
            return
        self._gather(name, content, digest)

    def _gather(self, name: str, content: bytes, digest: str | None = None) -> str:
        digest = digest or digests.of_file(content)
        if not self._knows(digest):
            if len(content) > LARGEST_FILE:
                self._state.bury(
                    "file", digest, "", 413, f"{name}: {len(content)} bytes are too many for W&B"
                )
                self._state.published(f"file:{digest}", digest)
                return digest
            self._files[digest] = (name, content)
            self._waiting_bytes += len(content)
            if self._waiting_bytes > MOST_WAITING_BYTES:
                self.flush()
        return digest

    def again(self, digest: str) -> None:
        """Upload a file that was refused once more: one of Weave's, or of our media."""
        self._gather_kept("content", digest)
        self.flush()

    def _knows(self, digest: str) -> bool:
        return digest in self._files or self._state.remote(f"file:{digest}") is not None

    def flush(self) -> None:
        """Upload what was gathered; what arrived is remembered even when the rest has to wait."""
        files, self._files, self._waiting_bytes = self._files, {}, 0
        while files:
            later = self._upload_all(files)
            left = {digest: file for digest, file in files.items() if not self._knows(digest)}
            if later is not None and (len(left) == len(files) or later.after_s):
                raise later
            files = left

    def _upload_all(self, files: dict[str, tuple[str, bytes]]) -> Later | None:
        """Try each file once; why some could not be sent, if so."""
        waits: list[Later] = []

        def upload(digest: str) -> None:
            if len(waits) < _GIVE_UP_AFTER:
                try:
                    self._upload(digest, *files[digest])
                except Later as later:
                    waits.append(later)

        self._connection.open()  # before the threads share it
        with ThreadPoolExecutor(UPLOADS_AT_ONCE, "llmwatch-upload") as pool:
            list(pool.map(upload, files))
        return waits[0] if waits else None

    def _upload(self, digest: str, name: str, content: bytes) -> None:
        try:
            request = {"project_id": self._connection.project_id, "file": (name, content)}
            self._ask("file_create", request)
        except Rejected as refused:
            self._state.bury("file", digest, "", refused.status, f"{name}: {refused}")
        with self._state.at_once():
            self._state.published(f"file:{digest}", digest)
            self._state.count("files")
            self._state.count("bytes", len(content))

    def _ask(self, method: str, request: dict[str, Any]) -> Any:
        try:
            return self._connection.ask(method, request)
        except Exception as error:
            raise meaning(error) from error


def _pieces(rows: list[Any], most_bytes: int = 8 << 20) -> Any:
    """Rows in requests that W&B takes; at least one, empty, for a table without rows."""
    piece: list[Any] = []
    size = 0
    for row in rows:
        length = len(wire.dumps(row))
        if piece and size + length > most_bytes:
            yield piece
            piece, size = [], 0
        piece.append(row)
        size += length
    yield piece


__all__ = ["Later", "Publisher"]
