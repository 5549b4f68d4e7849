"""Bytes, arrays, pictures, figures and sound: what goes to a file beside the table, and how it is marked."""

from __future__ import annotations

import base64
import io
import math
import mimetypes
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmwatch.capture.files import keep
from llmwatch.capture.tag import Tag, tag

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

INLINE_BYTES = 4096
INLINE_ITEMS = 4096
WAV_HEADER = 44

_PNG_MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}
_WAV_FORMATS = {"|u1": 1, "<i2": 1, "<i4": 1, "<f4": 3, "<f8": 3}


class Bytes(bytes):
    """Bytes that say what they are: `Bytes(data, type="application/pdf")`. Come back as this."""

    type: str

    def __new__(cls, data: bytes, type: str = "application/octet-stream") -> Self:  # noqa: A002
        made = super().__new__(cls, data)
        made.type = type
        return made

    def __repr__(self) -> str:
        return f"Bytes({len(self)} bytes, type={self.type!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Bytes, (bytes(self), self.type)


@dataclass
class Audio:
    """Sound as samples: `Audio(samples, rate=16000, caption="hello")`, samples by time or (time, channel)."""

    data: Any
    rate: int
    caption: str | None = None


@dataclass(frozen=True)
class Media:
    """Something recorded to a file that could not come back as what it was: `missing` says why."""

    kind: str
    path: Path | None = None
    type: str | None = None
    caption: str | None = None
    missing: str | None = None

    def read(self) -> bytes:
        if self.path is None:
            raise FileNotFoundError(f"the {self.kind} is not there: {self.missing}")
        return self.path.read_bytes()


def bytes_image(value: Any, directory: Path | None) -> Tag:
    typed = value.type if type(value) is Bytes else None
    data = bytes(value) if type(value) is not Bytes else value
    if len(data) <= INLINE_BYTES or directory is None:
        return tag("bytes", base64=base64.b64encode(data).decode(), type=typed)
    extension = (mimetypes.guess_extension(typed) if typed else None) or "bin"
    return tag("bytes", type=typed, **keep(directory, data, extension))


def media_image(value: Media, directory: Path | None) -> Tag:
    """A placeholder that is logged again: its file comes along when it is still there."""
    stored: dict[str, Any] = {"missing": value.missing or "the file is not there"}
    if value.path is not None and value.path.is_file():
        stored = keep(directory, value.path.read_bytes(), value.path.suffix)
    return tag("media", was=value.kind, type=value.type, caption=value.caption, **stored)


def scalar_image(value: Any, _: Path | None) -> Any:
    """A numpy number as Python's own; times as ISO text, `NaT` by its name."""
    if value.dtype.kind in "mM":
        return str(value)
    plain = float(value) if value.dtype.kind == "f" else value.item()
    if isinstance(plain, float):
        return plain if math.isfinite(plain) else _spell(plain)
    return plain if type(plain) in (int, bool, str, bytes) else str(value)


def array_image(value: Any, directory: Path | None) -> Any:
    import numpy as np

    array = np.asarray(value)
    if array.dtype.hasobject:
        return array.tolist()
    about = {"dtype": array.dtype.str, "shape": list(array.shape)}
    plain = (array.dtype.kind in "biufUmM" and array.dtype.itemsize <= 8) or array.dtype.kind == "U"
    if plain and (array.size <= INLINE_ITEMS or directory is None):
        return tag("ndarray", **about, values=_values(array))
    return tag("ndarray", **about, **keep(directory, npy(array), "npy"))


def _values(array: Any) -> Any:
    if array.dtype.kind in "mM":
        return array.astype("int64").tolist()
    flat = array.ravel().tolist()
    if array.dtype.kind == "f":
        flat = [number if math.isfinite(number) else _spell(number) for number in flat]
    return flat


def _spell(number: float) -> str:
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def npy(array: Any) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def picture_image(value: Any, directory: Path | None) -> Tag:
    """A PIL image, without loss: PNG where PNG has the mode, else its raw pixels."""
    about = {"mode": value.mode, "size": list(value.size)}
    if value.mode in _PNG_MODES:
        buffer = io.BytesIO()
        value.save(buffer, format="PNG", compress_level=1)
        return tag("image", **about, type="image/png", **keep(directory, buffer.getvalue(), "png"))
    return tag("image", **about, type="raw", **keep(directory, value.tobytes(), "raw"))


def figure_image(value: Any, directory: Path | None) -> Tag:
    """A matplotlib figure as a picture of itself."""
    buffer = io.BytesIO()
    value.savefig(buffer, format="png")
    stored = keep(directory, buffer.getvalue(), "png")
    return tag("image", source="matplotlib", type="image/png", **stored)


def audio_image(value: Audio, directory: Path | None) -> Tag:
    """A WAV file that any player opens, its samples as they were; `.npy` for what WAV cannot hold."""
    import numpy as np

    samples = np.asarray(value.data)
    about: dict[str, Any] = {"rate": int(value.rate), "caption": value.caption}
    about |= {"dtype": samples.dtype.str, "shape": list(samples.shape)}
    if samples.dtype.str in _WAV_FORMATS and samples.ndim in (1, 2):
        data = _wav_header(samples, int(value.rate)) + samples.tobytes()
        return tag("audio", **about, type="audio/wav", **keep(directory, data, "wav"))
    return tag("audio", **about, type="npy", **keep(directory, npy(samples), "npy"))


def _wav_header(samples: Any, rate: int) -> bytes:
    # Written here because the standard library's `wave` knows no floating point.
    channels = samples.shape[1] if samples.ndim == 2 else 1
    width, code = samples.dtype.itemsize, _WAV_FORMATS[samples.dtype.str]
    form = struct.pack(
        "<HHIIHH", code, channels, rate, rate * channels * width, channels * width, width * 8
    )
    size = samples.nbytes
    return b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", size)  # fmt: skip
