"""Published objects: their values under their digests, their versions in a journal."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from llmwatch.backend import digests, saved_queries, wire
from llmwatch.backend.contents import Contents
from llmwatch.backend.journal import Journal
from llmwatch.backend.versions import LATEST, Object, Version, replay
from llmwatch.store import Project

if TYPE_CHECKING:
    from weave.vendor.weave_server_sdk.types import (
        ObjectCreateResponse,
        ObjectDeleteResponse,
        ObjectQueryResponse,
        ObjectReadResponse,
    )
    from weave.vendor.weave_server_sdk.types.objects import AliasListResponse, TagListResponse

    from llmwatch.settings import Settings
    from llmwatch.stream.query import Reader

TABLE = "_objects"
_OBJECT_ID = re.compile(r"[\w.-]{1,128}")
MOST_KEPT, LARGEST_KEPT = 1000, 1 << 16
"""Contents that are kept in memory: so many, each of at most so many bytes."""


class Objects:
    """The objects of a project."""

    def __init__(self, project: Project, settings: Settings, reader: Callable[[], Reader]) -> None:
        self._project = project
        self._contents = Contents(project.objects / "values")
        self._journal = Journal(project, TABLE, settings, reader)
        self._lock = threading.Lock()
        self._objects: dict[str, Object] = {}
        self._kept: dict[str, bytes] = {}

    # --- versions -----------------------------------------------------------------------

    def create(self, req: Mapping[str, Any]) -> ObjectCreateResponse:
        from weave.vendor.weave_server_sdk.types import ObjectCreateResponse

        obj = req["obj"]
        _check_object_id(obj["object_id"])
        made = digests.of_object(obj["val"], obj.get("builtin_object_class"))
        digests.check(made.digest, obj.get("expected_digest"), f"object {obj['object_id']}")
        content = made.json_val.encode()
        kind = "op" if _is_op(made.processed_val) else "object"
        self._check_class(obj["object_id"], kind, made.base_object_class)
        self._contents.put(made.digest, content)
        if not self._is_latest(obj["object_id"], made.digest, kind):
            self._journal.append(
                {
                    "op": "create",
                    "object_id": obj["object_id"],
                    "digest": made.digest,
                    "kind": kind,
                    "base_class": made.base_object_class,
                    "leaf_class": made.leaf_object_class,
                    "wb_user_id": obj.get("wb_user_id"),
                    "size": len(content),
                }
            )
        return ObjectCreateResponse(digest=made.digest)

    def read(self, req: Mapping[str, Any]) -> ObjectReadResponse:
        from weave.vendor.weave_server_sdk.types import ObjectReadResponse
        from weave.vendor.weave_server_sdk.types.object_read_response import Obj

        version = self.version(req["object_id"], req["digest"])
        with_names = bool(req.get("include_tags_and_aliases"))
        fields = self._fields(
            version, metadata_only=bool(req.get("metadata_only")), names=with_names
        )
        return ObjectReadResponse(obj=Obj(**fields))

    def query(self, req: Mapping[str, Any]) -> ObjectQueryResponse:
        from weave.vendor.weave_server_sdk.types import ObjectQueryResponse
        from weave.vendor.weave_server_sdk.types.object_query_response import Obj

        found = [v for v in self._live() if self._passes(v, req.get("filter") or {})]
        for order in reversed(list(req.get("sort_by") or [])):
            _sort(found, order)
        start = req.get("offset") or 0
        end = None if req.get("limit") is None else start + req["limit"]
        options = {
            "metadata_only": bool(req.get("metadata_only")),
            "names": bool(req.get("include_tags_and_aliases")),
        }
        return ObjectQueryResponse(
            objs=[Obj(**self._fields(version, **options)) for version in found[start:end]]
        )

    def delete(self, req: Mapping[str, Any]) -> ObjectDeleteResponse:
        from weave.trace.errors import NotFoundError
        from weave.vendor.weave_server_sdk.types import ObjectDeleteResponse

        name, given = req["object_id"], req.get("digests")
        if given is None:
            versions = [v for v in self._live() if v.object_id == name]
            if not versions:
                raise NotFoundError(f"object {name} is not in {self._project.id}")
        else:
            versions = [self.version(name, digest) for digest in given]
        for version in versions:
            self._journal.append({"op": "delete", "object_id": name, "digest": version.digest})
        return ObjectDeleteResponse(
            num_deleted=len(versions),
            deleted_versions=[
                {
                    "digest": v.digest,
                    "base_object_class": v.base_class,
                    "leaf_object_class": v.leaf_class,
                }
                for v in versions
            ],
        )

    def version(self, object_id: str, digest: str) -> Version:
        """The version that `digest` (a digest, `latest`, `v<N>` or an alias) means."""
        from weave.trace.errors import NotFoundError, ObjectDeletedError

        named = self._current().get(object_id)
        version = named.find(digest) if named is not None else None
        if version is None:
            raise NotFoundError(f"object {object_id}:{digest} is not in {self._project.id}")
        if version.deleted_at is not None:
            raise ObjectDeletedError(
                f"object {object_id}:{digest} of {self._project.id} was deleted", version.deleted_at
            )
        return version

    def has(self, object_id: str, digest: str) -> bool:
        """Whether there is or was such a version."""
        named = self._current().get(object_id)
        return named is not None and named.find(digest) is not None

    def latest_of(self, base_class: str) -> list[Version]:
        """The latest version of each object of a class."""
        return [
            version
            for version in self._live()
            if version.base_class == base_class
            and version is self._objects[version.object_id].latest_in(version.kind)
        ]

    def value(self, digest: str) -> Any:
        """A stored value, made anew each time: Weave's client takes apart what it is given."""
        from weave.trace.errors import NotFoundError

        content = self._kept.get(digest) or self._contents.get(digest)
        if content is None:
            raise NotFoundError(f"the content of object {digest} is not in {self._project.id}")
        if len(content) <= LARGEST_KEPT:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[digest] = content
        return wire.loads(content)

    def _readable(self, version: Version) -> Any:
        val = self.value(version.digest)
        return saved_queries.loadable(val) if version.base_class in saved_queries.CLASSES else val

    def total_bytes(self) -> int:
        return self._contents.total_bytes()

    # --- tags and aliases ---------------------------------------------------------------

    def add_tags(self, req: Mapping[str, Any]) -> None:
        self._note(req["object_id"], req["digest"], "tag", list(req["tags"]))

    def remove_tags(self, req: Mapping[str, Any]) -> None:
        self._note(req["object_id"], req["digest"], "untag", list(req["tags"]))

    def set_aliases(self, req: Mapping[str, Any]) -> None:
        from weave.trace.errors import InvalidRequest

        names = list(req["aliases"])
        for name in names:
            if name == LATEST or re.fullmatch(r"v\d+", name):
                raise InvalidRequest(f"{name!r} cannot be an alias: it already means a version")
        self._note(req["object_id"], req["digest"], "alias", names)

    def remove_aliases(self, req: Mapping[str, Any]) -> None:
        entry = {"op": "unalias", "object_id": req["object_id"], "names": list(req["aliases"])}
        self._journal.append(entry)

    def tags_list(self) -> TagListResponse:
        from weave.vendor.weave_server_sdk.types.objects import TagListResponse

        return TagListResponse(tags=sorted({tag for v in self._live() for tag in v.tags}))

    def aliases_list(self) -> AliasListResponse:
        from weave.vendor.weave_server_sdk.types.objects import AliasListResponse

        return AliasListResponse(
            aliases=sorted({alias for o in self._current().values() for alias in o.aliases})
        )

    def _note(self, object_id: str, digest: str, op: str, names: list[str]) -> None:
        version = self.version(object_id, digest)
        self._journal.append(
            {"op": op, "object_id": object_id, "digest": version.digest, "names": names}
        )

    # --- what the journal says ----------------------------------------------------------

    def _current(self) -> dict[str, Object]:
        with self._lock:
            entries, changed = self._journal.entries()
            if changed:
                self._objects = replay(entries)
            return self._objects

    def _live(self) -> Iterable[Version]:
        every = [v for named in self._current().values() for v in named.versions.values()]
        return sorted((v for v in every if v.deleted_at is None), key=lambda v: v.created_at)

    def _check_class(self, object_id: str, kind: str, base_class: str | None) -> None:
        """A name means objects of one class: refs do not tell classes apart."""
        named = self._current().get(object_id)
        live = [v for v in named.versions.values() if v.deleted_at is None] if named else []
        others = {v.base_class for v in live if v.kind == kind} - {base_class}
        if others:
            from weave.trace.errors import ObjectNameTypeCollision

            raise ObjectNameTypeCollision(object_id, kind, base_class, sorted(others, key=str))

    def _is_latest(self, object_id: str, digest: str, kind: str) -> bool:
        named = self._current().get(object_id)
        latest = named.latest_in(kind) if named is not None else None
        return latest is not None and latest.digest == digest and latest.deleted_at is None

    def _passes(self, version: Version, filter_: dict[str, Any]) -> bool:
        given = {key: value for key, value in filter_.items() if value is not None}
        named = self._objects[version.object_id]
        latest = named.latest_in(version.kind)
        checks: dict[str, Callable[[Any], bool]] = {
            "is_op": lambda wanted: (version.kind == "op") == wanted,
            "base_object_classes": lambda wanted: version.base_class in wanted,
            "exclude_base_object_classes": lambda wanted: version.base_class not in wanted,
            "leaf_object_classes": lambda wanted: version.leaf_class in wanted,
            "object_ids": lambda wanted: version.object_id in wanted,
            "latest_only": lambda wanted: not wanted or version is latest,
            "tags": lambda wanted: bool(set(wanted) & set(version.tags)),
            "aliases": lambda wanted: bool(set(wanted) & set(named.aliases_of(version))),
        }
        return all(
            checks[key](value) for key, value in given.items() if key in checks and value != []
        )

    def _fields(self, version: Version, *, metadata_only: bool, names: bool) -> dict[str, Any]:
        named = self._objects[version.object_id]
        return {
            "project_id": self._project.id,
            "object_id": version.object_id,
            "digest": version.digest,
            "version_index": version.index,
            "is_latest": int(version is named.latest_in(version.kind)),
            "kind": version.kind,
            "base_object_class": version.base_class,
            "leaf_object_class": version.leaf_class,
            "created_at": version.created_at,
            "deleted_at": version.deleted_at,
            "wb_user_id": version.wb_user_id,
            "size_bytes": version.size,
            "val": {} if metadata_only else self._readable(version),
            "tags": list(version.tags) if names else None,
            "aliases": named.aliases_of(version) if names else None,
        }


def _check_object_id(object_id: str) -> None:
    from weave.trace.errors import InvalidRequest

    if not _OBJECT_ID.fullmatch(object_id):
        raise InvalidRequest(
            f"{object_id!r} cannot name an object: use 1 to 128 letters, digits, '_', '.' and '-'"
        )


def _is_op(val: Any) -> bool:
    return (
        isinstance(val, dict)
        and val.get("_type") == "CustomWeaveType"
        and isinstance(val.get("weave_type"), dict)
        and val["weave_type"].get("type") == "Op"
    )


def _sort(versions: list[Version], order: dict[str, str]) -> None:
    from weave.trace.errors import InvalidFieldError

    keys: dict[str, Callable[[Version], Any]] = {
        "object_id": lambda v: v.object_id,
        "created_at": lambda v: v.created_at,
    }
    if order["field"] not in keys:
        raise InvalidFieldError(f"objects sort by object_id or created_at, not {order['field']!r}")
    versions.sort(key=keys[order["field"]], reverse=order["direction"].lower() == "desc")
