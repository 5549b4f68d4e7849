"""Files that Weave's custom types are saved in: images, audio, the code of ops."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmwatch.backend import digests
from llmwatch.backend.contents import Contents
from llmwatch.store import Project

if TYPE_CHECKING:
    from weave.trace_server_bindings.models import FileContentReadRes
    from weave.vendor.weave_server_sdk.types import FileCreateResponse, FileStatsResponse

UNDER_WAY_S = 1.0
"""The client sends an object's files beside it: one that is read at once may still be on its way."""


class Files:
    """The files of a project, by digest."""

    def __init__(self, project: Project) -> None:
        self._contents = Contents(project.objects / "files")

    def create(self, req: Mapping[str, Any]) -> FileCreateResponse:
        from weave.vendor.weave_server_sdk.types import FileCreateResponse

        name, content = req["file"][0], req["file"][1]
        content = content if isinstance(content, bytes) else content.read()
        digest = digests.check(digests.of_file(content), req.get("expected_digest"), f"file {name}")
        self._contents.put(digest, content)
        return FileCreateResponse(digest=digest)

    def content_read(self, req: Mapping[str, Any]) -> FileContentReadRes:
        from weave.trace.errors import NotFoundError
        from weave.trace_server_bindings.models import FileContentReadRes

        content = self._contents.get(req["digest"])
        is_digest = len(req["digest"]) == digests.LENGTH
        until = time.monotonic() + (UNDER_WAY_S if is_digest else 0)
        while content is None and time.monotonic() < until:
            time.sleep(0.01)
            content = self._contents.get(req["digest"])
        if content is None:
            raise NotFoundError(f"file {req['digest']} is not in {req['project_id']}")
        return FileContentReadRes(content=content)

    def stats(self) -> FileStatsResponse:
        from weave.vendor.weave_server_sdk.types import FileStatsResponse

        return FileStatsResponse(total_size_bytes=self.total_bytes())

    def total_bytes(self) -> int:
        return self._contents.total_bytes()
