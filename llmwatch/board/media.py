"""Media files to the page: only what a browser shows without running anything, the rest as a download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmwatch.capture.files import find
from llmwatch.errors import NotFound

if TYPE_CHECKING:
    from starlette.responses import Response

SHOWN = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "bmp": "image/bmp",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "txt": "text/plain; charset=utf-8",
    "md": "text/plain; charset=utf-8",
    "json": "text/plain; charset=utf-8",
}
"""What is shown, by extension. HTML, SVG and PDF can run scripts: they are downloads."""
CSP = "default-src 'none'; img-src 'self'; media-src 'self'; sandbox"


def served(media: Path, name: str) -> Response:
    """A file of a project's media directory, named as rows name it (`ab/abcd….png`)."""
    from starlette.responses import FileResponse

    path = find(media, name)
    if path is None:
        raise NotFound(f"the media file {name} is not there: it was erased, or never arrived")
    kind = SHOWN.get(path.suffix.lstrip(".").lower())
    return FileResponse(
        path,
        media_type=kind or "application/octet-stream",
        filename=path.name,
        content_disposition_type="inline" if kind else "attachment",
        headers={
            "content-security-policy": CSP,
            "x-content-type-options": "nosniff",
            "cache-control": "private, max-age=3600, immutable",
        },
    )
