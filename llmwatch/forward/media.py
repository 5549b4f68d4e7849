"""Pictures, sound, frames and bytes of a row as Weave content: the markers of capture become files that W&B displays."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch.capture.decode import RESTORERS
from llmwatch.capture.files import find
from llmwatch.capture.tag import MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

CONTENT_TYPE = "weave.type_wrappers.Content.content.Content"
_BESIDE = frozenset(
    {MARK, "file", "bytes", "base64", "type", "mimetype", "filename", "encoding", "metadata"}
)
_BESIDE_CONTENT = _BESIDE | {"content_type", "input_type", "extension"}
_MORE_TYPES = {"parquet": "application/vnd.apache.parquet", "npy": "application/x-npy"}


def is_media(value: Mapping[str, Any]) -> bool:
    """Whether a value is a marker of capture's that stands for a file, on the disk or on the line."""
    kind = value.get(MARK)
    if type(kind) is not str or (kind not in RESTORERS and not kind.startswith("wandb.")):
        return False
    return type(value.get("file")) is str or type(value.get("base64")) is str


def as_content(value: Mapping[str, Any], media: Path, upload: Callable[[str, bytes], str]) -> Any:
    """The marker as a Weave `Content`; the marker itself, saying what is missing, when its file is gone."""
    data, extension = _read(value, media)
    if data is None:
        return {**value, "missing": "the file is no longer there"}
    described = _described(value, data, extension)
    files = {
        "content": upload(described["filename"], data),
        "metadata.json": upload("metadata.json", orjson.dumps(described)),
    }
    return {
        MARK: "CustomWeaveType",
        "weave_type": {"type": CONTENT_TYPE},
        "load_op": None,
        "files": files,
    }


def _read(value: Mapping[str, Any], media: Path) -> tuple[bytes | None, str]:
    if type(value.get("base64")) is str:
        try:
            data = base64.b64decode(value["base64"], validate=True)
        except ValueError:
            return None, ""
        return data, (mimetypes.guess_extension(value.get("type") or "") or ".bin").lstrip(".")
    path = find(media, value["file"])
    if path is None:
        return None, ""
    try:
        return path.read_bytes(), path.suffix.lstrip(".")
    except FileNotFoundError:  # erased just now
        return None, ""


def _described(value: Mapping[str, Any], data: bytes, extension: str) -> dict[str, Any]:
    """What Weave keeps beside a content: type, name, size, and what else the marker said, such as a caption."""
    digest = hashlib.sha256(data).hexdigest()
    name = value.get("filename")
    return {
        "size": len(data),
        "mimetype": _mimetype(value, extension),
        "digest": digest,
        "filename": name if type(name) is str and name else f"{digest[:12]}.{extension}",
        "content_type": "bytes",
        "input_type": "bytes",
        "encoding": value.get("encoding") or "utf-8",
        "metadata": _metadata(value),
        "extension": f".{extension}",
    }


def _mimetype(value: Mapping[str, Any], extension: str) -> str:
    for said in (value.get("mimetype"), value.get("type")):
        if type(said) is str and "/" in said:
            return said
    guessed = mimetypes.guess_type(f"x.{extension}")[0]
    return guessed or _MORE_TYPES.get(extension, "application/octet-stream")


def _metadata(value: Mapping[str, Any]) -> dict[str, Any]:
    given = value.get("metadata")
    own = dict(given) if isinstance(given, dict) else {}
    skipped = _BESIDE_CONTENT if value[MARK] == "weave.Content" else _BESIDE
    beside = {name: said for name, said in value.items() if name not in skipped}
    return {**own, "recorded_as": value[MARK], **beside}
