"""The routes of the trace server and of W&B's GraphQL that Weave's client uses, over what is kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from llmwatch.testing.wandb_server.kept import Kept

MISSING = 404
_COMPLETE = re.compile(r"/v2/([^/]+)/([^/]+)/calls/complete")


class Refused(Exception):
    """A request that is answered with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Routes:
    """Answers requests. An answer is JSON, a list of JSON lines (`Lines`) or bytes."""

    def __init__(self, kept: Kept, entity: str) -> None:
        self.kept, self._entity = kept, entity
        self._answers: dict[str, Callable[[dict[str, Any]], Any]] = {
            "/graphql": self._graphql,
            "/server_info": lambda _: {
                "min_required_weave_python_version": "0.50.0",
                "trace_server_version": "9.9.9",
            },
            "/call/upsert_batch": self._upsert_batch,
            "/call/update": self._update,
            "/call/read": lambda b: {"call": self._found(b["project_id"], b["id"])},
            "/calls/delete": lambda b: {
                "num_deleted": self.kept.delete_calls(b["project_id"], b["call_ids"])
            },
            "/calls/stream_query": lambda b: Lines(self._query(b)),
            "/calls/query_stats": lambda b: {"count": len(self._query(b))},
            "/obj/create": lambda b: {"digest": self.kept.put_object(b["obj"])},
            "/obj/read": self._read_object,
            "/obj/delete": self._delete_objects,
            "/table/create": self._table,
            "/table/create_from_digests": self._table_from_digests,
            "/table/query": self._table_rows,
            "/refs/read_batch": lambda b: {"vals": [self._at(ref) for ref in b["refs"]]},
            "/file/create": lambda b: {"digest": self.kept.put_file(b["project_id"], b["file"])},
            "/file/content": self._file,
            "/feedback/create": lambda b: _answer(self.kept.put_feedback(b)),
            "/feedback/batch/create": lambda b: {
                "res": [_answer(self.kept.put_feedback(each)) for each in b["batch"]]
            },
            "/feedback/query": self._feedback_query,
            "/feedback/purge": self._feedback_purge,
            "/feedback/replace": self._feedback_replace,
            "/cost/create": lambda b: {"ids": [[name, name] for name in b["costs"]]},
        }

    def answer(self, path: str, body: Any) -> Any:
        if (found := _COMPLETE.fullmatch(path)) is not None:
            return self._complete(f"{found[1]}/{found[2]}", body)
        if path not in self._answers:
            raise Refused(MISSING, f"the stand-in has no route {path}")
        return self._answers[path](body)

    # --- GraphQL ----------------------------------------------------------------------------

    def _graphql(self, body: dict[str, Any]) -> Any:
        query, given = body["query"], body.get("variables") or {}
        if "upsertModel" in query:
            self.kept.projects.add(f"{given['entity']}/{given['name']}")
            return {"data": {"upsertModel": {"model": {"name": given["name"], "description": ""}}}}
        if "viewer" in query:
            viewer = {"username": self._entity, "defaultEntity": {"name": self._entity}}
            return {"data": {"viewer": viewer}}
        if "project" in query:
            known = f"{given['entityName']}/{given['name']}" in self.kept.projects
            return {"data": {"project": {"name": given["name"]} if known else None}}
        raise Refused(400, "the stand-in knows no such GraphQL")

    # --- calls ------------------------------------------------------------------------------

    def _complete(self, project: str, body: dict[str, Any]) -> Any:
        for call in body["batch"]:
            missing = {"id", "trace_id", "op_name", "started_at", "ended_at", "attributes"} - {
                *call
            }
            if missing:
                raise Refused(422, f"a call has no {', '.join(sorted(missing))}")
            if call["project_id"] != project:
                raise Refused(400, f"{call['project_id']} in a batch of {project}")
        for call in body["batch"]:
            self.kept.put_call(call)
        return {}

    def _upsert_batch(self, body: dict[str, Any]) -> Any:
        for each in body["batch"]:
            self.kept.merge_call(each["req"][each["mode"]])
        return {"res": [{} for _ in body["batch"]]}

    def _update(self, body: dict[str, Any]) -> Any:
        self._found(body["project_id"], body["call_id"])["display_name"] = body.get("display_name")
        return {}

    def _found(self, project: str, call_id: str) -> dict[str, Any]:
        try:
            return self.kept.call(project, call_id)
        except KeyError:
            raise Refused(MISSING, f"no call {call_id}") from None

    def _query(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Calls by id, trace and parent: all that the binding's users here ask for."""
        asked = body.get("filter") or {}
        found = list(self.kept.calls_of(body["project_id"]).values())
        for key, field in (
            ("call_ids", "id"),
            ("trace_ids", "trace_id"),
            ("parent_ids", "parent_id"),
        ):
            if asked.get(key):
                wanted = set(asked[key])
                found = [call for call in found if call.get(field) in wanted]
        start = body.get("offset") or 0
        limit = body.get("limit")
        return found[start : None if limit is None else start + limit]

    # --- objects, tables, files ---------------------------------------------------------------

    def _read_object(self, body: dict[str, Any]) -> Any:
        project, name, digest = body["project_id"], body["object_id"], body["digest"]
        try:
            val = self.kept.object(project, name, None if digest == "latest" else digest)
        except IndexError:
            raise Refused(MISSING, f"no object {name}:{digest}") from None
        return {
            "obj": {
                "project_id": project,
                "object_id": name,
                "digest": digest,
                "val": val,
                "version_index": 0,
                "is_latest": 1,
                "kind": "object",
                "base_object_class": None,
                "created_at": "2026-01-01T00:00:00Z",
            }
        }

    def _delete_objects(self, body: dict[str, Any]) -> Any:
        doomed = [
            key
            for key in self.kept.objects
            if key[:2] == (body["project_id"], body["object_id"])
            and (body.get("digests") is None or key[2] in body["digests"])
        ]
        for key in doomed:
            del self.kept.objects[key]
        if not doomed:
            raise Refused(MISSING, f"no object {body['object_id']}")
        return {"num_deleted": len(doomed)}

    def _table(self, body: dict[str, Any]) -> Any:
        digest, rows = self.kept.put_table(body["table"]["project_id"], body["table"]["rows"])
        return {"digest": digest, "row_digests": rows}

    def _table_from_digests(self, body: dict[str, Any]) -> Any:
        unknown = [digest for digest in body["row_digests"] if digest not in self.kept.rows]
        if unknown:
            raise Refused(422, f"{len(unknown)} rows were never sent")
        rows = [self.kept.rows[digest] for digest in body["row_digests"]]
        return {"digest": self.kept.put_table(body["project_id"], rows)[0]}

    def _table_rows(self, body: dict[str, Any]) -> Any:
        from llmwatch.backend import digests

        try:
            rows = self.kept.tables[body["project_id"], body["digest"]]
        except KeyError:
            raise Refused(MISSING, f"no table {body['digest']}") from None
        return {
            "rows": [
                {"digest": digests.of_row(row), "val": row, "original_index": index}
                for index, row in enumerate(rows)
            ]
        }

    def _at(self, uri: str) -> Any:
        project, kind, name = _split(uri)
        if kind == "call":
            return self._found(project, name)
        bare, _, digest = name.partition(":")
        try:
            return self.kept.object(project, bare, digest)
        except IndexError:
            raise Refused(MISSING, f"no object {uri}") from None

    def _file(self, body: dict[str, Any]) -> bytes:
        try:
            return self.kept.files[body["project_id"], body["digest"]]
        except KeyError:
            raise Refused(MISSING, f"no file {body['digest']}") from None

    # --- feedback -----------------------------------------------------------------------------

    def _feedback_query(self, body: dict[str, Any]) -> Any:
        wanted = _ids((body.get("query") or {}).get("$expr"))
        found = list(self.kept.feedback_of(body["project_id"]).values())
        if wanted is not None:
            found = [said for said in found if said["id"] in wanted]
        fields = body.get("fields")
        result = [{name: said.get(name) for name in fields} if fields else said for said in found]
        return {"result": result}

    def _feedback_purge(self, body: dict[str, Any]) -> Any:
        for feedback_id in _ids(body["query"]["$expr"]) or ():
            self.kept.feedback.pop((body["project_id"], feedback_id), None)
        return {}

    def _feedback_replace(self, body: dict[str, Any]) -> Any:
        self.kept.feedback.pop((body["project_id"], body["feedback_id"]), None)
        kept = {key: value for key, value in body.items() if key != "feedback_id"}
        return _answer(self.kept.put_feedback(kept))


class Lines(list[Any]):
    """An answer of JSON lines."""


def _answer(said: dict[str, Any]) -> dict[str, Any]:
    at = "2026-01-01T00:00:00Z"
    return {"id": said["id"], "created_at": at, "payload": said["payload"], "wb_user_id": "me"}


def _split(uri: str) -> tuple[str, str, str]:
    entity, project, kind, name = uri.removeprefix("weave:///").split("/")[:4]
    return f"{entity}/{project}", kind, name


def _ids(expr: Any) -> set[str] | None:
    """The ids that a condition names: `$eq`, `$in` or an `$or` of them on `id`."""
    if not expr:
        return None
    if "$or" in expr:
        return {one for each in expr["$or"] for one in _ids(each) or ()}
    if "$in" in expr:
        return {each["$literal"] for each in expr["$in"][1]}
    return {expr["$eq"][1]["$literal"]}
