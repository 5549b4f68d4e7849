"""What the stand-in was sent: calls, feedback, objects, tables and files by id, with a count of arrivals."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from llmwatch import clock
from llmwatch.backend import digests


class Kept:
    """Everything that arrived. `duplicates` counts, by kind and id, what was sent more than once."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.projects: set[str] = set()
        self.calls: dict[tuple[str, str], dict[str, Any]] = {}
        self.feedback: dict[tuple[str, str], dict[str, Any]] = {}
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.tables: dict[tuple[str, str], list[Any]] = {}
        self.rows: dict[str, Any] = {}
        self.files: dict[tuple[str, str], bytes] = {}
        self.deleted: set[tuple[str, str]] = set()
        self.tags: dict[tuple[str, str, str], set[str]] = {}
        self.arrivals: Counter[tuple[str, str]] = Counter()

    @property
    def duplicates(self) -> dict[tuple[str, str], int]:
        """What arrived more than once: kind and id, and how often."""
        with self.lock:
            return {what: times for what, times in self.arrivals.items() if times > 1}

    def call(self, project: str, call_id: str) -> dict[str, Any]:
        with self.lock:
            return self.calls[project, call_id]

    def calls_of(self, project: str) -> dict[str, dict[str, Any]]:
        with self.lock:
            return {key[1]: call for key, call in self.calls.items() if key[0] == project}

    def feedback_of(self, project: str) -> dict[str, dict[str, Any]]:
        with self.lock:
            return {key[1]: said for key, said in self.feedback.items() if key[0] == project}

    def object(self, project: str, name: str, digest: str | None = None) -> Any:
        """The value of an object (its latest version without a digest)."""
        with self.lock:
            found = [
                kept
                for key, kept in self.objects.items()
                if key[:2] == (project, name) and digest in (None, key[2])
            ]
            return found[-1]["val"]

    # --- taking in ------------------------------------------------------------------------

    def put_call(self, call: dict[str, Any]) -> None:
        with self.lock:
            self.arrivals["call", call["id"]] += 1
            self.calls[call["project_id"], call["id"]] = call

    def merge_call(self, part: dict[str, Any]) -> None:
        """A start or an end alone, as the older route sends them."""
        with self.lock:
            key = part["project_id"], part["id"]
            self.calls[key] = {**self.calls.get(key, {}), **part}

    def put_feedback(self, said: dict[str, Any]) -> dict[str, Any]:
        said = {**said, "id": said.get("id") or clock.new_id()}
        with self.lock:
            self.arrivals["feedback", said["id"]] += 1
            self.feedback[said["project_id"], said["id"]] = said
        return said

    def put_object(self, obj: dict[str, Any]) -> str:
        made = digests.of_object(obj["val"], obj.get("builtin_object_class"))
        digest = str(made.digest)
        with self.lock:
            key = obj["project_id"], obj["object_id"], digest
            self.arrivals["object", f"{obj['project_id']}/{obj['object_id']}:{digest}"] += 1
            self.objects.pop(key, None)
            self.objects[key] = {**obj, "digest": digest}
        return digest

    def put_table(self, project: str, rows: list[Any]) -> tuple[str, list[str]]:
        named = [digests.of_row(row) for row in rows]
        digest = digests.of_table(named)
        with self.lock:
            self.rows.update(zip(named, rows, strict=True))
            self.tables[project, digest] = rows
        return digest, named

    def put_file(self, project: str, content: bytes) -> str:
        digest = digests.of_file(content)
        with self.lock:
            self.arrivals["file", f"{project}/{digest}"] += 1
            self.files[project, digest] = content
        return digest

    def delete_calls(self, project: str, call_ids: list[str]) -> int:
        """Delete calls and everything below them."""
        with self.lock:
            doomed = set(call_ids)
            while True:
                below = {
                    key[1]
                    for key, call in self.calls.items()
                    if key[0] == project and call.get("parent_id") in doomed
                }
                if below <= doomed:
                    break
                doomed |= below
            there = [call_id for call_id in doomed if (project, call_id) in self.calls]
            for call_id in there:
                del self.calls[project, call_id]
                self.deleted.add((project, call_id))
            return len(there)
