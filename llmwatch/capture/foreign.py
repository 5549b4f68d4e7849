"""The media classes of wandb and weave, recognised by name so that neither is imported to record one."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Any

import orjson

from llmwatch.capture.files import keep
from llmwatch.capture.media import INLINE_BYTES
from llmwatch.capture.tag import Tag, package_and_name, tag


def wandb_file(value: Any, directory: Path | None, **about: Any) -> Tag:
    """Any wandb media: the file it made of itself, or the address it only refers to."""
    kind = f"wandb.{package_and_name(type(value))[1]}"
    path = value._path
    about = {"caption": value._caption, **about}
    if path is None:
        return tag(kind, **about, missing="it has no file")
    if "://" in str(path):
        return tag(kind, **about, reference=str(path))
    file = Path(path)
    mime = mimetypes.guess_type(file.name)[0]
    return tag(kind, **about, type=mime, **keep(directory, file.read_bytes(), file.suffix))


def wandb_image(value: Any, directory: Path | None) -> Tag:
    boxes = {
        name: {"box_data": box._val, "class_labels": list(box._class_labels.items())}
        for name, box in (value._boxes or {}).items()
    }
    about = {"grouping": value._grouping, "boxes": boxes or None}
    return wandb_file(value, directory, width=value._width, height=value._height, **about)


def wandb_audio(value: Any, directory: Path | None) -> Tag:
    return wandb_file(value, directory, rate=value._sample_rate, duration=value._duration)


def wandb_html(value: Any, directory: Path | None) -> Tag:
    return tag("wandb.Html", type="text/html", **keep(directory, value.html.encode(), "html"))


def wandb_table(value: Any, directory: Path | None) -> Tag:
    """Columns and rows; a long one in a file, with the names of the files that its own cells use."""
    from llmwatch.capture.encode import encode

    # No bound: a table too long for a line is why there is a file.
    data = encode([list(row) for row in value.data], media=directory, limit=1 << 40)
    if len(data) <= INLINE_BYTES or directory is None:
        return tag(
            "wandb.Table", columns=list(value.columns), data=[list(row) for row in value.data]
        )
    used = sorted(set(_files_in(orjson.loads(data)))) or None
    return tag(
        "wandb.Table", columns=list(value.columns), uses=used, **keep(directory, data, "json")
    )


def _files_in(parsed: Any) -> list[str]:
    if type(parsed) is list:
        return [ref for item in parsed for ref in _files_in(item)]
    if type(parsed) is not dict:
        return []
    own = [parsed["file"]] if "_type" in parsed and type(parsed.get("file")) is str else []
    return own + [ref for item in parsed.values() for ref in _files_in(item)]


def weave_audio(value: Any, directory: Path | None) -> Tag:
    stored = keep(directory, bytes(value.data), value.format)
    return tag("weave.Audio", format=value.format, type=f"audio/{value.format}", **stored)


_CONTENT_FIELDS = ("mimetype", "filename", "content_type", "input_type", "encoding", "metadata")


def weave_content(value: Any, directory: Path | None) -> Tag:
    about = {name: getattr(value, name) for name in _CONTENT_FIELDS}
    suffix = value.extension or ""
    stored = keep(directory, bytes(value.data), suffix)
    return tag("weave.Content", **about, extension=value.extension, **stored)


def weave_markdown(value: Any, _: Path | None) -> Tag:
    theme = getattr(value, "code_theme", None)
    return tag(
        "weave.Markdown", markup=value.markup, code_theme=theme if type(theme) is str else None
    )
