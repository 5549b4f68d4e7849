"""What the journal of objects amounts to: versions, which is the latest, deletions, tags, aliases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from llmwatch.backend import wire
from llmwatch.backend.journal import Entry

LATEST = "latest"


@dataclass
class Version:
    """One version of an object: a value under a name."""

    object_id: str
    digest: str
    index: int
    kind: str
    base_class: str | None
    leaf_class: str | None
    created_at: datetime
    wb_user_id: str | None = None
    deleted_at: datetime | None = None
    tags: list[str] = field(default_factory=list)
    size: int = 0


class Object:
    """The versions under one name, in order of their first creation.

    An op and an object may share a name: each kind counts its versions, and has a latest, for itself.
    """

    def __init__(self) -> None:
        self.versions: dict[str, Version] = {}
        self.aliases: dict[str, str] = {}
        # digests in order of creation, again where a version was created again
        self._created: list[str] = []

    def create(self, data: dict[str, Any], at: datetime) -> None:
        digest = data["digest"]
        known = self.versions.get(digest)
        if known is None:
            self.versions[digest] = Version(
                object_id=data["object_id"],
                digest=digest,
                index=sum(each.kind == data["kind"] for each in self.versions.values()),
                kind=data["kind"],
                base_class=data.get("base_class"),
                leaf_class=data.get("leaf_class"),
                created_at=at,
                wb_user_id=data.get("wb_user_id"),
                size=data.get("size", 0),
            )
        else:
            known.deleted_at = None
        self._created.append(digest)

    @property
    def latest(self) -> Version | None:
        """The version last created that is not deleted; when all are, the last of them."""
        return self._latest_of(self._created)

    def latest_in(self, kind: str) -> Version | None:
        """The latest among the ops, or among the other objects, of this name."""
        return self._latest_of([each for each in self._created if self.versions[each].kind == kind])

    def _latest_of(self, created: list[str]) -> Version | None:
        if not created:
            return None
        for digest in reversed(created):
            if self.versions[digest].deleted_at is None:
                return self.versions[digest]
        return self.versions[created[-1]]

    def find(self, name: str) -> Version | None:
        """By digest, `latest`, `v<N>` or an alias."""
        if name == LATEST:
            return self.latest
        if name in self.versions:
            return self.versions[name]
        if name in self.aliases:
            return self.versions.get(self.aliases[name])
        if name[:1] == "v" and name[1:].isdecimal():
            found = (v for v in self.versions.values() if v.index == int(name[1:]))
            return min(found, key=lambda v: v.kind == "op", default=None)
        return None

    def aliases_of(self, version: Version) -> list[str]:
        own = [alias for alias, digest in self.aliases.items() if digest == version.digest]
        return [*own, LATEST] if version is self.latest_in(version.kind) else own


def replay(entries: Iterable[Entry]) -> dict[str, Object]:
    """The objects by name after all entries."""
    objects: dict[str, Object] = {}
    for entry in entries:
        _apply(objects, entry)
    return objects


def _apply(objects: dict[str, Object], entry: Entry) -> None:
    data, at = entry.data, wire.from_microseconds(entry.ts)
    named = objects.setdefault(data["object_id"], Object())
    if data["op"] == "create":
        named.create(data, at)
    elif data["op"] == "alias":
        named.aliases.update(dict.fromkeys(data["names"], data["digest"]))
    elif data["op"] == "unalias":
        for alias in data["names"]:
            named.aliases.pop(alias, None)
    elif (version := named.versions.get(data["digest"])) is not None:
        _change_version(version, data, at)


def _change_version(version: Version, data: dict[str, Any], at: datetime) -> None:
    if data["op"] == "delete":
        version.deleted_at = at
    elif data["op"] == "tag":
        version.tags = [*version.tags, *(t for t in data["names"] if t not in version.tags)]
    elif data["op"] == "untag":
        version.tags = [tag for tag in version.tags if tag not in data["names"]]
