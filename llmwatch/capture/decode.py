"""Parsed JSON back to Python values: markers become what they stand for. Nothing stored is ever executed."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from llmwatch.capture import frames
from llmwatch.capture.files import find
from llmwatch.capture.keys import unescape_key
from llmwatch.capture.media import WAV_HEADER, Audio, Bytes, Media
from llmwatch.capture.tag import MARK

if TYPE_CHECKING:
    from pathlib import Path

Restorer = Callable[[dict[str, Any], "Path | None"], Any]


def decode(value: Any, *, media: Path | None = None) -> Any:
    """What `encode` recorded, from its parsed JSON. What cannot come back (a file is gone, a library
    is not installed) is a `Media` that says so; a marker that stands for no value stays a dict.

    >>> decode({"_type": "int", "value": "18446744073709551616"})
    18446744073709551616
    """
    if type(value) is list:
        return [decode(item, media=media) for item in value]
    if type(value) is not dict:
        return value
    if MARK in value:
        return _restore(value, media)
    return {unescape_key(key): decode(item, media=media) for key, item in value.items()}


def _restore(value: dict[str, Any], media: Path | None) -> Any:
    kind = value[MARK]
    fields = {key: decode(item, media=media) for key, item in value.items() if key != MARK}
    restorer = RESTORERS.get(kind) if type(kind) is str else None
    if restorer is None:
        return _unknown({MARK: kind, **fields}, media)
    path = find(media, fields.get("file"))
    if path is None and ("missing" in fields or "file" in fields):
        return _placeholder(kind, fields, None, fields.get("missing") or "the file is not there")
    try:
        return restorer(fields, path)
    except Exception as error:  # noqa: BLE001 - libraries fail on bad files in their own ways
        return _placeholder(kind, fields, path, f"{type(error).__name__}: {error}")


def _unknown(value: dict[str, Any], media: Path | None) -> Any:
    path = find(media, value.get("file"))
    kind = value[MARK]
    if path is not None and type(kind) is str:
        return _placeholder(kind, value, path, None)
    return value


def _placeholder(
    kind: str, fields: dict[str, Any], path: Path | None, missing: str | None
) -> Media:
    return Media(kind, path, fields.get("type"), fields.get("caption"), missing)


def _int(fields: dict[str, Any], _: Path | None) -> int:
    return int(fields["value"], 0)


def _bytes(fields: dict[str, Any], path: Path | None) -> bytes:
    data = path.read_bytes() if path else base64.b64decode(fields["base64"], validate=True)
    return Bytes(data, fields["type"]) if "type" in fields else data


def _media(fields: dict[str, Any], path: Path | None) -> Media:
    return _placeholder(fields["was"], fields, path, None)


def _ndarray(fields: dict[str, Any], path: Path | None) -> Any:
    import numpy as np

    if path:
        return np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    dtype, values = np.dtype(fields["dtype"]), fields["values"]
    if dtype.kind in "mM":
        return np.array(values, "int64").astype(dtype).reshape(fields["shape"])
    if dtype.kind == "f":
        values = [
            float(number) for number in values
        ]  # "NaN" and "Infinity" are spelt as float() reads
    return np.array(values, dtype).reshape(fields["shape"])


def _image(fields: dict[str, Any], path: Path | None) -> Any:
    from PIL import Image

    data = _needed(path).read_bytes()
    if fields.get("type") == "raw":
        return Image.frombytes(fields["mode"], tuple(fields["size"]), data)
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def _audio(fields: dict[str, Any], path: Path | None) -> Audio:
    import numpy as np

    data = _needed(path).read_bytes()
    if fields["type"] == "npy":
        samples = np.load(io.BytesIO(data), allow_pickle=False)
    else:
        samples = np.frombuffer(data[WAV_HEADER:], fields["dtype"]).reshape(fields["shape"]).copy()
    return Audio(samples, fields["rate"], fields.get("caption"))


def _needed(path: Path | None) -> Path:
    if path is None:
        raise FileNotFoundError("the marker names no file")
    return path


def _wandb_image(fields: dict[str, Any], path: Path | None) -> Any:
    import wandb

    source = str(path) if path else fields["reference"]
    about = {"caption": fields.get("caption"), "grouping": fields.get("grouping")}
    boxes = fields.get("boxes")
    for box in (boxes or {}).values():
        box["class_labels"] = dict(box["class_labels"])
    return wandb.Image(source, boxes=boxes, **about)


def _wandb_audio(fields: dict[str, Any], path: Path | None) -> Any:
    import wandb

    source = str(path) if path else fields["reference"]
    return wandb.Audio(source, sample_rate=fields.get("rate"), caption=fields.get("caption"))


def _wandb_video(fields: dict[str, Any], path: Path | None) -> Any:
    import wandb

    return wandb.Video(str(_needed(path)), caption=fields.get("caption"))


def _wandb_html(_: dict[str, Any], path: Path | None) -> Any:
    import wandb

    return wandb.Html(str(_needed(path)), inject=False)


def _wandb_table(fields: dict[str, Any], path: Path | None) -> Any:
    import wandb

    rows = fields["data"] if path is None else _rows_of(path)
    return wandb.Table(columns=fields["columns"], data=rows, allow_mixed_types=True)


def _rows_of(path: Path) -> Any:
    # A media file lies two levels below the directory that its own references are relative to.
    return decode(orjson.loads(path.read_bytes()), media=path.parent.parent)


def _weave_audio(fields: dict[str, Any], path: Path | None) -> Any:
    import weave

    return weave.Audio(_needed(path).read_bytes(), fields["format"], validate_base64=False)


def _weave_content(fields: dict[str, Any], path: Path | None) -> Any:
    import weave

    file = _needed(path)
    data = file.read_bytes()
    about = {name: fields[name] for name in fields if name not in ("file", "bytes")}
    return weave.Content.model_construct(data=data, size=len(data), digest=file.stem, **about)


def _weave_markdown(fields: dict[str, Any], _: Path | None) -> Any:
    from rich.markdown import Markdown

    theme = {"code_theme": fields["code_theme"]} if "code_theme" in fields else {}
    return Markdown(fields["markup"], **theme)


RESTORERS: dict[str, Restorer] = {
    "int": _int,
    "bytes": _bytes,
    "media": _media,
    "ndarray": _ndarray,
    "image": _image,
    "audio": _audio,
    "frame": frames.restore,
    "series": frames.restore_series,
    "wandb.Image": _wandb_image,
    "wandb.Audio": _wandb_audio,
    "wandb.Video": _wandb_video,
    "wandb.Html": _wandb_html,
    "wandb.Table": _wandb_table,
    "weave.Audio": _weave_audio,
    "weave.Content": _weave_content,
    "weave.Markdown": _weave_markdown,
}
