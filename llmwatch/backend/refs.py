"""Reading what refs lead to: an object, a table's row, a call, or a part of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from weave.vendor.weave_server_sdk.types import RefReadBatchResponse

    from llmwatch.backend.projects import Projects

MOST_REFS = 1000
_SCHEME = "weave:///"


class Refs:
    """Follows refs through the projects of a store."""

    def __init__(self, projects: Projects) -> None:
        self._projects = projects

    def read_batch(self, req: Mapping[str, Any]) -> RefReadBatchResponse:
        from weave.trace.errors import InvalidRequest, RefObjectsNotFoundError
        from weave.vendor.weave_server_sdk.types import RefReadBatchResponse

        refs = list(req["refs"])
        if len(refs) > MOST_REFS:
            raise InvalidRequest(f"{len(refs)} refs in one request; at most {MOST_REFS}")
        vals, missing = [], []
        for uri in refs:
            try:
                vals.append(self.read(uri))
            except _NoBase as error:
                missing.append(str(error))
        if missing:
            raise RefObjectsNotFoundError(f"not in this store: {', '.join(missing)}", missing)
        return RefReadBatchResponse(vals=vals)

    def read_or_none(self, uri: str) -> Any:
        try:
            return self.read(uri)
        except _NoBase:
            return None

    def read(self, uri: str) -> Any:
        """The value at a ref; None where its path leads nowhere or its object was deleted."""
        found = self._read(uri)
        return list(found.values()) if isinstance(found, _Rows) else found

    def _read(self, uri: str) -> Any:
        from weave.trace.errors import ObjectDeletedError

        ref = _parse(uri)
        try:
            val = self._base(ref)
            # from the text, since Weave's own parser drops what follows a table
            extra = [unquote(part) for part in uri.removeprefix(_SCHEME).split("/")[4:]]
            for edge, arg in zip(extra[::2], extra[1::2], strict=False):
                val = self._follow(val, edge, arg)
        except ObjectDeletedError:
            return None
        return val

    def _base(self, ref: Any) -> Any:
        from weave.trace.errors import NotFoundError
        from weave.trace.refs import CallRef, ObjectRef, TableRef

        project = self._projects.get(f"{ref.entity}/{ref.project}")
        try:
            if isinstance(ref, ObjectRef):
                version = project.objects.version(ref.name, ref.digest)
                return project.objects.value(version.digest)
            if isinstance(ref, TableRef):
                return _Rows(project.tables.read(ref.digest).values())
            if isinstance(ref, CallRef) and (call := project.calls.find(ref.id)) is not None:
                return call.model_dump(mode="json")
        except NotFoundError as error:
            raise _NoBase(ref.uri) from error
        raise _NoBase(ref.uri)

    def _follow(self, val: Any, edge: str, arg: str) -> Any:
        if isinstance(val, str) and val.startswith(_SCHEME):
            val = self._read(val)
        if edge == "id":
            return val.get(arg) if isinstance(val, _Rows) else None
        if isinstance(val, _Rows):
            val = list(val.values())
        if isinstance(val, dict):
            return val.get(arg)
        if isinstance(val, list) and arg.lstrip("-").isdecimal() and int(arg) < len(val):
            return val[int(arg)]
        return None


class _Rows(dict[str, Any]):
    """A table's rows by digest."""


class _NoBase(Exception):
    """The object, table or call that a ref begins at is not in this store."""


def _parse(uri: str) -> Any:
    from weave.trace.errors import InvalidRequest
    from weave.trace.refs import Ref

    try:
        return Ref.parse_uri(uri)
    except ValueError as error:
        raise InvalidRequest(f"{uri!r} is not a ref: {error}") from error
